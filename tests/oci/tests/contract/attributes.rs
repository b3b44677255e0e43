//! What a process has beside its user: scheduling, processors, memory, personality, limits and labels.

use brig_oci_contract::{Runtime, Said};
use serde_json::{Value, json};

fn run(runtime: &Runtime, script: &str, change: impl FnOnce(&mut Value)) -> Said {
    let bundle = runtime.bundle(script, change);
    runtime.call(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()])
}

/// A field of `/proc/<pid>/stat`, numbered as in its manual page.
fn stat_field(stat: &str, number: usize) -> &str {
    let rest = stat.rsplit_once(") ").expect("a name in parentheses").1;
    rest.split_whitespace().nth(number - 3).expect("so many fields")
}

#[test]
fn scheduler_and_nice_value() {
    let runtime = Runtime::new();
    if !runtime.is_brig() {
        return;
    }
    let stat = run(&runtime, "exec cat /proc/self/stat", |config| {
        config["process"]["scheduler"] = json!({"policy": "SCHED_BATCH", "nice": 7});
    })
    .ok();
    assert_eq!((stat_field(&stat, 41), stat_field(&stat, 19)), ("3", "7"));
    let stat = run(&runtime, "exec cat /proc/self/stat", |config| {
        config["process"]["scheduler"] =
            json!({"policy": "SCHED_IDLE", "flags": ["SCHED_FLAG_RESET_ON_FORK"]});
    });
    // What a fork resets is seen in the first process alone, which the shell becomes.
    assert_eq!(stat_field(&stat.ok(), 41), "5");
}

#[test]
fn personality() {
    let runtime = Runtime::new();
    if !runtime.is_brig() {
        return;
    }
    let out = run(&runtime, "busybox uname -m", |config| {
        config["linux"]["personality"] = json!({"domain": "LINUX32"});
    })
    .ok();
    assert!(["i686", "armv8l", "armv7l"].contains(&out.trim()), "{out}");
}

#[test]
fn memory_policy() {
    let runtime = Runtime::new();
    if !runtime.is_brig() || !std::path::Path::new("/proc/self/numa_maps").exists() {
        return;
    }
    let out = run(&runtime, "exec cat /proc/self/numa_maps", |config| {
        config["linux"]["memoryPolicy"] =
            json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]});
    })
    .ok();
    assert!(out.contains("bind=static:0"), "{out}");
}

#[test]
fn limits_umask_and_how_readily_it_is_killed() {
    let runtime = Runtime::new();
    let script = "ulimit -n; ulimit -c; umask; cat /proc/self/oom_score_adj";
    let out = run(&runtime, script, |config| {
        config["process"]["rlimits"] = json!([
            {"type": "RLIMIT_NOFILE", "soft": 77, "hard": 99},
            {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
            {"type": "RLIMIT_RTTIME", "soft": 1000, "hard": 1000},
            {"type": "RLIMIT_MSGQUEUE", "soft": 8192, "hard": 8192},
        ]);
        config["process"]["user"]["umask"] = json!(0o027);
        config["process"]["oomScoreAdj"] = json!(321);
    });
    assert_eq!(out.ok(), "77\n0\n0027\n321\n");
}

#[test]
fn processors_of_a_joining_process() {
    let runtime = Runtime::new();
    if !runtime.is_brig() {
        return;
    }
    runtime.start("c", &runtime.bundle("exec sleep 1000", |_| ()));
    let exec = |affinity: Value| {
        let file = runtime.path("process.json");
        let process = json!({"user": {"uid": 0, "gid": 0}, "args": ["cat", "/proc/self/status"],
            "env": ["PATH=/bin"], "cwd": "/", "execCPUAffinity": affinity});
        std::fs::write(&file, process.to_string()).unwrap();
        runtime.call(["exec".as_ref(), "--process".as_ref(), file.as_os_str(), "c".as_ref()])
    };
    for affinity in [json!({"final": "0"}), json!({"initial": "0-1", "final": "0"}), json!({"initial": "0"})]
    {
        let status = exec(affinity.clone()).ok();
        assert!(status.contains("Cpus_allowed_list:\t0\n"), "{affinity}: {status}");
    }
    for affinity in [json!({"final": "x"}), json!({"initial": "3-1"}), json!({"final": "8000"})] {
        let error = exec(affinity.clone()).failed();
        assert!(error.contains("execCPUAffinity"), "{affinity}: {error}");
    }
    runtime.call(["delete", "--force", "c"]).ok();
}

/// The caller's own processors are not the container's.
#[test]
fn processors_of_the_caller() {
    let runtime = Runtime::new();
    if runtime.leaves_out("runc hands its caller's processors on until 1.2") {
        return;
    }
    let all = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap();
    let pinned = |args: &[&std::ffi::OsStr]| {
        let command = runtime.command();
        let mut around = std::process::Command::new("taskset");
        around.args(["--cpu-list", "0"]).arg(command.get_program()).args(command.get_args()).args(args);
        Said::from(around.output().unwrap()).ok()
    };
    let show = "exec busybox grep Cpus_allowed_list: /proc/self/status";
    let expected = format!("Cpus_allowed_list:\t{}", all);
    let bundle = runtime.bundle(show, |_| ());
    let run = ["run", "--bundle"].map(std::ffi::OsStr::new);
    assert_eq!(pinned(&[run[0], run[1], bundle.as_os_str(), "c".as_ref()]), expected);
    runtime.start("c", &runtime.bundle("exec sleep 1000", |_| ()));
    let exec = ["exec", "c", "sh", "-c", show].map(std::ffi::OsStr::new);
    assert_eq!(pinned(&exec), expected);
    runtime.call(["delete", "--force", "c"]).ok();
}

/// `ioprio_get(2)` of this class and level.
#[test]
fn priority_of_input_and_output() {
    let runtime = Runtime::new();
    let of_first = |class: &str, priority: i64| {
        let bundle = runtime.bundle("exec sleep 1000", |config| {
            config["process"]["ioPriority"] = json!({"class": class, "priority": priority});
        });
        runtime.start("c", &bundle);
        let pid = runtime.state("c")["pid"].as_i64().unwrap();
        // SAFETY: takes integers and touches no memory; 1 is IOPRIO_WHO_PROCESS.
        let found = unsafe { libc::syscall(libc::SYS_ioprio_get, 1, pid) };
        runtime.call(["delete", "--force", "c"]).ok();
        (found >> 13, found & 7)
    };
    if runtime.leaves_out("runc 1.1 has no ioPriority") {
        return;
    }
    assert_eq!(of_first("IOPRIO_CLASS_BE", 6), (2, 6));
    assert_eq!(of_first("IOPRIO_CLASS_IDLE", 0), (3, 0));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let runtime = Runtime::new();
    if !runtime.is_brig() {
        return;
    }
    for (path, value, expected) in [
        ("/process/scheduler", json!({"policy": "SCHED_FIFO"}), "invalid priority 0"),
        ("/process/scheduler", json!({"policy": "SCHED_WHAT"}), "SCHED_WHAT"),
        ("/process/scheduler", json!({"policy": "SCHED_OTHER", "nice": 99}), "invalid nice value 99"),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_DEADLINE", "runtime": 9, "deadline": 1}),
            "process.scheduler",
        ),
        ("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 9}), "ioPriority"),
        ("/process/rlimits", json!([{"type": "RLIMIT_WHAT", "soft": 1, "hard": 1}]), "RLIMIT_WHAT"),
        ("/process/rlimits", json!([{"type": "RLIMIT_CPU", "soft": 2, "hard": 1}]), "exceeds hard limit"),
        ("/process/oomScoreAdj", json!(2000), "oomScoreAdj"),
        ("/linux/personality", json!({"domain": "LINUX64"}), "LINUX64"),
        ("/linux/personality", json!({"domain": "LINUX", "flags": ["X"]}), "linux.personality"),
        ("/linux/memoryPolicy", json!({"mode": "MPOL_BIND", "nodes": "one"}), "linux.memoryPolicy.nodes"),
        ("/linux/memoryPolicy", json!({"mode": "MPOL_BIND", "nodes": "1000"}), "linux.memoryPolicy"),
    ] {
        let said = run(&runtime, "true", |config| {
            let (parent, key) = path.rsplit_once('/').unwrap();
            config.pointer_mut(parent).unwrap()[key] = value.clone();
        });
        let error = said.failed();
        assert!(error.contains(expected), "{path} {value}: {error}");
        assert!(!runtime.path("state").join("c").exists(), "{path} {value}");
    }
}

#[test]
fn labels_that_the_kernel_can_not_enforce_are_refused() {
    let runtime = Runtime::new();
    if runtime.leaves_out(
        "runc 1.1 ignores an SELinux label that nothing enforces, and tells of AppArmor in the kernel's words",
    ) {
        return;
    }
    let refused = |path: &str, value: &str, expected: &str| {
        let said = run(&runtime, "true", |config| {
            let (parent, key) = path.rsplit_once('/').unwrap();
            config.pointer_mut(parent).unwrap()[key] = value.into();
        });
        let error = said.failed();
        assert!(error.contains(expected), "{path}: {error}");
    };
    if !std::path::Path::new("/sys/kernel/security/apparmor").exists() {
        refused("/process/apparmorProfile", "web", "apparmor not supported");
        // What is no profile needs no support.
        run(&runtime, "true", |config| config["process"]["apparmorProfile"] = "".into()).ok();
    } else {
        refused("/process/apparmorProfile", "of nobody at all", "of nobody at all");
    }
    if !std::path::Path::new("/sys/fs/selinux/enforce").exists() {
        let label = "system_u:system_r:container_t:s0";
        refused("/process/selinuxLabel", label, "selinux is disabled or not supported");
        refused("/linux/mountLabel", label, "selinux is disabled or not supported");
    }
}
