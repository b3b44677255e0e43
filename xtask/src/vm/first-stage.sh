#!/bin/busybox sh
# Moves from the initramfs to a tmpfs: pivot_root(2), which containers need, does not leave an initramfs.
/bin/busybox mkdir -p /new
/bin/busybox mount -t tmpfs -o size=1500m tmpfs /new
for d in bin sbin etc lib lib64 usr var image proc sys dev tmp run second-stage; do
    [ -e /$d ] && /bin/busybox cp -a /$d /new/
done
exec /bin/busybox switch_root /new /second-stage
