//! Namespaces and cgroups.

use super::{capabilities, mount, run};
use brig_oci_contract::Runtime;
use serde_json::json;
use std::path::Path;

/// A path so long that its length wrapped in runc's netlink message: what follows in it was read as further settings.
#[test]
fn cve_2021_43784_a_namespace_path_of_any_length() {
    for length in [5_000, 65_530, 65_536, 70_000, 200_000] {
        let runtime = Runtime::new();
        let path = format!("/proc/self/ns/{}", "a".repeat(length));
        let bundle = runtime.bundle("echo ran", |config| {
            config["linux"]["namespaces"][0]["path"] = json!(path);
        });
        let said = run(&runtime, &bundle);
        assert!(!said.out.contains("ran"), "{length}");
        said.failed();
        assert!(runtime.call(["state", "c"]).failed().contains("does not exist"));
    }
}

/// Without a cgroup namespace of its own a container sees the host's cgroups; what is mounted read-only stays so.
#[test]
fn cve_2023_25809_cgroups_are_not_writable() {
    let runtime = Runtime::new();
    if runtime.leaves_out(
        "runc 1.1 mounts version 1's hierarchies read-only and leaves the tmpfs that holds them writable",
    ) {
        return;
    }
    let script = "for d in /sys/fs/cgroup /sys/fs/cgroup/*; do mkdir $d/evil 2>/dev/null && echo made $d; \
        { true >> $d/cgroup.procs; } 2>/dev/null && echo open $d; done; true";
    let bundle = runtime.bundle(script, |config| {
        mount(config, json!({"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]}));
        mount(
            config,
            json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
            "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]}),
        );
        config["process"]["capabilities"] = capabilities(&[]);
    });
    std::os::unix::fs::symlink("busybox", bundle.join("rootfs/bin/mkdir")).unwrap();
    assert_eq!(run(&runtime, &bundle).ok(), "");
}

/// A sysctl or a name of a namespace that is the host's is the host's, also when it was joined by its path.
#[test]
fn the_hosts_namespaces_joined_by_path_are_the_hosts() {
    let runtime = Runtime::new();
    if !runtime.is_brig() {
        return;
    }
    // Set to what they are, lest a failure changes the machine.
    let now =
        |path: &str| std::fs::read_to_string(Path::new("/proc/sys").join(path)).unwrap().trim().to_owned();
    let (ttl, shm, name) =
        (now("net/ipv4/ip_default_ttl"), now("kernel/shm_rmid_forced"), now("kernel/hostname"));
    for (kind, file, sysctl) in [
        ("network", "net", Some(("net.ipv4.ip_default_ttl", ttl))),
        ("ipc", "ipc", Some(("kernel.shm_rmid_forced", shm))),
        ("uts", "uts", None),
    ] {
        let bundle = runtime.bundle("echo ran", |config| {
            for namespace in config["linux"]["namespaces"].as_array_mut().unwrap() {
                if namespace["type"] == kind {
                    namespace["path"] = json!(format!("/proc/self/ns/{file}"));
                }
            }
            config["hostname"] = name.clone().into();
            if let Some((name, value)) = sysctl {
                config["linux"]["sysctl"] = json!({name: value});
                config.as_object_mut().unwrap().remove("hostname");
            }
        });
        let said = run(&runtime, &bundle);
        assert!(said.out.is_empty(), "{kind}: {}", said.out);
        let error = said.failed();
        assert!(error.contains("host") || error.contains("private"), "{kind}: {error}");
    }
}

/// A cgroup that leads out of the hierarchy, or is one that others are in.
#[test]
fn a_cgroup_is_the_containers_own() {
    let runtime = Runtime::new();
    if !runtime.is_brig() {
        return;
    }
    for path in ["/", "..", "/../../../../tmp/evil", "/a/../../../../tmp/evil"] {
        let bundle = runtime.bundle("echo ran", |config| config["linux"]["cgroupsPath"] = json!(path));
        let said = run(&runtime, &bundle);
        assert!(said.out.is_empty(), "{path}");
        said.failed();
    }
    let bundle = runtime.bundle("exec sleep 1000", |_| ());
    runtime.start("c", &bundle);
    let said = runtime.call(["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "d".as_ref()]);
    said.failed();
    assert_eq!(runtime.state("c")["status"], "running");
    runtime.call(["delete", "--force", "d"]).ok();
    assert_eq!(runtime.state("c")["status"], "running");
    runtime.call(["delete", "--force", "c"]).ok();
}
