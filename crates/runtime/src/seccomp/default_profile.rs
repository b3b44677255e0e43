//! Docker's default profile: what a container may call when nobody said otherwise. Data: moby's profile of 28.x.
//!
//! Everything that is not listed answers EPERM. In short: all that a program needs, less what reaches the host's
//! kernel or other containers (kernel modules, mounts and namespaces without CAP_SYS_ADMIN, keyrings, io_uring, …).

use super::ProfileFacts;
use super::profile::{ArchMapping, Argument, Condition, Group, Profile, resolve};
use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompAction, LinuxSeccompOperator};

/// Always allowed.
const ALLOWED: &[&str] = &[
    "accept", "accept4", "access", "adjtimex", "alarm", "bind", "brk", "cachestat", "capget", "capset",
    "chdir", "chmod", "chown", "chown32", "clock_adjtime", "clock_adjtime64", "clock_getres",
    "clock_getres_time64", "clock_gettime", "clock_gettime64", "clock_nanosleep",
    "clock_nanosleep_time64", "close", "close_range", "connect", "copy_file_range", "creat", "dup",
    "dup2", "dup3", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait",
    "epoll_pwait2", "epoll_wait", "epoll_wait_old", "eventfd", "eventfd2", "execve", "execveat", "exit",
    "exit_group", "faccessat", "faccessat2", "fadvise64", "fadvise64_64", "fallocate", "fanotify_mark",
    "fchdir", "fchmod", "fchmodat", "fchmodat2", "fchown", "fchown32", "fchownat", "fcntl", "fcntl64",
    "fdatasync", "fgetxattr", "flistxattr", "flock", "fork", "fremovexattr", "fsetxattr", "fstat",
    "fstat64", "fstatat64", "fstatfs", "fstatfs64", "fsync", "ftruncate", "ftruncate64", "futex",
    "futex_requeue", "futex_time64", "futex_wait", "futex_waitv", "futex_wake", "futimesat", "getcpu",
    "getcwd", "getdents", "getdents64", "getegid", "getegid32", "geteuid", "geteuid32", "getgid",
    "getgid32", "getgroups", "getgroups32", "getitimer", "getpeername", "getpgid", "getpgrp", "getpid",
    "getppid", "getpriority", "getrandom", "getresgid", "getresgid32", "getresuid", "getresuid32",
    "getrlimit", "get_robust_list", "getrusage", "getsid", "getsockname", "getsockopt", "get_thread_area",
    "gettid", "gettimeofday", "getuid", "getuid32", "getxattr", "getxattrat", "inotify_add_watch",
    "inotify_init", "inotify_init1", "inotify_rm_watch", "io_cancel", "ioctl", "io_destroy",
    "io_getevents", "io_pgetevents", "io_pgetevents_time64", "ioprio_get", "ioprio_set", "io_setup",
    "io_submit", "ipc", "kill", "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self",
    "lchown", "lchown32", "lgetxattr", "link", "linkat", "listen", "listmount", "listxattr",
    "listxattrat", "llistxattr", "_llseek", "lremovexattr", "lseek", "lsetxattr", "lstat", "lstat64",
    "madvise", "map_shadow_stack", "membarrier", "memfd_create", "memfd_secret", "mincore", "mkdir",
    "mkdirat", "mknod", "mknodat", "mlock", "mlock2", "mlockall", "mmap", "mmap2", "mprotect",
    "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedreceive_time64", "mq_timedsend",
    "mq_timedsend_time64", "mq_unlink", "mremap", "mseal", "msgctl", "msgget", "msgrcv", "msgsnd",
    "msync", "munlock", "munlockall", "munmap", "name_to_handle_at", "nanosleep", "newfstatat",
    "_newselect", "open", "openat", "openat2", "pause", "pidfd_open", "pidfd_send_signal", "pipe",
    "pipe2", "pkey_alloc", "pkey_free", "pkey_mprotect", "poll", "ppoll", "ppoll_time64", "prctl",
    "pread64", "preadv", "preadv2", "prlimit64", "process_mrelease", "pselect6", "pselect6_time64",
    "pwrite64", "pwritev", "pwritev2", "read", "readahead", "readlink", "readlinkat", "readv", "recv",
    "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "remap_file_pages", "removexattr",
    "removexattrat", "rename", "renameat", "renameat2", "restart_syscall", "riscv_hwprobe", "rmdir",
    "rseq", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn",
    "rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64", "rt_tgsigqueueinfo",
    "sched_getaffinity", "sched_getattr", "sched_getparam", "sched_get_priority_max",
    "sched_get_priority_min", "sched_getscheduler", "sched_rr_get_interval",
    "sched_rr_get_interval_time64", "sched_setaffinity", "sched_setattr", "sched_setparam",
    "sched_setscheduler", "sched_yield", "seccomp", "select", "semctl", "semget", "semop", "semtimedop",
    "semtimedop_time64", "send", "sendfile", "sendfile64", "sendmmsg", "sendmsg", "sendto", "setfsgid",
    "setfsgid32", "setfsuid", "setfsuid32", "setgid", "setgid32", "setgroups", "setgroups32", "setitimer",
    "setpgid", "setpriority", "setregid", "setregid32", "setresgid", "setresgid32", "setresuid",
    "setresuid32", "setreuid", "setreuid32", "setrlimit", "set_robust_list", "setsid", "setsockopt",
    "set_thread_area", "set_tid_address", "setuid", "setuid32", "setxattr", "setxattrat", "shmat",
    "shmctl", "shmdt", "shmget", "shutdown", "sigaltstack", "signalfd", "signalfd4", "sigprocmask",
    "sigreturn", "socketcall", "socketpair", "splice", "stat", "stat64", "statfs", "statfs64",
    "statmount", "statx", "symlink", "symlinkat", "sync", "sync_file_range", "syncfs", "sysinfo", "tee",
    "tgkill", "time", "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime",
    "timer_gettime64", "timer_settime", "timer_settime64", "timerfd_create", "timerfd_gettime",
    "timerfd_gettime64", "timerfd_settime", "timerfd_settime64", "times", "tkill", "truncate",
    "truncate64", "ugetrlimit", "umask", "uname", "unlink", "unlinkat", "uretprobe", "utime", "utimensat",
    "utimensat_time64", "utimes", "vfork", "vmsplice", "wait4", "waitid", "waitpid", "write", "writev",
];

/// When an entry holds for a container.
#[derive(Clone, Copy)]
enum When {
    Always,
    /// The kernel is at least this one.
    Kernel(&'static str),
    /// The machine is one of these.
    On(&'static [&'static str]),
    /// The container has this capability.
    With(&'static str),
    /// The container does not have it.
    Without(&'static str),
    /// The container does not have the capability and the machine is none of these.
    WithoutAndNotOn(&'static str, &'static [&'static str]),
    /// The container does not have the capability and the machine is one of these.
    WithoutAndOn(&'static str, &'static [&'static str]),
}

/// What an entry says.
#[derive(Clone, Copy)]
enum Say {
    Allow,
    /// Allowed when an argument compares so.
    AllowIf { index: usize, op: LinuxSeccompOperator, value: u64 },
    /// Refused with this error.
    Errno(i32),
}

use LinuxSeccompOperator::{ScmpCmpEq as Eq, ScmpCmpMaskedEq as MaskedEq, ScmpCmpNe as Ne};

/// The CLONE_NEW* flags of `clone` (without CLONE_NEWTIME): none of them may be set.
const NEW_NAMESPACES: u64 = 0x7e02_0000;

/// 31-bit and 64-bit s390, where `clone` has its first two arguments swapped.
const S390: &[&str] = &["s390", "s390x"];

/// The rest, in moby's order.
const ENTRIES: &[(&[&str], Say, When)] = &[
    (&["process_vm_readv", "process_vm_writev", "ptrace"], Say::Allow, When::Kernel("4.8")),
    (&["socket"], Say::AllowIf { index: 0, op: Ne, value: 40 }, When::Always),
    (&["personality"], Say::AllowIf { index: 0, op: Eq, value: 0 }, When::Always),
    (&["personality"], Say::AllowIf { index: 0, op: Eq, value: 8 }, When::Always),
    (&["personality"], Say::AllowIf { index: 0, op: Eq, value: 0x2_0000 }, When::Always),
    (&["personality"], Say::AllowIf { index: 0, op: Eq, value: 0x2_0008 }, When::Always),
    (&["personality"], Say::AllowIf { index: 0, op: Eq, value: 0xffff_ffff }, When::Always),
    (&["sync_file_range2", "swapcontext"], Say::Allow, When::On(&["ppc64le"])),
    (&["arm_fadvise64_64", "arm_sync_file_range", "sync_file_range2", "breakpoint", "cacheflush", "set_tls"], Say::Allow, When::On(&["arm", "arm64"])),
    (&["arch_prctl"], Say::Allow, When::On(&["amd64", "x32"])),
    (&["modify_ldt"], Say::Allow, When::On(&["amd64", "x32", "x86"])),
    (&["s390_pci_mmio_read", "s390_pci_mmio_write", "s390_runtime_instr"], Say::Allow, When::On(S390)),
    (&["riscv_flush_icache"], Say::Allow, When::On(&["riscv64"])),
    (&["open_by_handle_at"], Say::Allow, When::With("CAP_DAC_READ_SEARCH")),
    (&["bpf", "clone", "clone3", "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick", "lookup_dcookie", "lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr", "mount", "mount_setattr", "move_mount", "open_tree", "perf_event_open", "quotactl", "quotactl_fd", "setdomainname", "sethostname", "setns", "syslog", "umount", "umount2", "unshare"], Say::Allow, When::With("CAP_SYS_ADMIN")),
    (&["clone"], Say::AllowIf { index: 0, op: MaskedEq, value: NEW_NAMESPACES }, When::WithoutAndNotOn("CAP_SYS_ADMIN", S390)),
    (&["clone"], Say::AllowIf { index: 1, op: MaskedEq, value: NEW_NAMESPACES }, When::WithoutAndOn("CAP_SYS_ADMIN", S390)),
    (&["clone3"], Say::Errno(libc::ENOSYS), When::Without("CAP_SYS_ADMIN")),
    (&["reboot"], Say::Allow, When::With("CAP_SYS_BOOT")),
    (&["chroot"], Say::Allow, When::With("CAP_SYS_CHROOT")),
    (&["delete_module", "init_module", "finit_module"], Say::Allow, When::With("CAP_SYS_MODULE")),
    (&["acct"], Say::Allow, When::With("CAP_SYS_PACCT")),
    (&["kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace"], Say::Allow, When::With("CAP_SYS_PTRACE")),
    (&["iopl", "ioperm"], Say::Allow, When::With("CAP_SYS_RAWIO")),
    (&["settimeofday", "stime", "clock_settime", "clock_settime64"], Say::Allow, When::With("CAP_SYS_TIME")),
    (&["vhangup"], Say::Allow, When::With("CAP_SYS_TTY_CONFIG")),
    (&["get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"], Say::Allow, When::With("CAP_SYS_NICE")),
    (&["syslog"], Say::Allow, When::With("CAP_SYSLOG")),
    (&["bpf"], Say::Allow, When::With("CAP_BPF")),
    (&["perf_event_open"], Say::Allow, When::With("CAP_PERFMON")),
];

/// The ABIs that a machine runs besides its own.
const ARCHITECTURES: &[(&str, &[&str])] = &[
    ("SCMP_ARCH_X86_64", &["SCMP_ARCH_X86", "SCMP_ARCH_X32"]),
    ("SCMP_ARCH_AARCH64", &["SCMP_ARCH_ARM"]),
    ("SCMP_ARCH_MIPS64", &["SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64N32"]),
    ("SCMP_ARCH_MIPS64N32", &["SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64"]),
    ("SCMP_ARCH_MIPSEL64", &["SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64N32"]),
    ("SCMP_ARCH_MIPSEL64N32", &["SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64"]),
    ("SCMP_ARCH_S390X", &["SCMP_ARCH_S390"]),
    ("SCMP_ARCH_RISCV64", &[]),
];

/// Docker's default profile for one container.
pub fn default_profile(facts: &ProfileFacts) -> LinuxSeccomp {
    let entries = ENTRIES.iter().map(|(names, say, when)| group(names, *say, *when));
    let profile = Profile {
        default_action: Some(LinuxSeccompAction::ScmpActErrno),
        default_errno_ret: Some(libc::EPERM as u32),
        arch_map: ARCHITECTURES.iter().map(|(native, others)| ArchMapping {
            architecture: (*native).to_owned(),
            sub_architectures: owned(others),
        }).collect(),
        syscalls: std::iter::once(group(ALLOWED, Say::Allow, When::Always)).chain(entries).collect(),
        ..Profile::default()
    };
    // Only what a user's profile may get wrong can fail; the tests resolve every entry of this one.
    resolve(profile, facts).expect("the built-in profile is well formed")
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn group(names: &[&str], say: Say, when: When) -> Group {
    let (action, errno_ret, args) = match say {
        Say::Allow => (LinuxSeccompAction::ScmpActAllow, None, Vec::new()),
        Say::AllowIf { index, op, value } => {
            (LinuxSeccompAction::ScmpActAllow, None, vec![Argument { index, value, value_two: 0, op }])
        }
        Say::Errno(errno) => (LinuxSeccompAction::ScmpActErrno, Some(errno as u32), Vec::new()),
    };
    let (mut includes, mut excludes) = (Condition::default(), Condition::default());
    match when {
        When::Always => {}
        When::Kernel(version) => includes.min_kernel = Some(version.to_owned()),
        When::On(machines) => includes.arches = owned(machines),
        When::With(capability) => includes.caps = owned(&[capability]),
        When::Without(capability) => excludes.caps = owned(&[capability]),
        When::WithoutAndNotOn(capability, machines) => {
            excludes.caps = owned(&[capability]);
            excludes.arches = owned(machines);
        }
        When::WithoutAndOn(capability, machines) => {
            excludes.caps = owned(&[capability]);
            includes.arches = owned(machines);
        }
    }
    Group { names: owned(names), name: None, action, errno_ret, args, includes, excludes }
}
