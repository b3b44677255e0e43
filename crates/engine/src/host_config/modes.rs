//! Namespaces' modes: `--network`, `--ipc`, `--pid`, `--uts`, `--cgroupns`, `--userns`, `--isolation`.

use super::{ConfigError, Machine};
use brig_api::HostConfig;

/// The network where nobody says.
pub(super) fn default_network(host: &mut HostConfig) {
    if host.network_mode.is_empty() || host.network_mode == "default" {
        host.network_mode = "bridge".to_owned();
    }
}

/// `container:<name>` with a name.
fn names_container(mode: &str) -> bool {
    mode.strip_prefix("container:").is_some_and(|name| !name.is_empty())
}

pub(super) fn check(host: &HostConfig) -> Result<(), ConfigError> {
    let ipc = host.ipc_mode.as_str();
    if !matches!(ipc, "" | "none" | "private" | "shareable" | "host") && !names_container(ipc) {
        return Err(ConfigError::new(format!("invalid IPC mode: {ipc}")));
    }
    let pid = host.pid_mode.as_str();
    if !matches!(pid, "" | "host") && !names_container(pid) {
        return Err(ConfigError::new(format!("invalid PID mode: {pid}")));
    }
    if !matches!(host.uts_mode.as_str(), "" | "host") {
        return Err(ConfigError::new(format!("invalid UTS mode: {}", host.uts_mode)));
    }
    if !matches!(host.userns_mode.as_str(), "" | "host") {
        return Err(ConfigError::new(format!("invalid user namespace mode: {}", host.userns_mode)));
    }
    if !matches!(host.cgroupns_mode.as_str(), "" | "private" | "host") {
        return Err(ConfigError::new(format!("invalid cgroup namespace mode: {}", host.cgroupns_mode)));
    }
    Ok(())
}

pub(super) fn check_isolation(host: &HostConfig) -> Result<(), ConfigError> {
    match host.isolation.to_ascii_lowercase().as_str() {
        "" | "default" => Ok(()),
        _ => Err(ConfigError::new(format!(
            "invalid isolation ({}): linux only supports 'default'",
            host.isolation
        ))),
    }
}

/// What would be left out of the container that was asked for: a runtime that isolates more, a limit of its disk, a
/// driver's volumes, devices by driver. dockerd refuses them all where they are not there.
pub(super) fn check_drivers(host: &HostConfig) -> Result<(), ConfigError> {
    if !matches!(host.runtime.as_str(), "" | "runc" | "io.containerd.runc.v2" | "brig") {
        return Err(ConfigError::new(format!("unknown or invalid runtime name: {}", host.runtime)));
    }
    if let Some((option, _)) = host.storage_opt.iter().flatten().next() {
        return Err(ConfigError::Failure(if option == "size" {
            "--storage-opt is supported only for overlay over xfs with 'pquota' mount option".to_owned()
        } else {
            format!("Unknown option {option}")
        }));
    }
    Ok(())
}

/// Docker's defaults. In version 1 of cgroups a container sees the host's tree, as it always did there.
pub(super) fn fill(host: &mut HostConfig, machine: &Machine) {
    if host.runtime.is_empty() {
        host.runtime = "runc".to_owned();
    }
    if host.restart_policy.name.is_empty() {
        host.restart_policy.name = "no".to_owned();
    }
    if host.ipc_mode.is_empty() {
        host.ipc_mode = "private".to_owned();
    }
    if host.cgroupns_mode.is_empty() {
        host.cgroupns_mode = if machine.cgroup_v2 { "private" } else { "host" }.to_owned();
    }
}
