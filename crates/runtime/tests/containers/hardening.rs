//! The known ways out of a container, each by the number it went down in history with.

use crate::fixture::{Fixture, Live, process, spec};
use brig_core::HasKind;
use brig_runtime::own_binary;
use serde_json::{Value, json};
use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::symlink;
use std::path::Path;

crate::cases![
    cve_2016_9962,
    cve_2019_5736,
    cve_2019_14271,
    cve_2019_16884,
    cve_2019_19921,
    cve_2021_30465,
    cve_2023_27561,
    cve_2024_21626,
    cve_2024_21626_working_folder,
    cve_2024_45310,
    cve_2025_31133,
    cve_2025_52565,
    cve_2025_52881,
    nothing_of_the_host_is_reachable,
    session_keyring_is_new,
];

const PTRACER: [&str; 1] = ["CAP_KILL"];

fn refused(f: &Fixture, change: Value) -> String {
    f.create(&spec(&["true"], change)).unwrap_err().to_string()
}

/// A process that joins a container can't be looked into while it is half inside, nor the small init at any time.
fn cve_2016_9962(dir: &Path) {
    let f = Fixture::new(dir);
    let rights =
        json!({"process": {"capabilities": {"bounding": PTRACER, "effective": [], "permitted": []}}});
    let created = f
        .create_as(
            &spec(&["sh", "-c", "ls -l /proc/1/fd /proc/1/root 2>&1; cat /proc/1/environ"], rights),
            brig_runtime::InitProcess::Reaper,
        )
        .unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", created.pid())).unwrap();
    assert!(status.contains("CapEff:\t0000000000000000"), "it waits with the program's rights: {status}");
    let live = Live { running: created.start().unwrap() };
    live.wait();
    let said = f.said("stdout") + &f.said("stderr");
    assert!(said.contains("Permission denied") && !said.contains("BRIG_RUNTIME_CASE"), "{said}");
}

/// The program that makes containers can't be overwritten from inside through `/proc/<pid>/exe`: it runs from a
/// read-only mount that nobody can make writable.
fn cve_2019_5736(dir: &Path) {
    const INSIDE: &str = "BRIG_RUNTIME_READ_ONLY";
    if std::env::var_os(INSIDE).is_none() {
        // Once more, from the read-only clone, as the zygote does.
        let own = own_binary::open_read_only().unwrap();
        let mut file = std::process::Command::new(format!("/proc/self/fd/{}", own.as_raw_fd()));
        let status = file.env(INSIDE, "1").status().unwrap();
        assert!(status.success(), "{status}");
        return;
    }
    let f = Fixture::new(dir);
    let every = brig_runtime::capabilities::CapabilitySet::ALL;
    let every = serde_json::to_value(every.to_oci()).unwrap();
    // The program is our own binary: the container runs us, with all rights.
    let all = json!({"process": {"capabilities": {"bounding": every, "effective": every, "permitted": every,
        "inheritable": every}}});
    let script = "ls -l /proc/1/exe; echo >>/proc/1/exe && echo overwritten; cat </proc/1/exe | head -c 4 | tr -d '\\177';
        mount -o remount,rw,bind /proc/1/exe 2>/dev/null && echo remounted; echo >>/proc/1/exe && echo overwritten; true";
    let created = f.create_as(&spec(&["sh", "-c", script], all), brig_runtime::InitProcess::Reaper).unwrap();
    let live = Live { running: created.start().unwrap() };
    assert_eq!(live.wait(), 0);
    let (said, complaints) = (f.said("stdout"), f.said("stderr"));
    assert!(said.contains("ELF"), "it can be read: {said} {complaints}");
    assert!(!said.contains("overwritten"), "{said}");
    assert!(own_binary::is_read_only().unwrap());
    assert!(
        complaints.contains("Text file busy") || complaints.contains("Read-only file system"),
        "{complaints}"
    );
    // And by a container made to execute us, which is how it was exploited: #!/proc/self/exe.
    fs::write(f.image().join("bait"), "#!/proc/self/exe\n").unwrap();
    fs::set_permissions(f.image().join("bait"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    // Whatever comes of it (a dynamic binary finds no interpreter there), it comes from the read-only mount.
    let _ = f.run(&spec(&["/bait"], json!({})));
    assert!(fs::OpenOptions::new().write(true).open("/proc/self/exe").is_err());
}

/// No code of the image is loaded into a process that has rights: no name service, and users are looked up by us.
fn cve_2019_14271(dir: &Path) {
    let f = Fixture::new(dir);
    fs::create_dir_all(f.image().join("lib/x86_64-linux-gnu")).unwrap();
    fs::write(f.image().join("etc/nsswitch.conf"), "passwd: evil\n").unwrap();
    for folder in ["lib", "lib/x86_64-linux-gnu"] {
        fs::write(f.image().join(folder).join("libnss_evil.so.2"), "not even a library").unwrap();
        fs::write(f.image().join(folder).join("libnss_files.so.2"), "not even a library").unwrap();
    }
    assert_eq!(f.sh("echo $HOME", json!({})), "/root\n");
}

/// Writes for procfs don't go where an image or a volume put something in its place.
fn cve_2019_16884(dir: &Path) {
    let f = Fixture::new(dir);
    // A volume over /proc, with files that would swallow the writes.
    let fake = dir.join("fake");
    fs::create_dir_all(fake.join("self/attr/apparmor")).unwrap();
    fs::create_dir_all(fake.join("sys/kernel")).unwrap();
    for file in ["self/attr/exec", "self/attr/apparmor/exec", "sys/kernel/shmmax"] {
        fs::write(fake.join(file), "").unwrap();
    }
    let volume = json!({"+mounts": [
        {"destination": "/proc", "type": "bind", "source": fake, "options": ["rbind"]}]});
    assert_eq!(refused(&f, volume), "\"/proc\" cannot be mounted because it is not of type proc");
    // And one over a part of it, by its name or through a link.
    for target in ["/proc/self/attr", "/proc/sys/kernel", "/proc/../proc/self/attr"] {
        let volume = json!({"+mounts": [
            {"destination": target, "type": "bind", "source": fake, "options": ["rbind"]}]});
        assert!(refused(&f, volume).contains("cannot be mounted because it is inside /proc"), "{target}");
    }
    symlink("/proc/self", f.image().join("innocent")).unwrap();
    let volume = json!({"+mounts": [
        {"destination": "/innocent/attr", "type": "bind", "source": fake, "options": ["rbind"]}]});
    assert!(refused(&f, volume).contains("cannot be mounted because it is inside /proc"));
    let tmpfs = json!({"+mounts": [{"destination": "/proc/self/attr", "type": "tmpfs", "source": "tmpfs"}]});
    assert!(refused(&f, tmpfs).contains("cannot be mounted because it is inside /proc"));
    // A profile that can't be applied is an error, never skipped.
    let apparmor = refused(&f, json!({"process": {"apparmorProfile": "brig-default"}}));
    let without_the_module = apparmor.starts_with("apparmor: config provided but apparmor not supported");
    let without_the_profile = ["write /proc/self/attr/", "open /proc/self/attr/"];
    assert!(
        without_the_module || without_the_profile.iter().any(|words| apparmor.starts_with(words)),
        "{apparmor}"
    );
    assert_eq!(fs::read_to_string(fake.join("self/attr/exec")).unwrap(), "", "nothing went astray");
}

/// An image in which `/proc` is a link.
fn cve_2019_19921(dir: &Path) {
    for (name, kind) in [("proc", "proc"), ("sys", "sysfs")] {
        let place = dir.join(name);
        let f = Fixture::new(&place);
        fs::remove_dir(f.image().join(name)).unwrap();
        fs::create_dir(f.image().join("evil")).unwrap();
        symlink("/evil", f.image().join(name)).unwrap();
        let words = format!("filesystem \"{kind}\" must be mounted on ordinary directory");
        assert_eq!(refused(&f, json!({})), words);
        fs::remove_file(f.image().join(name)).unwrap();
        fs::write(f.image().join(name), "").unwrap();
        assert_eq!(refused(&f, json!({})), words);
    }
}

/// The same by a link above the mount point, as a volume can have it.
fn cve_2023_27561(dir: &Path) {
    let f = Fixture::new(dir);
    let volume = dir.join("volume");
    fs::create_dir_all(volume.join("real")).unwrap();
    symlink("real", volume.join("link")).unwrap();
    let change = json!({"+mounts": [
        {"destination": "/volume", "type": "bind", "source": volume, "options": ["rbind"]},
        {"destination": "/volume/link/proc", "type": "proc", "source": "proc"}]});
    assert_eq!(refused(&f, change), "filesystem \"proc\" must be mounted on ordinary directory");
}

/// A volume shared with a container that swaps a folder for a link to `/` all the while.
fn cve_2021_30465(dir: &Path) {
    let f = Fixture::new(dir);
    let (volume, secret) = (dir.join("volume"), dir.join("secret"));
    fs::create_dir_all(volume.join("a")).unwrap();
    fs::create_dir(&secret).unwrap();
    symlink("/", volume.join("b")).unwrap();
    let host_tmp = format!("/brig-escape-{}", std::process::id());
    let racer = swap_forever(&volume);
    race(&f, &volume, &host_tmp);
    // SAFETY: takes integers; the racer is our child and not reaped yet.
    unsafe { libc::kill(racer, libc::SIGKILL) };
}

/// Exchanges `a` and `b` in a process of its own, since this one has to keep to one thread.
fn swap_forever(volume: &Path) -> i32 {
    // SAFETY: the process has one thread.
    match unsafe { libc::fork() } {
        0 => {
            std::env::set_current_dir(volume).unwrap();
            loop {
                let cwd = rustix::fs::CWD;
                let _ = rustix::fs::renameat_with(cwd, "a", cwd, "b", rustix::fs::RenameFlags::EXCHANGE);
            }
        }
        pid => pid,
    }
}

fn race(f: &Fixture, volume: &Path, host: &str) {
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let change = json!({"+mounts": [
        {"destination": "/volume", "type": "bind", "source": volume, "options": ["rbind"]},
        {"destination": format!("/volume/a{host}"), "type": "tmpfs", "source": "tmpfs"},
        {"destination": format!("/volume/b{host}/deep"), "type": "bind", "source": "/etc/hostname",
         "options": ["rbind"]}]});
    for _ in 0..60 {
        // It may fail, it may land in the one folder or the other; it must stay inside.
        if let Ok(created) = f.create(&spec(&["true"], change.clone())) {
            let inside = fs::read_to_string(format!("/proc/{}/mountinfo", created.pid())).unwrap();
            for line in inside.lines().filter(|l| l.contains(host)) {
                let point = line.split(' ').nth(4).unwrap();
                assert!(point.starts_with("/volume/") || point.starts_with(host), "{line}");
            }
            drop(created);
        }
        assert!(!Path::new(host).exists(), "made in the host");
    }
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), before);
}

/// A descriptor of the host that is open in the maker, without close-on-exec.
fn cve_2024_21626(dir: &Path) {
    let f = Fixture::new(dir);
    let host = fs::File::open("/").unwrap();
    for number in [7, 8, 9, 50, 1000] {
        // SAFETY: takes integers; dup2 leaves close-on-exec off.
        assert_eq!(unsafe { libc::dup2(host.as_raw_fd(), number) }, number);
    }
    let list = "ls -l /proc/self/fd || true; for n in 3 4 5 6 7 8 9 50 1000; do readlink /proc/self/fd/$n || true; done";
    let shown = f.sh(list, json!({}));
    assert!(!shown.contains("-> /\n") && !shown.lines().any(|l| l == "/"), "{shown}");
    // The waiting process holds none either: its own root, the talk with us, the standard streams.
    let created = f.create(&spec(&["true"], json!({}))).unwrap();
    let host_root = fs::metadata("/").unwrap();
    for entry in fs::read_dir(format!("/proc/{}/fd", created.pid())).unwrap() {
        let path = entry.unwrap().path();
        let target = fs::read_link(&path).unwrap();
        let text = target.to_str().unwrap();
        assert!(
            ["/", "/dev/null"].contains(&text) || text.starts_with("socket:") || text.contains("/std"),
            "{text}"
        );
        if text == "/" {
            use std::os::unix::fs::MetadataExt;
            let found = fs::metadata(&path).unwrap();
            assert_ne!((found.dev(), found.ino()), (host_root.dev(), host_root.ino()), "{path:?}");
        }
    }
}

/// A working folder that leads out through such a descriptor.
fn cve_2024_21626_working_folder(dir: &Path) {
    let f = Fixture::new(dir);
    let host = fs::File::open("/").unwrap();
    // SAFETY: takes integers.
    assert_eq!(unsafe { libc::dup2(host.as_raw_fd(), 30) }, 30);
    let live = f.start(&spec(&["sleep", "1000"], json!({})));
    for number in 3..32 {
        let cwd = format!("/proc/self/fd/{number}");
        let change = json!({"process": {"cwd": cwd}});
        let outside = |code: Result<crate::fixture::Ended, brig_runtime::Error>| match code {
            Err(error) => assert!(
                [
                    "no such file",
                    "not a directory",
                    "breakout",
                    "file exists",
                    "permission",
                    "too many",
                    "loop"
                ]
                .iter()
                .any(|w| error.to_string().contains(w)),
                "{cwd}: {error}"
            ),
            // Where it could be entered, it is the container's own root.
            Ok(ended) => {
                assert!(!ended.out.contains("lost+found") && ended.out.contains("home"), "{}", ended.out)
            }
        };
        outside(f.run(&spec(&["/bin/ls", "/proc/self/cwd/"], change)));
        let mut process = process(&["/bin/ls", "/proc/self/cwd/"]);
        process["cwd"] = json!(cwd);
        outside(f.exec(&live, &process));
    }
}

/// Folders for mounts are not made in the host while a volume changes; covered by racing above, here by links.
fn cve_2024_45310(dir: &Path) {
    let f = Fixture::new(dir);
    let outside = dir.join("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, f.image().join("out")).unwrap();
    symlink(format!("../../../../../../../..{}", outside.display()), f.image().join("up")).unwrap();
    let change = json!({"+mounts": [
        {"destination": "/out/made", "type": "tmpfs", "source": "tmpfs"},
        {"destination": "/up/file", "type": "bind", "source": "/etc/hostname", "options": ["rbind"]}],
        "process": {"cwd": "/out/cwd"},
        "linux": {"devices": [{"path": "/up/device", "type": "c", "major": 1, "minor": 3}]}});
    f.create(&spec(&["true"], change)).map(drop).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

/// A `/dev/null` that is none would be bind-mounted over what is to be hidden.
fn cve_2025_31133(dir: &Path) {
    let f = Fixture::new(dir);
    // A /dev of the user's, with a null that is a link to something worth writing.
    let dev = dir.join("dev");
    fs::create_dir_all(dev.join("pts")).unwrap();
    fs::create_dir_all(dev.join("shm")).unwrap();
    fs::create_dir_all(dev.join("mqueue")).unwrap();
    let mounts = |dev: &Path| {
        json!({"mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "bind", "source": dev, "options": ["rbind"]}],
            "linux": {"maskedPaths": ["/proc/timer_list", "/proc/keys"], "readonlyPaths": ["/proc/sys"]}})
    };
    symlink("/proc/sys/kernel/core_pattern", dev.join("null")).unwrap();
    let text = refused(&f, mounts(&dev));
    assert_eq!(text, "open /dev/null: too many levels of symbolic links");
    fs::remove_file(dev.join("null")).unwrap();
    fs::write(dev.join("null"), "plain").unwrap();
    let error = f.create(&spec(&["true"], mounts(&dev))).unwrap_err();
    assert_eq!(error.to_string(), "is not the null device: /dev/null: possible container breakout detected");
    assert_eq!(error.kind(), brig_core::Kind::Forbidden);
    fs::remove_file(dev.join("null")).unwrap();
    // Another device is not it.
    let device = |minor| {
        let kind = rustix::fs::FileType::CharacterDevice;
        let mode = rustix::fs::Mode::from_raw_mode(0o666);
        let number = rustix::fs::makedev(1, minor);
        rustix::fs::mknodat(rustix::fs::CWD, dev.join("null"), kind, mode, number).unwrap();
    };
    device(1);
    assert!(refused(&f, mounts(&dev)).contains("is not the null device"));
    fs::remove_file(dev.join("null")).unwrap();
    device(3);
    f.create(&spec(&["true"], mounts(&dev))).unwrap();
    // Nothing there at all is an error, not a path left open.
    fs::remove_file(dev.join("null")).unwrap();
    assert_eq!(refused(&f, mounts(&dev)), "open /dev/null: no such file or directory");
}

/// A console that is a link, or a terminal that is none, would have a file of procfs bind-mounted, writable.
fn cve_2025_52565(dir: &Path) {
    let f = Fixture::new(dir);
    let dev = dir.join("dev");
    fs::create_dir_all(dev.join("pts")).unwrap();
    let null = (rustix::fs::FileType::CharacterDevice, rustix::fs::makedev(1, 3));
    rustix::fs::mknodat(rustix::fs::CWD, dev.join("null"), null.0, rustix::fs::Mode::RUSR, null.1).unwrap();
    let terminal = |pts: bool| {
        let mut change = json!({"process": {"terminal": true}, "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "bind", "source": dev, "options": ["rbind"]}]});
        if pts {
            change["mounts"].as_array_mut().unwrap().push(
                json!({"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["ptmxmode=0666"]}));
        }
        change
    };
    symlink("/proc/sys/kernel/core_pattern", dev.join("console")).unwrap();
    assert_eq!(
        refused(&f, terminal(true)),
        "mount the terminal to /dev/console: too many levels of symbolic links"
    );
    fs::remove_file(dev.join("console")).unwrap();
    f.create(&spec(&["true"], terminal(true))).unwrap();
    // A multiplexer that is none.
    for make in [
        |path: &Path| fs::write(path, "plain").unwrap(),
        |path: &Path| {
            fs::remove_file(path).unwrap();
            let kind = rustix::fs::FileType::CharacterDevice;
            let mode = rustix::fs::Mode::from_raw_mode(0o666);
            rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, rustix::fs::makedev(1, 3)).unwrap();
        },
        |path: &Path| {
            // The right numbers, but not in a devpts: a terminal of the host's.
            fs::remove_file(path).unwrap();
            let kind = rustix::fs::FileType::CharacterDevice;
            let mode = rustix::fs::Mode::from_raw_mode(0o666);
            rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, rustix::fs::makedev(5, 2)).unwrap();
        },
    ] {
        make(&dev.join("pts/ptmx"));
        let text = refused(&f, terminal(false));
        assert!(
            text.contains("is not a terminal multiplexer") || text.starts_with("open /dev/pts/ptmx"),
            "{text}"
        );
    }
    fs::remove_file(dev.join("pts/ptmx")).unwrap();
    symlink("/dev/null", dev.join("pts/ptmx")).unwrap();
    assert!(refused(&f, terminal(false)).contains("too many levels of symbolic links"));
}

/// Sysctls and LSM attributes are written through a procfs of our own, whatever the container's looks like.
fn cve_2025_52881(dir: &Path) {
    let f = Fixture::new(dir);
    // What the container sees is covered where it may be; the sysctl is really set nevertheless.
    let fake = dir.join("fake");
    fs::write(&fake, "fake\n").unwrap();
    let change = json!({"linux": {"sysctl": {"kernel.shmmax": "4711"}}, "+mounts": [
        {"destination": "/proc/sys/kernel/ns_last_pid", "type": "bind", "source": fake, "options": ["bind"]}]});
    assert_eq!(f.sh("cat /proc/sys/kernel/shmmax", change), "4711\n");
    // Names that climb or that are the host's.
    for name in ["net.ipv4/../../kernel/core_pattern", "net/../kernel/core_pattern", "kernel.core_pattern"] {
        let change = json!({"linux": {"sysctl": {name: "|/evil"}}});
        assert!(refused(&f, change).starts_with("sysctl"), "{name}");
    }
    // No procfs in the container at all: still set.
    let bare = json!({"mounts": [], "linux": {"sysctl": {"kernel.shmmni": "99"}}});
    let live = f.start(&spec(&["sleep", "1000"], bare));
    let ended = f.exec(&live, &process(&["sh", "-c", "mount 2>/dev/null; ls /proc"])).unwrap();
    assert_eq!(ended.out, "");
}

fn nothing_of_the_host_is_reachable(dir: &Path) {
    let f = Fixture::new(dir);
    let script = "cd /; cd ..; cd ../../..; pwd; ls -d home; grep -c . /proc/1/mountinfo >/dev/null;
        ls /proc/1/root/; ls /proc/1/cwd/; readlink /proc/1/cwd";
    let shown = f.sh(script, json!({}));
    assert!(!shown.contains("lost+found") && !shown.contains("boot"), "{shown}");
    // Two roots deep, with the rights to try: chroot's classic way out finds the container's root.
    let chroot = json!({"process": {"capabilities": {"effective": ["CAP_SYS_CHROOT"], "permitted": ["CAP_SYS_CHROOT"]}}});
    let shown = f.sh(
        "mkdir -p /x; exec 5</; busybox chroot /x /bin/ls 2>/dev/null || true; ls /proc/self/fd/5/",
        chroot,
    );
    assert!(shown.contains("proc") && !shown.contains("boot"), "{shown}");
}

fn session_keyring_is_new(dir: &Path) {
    let f = Fixture::new(dir);
    // The number of the session keyring, before and inside: KEYCTL_GET_KEYRING_ID of KEY_SPEC_SESSION_KEYRING.
    // SAFETY: takes integers.
    let own = unsafe { libc::syscall(libc::SYS_keyctl, 0, -3, 0) };
    let created = f.create(&spec(&["sleep", "1000"], json!({}))).unwrap();
    let live = Live { running: created.start().unwrap() };
    let keys = fs::read_to_string("/proc/keys").unwrap_or_default();
    assert!(own < 0 || !keys.is_empty());
    let limits = rustix::io::fcntl_getfd(live.running.pidfd.as_fd()).unwrap();
    assert!(limits.contains(rustix::io::FdFlags::CLOEXEC));
}
