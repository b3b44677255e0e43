//! What was found by attacking brig: nothing that was asked for to restrict a container may be left out in silence.

use brig_e2e::with_both;

/// A mount of a test, taken away at its end.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn tmpfs(path: std::path::PathBuf) -> Self {
        std::fs::create_dir_all(&path).unwrap();
        let kind = "tmpfs";
        rustix::mount::mount("none", &path, kind, rustix::mount::MountFlags::empty(), None).unwrap();
        Self(path)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH).unwrap();
    }
}

#[test]
fn a_read_only_bind_is_so_for_what_is_mounted_below_it() {
    with_both(|host, client| {
        let source = host.path("source");
        let _mounted = Mounted::tmpfs(source.join("below"));
        let bind = format!("{}:/m:ro", source.display());
        for path in ["/m/x", "/m/below/x"] {
            client
                .run(host, &["run", "--rm", "-v", &bind, "busybox", "touch", path])
                .fails(1, "Read-only file system");
        }
        let mount = format!("type=bind,src={},dst=/m,readonly", source.display());
        let touch = |mount: &str| {
            client.run(host, &["run", "--rm", "--mount", mount, "busybox", "touch", "/m/below/x"])
        };
        touch(&mount).fails(1, "Read-only file system");
        touch(&format!("{mount},bind-recursive=writable")).ok();
    });
}

#[test]
fn with_a_read_only_root_brigs_own_files_are_too() {
    with_both(|host, client| {
        for file in ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"] {
            let script = format!("echo x >> {file}");
            client.run(host, &["run", "--rm", "busybox", "sh", "-c", &script]).ok();
            client
                .run(host, &["run", "--rm", "--read-only", "busybox", "sh", "-c", &script])
                .fails(1, "Read-only file system");
        }
    });
}

#[test]
fn what_would_be_left_out_is_refused() {
    with_both(|host, client| {
        for (flags, text) in [
            (&["--runtime", "runsc"][..], "unknown or invalid runtime name: runsc"),
            (&["--storage-opt", "size=1m"], "--storage-opt is supported only for overlay over xfs"),
            (&["--gpus", "all"], "could not select device driver \"\" with capabilities: [[gpu]]"),
        ] {
            let args = [&["run", "--rm"], flags, &["busybox", "true"]].concat();
            client.run(host, &args).fails(125, text);
        }
    });
}

#[test]
fn a_volume_deeper_than_the_daemons_stack_is_removed() {
    use rustix::fs::{Mode, OFlags, mkdirat, open, openat};
    let host = brig_e2e::Host::start();
    host.import_busybox();
    host.brig(&["run", "-d", "--name", "c1", "-v", "deep:/v", "busybox", "sleep", "1000"]).ok();
    let inspected = host.api("GET", "/volumes/deep", None).json();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // As a container can do it, only faster.
    let mut here = open(inspected["Mountpoint"].as_str().unwrap(), flags, Mode::empty()).unwrap();
    for _ in 0..8_000 {
        mkdirat(&here, "d", Mode::RWXU).unwrap();
        here = openat(&here, "d", flags, Mode::empty()).unwrap();
    }
    drop(here);
    host.brig(&["rm", "-f", "c1"]).ok();
    let answer = host.api("DELETE", "/volumes/deep", None);
    assert_eq!(answer.status, 204, "{}", host.log());
    assert!(host.daemon_lives());
}
