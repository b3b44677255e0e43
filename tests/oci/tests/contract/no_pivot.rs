//! `--no-pivot`: a root that is moved over the host's, where that is a ramfs.

use brig_oci_contract::{Runtime, Said};
use serde_json::{Value, json};

fn run(runtime: &Runtime, script: &str, change: impl FnOnce(&mut Value)) -> Said {
    let bundle = runtime.bundle(script, change);
    runtime.call([
        "run".as_ref(),
        "--no-pivot".as_ref(),
        "--bundle".as_ref(),
        bundle.as_os_str(),
        "c".as_ref(),
    ])
}

#[test]
fn the_root_is_the_containers() {
    let runtime = Runtime::new();
    let said = run(&runtime, "ls /; cat /proc/self/mountinfo", |_| ());
    let out = said.ok();
    assert!(out.starts_with("bin\ndev\netc\nproc\nsys\ntmp\n"), "{out}");
}

/// By a procfs without covers that is left anywhere in the mount namespace, the kernel would let a program in a user
/// namespace of its own mount one, past all that is masked.
#[test]
fn no_bare_procfs_of_the_host_is_left() {
    let runtime = Runtime::new();
    if runtime.leaves_out("runc 1.1 leaves it there where it can't unmount it") {
        return;
    }
    let masked =
        |config: &mut Value| config["linux"]["maskedPaths"] = json!(["/proc/kcore", "/proc/timer_list"]);
    let mount = "busybox unshare -m -r -p -f busybox mount -t proc none /proc && echo mounted";
    let capable = |config: &mut Value| {
        let all = json!(["CAP_SYS_ADMIN", "CAP_SETFCAP", "CAP_SYS_CHROOT"]);
        config["process"]["capabilities"] = json!({"bounding": all, "effective": all, "permitted": all});
        masked(config);
    };
    let said = run(&runtime, mount, capable);
    assert!(said.code != Some(0) && !said.out.contains("mounted"), "{}{}", said.out, said.err);
    // In a user namespace the host's mounts are locked, and are covered.
    let said = run(&runtime, mount, |config| {
        capable(config);
        config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
        let ids = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
        config["linux"]["uidMappings"] = ids.clone();
        config["linux"]["gidMappings"] = ids;
    });
    assert!(said.code != Some(0) && !said.out.contains("mounted"), "{}{}", said.out, said.err);
}

/// What is mounted on the host stays.
#[test]
fn the_hosts_mounts_are_untouched() {
    let runtime = Runtime::new();
    let before = std::fs::read_to_string("/proc/self/mountinfo").unwrap().contains(" /proc ");
    run(&runtime, "true", |config| config["linux"]["rootfsPropagation"] = "shared".into()).ok();
    assert!(before && std::fs::read_to_string("/proc/self/mountinfo").unwrap().contains(" /proc "));
}
