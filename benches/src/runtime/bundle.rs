//! Bundles as Docker makes them for a container that asked for nothing.

use super::seccomp;
use brig_runtime::capabilities::CapabilitySet;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A folder with a root file system, bundles that share it, and the runtimes' state; gone when dropped.
pub(crate) struct Bundle {
    dir: PathBuf,
    seccomp: Value,
}

impl Bundle {
    pub(crate) fn new(busybox: &Path) -> Result<Self, String> {
        let dir = std::env::temp_dir().join(format!("brig-bench-{}", std::process::id()));
        let seccomp = serde_json::to_value(seccomp::docker_default()?).map_err(|e| e.to_string())?;
        let bundle = Self { dir, seccomp };
        let root = bundle.dir.join("rootfs");
        for folder in ["bin", "etc", "proc", "dev", "sys"] {
            std::fs::create_dir_all(root.join(folder)).map_err(|e| format!("{}: {e}", root.display()))?;
        }
        std::fs::copy(busybox, root.join("bin/busybox"))
            .map_err(|e| format!("copy a static busybox from {}: {e}", busybox.display()))?;
        for tool in ["true", "sleep"] {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(tool)).map_err(|e| e.to_string())?;
        }
        Ok(bundle)
    }

    /// Where a runtime keeps its state.
    pub(crate) fn state(&self, runtime: &str) -> PathBuf {
        self.dir.join("state").join(runtime)
    }

    /// The bundle for a container of a runtime; made at the first call.
    pub(crate) fn of(&self, runtime: &str, id: &str, args: &[&str]) -> Result<String, String> {
        let dir = self.dir.join("bundles").join(runtime).join(id);
        let config = dir.join("config.json");
        if !config.exists() {
            let failed = |e: std::io::Error| format!("{}: {e}", config.display());
            std::fs::create_dir_all(&dir).map_err(failed)?;
            let cgroup = format!("/brig-bench/{runtime}-{id}");
            let text = self.config(&cgroup, args).to_string();
            std::fs::write(&config, text).map_err(failed)?;
        }
        Ok(dir.display().to_string())
    }

    fn config(&self, cgroup: &str, args: &[&str]) -> Value {
        let mount = |destination: &str, kind: &str, options: &[&str]| json!({"destination": destination, "type": kind, "source": kind, "options": options});
        let device = |major: u32, minor: u32| json!({"allow": true, "type": "c", "major": major, "minor": minor, "access": "rwm"});
        let namespaces =
            ["mount", "network", "uts", "pid", "ipc", "cgroup"].map(|kind| json!({"type": kind}));
        let capabilities: Vec<_> = CapabilitySet::DOCKER_DEFAULT.names().collect();
        json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": 0, "gid": 0, "additionalGids": [0, 10]},
                "args": args,
                "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=bench"],
                "cwd": "/",
                "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
                "oomScoreAdj": 0,
            },
            "root": {"path": self.dir.join("rootfs")},
            "hostname": "bench",
            "mounts": [
                mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
                mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
                mount("/dev/pts", "devpts",
                    &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
                mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
                mount("/sys/fs/cgroup", "cgroup", &["ro", "nosuid", "noexec", "nodev"]),
                mount("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
                mount("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", "size=67108864"]),
            ],
            "linux": {
                "cgroupsPath": cgroup,
                "namespaces": namespaces,
                "resources": {
                    "devices": [
                        {"allow": false, "access": "rwm"},
                        device(1, 5),
                        device(1, 3),
                        device(1, 9),
                        device(1, 8),
                        device(5, 0),
                        device(5, 1),
                    ],
                    "memory": {}, "cpu": {},
                },
                "seccomp": self.seccomp,
                "maskedPaths": ["/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                    "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
                    "/sys/devices/virtual/powercap"],
                "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
            },
        })
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        // A second try of the user's is better than a failed first one of ours.
        let _ = std::fs::remove_dir_all(&self.dir);
        let hierarchies = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
        for hierarchy in hierarchies.map(|e| e.path()).chain(["/sys/fs/cgroup".into()]) {
            let _ = std::fs::remove_dir(hierarchy.join("brig-bench"));
        }
    }
}
