//! Where a container's namespaces come from, as its modes say.

use crate::{
    core::Core,
    error::{Error, Result},
    record::ContainerRecord,
    spec::{NamespaceOf, SpecNamespaces},
};
use brig_api::HostConfig;
use oci_spec::runtime::LinuxNamespaceType;
use std::{fs::File, os::fd::OwnedFd, sync::Arc};

/// `--network`, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NetworkMode {
    /// A namespace with a loopback interface only.
    None,
    /// The host's namespace.
    Host,
    /// That of another container, by name or id.
    Container(String),
    /// A network, by name or id.
    Network(String),
}

impl NetworkMode {
    /// Reads the mode of a container.
    pub(crate) fn of(record: &ContainerRecord) -> Self {
        if record.config.network_disabled {
            return Self::None;
        }
        Self::of_host_config(&record.host_config)
    }

    /// Reads the mode of a container that is being made.
    pub(crate) fn of_host_config(host: &HostConfig) -> Self {
        match host.network_mode.as_str() {
            "none" => Self::None,
            "host" => Self::Host,
            "" | "default" => Self::Network("bridge".to_owned()),
            mode => match mode.strip_prefix("container:") {
                Some(name) => Self::Container(name.to_owned()),
                None => Self::Network(mode.to_owned()),
            },
        }
    }
}

/// `--pid`, `--ipc`, `--uts` and `--cgroupns`, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode<'a> {
    /// One of its own.
    Own,
    /// The host's.
    Host,
    /// That of another container, by name or id.
    Container(&'a str),
}

impl<'a> Mode<'a> {
    /// Reads a mode; every other word (`private`, `shareable`, `none`, nothing) is one of its own.
    pub(crate) fn parse(mode: &'a str) -> Self {
        match mode {
            "host" => Self::Host,
            mode => mode.strip_prefix("container:").map_or(Self::Own, Self::Container),
        }
    }
}

/// The namespaces to join, by descriptor.
pub(super) type Joins = Vec<(LinuxNamespaceType, OwnedFd)>;

/// Opens the namespaces that a container shares with others, and says where each of its namespaces comes from.
/// The network's is left to [`super::network`].
pub(super) fn open(core: &Core, record: &ContainerRecord) -> Result<(SpecNamespaces, Joins)> {
    let host = &record.host_config;
    let mut joins = Vec::new();
    let mut of = |mode: &str, kind: LinuxNamespaceType, file: &'static str, what: &'static str| {
        Ok::<_, Error>(match Mode::parse(mode) {
            Mode::Own => NamespaceOf::New,
            Mode::Host => NamespaceOf::Host,
            Mode::Container(name) => {
                joins.push((kind, open_of(core, name, file, what)?));
                NamespaceOf::Joined
            }
        })
    };
    let pid = of(&host.pid_mode, LinuxNamespaceType::Pid, "pid", "PID")?;
    let ipc = of(&host.ipc_mode, LinuxNamespaceType::Ipc, "ipc", "IPC")?;
    // There is no `--uts container:`; a container that shares another's network shares its host name as well.
    let uts = match (NetworkMode::of(record), Mode::parse(&host.uts_mode)) {
        (_, Mode::Host) => NamespaceOf::Host,
        _ => NamespaceOf::New,
    };
    let cgroup = match host.cgroupns_mode.as_str() {
        "private" => NamespaceOf::New,
        "host" => NamespaceOf::Host,
        _ if core.cgroup_v2 && !host.privileged => NamespaceOf::New,
        _ => NamespaceOf::Host,
    };
    let network = match NetworkMode::of(record) {
        NetworkMode::Host => NamespaceOf::Host,
        NetworkMode::None | NetworkMode::Container(_) | NetworkMode::Network(_) => NamespaceOf::Joined,
    };
    Ok((SpecNamespaces { network, pid, ipc, uts, cgroup }, joins))
}

/// Opens a namespace of a running container.
pub(super) fn open_of(core: &Core, name: &str, file: &'static str, what: &'static str) -> Result<OwnedFd> {
    let other = core.registry.resolve(name)?.snapshot();
    open_namespace(&other, file).map_err(|e| match e {
        OpenError::NotRunning => Error::Conflict(format!(
            "cannot join {what} namespace of a non running container: container {} is {}",
            other.record.name,
            other.record.state.status().as_str()
        )),
        OpenError::Restarting => Error::Conflict(format!(
            "cannot join {what} namespace of container: Container {} is restarting, wait until the container is \
             running",
            other.record.id
        )),
        OpenError::Io(path, source) => Error::file("open namespace", path, source),
    })
}

/// Opens a namespace of a process that is known to live: its shim has just said so.
pub(super) fn open_pid(pid: i32, file: &str) -> Result<OwnedFd> {
    let path = format!("/proc/{pid}/ns/{file}");
    File::open(&path).map(OwnedFd::from).map_err(|e| Error::file("open namespace", path, e))
}

enum OpenError {
    NotRunning,
    Restarting,
    Io(String, std::io::Error),
}

fn open_namespace(other: &Arc<crate::actor::Snapshot>, file: &str) -> Result<OwnedFd, OpenError> {
    let Some(run) = other.record.state.run() else {
        return Err(if matches!(other.record.state, crate::record::State::Restarting { .. }) {
            OpenError::Restarting
        } else {
            OpenError::NotRunning
        });
    };
    let path = format!("/proc/{}/ns/{file}", run.pid);
    let fd = File::open(&path).map_err(|e| OpenError::Io(path, e))?;
    // Opened first, checked then: a number that was given to another process since does not pass.
    if same_process(run.pid, run.start_time) { Ok(fd.into()) } else { Err(OpenError::NotRunning) }
}

/// Whether the process `pid` is still the one that began at `start_time` (clock ticks since boot).
pub(crate) fn same_process(pid: i32, start_time: u64) -> bool {
    brig_core::process::stat(pid).is_ok_and(|stat| stat.start_time == start_time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_modes() {
        let mode = |text: &str| {
            NetworkMode::of_host_config(&HostConfig {
                network_mode: text.to_owned(),
                ..HostConfig::default()
            })
        };
        assert_eq!(mode(""), NetworkMode::Network("bridge".to_owned()));
        assert_eq!(mode("default"), NetworkMode::Network("bridge".to_owned()));
        assert_eq!(mode("none"), NetworkMode::None);
        assert_eq!(mode("host"), NetworkMode::Host);
        assert_eq!(mode("container:x"), NetworkMode::Container("x".to_owned()));
        assert_eq!(mode("mine"), NetworkMode::Network("mine".to_owned()));
    }

    #[test]
    fn a_process_is_known_by_its_start_time() {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let start: u64 = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().parse().unwrap();
        let pid = i32::try_from(std::process::id()).unwrap();
        assert!(same_process(pid, start));
        assert!(!same_process(pid, start + 1));
        assert!(!same_process(-1, start));
    }
}
