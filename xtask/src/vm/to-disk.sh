#!/bin/busybox sh
# Hands the machine over to the Debian on its disk.
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
for m in @MODULES@; do /bin/busybox modprobe $m; done
/bin/busybox mount -t ext4 /dev/vda /new || { echo "VM: FAILED: no disk"; /bin/busybox poweroff -f; }
/bin/busybox umount /proc /sys
/bin/busybox mount -o move /dev /new/dev
exec /bin/busybox switch_root /new /sbin/init
