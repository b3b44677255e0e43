//! Mounts whose files are shown as belonging to others. runc before 1.2 passes over the mappings.

use brig_oci_contract::Runtime;
use serde_json::{Value, json};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

/// A folder with files of users 0, 3 and 9.
fn folder(runtime: &Runtime, name: &str) -> PathBuf {
    let folder = runtime.path(name);
    std::fs::create_dir(&folder).unwrap();
    for uid in [0, 3, 9] {
        let file = folder.join(format!("of{uid}"));
        std::fs::write(&file, "").unwrap();
        chown(&file, Some(uid), Some(uid + 1)).unwrap();
    }
    folder
}

fn maps(first: u32, outside: u32, size: u32) -> Value {
    json!([{"containerID": first, "hostID": outside, "size": size}])
}

fn bind(source: &Path, to: &str, options: &[&str]) -> Value {
    json!({"destination": to, "source": source, "options": options})
}

fn run(runtime: &Runtime, script: &str, change: impl FnOnce(&mut Value)) -> brig_oci_contract::Said {
    let bundle = runtime.bundle(script, change);
    // Mount points have to be there: nobody in a user namespace may make them.
    for name in ["a", "b"] {
        std::fs::create_dir(bundle.join("rootfs").join(name)).unwrap();
    }
    runtime.call(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()])
}

const OWNERS: &str = "for d in a b; do for f in 0 3 9; do busybox stat -c %u:%g /$d/of$f; done; done";

#[test]
fn mappings_of_their_own() {
    let runtime = Runtime::new();
    if runtime.leaves_out("runc 1.1 maps no mounts") {
        return;
    }
    let source = folder(&runtime, "source");
    let out = run(&runtime, OWNERS, |c| {
        let mut mapped = bind(&source, "/a", &["rbind", "idmap"]);
        mapped["uidMappings"] = maps(0, 1000, 5);
        mapped["gidMappings"] = maps(1, 2000, 4);
        // Without the option, too; and next to one that is not mapped.
        let mut other = bind(&source, "/b", &["bind", "ro"]);
        other["uidMappings"] = maps(0, 500, 10);
        other["gidMappings"] = maps(0, 500, 11);
        c["mounts"].as_array_mut().unwrap().extend([mapped, other]);
    });
    let out = out.ok();
    let owners: Vec<&str> = out.lines().collect();
    // What is not mapped belongs to nobody.
    assert_eq!(owners, ["1000:2000", "1003:2003", "65534:65534", "500:501", "503:504", "509:510"], "{out}");
}

#[test]
fn files_made_belong_to_who_is_mapped() {
    use std::os::unix::fs::MetadataExt;
    let runtime = Runtime::new();
    if runtime.leaves_out("runc 1.1 maps no mounts") {
        return;
    }
    let source = folder(&runtime, "source");
    chown(&source, Some(3), Some(3)).unwrap();
    let said = run(&runtime, "echo x > /a/new", |c| {
        let mut mapped = bind(&source, "/a", &["bind", "idmap"]);
        mapped["uidMappings"] = maps(0, 1000, 5);
        mapped["gidMappings"] = maps(0, 1000, 5);
        c["mounts"].as_array_mut().unwrap().push(mapped);
        c["process"]["user"] = json!({"uid": 1003, "gid": 1002});
    });
    said.ok();
    let new = std::fs::metadata(source.join("new")).unwrap();
    assert_eq!((new.uid(), new.gid()), (3, 2));
}

#[test]
fn those_of_the_containers_user_namespace() {
    let runtime = Runtime::new();
    if runtime.leaves_out("runc 1.1 maps no mounts") {
        return;
    }
    let source = folder(&runtime, "source");
    let out = run(&runtime, OWNERS, |c| {
        c["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
        c["linux"]["uidMappings"] = maps(0, 100_000, 65536);
        c["linux"]["gidMappings"] = maps(0, 100_000, 65536);
        let mounts = c["mounts"].as_array_mut().unwrap();
        mounts.push(bind(&source, "/a", &["rbind", "ridmap"]));
        mounts.push(bind(&source, "/b", &["rbind"]));
    });
    let out = out.ok();
    assert_eq!(out.lines().take(3).collect::<Vec<_>>(), ["0:1", "3:4", "9:10"], "{out}");
    assert!(out.lines().skip(3).all(|line| line == "65534:65534"), "{out}");
}

#[test]
fn all_that_is_mounted_below_or_not() {
    let runtime = Runtime::new();
    if runtime.leaves_out("runc 1.1 maps no mounts") {
        return;
    }
    let source = folder(&runtime, "source");
    std::fs::create_dir(source.join("below")).unwrap();
    let other = folder(&runtime, "other");
    std::fs::write(other.join("file"), "").unwrap();
    // A mount below the source, in a mount namespace of the test's own; of a file system that can map ids (tmpfs since
    // Linux 6.3).
    let script = format!("mount -o bind {} {}/below && exec \"$@\"", other.display(), source.display());
    for (option, expected) in [("idmap", "7:7\n0:0\n"), ("ridmap", "7:7\n7:7\n")] {
        let bundle = runtime.bundle("for f in of0 below/file; do busybox stat -c %u:%u /a/$f; done", |c| {
            let mut mapped = bind(&source, "/a", &["rbind", option]);
            mapped["uidMappings"] = maps(0, 7, 1);
            mapped["gidMappings"] = maps(0, 7, 1);
            c["mounts"].as_array_mut().unwrap().push(mapped);
        });
        let mut inner = runtime.command();
        inner.args(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]);
        let mut command = std::process::Command::new("unshare");
        command.args(["-m", "sh", "-c", &script, "sh"]).arg(inner.get_program()).args(inner.get_args());
        let said = brig_oci_contract::Said::from(command.output().unwrap());
        assert_eq!(said.ok(), expected, "{option}");
    }
}

#[test]
fn what_makes_no_sense_is_said() {
    let runtime = Runtime::new();
    if runtime.leaves_out("runc 1.1 maps no mounts") {
        return;
    }
    let source = folder(&runtime, "source");
    let mut half = bind(&source, "/a", &["bind", "idmap"]);
    half["uidMappings"] = maps(0, 1, 1);
    let mut overlapping = bind(&source, "/a", &["bind"]);
    overlapping["uidMappings"] = json!([
        {"containerID": 0, "hostID": 1, "size": 2}, {"containerID": 1, "hostID": 7, "size": 1}]);
    overlapping["gidMappings"] = maps(0, 1, 1);
    // procfs can't.
    let mut unable = bind(Path::new("/proc/sys/kernel"), "/a", &["bind"]);
    unable["uidMappings"] = maps(0, 1, 1);
    unable["gidMappings"] = maps(0, 1, 1);
    for (mount, words) in [
        (bind(&source, "/a", &["bind", "idmap"]), "takes a user namespace"),
        (
            json!({"destination": "/a", "type": "tmpfs", "options": ["idmap"]}),
            "only supported for bind mounts",
        ),
        (half, "both uid and gid mappings"),
        (overlapping, "uid mappings of mount /a"),
        (unable, "may not support that"),
    ] {
        let said = run(&runtime, "true", |c| c["mounts"].as_array_mut().unwrap().push(mount));
        let error = said.failed();
        assert!(!runtime.is_brig() || error.contains(words), "{words:?} is not in {error}");
        assert!(runtime.call(["state", "c"]).failed().contains("does not exist"));
    }
}
