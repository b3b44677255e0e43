#!/bin/busybox sh
# Runs as pid 1 of the virtual machine, with the unified cgroup hierarchy alone.
export PATH=/bin:/sbin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts && mount -t devpts devpts /dev/pts
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /run
ip link set lo up
for m in overlay veth bridge nf_tables nf_nat nft_chain_nat nft_masq nft_fib_inet nft_ct nft_nat nft_reject_inet; do modprobe $m 2>/dev/null; done

failed=0
check() { # name expected actual
    if [ "$2" = "$3" ]; then echo "VM: ok: $1"; else echo "VM: FAILED: $1: expected '$2', got '$3'"; failed=1; fi
}

check "import starts a daemon" 0 "$(tar -C /image -c . | brig import - base >/dev/null 2>/run/import.err; echo $?)"
cat /run/import.err
check "run" "hello" "$(brig run --rm base echo hello 2>&1)"
check "exit code" 3 "$(brig run --rm base sh -c 'exit 3'; echo $?)"
check "own cgroup" "0::/" "$(brig run --rm base cat /proc/self/cgroup 2>&1)"
check "memory limit" 67108864 "$(brig run --rm -m 64m base cat /sys/fs/cgroup/memory.max 2>&1)"
check "pids limit" 50 "$(brig run --rm --pids-limit 50 base cat /sys/fs/cgroup/pids.max 2>&1)"
check "cpu limit" "50000 100000" "$(brig run --rm --cpus 0.5 base cat /sys/fs/cgroup/cpu.max 2>&1)"
check "cgroup is read-only" 1 "$(brig run --rm base mkdir /sys/fs/cgroup/x 2>/dev/null; echo $?)"
check "a device that is not given" 1 "$(brig run --rm base sh -c 'mknod /d b 254 0 && head -c 1 /d' >/dev/null 2>&1; echo $?)"
check "a device that is given" 0 "$(brig run --rm base sh -c 'echo x > /dev/null'; echo $?)"
check "out of memory" 137 "$(brig run --name oom -m 16m --memory-swap 16m base sh -c 'x=a; while :; do x=$x$x; done' 2>/dev/null; echo $?)"
check "out of memory is told" true "$(brig inspect -f '{{.State.OOMKilled}}' oom)"
brig rm oom >/dev/null
check "detached" 0 "$(brig run -d --name web -p 8080:80 base sh -c 'httpd -p 80 -h /www && echo up && exec sleep 1000' >/dev/null; echo $?)"
mkfifo /run/followed
brig logs -f web > /run/followed &
read line < /run/followed
kill $!
check "followed log" up "$line"
check "published port" "hello from brig" "$(wget -q -O - http://127.0.0.1:8080/)"
check "exec" "in" "$(brig exec web echo in)"
check "pause" 0 "$(brig pause web >/dev/null && brig unpause web >/dev/null; echo $?)"
check "stop" 0 "$(brig stop -t 1 web >/dev/null; echo $?)"
check "rm" 0 "$(brig rm web >/dev/null; echo $?)"
check "no cgroup is left" "" "$(find /sys/fs/cgroup/brig -mindepth 1 -type d 2>/dev/null)"
printf '#!/bin/sh\nexec brig oci "$@"\n' > /bin/oci && chmod 755 /bin/oci
echo root:x:0:0:root:/root:/bin/sh > /etc/passwd
# The tests' folders on a file system whose mounts can map ids, which this kernel's tmpfs can't.
modprobe loop && truncate -s 512M /run/disk && mke2fs -F /run/disk >/dev/null && mkdir -p /tmp
mount -t ext4 -o loop /run/disk /tmp && chmod 1777 /tmp
OCI_RUNTIME=/bin/oci contract --test-threads 2 > /run/contract 2>&1
code=$?
grep -v ' ok$' /run/contract
check "the contract of runtimes" 0 $code
[ $failed = 0 ] && echo "VM: all passed"
poweroff -f
