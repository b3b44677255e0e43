//! `spec`.

use super::{Command, Context};
use crate::args::{Flag, Parsed};
use crate::bundle::NEWEST;
use crate::error::Error;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;

pub(super) const SPEC: Command = Command {
    name: "spec",
    about: "Write a config.json to start from",
    operands: "",
    count: 0..=0,
    flags: &[
        Flag::value("bundle", "DIR", "where to write it (default the current folder)").or("b"),
        Flag::switch("rootless", "for a user without rights, in a user namespace"),
    ],
    examples: "  mkdir -p bundle/rootfs && brig oci spec --bundle bundle",
    failure: 1,
    run,
};

fn run(_: &Context<'_>, own: &Parsed) -> Result<u8, Error> {
    let path = Path::new(own.text("bundle").filter(|b| !b.is_empty()).unwrap_or(".")).join("config.json");
    let user = own
        .is_set("rootless")
        .then(|| (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()));
    let mut text = serde_json::to_string_pretty(&template(user)).unwrap_or_default();
    text.push('\n');
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path);
    let mut file = file.map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Error::Usage(format!("File {} exists. Remove it first", path.display()))
        }
        _ => Error::file("write", &path)(e),
    })?;
    file.write_all(text.as_bytes()).map_err(Error::file("write", &path))?;
    Ok(0)
}

const CAPABILITIES: [&str; 3] = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];

/// runc's template; with the user and group that become root in a user namespace.
fn template(rootless: Option<(u32, u32)>) -> Value {
    let mount = |destination: &str, kind: &str, source: &str, options: &[&str]| {
        let mut mount = json!({"destination": destination, "type": kind, "source": source});
        if !options.is_empty() {
            mount["options"] = json!(options);
        }
        mount
    };
    let pts: &[&str] = match rootless {
        None => &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        // Group 5 is not mapped.
        Some(_) => &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
    };
    let sysfs = match rootless {
        None => mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        // sysfs belongs to the network namespace's owner.
        Some(_) => mount("/sys", "none", "/sys", &["rbind", "nosuid", "noexec", "nodev", "ro"]),
    };
    let mut mounts = vec![
        mount("/proc", "proc", "proc", &[]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount("/dev/pts", "devpts", "devpts", pts),
        mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        sysfs,
    ];
    let mut namespaces = vec!["pid", "ipc", "uts", "mount"];
    if brig_runtime::cgroup::Hierarchies::get().is_unified() {
        // As runc has it: version 1 is shown by the container's own folders in any case.
        namespaces.push("cgroup");
    }
    match rootless {
        None => {
            namespaces.push("network");
            let options = ["nosuid", "noexec", "nodev", "relatime", "ro"];
            mounts.push(mount("/sys/fs/cgroup", "cgroup", "cgroup", &options));
        }
        Some(_) => namespaces.push("user"),
    }
    let mut linux = json!({
        "namespaces": namespaces.iter().map(|kind| json!({"type": kind})).collect::<Vec<_>>(),
        "maskedPaths": ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
            "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    });
    match rootless {
        None => {
            linux["resources"] = json!({"devices": [{"allow": false, "access": "rwm"}]});
        }
        Some((uid, gid)) => {
            linux["uidMappings"] = json!([{"containerID": 0, "hostID": uid, "size": 1}]);
            linux["gidMappings"] = json!([{"containerID": 0, "hostID": gid, "size": 1}]);
        }
    }
    json!({
        "ociVersion": NEWEST,
        "process": {
            "terminal": true,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {"bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": true,
        },
        "root": {"path": "rootfs", "readonly": true},
        "hostname": "brig",
        "mounts": mounts,
        "linux": linux,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_specs() {
        for rootless in [None, Some((1000, 1000))] {
            let spec: oci_spec::runtime::Spec = serde_json::from_value(template(rootless)).unwrap();
            let linux = spec.linux().as_ref().unwrap();
            assert_eq!(linux.uid_mappings().is_some(), rootless.is_some());
            assert_eq!(spec.version(), NEWEST);
        }
    }
}
