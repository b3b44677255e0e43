//! Mounts that an image leads astray.

use super::{bind, canary, link, mount, run, unharmed};
use brig_oci_contract::Runtime;
use serde_json::json;

/// Mount points whose way leads out of the root.
#[test]
fn cve_2015_3629_mount_points_behind_links() {
    let runtime = Runtime::new();
    let canary = canary(&runtime);
    let bundle = runtime.bundle("cat /etc/hosts /abs/file /up/file", |config| {
        let source = runtime.path("source");
        std::fs::write(&source, "bound\n").unwrap();
        bind(config, &source, "/etc/hosts");
        bind(config, &source, "/abs/file");
        bind(config, &source, "/up/file");
    });
    link(&bundle, "etc/hosts", canary.join("secret"));
    link(&bundle, "abs", &canary);
    link(&bundle, "up", format!("../../../../../../../../{}", canary.display()));
    let said = run(&runtime, &bundle);
    assert!(said.code != Some(0) || said.out == "bound\nbound\nbound\n", "{}", said.out);
    unharmed(&canary);
}

/// crun followed links of the root when it made what is missing.
#[test]
fn cve_2019_18837_what_is_missing_is_made_inside() {
    let runtime = Runtime::new();
    if runtime.leaves_out(
        "runc 1.1 makes the links of /dev by path and follows the image's own link, out of the root",
    ) {
        return;
    }
    let canary = canary(&runtime);
    let bundle = runtime.bundle("true", |config| {
        for (destination, kind) in [("/a/new", "tmpfs"), ("/b/c/d", "tmpfs"), ("/dev/x/y", "tmpfs")] {
            mount(config, json!({"destination": destination, "type": kind, "source": kind}));
        }
        config["linux"]["devices"] =
            json!([{"path": "/a/device", "type": "c", "major": 1, "minor": 3, "fileMode": 0o666}]);
        config["process"]["cwd"] = "/a/work".into();
    });
    link(&bundle, "a", &canary);
    link(&bundle, "b", "../../../../../../../../../../tmp/..");
    link(&bundle, "dev", &canary);
    run(&runtime, &bundle);
    unharmed(&canary);
}

/// The same by a link in a volume that is mounted before.
#[test]
fn cve_2021_30465_a_link_in_a_volume() {
    let runtime = Runtime::new();
    let canary = canary(&runtime);
    let volume = runtime.path("volume");
    std::fs::create_dir(&volume).unwrap();
    std::os::unix::fs::symlink(&canary, volume.join("link")).unwrap();
    std::os::unix::fs::symlink("/", volume.join("root")).unwrap();
    let bundle = runtime.bundle("ls /vol/root; cat /proc/self/mountinfo", |config| {
        bind(config, &volume, "/vol");
        mount(config, json!({"destination": "/vol/link/made", "type": "tmpfs", "source": "tmpfs"}));
        mount(config, json!({"destination": "/vol/root/over", "type": "tmpfs", "source": "tmpfs"}));
    });
    let said = run(&runtime, &bundle);
    assert!(said.code != Some(0) || said.out.contains(" /over "), "{}", said.out);
    unharmed(&canary);
}

/// Empty files and folders made on the host, where a volume's link points.
#[test]
fn cve_2024_45310_nothing_is_made_where_a_link_points() {
    let runtime = Runtime::new();
    let canary = canary(&runtime);
    let volume = runtime.path("volume");
    std::fs::create_dir(&volume).unwrap();
    std::os::unix::fs::symlink(&canary, volume.join("folder")).unwrap();
    std::os::unix::fs::symlink(canary.join("file"), volume.join("file")).unwrap();
    let bundle = runtime.bundle("true", |config| {
        bind(config, &volume, "/vol");
        bind(config, "/bin/busybox".as_ref(), "/vol/file");
        bind(config, "/bin/busybox".as_ref(), "/vol/folder/file");
        bind(config, "/etc".as_ref(), "/vol/folder/deep/er");
    });
    run(&runtime, &bundle);
    unharmed(&canary);
    assert!(!runtime.path("canary/deep").exists());
}

/// What would cover the root itself would leave all that is hidden in it behind.
#[test]
fn the_root_itself_is_no_mount_point() {
    let runtime = Runtime::new();
    if !runtime.is_brig() {
        return;
    }
    for destination in ["/", "/.", "/etc/..", "/self"] {
        let bundle = runtime.bundle("true", |config| {
            mount(config, json!({"destination": destination, "type": "tmpfs", "source": "tmpfs"}));
        });
        link(&bundle, "self", "/");
        let error = run(&runtime, &bundle).failed();
        assert!(error.contains("the root itself"), "{error}");
    }
}

/// What is not a file when it is copied into a tmpfs: nobody waits for the other end of a pipe.
#[test]
fn a_pipe_in_a_folder_that_is_copied_up() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle("ls /copied", |config| {
        mount(
            config,
            json!({"destination": "/copied", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]}),
        );
    });
    let folder = bundle.join("rootfs/copied");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("file"), "").unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, folder.join("pipe"), fifo, mode, 0).unwrap();
    let said = run(&runtime, &bundle);
    assert!(said.code != Some(0) || said.out.contains("file\n"), "{} {}", said.out, said.err);
}
