//! `checkpoint` and `restore`, with a real CRIU where there is one.

use brig_oci_contract::{Runtime, eventually};
use std::path::Path;

/// A program that counts, beside one that waits.
const COUNTS: &str = "sleep 1000 & i=0; while :; do i=$((i+1)); echo $i > /tmp/new; busybox mv /tmp/new /tmp/n; sleep 0.01; done";

/// Whether CRIU is here, with what it needs to write a network namespace, and works on this kernel; says when not.
fn criu_works() -> bool {
    let runs = |program: &str, argument: &str| {
        std::process::Command::new(program).arg(argument).output().is_ok_and(|o| o.status.success())
    };
    let works = runs("criu", "check") && runs("iptables-save", "--version");
    if !works {
        eprintln!("no CRIU that works on this machine, or no iptables: nothing was tried");
    }
    works
}

fn count(bundle: &Path) -> u64 {
    let text = std::fs::read_to_string(bundle.join("rootfs/tmp/n")).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

#[test]
fn a_container_goes_on_where_it_was() {
    let runtime = Runtime::new();
    if !criu_works() {
        return;
    }
    let images = runtime.path("images");
    let volume = runtime.path("volume");
    std::fs::create_dir(&volume).unwrap();
    let bundle = runtime.bundle(COUNTS, |config| {
        super::cves::bind(config, &volume, "/vol");
        super::cves::mount(config, serde_json::json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]}));
        config["linux"]["maskedPaths"] = serde_json::json!(["/proc/kcore", "/proc/scsi", "/proc/keys"]);
        config["linux"]["readonlyPaths"] = serde_json::json!(["/proc/sys"]);
    });
    runtime.start("c", &bundle);
    eventually(|| count(&bundle) > 3);
    let with = |args: &[&str]| {
        let images = ["--image-path".as_ref(), images.as_os_str()];
        let (command, rest) = args.split_first().unwrap();
        runtime.call([command.as_ref()].into_iter().chain(images).chain(rest.iter().map(AsRef::as_ref)))
    };
    // It goes on beside its images.
    with(&["checkpoint", "--leave-running", "c"]).ok();
    let before = count(&bundle);
    eventually(|| count(&bundle) > before);
    assert_eq!(runtime.state("c")["status"], "running");
    // Now it ends with them.
    with(&["checkpoint", "c"]).ok();
    assert!(runtime.call(["state", "c"]).failed().contains("does not exist"));
    let before = count(&bundle);
    with(&["restore", "--detach", "--bundle", bundle.to_str().unwrap(), "d"]).ok();
    assert_eq!(runtime.state("d")["status"], "running");
    eventually(|| count(&bundle) > before);
    assert!(count(&bundle) < before + 10_000, "it did not begin anew");
    // All of it is there: processes, mounts, namespaces, what is hidden.
    let script = "ls /vol; cat /proc/keys; { true >> /proc/sys/kernel/core_pattern; } 2>/dev/null && echo open; \
        busybox hostname; busybox ps | busybox grep -c ' sleep 1000$'";
    assert_eq!(runtime.call(["exec", "d", "sh", "-c", script]).ok(), "contract\n1\n");
    let pids: Vec<i32> = serde_json::from_str(&runtime.call(["ps", "--format", "json", "d"]).ok()).unwrap();
    assert!(pids.len() >= 2, "{pids:?}");
    // And again.
    with(&["checkpoint", "d"]).ok();
    with(&["restore", "--detach", "--bundle", bundle.to_str().unwrap(), "c"]).ok();
    let before = count(&bundle);
    eventually(|| count(&bundle) > before);
    runtime.call(["delete", "--force", "c"]).ok();
}

#[test]
fn what_fails_leaves_everything_as_it_was() {
    let runtime = Runtime::new();
    if !criu_works() {
        return;
    }
    let bundle = runtime.bundle(COUNTS, |_| ());
    let call = |command: &str, images: &Path, id: &str| {
        let bundle = ["--bundle".as_ref(), bundle.as_os_str(), "--detach".as_ref()];
        let args = [command.as_ref(), "--image-path".as_ref(), images.as_os_str()];
        let more = bundle.into_iter().filter(|_| command == "restore");
        runtime.call(args.into_iter().chain(more).chain([id.as_ref()]))
    };
    // No images, and none that can be read.
    let empty = runtime.path("empty");
    std::fs::create_dir(&empty).unwrap();
    assert!(call("restore", &empty, "c").failed().contains("descriptors.json") || !runtime.is_brig());
    std::fs::write(empty.join("descriptors.json"), "[]").unwrap();
    call("restore", &empty, "c").failed();
    assert!(runtime.call(["state", "c"]).failed().contains("does not exist"));
    // What CRIU refuses goes on running.
    let bundle = runtime.bundle("exec 5<>/dev/full; busybox nc -l -p 7 -e cat & sleep 1000", |_| ());
    runtime.call(["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]).ok();
    assert!(call("checkpoint", &runtime.path("images"), "c").failed().contains("created"));
    runtime.call(["delete", "--force", "c"]).ok();
}

#[test]
fn without_criu_it_says_so() {
    let runtime = Runtime::new();
    if !runtime.is_brig() {
        return;
    }
    runtime.start("c", &runtime.bundle("exec sleep 1000", |_| ()));
    let without = |args: &[&str]| {
        let mut command = runtime.command();
        let output = command.args(args).env("PATH", "/nonexistent").output().unwrap();
        brig_oci_contract::Said::from(output).failed()
    };
    for args in [&["checkpoint", "c"][..], &["restore", "d"]] {
        let error = without(args);
        assert!(error.contains("CRIU") && error.contains("not installed"), "{error}");
    }
    assert_eq!(runtime.state("c")["status"], "running");
    runtime.call(["delete", "--force", "c"]).ok();
}
