//! A busybox image, specs like Docker's, and running them.

use brig_core::RootFs;
use brig_runtime::{
    CgroupOptions, CreateOptions, Created, Error, ExecOptions, ExecTarget, Execed, InitProcess, Running,
    Stdio,
};
use oci_spec::runtime::{Process, Spec};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

const APPLETS: [&str; 30] = [
    "cat", "chmod", "chown", "dd", "echo", "env", "false", "grep", "head", "hostname", "id", "kill", "ls",
    "mkdir", "mknod", "mount", "ps", "pwd", "readlink", "rm", "sh", "sleep", "sort", "stat", "stty", "touch",
    "tr", "true", "tty", "wc",
];

/// One image, one writable layer, and what was said on the standard streams.
pub struct Fixture {
    pub dir: PathBuf,
    pub rootfs: RootFs,
}

/// How a container ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
    pub warnings: Vec<String>,
}

impl Fixture {
    pub fn new(dir: &Path) -> Self {
        let lower = dir.join("image");
        make_image(&lower);
        let (upper, work) = (dir.join("upper"), dir.join("work"));
        fs::create_dir_all(&upper).unwrap();
        fs::create_dir_all(&work).unwrap();
        Self {
            dir: dir.to_owned(),
            rootfs: RootFs::Overlay { lower: vec![lower], upper, work, volatile: false },
        }
    }

    /// A folder of the image.
    pub fn image(&self) -> PathBuf {
        self.dir.join("image")
    }

    pub fn streams(&self) -> Stdio {
        let file = |name: &str| OwnedFd::from(File::create(self.dir.join(name)).unwrap());
        Stdio::Pipes {
            stdin: File::open("/dev/null").unwrap().into(),
            stdout: file("stdout"),
            stderr: file("stderr"),
        }
    }

    pub fn said(&self, name: &str) -> String {
        fs::read_to_string(self.dir.join(name)).unwrap_or_default()
    }

    pub fn create(&self, spec: &Value) -> Result<Created, Error> {
        self.create_as(spec, InitProcess::Program)
    }

    pub fn create_as(&self, spec: &Value, init: InitProcess) -> Result<Created, Error> {
        self.create_in(spec, init, CgroupOptions::Inherit)
    }

    pub fn create_in(
        &self,
        spec: &Value,
        init: InitProcess,
        cgroup: CgroupOptions,
    ) -> Result<Created, Error> {
        let spec: Spec = serde_json::from_value(spec.clone()).unwrap();
        let terminal = spec.process().as_ref().is_some_and(|p| p.terminal().unwrap_or(false));
        brig_runtime::create(CreateOptions {
            spec: &spec,
            rootfs: &self.rootfs,
            stdio: if terminal { Stdio::Terminal } else { self.streams() },
            join: vec![],
            network_later: None,
            seccomp: None,
            cgroup,
            init,
            console_size: None,
            departures: brig_runtime::Departures::default(),
            hooks: None,
        })
    }

    pub fn start(&self, spec: &Value) -> Live {
        Live { running: self.create(spec).unwrap().start().unwrap() }
    }

    pub fn run(&self, spec: &Value) -> Result<Ended, Error> {
        self.run_as(spec, InitProcess::Program)
    }

    pub fn run_as(&self, spec: &Value, init: InitProcess) -> Result<Ended, Error> {
        let created = self.create_as(spec, init)?;
        let warnings = created.warnings().to_vec();
        let live = Live { running: created.start()? };
        let code = wait(live.running.pidfd.as_fd());
        Ok(Ended { code, out: self.said("stdout"), err: self.said("stderr"), warnings })
    }

    /// Runs a shell script; it must succeed. Answers what it printed.
    pub fn sh(&self, script: &str, change: Value) -> String {
        let ended = self.run(&spec(&["sh", "-euc", script], change)).unwrap();
        assert_eq!(ended.code, 0, "{ended:?}");
        ended.out
    }

    /// Runs a further process in a container to its end.
    pub fn exec(&self, live: &Live, process: &Value) -> Result<Ended, Error> {
        let execed = live.exec(process, self.streams())?;
        let code = wait(execed.pidfd.as_fd());
        Ok(Ended { code, out: self.said("stdout"), err: self.said("stderr"), warnings: execed.warnings })
    }
}

/// A running container; killed and reaped at the end.
pub struct Live {
    pub running: Running,
}

impl Live {
    pub fn exec(&self, process: &Value, stdio: Stdio) -> Result<Execed, Error> {
        let process: Process = serde_json::from_value(process.clone()).unwrap();
        brig_runtime::exec(ExecOptions {
            target: ExecTarget { pid: self.running.pid, pidfd: self.running.pidfd.as_fd() },
            process: &process,
            stdio,
            console_size: None,
            seccomp: self.running.seccomp.as_ref(),
            cgroup: self.running.cgroup.as_ref(),
            departures: brig_runtime::Departures::default(),
            linux: None,
        })
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::pidfd_send_signal(&self.running.pidfd, signal).unwrap();
    }

    pub fn wait(&self) -> i32 {
        wait(self.running.pidfd.as_fd())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = rustix::process::pidfd_send_signal(&self.running.pidfd, rustix::process::Signal::KILL);
        let _ = waitid(WaitId::PidFd(self.running.pidfd.as_fd()), WaitIdOptions::EXITED);
        if let Some(cgroup) = &self.running.cgroup {
            let _ = cgroup.kill_all();
            cgroup.remove().unwrap();
        }
    }
}

/// Waits for an end: the exit code, 128+n for signal n.
pub fn wait(pidfd: BorrowedFd<'_>) -> i32 {
    let status = waitid(WaitId::PidFd(pidfd), WaitIdOptions::EXITED).unwrap().unwrap();
    status.exit_status().unwrap_or_else(|| 128 + status.terminating_signal().unwrap())
}

fn make_image(root: &Path) {
    for folder in ["bin", "dev", "etc", "proc", "sys", "tmp", "root", "home/app"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::copy("/usr/bin/busybox", root.join("bin/busybox")).expect("Debian's busybox-static");
    for applet in APPLETS {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n")
        .unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\napp:x:1000:\n").unwrap();
}

/// Docker's default capabilities.
pub const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// A process as Docker asks for it by default.
pub fn process(args: &[&str]) -> Value {
    json!({
        "user": {"uid": 0, "gid": 0, "additionalGids": [0, 10]},
        "args": args,
        "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "cwd": "/",
        "capabilities": {"bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES},
    })
}

/// A spec as Docker makes it by default, changed by `change` (objects are merged, the rest replaced).
pub fn spec(args: &[&str], change: Value) -> Value {
    let mut spec = json!({
        "ociVersion": "1.2.0",
        "process": process(args),
        "root": {"path": "", "readonly": false},
        "hostname": "box",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
             "options": ["ro", "nosuid", "noexec", "nodev"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
             "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
             "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=67108864"]},
        ],
        "linux": {
            "namespaces": [
                {"type": "mount"}, {"type": "network"}, {"type": "uts"}, {"type": "pid"}, {"type": "ipc"},
                {"type": "cgroup"},
            ],
            "maskedPaths": ["/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys",
                "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
                "/sys/devices/virtual/powercap", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    });
    merge(&mut spec, change);
    spec
}

/// Merges `from` into `into`; an array under the key `+mounts` is appended to `mounts`.
pub fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                match key.strip_prefix('+') {
                    Some(key) => {
                        let list = into.entry(key).or_insert(json!([])).as_array_mut().unwrap();
                        list.extend(value.as_array().unwrap().iter().cloned());
                    }
                    None => merge(into.entry(key).or_insert(Value::Null), value),
                }
            }
        }
        (into, from) => *into = from,
    }
}
