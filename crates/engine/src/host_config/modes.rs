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

/// Docker's defaults. In version 1 of cgroups a container sees the host's tree, as it always did there.
pub(super) fn fill(host: &mut HostConfig, machine: &Machine) {
    if host.ipc_mode.is_empty() {
        host.ipc_mode = "private".to_owned();
    }
    if host.cgroupns_mode.is_empty() {
        host.cgroupns_mode = if machine.cgroup_v2 { "private" } else { "host" }.to_owned();
    }
}
