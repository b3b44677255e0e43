//! What is mounted: Docker's defaults, less what the user puts something of their own over, then the user's.

use super::{NamespaceOf, SpecError, SpecInput, SpecSource, tmpfs};
use crate::host_config::SecurityOptions;
use oci_spec::runtime::Mount;
use std::path::{Path, PathBuf};

/// Destination, type, source, options. Source: moby's defaults, 28.x; the order is that of mounting.
const DEFAULTS: &[(&str, &str, &str, &[&str])] = &[
    ("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
    ("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
    (
        "/dev/pts",
        "devpts",
        "devpts",
        &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    ),
    ("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    ("/sys/fs/cgroup", "cgroup", "cgroup", &["ro", "nosuid", "noexec", "nodev"]),
    ("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
    ("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777"]),
];

/// All mounts in order, and the propagation that the root needs for them.
pub(super) fn mounts(
    input: &SpecInput<'_>,
    security: &SecurityOptions,
) -> Result<(Vec<Mount>, Option<&'static str>), SpecError> {
    let mut propagation = None;
    let mut own = files(input);
    for mount in input.mounts {
        own.push(match &mount.source {
            SpecSource::Tmpfs { options } => {
                let mut given = options.clone();
                if mount.read_only && !given.iter().any(|option| option == "ro") {
                    given.push("ro".to_owned());
                }
                entry(&mount.destination, "tmpfs", "tmpfs", tmpfs::options(&given)?)
            }
            SpecSource::Layers { folders } => layers(&mount.destination, folders),
            SpecSource::Bind {
                path,
                beneath,
                propagation: given,
                non_recursive,
                read_only_non_recursive,
            } => {
                let given = if given.is_empty() { "rprivate" } else { given };
                propagation = widest(propagation, given);
                let mut options = vec![if *non_recursive { "bind" } else { "rbind" }.to_owned()];
                if mount.read_only {
                    // What is mounted below would stay writable else.
                    options.push(if *read_only_non_recursive { "ro" } else { "rro" }.to_owned());
                }
                options.push(given.to_owned());
                options.extend(beneath.as_ref().map(|part| format!("{}{part}", brig_runtime::BENEATH)));
                entry(&mount.destination, "bind", path, options)
            }
        });
    }
    // What lies in another mount comes after it; the order is kept otherwise.
    own.sort_by_key(|mount| mount.destination().components().count());

    let mut all = defaults(input, &own, security.writable_cgroups);
    all.extend(own);
    Ok((all, propagation))
}

/// Layers, joined by overlayfs; it takes no single one.
fn layers(destination: &str, folders: &[PathBuf]) -> Mount {
    let read_only = ["ro", "nosuid", "nodev"].map(str::to_owned);
    match folders {
        [only] => {
            let bind = ["bind", "rprivate"].map(str::to_owned);
            entry(destination, "bind", only, read_only.into_iter().chain(bind).collect())
        }
        several => {
            let lower = several.iter().map(|folder| format!("lowerdir+={}", folder.display()));
            entry(destination, "overlay", "overlay", lower.chain(read_only).collect())
        }
    }
}

/// A volume that is to be shared needs a root that is; one that is a slave, at least a slave.
fn widest(present: Option<&'static str>, given: &str) -> Option<&'static str> {
    match (given, present) {
        ("shared" | "rshared", _) => Some("shared"),
        ("slave" | "rslave", None) => Some("rslave"),
        _ => present,
    }
}

fn entry(destination: &str, kind: &str, source: impl Into<PathBuf>, options: Vec<String>) -> Mount {
    let mut mount = Mount::default();
    mount
        .set_destination(PathBuf::from(destination))
        .set_typ(Some(kind.to_owned()))
        .set_source(Some(source.into()))
        .set_options(Some(options));
    mount
}

/// The files that brig writes for the container. They are the container's to write to, as in Docker, unless its
/// root file system is read-only.
fn files(input: &SpecInput<'_>) -> Vec<Mount> {
    let files = [
        ("/etc/resolv.conf", input.files.resolv_conf),
        ("/etc/hostname", input.files.hostname),
        ("/etc/hosts", input.files.hosts),
    ];
    let file = |(destination, source): (&str, Option<&Path>)| {
        let mut options = vec!["rbind".to_owned()];
        if input.host_config.readonly_rootfs {
            options.push("ro".to_owned());
        }
        options.push("rprivate".to_owned());
        Some(entry(destination, "bind", source?, options))
    };
    files.into_iter().filter_map(file).collect()
}

fn defaults(input: &SpecInput<'_>, own: &[Mount], writable_cgroups: bool) -> Vec<Mount> {
    let host = input.host_config;
    let covered = |path: &str| own.iter().any(|mount| mount.destination() == Path::new(path));
    let own_dev = covered("/dev");
    let mut all = Vec::with_capacity(DEFAULTS.len() + own.len());
    for (destination, kind, source, options) in DEFAULTS {
        if covered(destination) || (own_dev && destination.starts_with("/dev/")) {
            continue;
        }
        let mut options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        if *destination == "/dev/shm" {
            match host.ipc_mode.as_str() {
                "none" => continue,
                // The host's IPC namespace comes with the host's shared memory.
                _ if input.namespaces.ipc == NamespaceOf::Host => {
                    let options = vec!["rbind".to_owned(), "rprivate".to_owned()];
                    all.push(entry(destination, "bind", "/dev/shm", options));
                    continue;
                }
                _ => {}
            }
            let size =
                u64::try_from(host.shm_size).ok().filter(|size| *size > 0).unwrap_or(input.host.shm_size);
            options.push(format!("size={size}"));
        }
        let is_system = matches!(*destination, "/sys" | "/sys/fs/cgroup");
        let writable = host.privileged || *destination == "/sys/fs/cgroup" && writable_cgroups;
        if writable && is_system {
            options.retain(|option| option != "ro");
        }
        all.push(entry(destination, kind, *source, options));
    }
    all
}
