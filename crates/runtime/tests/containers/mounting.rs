//! The mounts of the spec.

use crate::fixture::{Fixture, spec};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

crate::cases![
    dockers_mounts,
    cgroups_are_seen,
    bind_folder_and_file,
    bind_is_read_only,
    read_only_all_the_way,
    bind_sees_or_not_what_is_below,
    propagation,
    tmpfs_options,
    tmpfs_copies_up,
    masked_and_read_only_paths,
    mount_errors,
    targets_are_made,
    nothing_shows_in_the_host,
];

fn mounts(list: Value) -> Value {
    json!({"+mounts": list})
}

/// Options of what is mounted at a path, as the container sees them.
fn options(mounts: &str, path: &str) -> String {
    let line = mounts.lines().rev().find(|l| l.split(' ').nth(1) == Some(path));
    line.unwrap_or_else(|| panic!("{path} in {mounts}")).split(' ').nth(3).unwrap().to_owned()
}

fn dockers_mounts(dir: &Path) {
    let f = Fixture::new(dir);
    let shown = f.sh("cat /proc/mounts", json!({}));
    let has = |path: &str, words: &[&str]| {
        let found = options(&shown, path);
        let found: Vec<&str> = found.split(',').collect();
        for word in words {
            assert!(found.contains(word), "{path}: {word} in {found:?}");
        }
    };
    assert_eq!(
        shown.lines().next().unwrap().split(' ').nth(2),
        Some("overlay"),
        "the root comes first: {shown}"
    );
    has("/proc", &["rw", "nosuid", "nodev", "noexec", "relatime"]);
    has("/dev", &["rw", "nosuid", "size=65536k", "mode=755"]);
    assert!(!options(&shown, "/dev").contains("relatime"), "strictatime");
    has("/dev/pts", &["nosuid", "noexec", "gid=5", "mode=620", "ptmxmode=666"]);
    has("/sys", &["ro", "nosuid", "nodev", "noexec"]);
    has("/dev/mqueue", &["rw", "nosuid", "nodev", "noexec"]);
    has("/dev/shm", &["rw", "nosuid", "nodev", "noexec", "size=65536k"]);
    has("/proc/sys", &["ro"]);
    for line in shown.lines() {
        let point = line.split(' ').nth(1).unwrap();
        assert!(["/", "/proc", "/dev", "/sys"].contains(&point) || point.matches('/').count() > 1, "{line}");
    }
    assert_eq!(f.sh("stat -c %a /dev/shm", json!({})), "1777\n");
}

fn cgroups_are_seen(dir: &Path) {
    let f = Fixture::new(dir);
    let shown = f.sh("cat /proc/mounts; ls /sys/fs/cgroup; cat /proc/self/cgroup", json!({}));
    assert!(options(&shown, "/sys/fs/cgroup").starts_with("ro,nosuid,nodev,noexec"));
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        assert!(shown.contains("cgroup.procs"), "{shown}");
        return;
    }
    for line in fs::read_to_string("/proc/self/cgroup").unwrap().lines() {
        let controllers = line.split(':').nth(1).unwrap();
        if controllers.is_empty() {
            continue;
        }
        let name = controllers.trim_start_matches("name=");
        let found = options(&shown, &format!("/sys/fs/cgroup/{name}"));
        assert!(found.starts_with("ro,nosuid,nodev,noexec"), "{found}");
    }
    // A cgroup namespace of its own: it is at the root of what it sees.
    for line in shown.lines().filter(|l| l.split(':').count() == 3) {
        assert!(line.ends_with(":/"), "{line}");
    }
    assert_eq!(f.sh("touch /sys/fs/cgroup/x 2>/dev/null || echo refused", json!({})), "refused\n");
}

fn bind_folder_and_file(dir: &Path) {
    let f = Fixture::new(dir);
    let (folder, file) = (dir.join("folder"), dir.join("file"));
    fs::create_dir(&folder).unwrap();
    fs::write(&file, "of the host\n").unwrap();
    let binds = mounts(json!([
        {"destination": "/data/deep", "type": "bind", "source": folder, "options": ["rbind", "rprivate"]},
        {"destination": "/etc/made/file", "type": "bind", "source": file, "options": ["rbind", "rprivate"]},
        {"destination": "/etc/passwd", "type": "bind", "source": file, "options": ["bind"]},
    ]));
    let script = "cat /etc/made/file /etc/passwd; echo new >/data/deep/x; echo more >>/etc/made/file";
    assert_eq!(f.sh(script, binds), "of the host\nof the host\n");
    assert_eq!(fs::read_to_string(folder.join("x")).unwrap(), "new\n");
    assert_eq!(fs::read_to_string(file).unwrap(), "of the host\nmore\n");
}

fn bind_is_read_only(dir: &Path) {
    let f = Fixture::new(dir);
    fs::create_dir(dir.join("folder")).unwrap();
    let bind = mounts(json!([{"destination": "/data", "type": "bind", "source": dir.join("folder"),
        "options": ["rbind", "rprivate", "ro", "nosuid", "noexec", "noatime"]}]));
    let shown = f.sh("touch /data/x 2>&1 || cat /proc/mounts", bind);
    let found = options(&shown, "/data");
    assert!(found.starts_with("ro,nosuid,noexec,noatime"), "{found}");
    assert!(!dir.join("folder/x").exists());
}

/// Runs a case in a mount namespace of its own, where it may mount.
fn own_mounts() {
    use rustix::mount::{MountPropagationFlags, mount_change};
    // SAFETY: the process has one thread.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNS) }, 0);
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
}

fn mount_tmpfs(path: &Path) {
    fs::create_dir_all(path).unwrap();
    rustix::mount::mount("tmpfs", path, "tmpfs", rustix::mount::MountFlags::empty(), None).unwrap();
}

fn read_only_all_the_way(dir: &Path) {
    own_mounts();
    let f = Fixture::new(dir);
    mount_tmpfs(&dir.join("folder"));
    mount_tmpfs(&dir.join("folder/below"));
    let bind = |option: &str| {
        mounts(json!([{"destination": "/data", "type": "bind", "source": dir.join("folder"),
            "options": ["rbind", "rprivate", option]}]))
    };
    let script = "touch /data/below/x 2>/dev/null && echo written || echo refused";
    assert_eq!(f.sh(script, bind("ro")), "written\n");
    assert_eq!(f.sh(script, bind("rro")), "refused\n");
}

fn bind_sees_or_not_what_is_below(dir: &Path) {
    own_mounts();
    let f = Fixture::new(dir);
    fs::create_dir_all(dir.join("folder/below")).unwrap();
    mount_tmpfs(&dir.join("folder/below"));
    fs::write(dir.join("folder/below/x"), "").unwrap();
    let bind = |kind: &str| {
        mounts(
            json!([{"destination": "/data", "type": "bind", "source": dir.join("folder"), "options": [kind]}]),
        )
    };
    assert_eq!(f.sh("ls /data/below", bind("rbind")), "x\n");
    assert_eq!(f.sh("ls /data/below", bind("bind")), "");
}

fn propagation(dir: &Path) {
    use rustix::mount::{MountPropagationFlags, mount_change};
    own_mounts();
    let f = Fixture::new(dir);
    let shared = dir.join("shared");
    mount_tmpfs(&shared);
    mount_change(&shared, MountPropagationFlags::SHARED).unwrap();
    fs::create_dir(shared.join("point")).unwrap();
    let show = |option: &str, root: &str| {
        let bind = json!({"linux": {"rootfsPropagation": root}, "+mounts": [
            {"destination": "/data", "type": "bind", "source": shared, "options": ["rbind", option]}]});
        f.sh("grep ' /data ' /proc/self/mountinfo", bind)
    };
    assert!(!show("rprivate", "").contains("shared:"));
    assert!(show("rslave", "rslave").contains("master:"));
    let line = show("rshared", "rshared");
    assert!(line.contains("shared:"), "{line}");
    // Really: what the container mounts there shows here, and nothing else of it.
    let admin = json!({"process": {"capabilities": {
            "bounding": ["CAP_SYS_ADMIN"], "effective": ["CAP_SYS_ADMIN"], "permitted": ["CAP_SYS_ADMIN"]}},
        "linux": {"rootfsPropagation": "rshared"}, "+mounts": [
            {"destination": "/data", "type": "bind", "source": shared, "options": ["rbind", "rshared"]}]});
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count();
    f.sh("mount -t tmpfs tmpfs /data/point; mount -t tmpfs tmpfs /tmp", admin);
    let after = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert_eq!(after.lines().count(), before + 1, "{after}");
    rustix::mount::unmount(shared.join("point"), rustix::mount::UnmountFlags::DETACH).unwrap();
}

fn tmpfs_options(dir: &Path) {
    let f = Fixture::new(dir);
    let tmpfs = mounts(json!([
        {"destination": "/run", "type": "tmpfs", "source": "tmpfs",
         "options": ["noexec", "nosuid", "size=1m", "nr_inodes=50", "mode=1777", "uid=7", "gid=8"]},
        {"destination": "/ro", "type": "tmpfs", "source": "tmpfs", "options": ["ro"]},
        {"destination": "/ro/inner", "type": "tmpfs", "source": "tmpfs", "options": ["rw"]},
        {"destination": "/home", "type": "tmpfs", "source": "tmpfs"},
    ]));
    let script = "stat -c '%a %u %g' /run /home; touch /ro/x 2>/dev/null || echo refused; touch /ro/inner/x;
        dd if=/dev/zero of=/run/x bs=1M count=2 2>/dev/null || echo full; grep ' /run ' /proc/mounts";
    let shown = f.sh(script, tmpfs);
    let mode_of_home = format!("{:o}", {
        use std::os::unix::fs::PermissionsExt;
        fs::metadata(f.image().join("home")).unwrap().permissions().mode() & 0o7777
    });
    assert!(shown.starts_with(&format!("1777 7 8\n{mode_of_home} 0 0\nrefused\nfull\n")), "{shown}");
    assert!(options(&shown, "/run").starts_with("rw,nosuid,noexec,"), "{shown}");
}

fn tmpfs_copies_up(dir: &Path) {
    let f = Fixture::new(dir);
    let from = f.image().join("etc");
    fs::create_dir(from.join("sub")).unwrap();
    fs::write(from.join("sub/file"), "content\n").unwrap();
    std::os::unix::fs::chown(from.join("sub/file"), Some(7), Some(8)).unwrap();
    symlink("/sub/file", from.join("link")).unwrap();
    let tmpfs = mounts(json!([
        {"destination": "/etc", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]}]));
    let script = "cat /etc/sub/file; stat -c '%u %g' /etc/sub/file; readlink /etc/link; echo x >/etc/new";
    assert_eq!(f.sh(script, tmpfs), "content\n7 8\n/sub/file\n");
}

fn masked_and_read_only_paths(dir: &Path) {
    let f = Fixture::new(dir);
    fs::write(f.image().join("secret"), "x").unwrap();
    fs::create_dir(f.image().join("vault")).unwrap();
    fs::write(f.image().join("vault/x"), "x").unwrap();
    fs::create_dir(f.image().join("vault2")).unwrap();
    fs::write(f.image().join("vault2/x"), "x").unwrap();
    let paths = json!({"linux": {
        "maskedPaths": ["/secret", "/vault", "/vault2", "/proc/keys", "/not/there", "/etc/passwd/x"],
        "readonlyPaths": ["/etc", "/not/there", "/proc/sys"]}});
    let script = "stat -c '%F %t,%T' /secret /proc/keys; cat /secret; ls -a /vault /vault2;
        touch /vault/y 2>/dev/null || echo refused; echo x >/etc/passwd || echo refused;
        chmod 000 /secret 2>/dev/null || echo refused; stat -c %a /dev/null; echo 1 >/proc/sys/kernel/shmmax || echo refused";
    let shown = f.sh(script, paths);
    assert_eq!(
        shown,
        "character special file 1,3\ncharacter special file 1,3\n/vault:\n.\n..\n\n/vault2:\n.\n..\n\
         refused\nrefused\nrefused\n666\nrefused\n"
    );
}

fn mount_errors(dir: &Path) {
    let f = Fixture::new(dir);
    fs::create_dir(dir.join("folder")).unwrap();
    let error = |list: Value| f.create(&spec(&["true"], mounts(list))).unwrap_err().to_string();
    let missing = dir.join("missing");
    assert_eq!(
        error(json!([{"destination": "/x", "type": "bind", "source": missing, "options": ["rbind"]}])),
        format!(
            "error mounting \"{}\" to rootfs at \"/x\": bind source: no such file or directory",
            missing.display()
        )
    );
    // A folder onto a file, and the other way round.
    let text = error(json!([{"destination": "/etc/passwd", "type": "bind", "source": dir.join("folder"),
        "options": ["rbind"]}]));
    assert!(text.ends_with("not a directory"), "{text}");
    let text = error(
        json!([{"destination": "/etc", "type": "bind", "source": "/etc/passwd", "options": ["rbind"]}]),
    );
    assert!(text.ends_with("not a directory"), "{text}");
    let text =
        error(json!([{"destination": "/x", "type": "tmpfs", "source": "tmpfs", "options": ["size=much"]}]));
    assert!(text.contains("size=much") && text.ends_with("invalid argument"), "{text}");
    let text = error(json!([{"destination": "/x", "type": "nosuchfs", "source": "x"}]));
    assert!(text.contains("nosuchfs") && text.ends_with("no such device"), "{text}");
}

fn targets_are_made(dir: &Path) {
    let f = Fixture::new(dir);
    symlink("/run/lock", f.image().join("lock")).unwrap();
    symlink("/", f.image().join("loop-to-root")).unwrap();
    let list = mounts(json!([
        {"destination": "/lock/here", "type": "tmpfs", "source": "tmpfs"},
        {"destination": "/loop-to-root/there", "type": "tmpfs", "source": "tmpfs"},
        {"destination": "relative", "type": "tmpfs", "source": "tmpfs"},
    ]));
    let shown = f.sh("cat /proc/mounts", list);
    options(&shown, "/run/lock/here");
    options(&shown, "/there");
    options(&shown, "/relative");
}

fn nothing_shows_in_the_host(dir: &Path) {
    let f = Fixture::new(dir);
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let live = f.start(&spec(&["sleep", "1000"], json!({})));
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), before);
    let inside = fs::read_to_string(format!("/proc/{}/mountinfo", live.running.pid)).unwrap();
    assert!(!inside.contains("/vda / / "), "the host's root is not below: {inside}");
}
