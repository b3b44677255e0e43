#!/bin/sh
# Goes through the contract of runtimes in a machine whose init is systemd, with both drivers of cgroups.
export PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/root
echo "VM: systemd $(systemctl --version | head -n 1)"
failed=0
check() { # name expected actual
    if [ "$2" = "$3" ]; then echo "VM: ok: $1"; else echo "VM: FAILED: $1: expected '$2', got '$3'"; failed=1; fi
}
check "cgroup v2 alone" cgroup2fs "$(stat -fc %T /sys/fs/cgroup)"
check "systemd is up" 0 "$(busctl --system status org.freedesktop.systemd1 >/dev/null; echo $?)"
# Users and folders that the tests take.
printf '#!/bin/sh\nexec brig oci "$@"\n' > /usr/local/bin/oci
chmod 755 /usr/local/bin/oci
export OCI_RUNTIME=/usr/local/bin/oci
for driver in systemd cgroupfs; do
    export OCI_CGROUP_DRIVER=$driver
    echo "VM: the contract with the driver $driver"
    # The code comes by a file, as the output goes by a pipe, so that it is seen while it comes.
    { timeout 1200 contract --test-threads 2 $(cat /etc/brig-tests-filter) 2>&1; echo $? > /run/code; } |
        busybox awk '/ ok$/ { if (++n % 10 == 0) print "VM: " n " tests passed"; next } NF { print } { fflush() }'
    code=$(cat /run/code)
    check "the contract of runtimes, $driver" 0 $code
done
check "no scope is left" "" "$(systemctl list-units --all --plain --no-legend 'oci-contract*.scope' 'brig-*.scope')"
[ $failed = 0 ] && echo "VM: all passed"
# What is still written would be told as errors of the disk.
sync
systemctl poweroff -ff
