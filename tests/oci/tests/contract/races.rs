//! Paths swapped for links while containers start: the attacker runs at full speed beside the runtime.

use super::cves::{bind, canary, mount, run, unharmed};
use brig_oci_contract::Runtime;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Containers started in one race.
const ROUNDS: usize = 40;

/// Swaps two names for one another until dropped.
struct Swapper {
    stop: Arc<AtomicBool>,
    swaps: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Swapper {
    fn new(pairs: Vec<(PathBuf, PathBuf)>) -> Self {
        let (stop, swaps) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (told, counted) = (stop.clone(), swaps.clone());
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                for (a, b) in &pairs {
                    // One that the runtime has just mounted over can't be renamed for a moment.
                    if renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).is_ok() {
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
        Self { stop, swaps, thread: Some(thread) }
    }
}

impl Drop for Swapper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.expect("the attacker");
                assert!(self.swaps.load(Ordering::Relaxed) > 100, "the attacker got nowhere");
            }
        }
    }
}

fn folder(path: &Path) {
    std::fs::create_dir_all(path).unwrap();
}

fn link(target: impl AsRef<Path>, path: &Path) {
    std::os::unix::fs::symlink(target, path).unwrap();
}

/// CVE-2021-30465, CVE-2024-45310: mount points below a volume that another container shares.
#[test]
fn mount_points_in_a_shared_volume() {
    let runtime = Runtime::new();
    let canary = canary(&runtime);
    let volume = runtime.path("volume");
    folder(&volume.join("sub"));
    link(&canary, &volume.join("link"));
    folder(&volume.join("deep/sub"));
    link("../../../../../../../../../..", &volume.join("deep/link"));
    let bundle = runtime.bundle("echo ran; cat /vol/sub/secret /vol/link/secret", |config| {
        bind(config, &volume, "/vol");
        mount(config, json!({"destination": "/vol/sub/made/deeper", "type": "tmpfs", "source": "tmpfs"}));
        bind(config, "/bin/busybox".as_ref(), "/vol/sub/file");
        mount(
            config,
            json!({"destination": "/vol/deep/sub/tmp/brig-race", "type": "tmpfs", "source": "tmpfs"}),
        );
    });
    let swapper = Swapper::new(vec![
        (volume.join("sub"), volume.join("link")),
        (volume.join("deep/sub"), volume.join("deep/link")),
    ]);
    for _ in 0..ROUNDS {
        let said = run(&runtime, &bundle);
        assert!(!said.out.contains("secret"), "{}", said.out);
    }
    drop(swapper);
    unharmed(&canary);
    assert!(!Path::new("/tmp/brig-race").exists());
}

/// CVE-2019-19921, CVE-2023-27561: `/proc` of a root that another container shares.
#[test]
fn proc_of_a_shared_root() {
    let runtime = Runtime::new();
    let script = "[ -e /proc/1/status ] && echo real; [ -e /proc/fake ] && echo fake; \
        { true >> /proc/sys/kernel/core_pattern; } 2>/dev/null && echo open";
    let bundle = runtime.bundle(script, |config| {
        config["linux"]["readonlyPaths"] = json!(["/proc/sys"]);
        config["linux"]["maskedPaths"] = json!(["/proc/keys"]);
        config["linux"]["sysctl"] = json!({"net.ipv4.ip_unprivileged_port_start": "7"});
    });
    let root = bundle.join("rootfs");
    folder(&root.join("evil/sys/net/ipv4"));
    std::fs::write(root.join("evil/sys/net/ipv4/ip_unprivileged_port_start"), "").unwrap();
    std::fs::write(root.join("evil/fake"), "").unwrap();
    link("/evil", &root.join("link"));
    let swapper = Swapper::new(vec![(root.join("proc"), root.join("link"))]);
    for _ in 0..ROUNDS {
        let said = run(&runtime, &bundle);
        // Whatever the name `/proc` leads to by now, nothing was written to a stand-in, and nothing is open.
        assert!(!said.out.contains("open"), "{}", said.out);
    }
    drop(swapper);
    let written = std::fs::read(root.join("evil/sys/net/ipv4/ip_unprivileged_port_start")).unwrap();
    assert!(written.is_empty(), "a sysctl went astray");
}

/// CVE-2025-31133, CVE-2025-52565: `/dev/null` and `/dev/console` of a root that another container shares.
#[test]
fn devices_of_a_shared_root() {
    let runtime = Runtime::new();
    let script =
        "cat /proc/self/mountinfo; { true >> /proc/sys/kernel/core_pattern; } 2>/dev/null && echo open";
    let bundle = runtime.bundle(script, |config| {
        config["mounts"].as_array_mut().unwrap().retain(|m| m["destination"] != "/dev");
        config["linux"]["readonlyPaths"] = json!(["/proc/sys"]);
        config["linux"]["maskedPaths"] = json!(["/proc/keys", "/proc/timer_list"]);
        config["process"]["terminal"] = true.into();
    });
    let dev = bundle.join("rootfs/dev");
    let mode = rustix::fs::Mode::from_raw_mode(0o666);
    let null = rustix::fs::makedev(1, 3);
    rustix::fs::mknodat(CWD, dev.join("null"), rustix::fs::FileType::CharacterDevice, mode, null).unwrap();
    std::fs::write(dev.join("console"), "").unwrap();
    link("/proc/sys/kernel/core_pattern", &dev.join("link"));
    link("/proc/sys/kernel/core_pattern", &dev.join("other"));
    let _swapper =
        Swapper::new(vec![(dev.join("null"), dev.join("link")), (dev.join("console"), dev.join("other"))]);
    for _ in 0..ROUNDS {
        let said = run(&runtime, &bundle);
        assert!(!said.out.contains("open"), "{}", said.out);
        for line in said.out.lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            let point = fields.get(4).copied().unwrap_or_default();
            // What covers a hidden file is the null device; nothing of procfs lies over anything else.
            let root = fields.get(3).copied().unwrap_or_default();
            assert!(!point.starts_with("/proc/") || !root.contains("core_pattern"), "{line}");
            assert!(!point.starts_with("/proc/sys/kernel"), "{line}");
        }
    }
}

/// CVE-2024-21626: the working folder, while the container starts and while processes join it.
#[test]
fn working_folders() {
    let runtime = Runtime::new();
    let canary = canary(&runtime);
    let bundle = runtime.bundle("echo ran; cat secret ../canary/secret; exec sleep 1000", |config| {
        config["process"]["cwd"] = "/work/folder".into();
    });
    let work = bundle.join("rootfs/work");
    folder(&work.join("folder"));
    link(&canary, &work.join("link"));
    folder(&work.join("proc"));
    link("/proc/self/fd/3", &work.join("fd"));
    let swapper =
        Swapper::new(vec![(work.join("folder"), work.join("link")), (work.join("proc"), work.join("fd"))]);
    for _ in 0..ROUNDS / 4 {
        let said = runtime.call(["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]);
        if said.code == Some(0) {
            runtime.call(["start", "c"]);
            for cwd in ["/work/folder", "/work/proc", "/work/link", "/work/fd"] {
                let said = runtime.call([
                    "exec",
                    "--cwd",
                    cwd,
                    "c",
                    "sh",
                    "-c",
                    "cat secret ../canary/secret ../secret",
                ]);
                assert!(!said.out.contains("secret"), "{cwd}: {}", said.out);
            }
        }
        runtime.call(["delete", "--force", "c"]).ok();
    }
    drop(swapper);
    unharmed(&canary);
}
