//! What is refused when a container is made, and the defaults that are filled in: dockerd's checks in dockerd's
//! order and words.
//!
//! Pure but for [`Machine::get`], which reads what the machine has once. Mounts (`-v`, `--mount`, `--tmpfs`) are
//! checked where they are read, in `volumes`.

mod container;
mod cpulist;
mod device_rule;
mod limits;
mod machine;
mod modes;
mod network;
mod policy;
mod security;
mod ulimit;
mod update;

pub(crate) use network::extra_host;

pub use device_rule::DeviceRule;
pub use machine::Machine;
pub use security::SecurityOptions;
pub use ulimit::rlimit_type;
pub use update::{as_host, check_update, merge};

use crate::spec;
use brig_api::{ContainerConfig, HostConfig};
use brig_core::{HasKind, Kind};
use brig_runtime::capabilities;

/// A configuration that is refused, in Docker's words.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// A value that can't be.
    #[error("{0}")]
    Invalid(String),
    /// One that dockerd takes for a failure of its own.
    #[error("{0}")]
    Failure(String),
}

impl ConfigError {
    fn new(text: impl Into<String>) -> Self {
        Self::Invalid(text.into())
    }
}

impl HasKind for ConfigError {
    fn kind(&self) -> Kind {
        match self {
            Self::Invalid(_) => Kind::InvalidParameter,
            Self::Failure(_) => Kind::System,
        }
    }
}

/// Checks a configuration and fills in Docker's defaults; answers warnings for the client.
///
/// # Errors
/// [`ConfigError`] in Docker's words for the first thing that is wrong.
pub fn validate(config: &mut ContainerConfig, host: &mut HostConfig) -> Result<Vec<String>, ConfigError> {
    check(config, host, Machine::get())
}

/// The same on a given machine. Pure.
///
/// # Errors
/// As [`validate`].
pub fn check(
    config: &mut ContainerConfig,
    host: &mut HostConfig,
    machine: &Machine,
) -> Result<Vec<String>, ConfigError> {
    let mut warnings = Vec::new();
    // As the request is decoded, …
    modes::default_network(host);
    network::check_conflicts(config, host)?;
    modes::check_isolation(host)?;
    limits::check_early(host, machine)?;
    // … then of the container, …
    container::check(config)?;
    // … then of its host.
    policy::check(host)?;
    network::check_names(config, host)?;
    network::check_ports(config, host)?;
    check_capabilities(host, machine)?;
    policy::check_annotations(host)?;
    limits::check(host, machine, limits::Of::Creation, &mut warnings)?;
    modes::check(host)?;
    modes::check_drivers(host)?;
    limits::check_rest(host)?;
    network::warn(host, machine, &mut warnings);
    ulimit::check(host)?;
    for rule in host.device_cgroup_rules.iter().flatten() {
        DeviceRule::parse(rule)?;
    }
    SecurityOptions::parse(host.security_opt.as_deref())?;
    for names in [&mut host.cap_add, &mut host.cap_drop].into_iter().flatten() {
        *names = names.iter().map(|name| full_name(name)).collect();
    }
    limits::fill(host, machine);
    modes::fill(host, machine);
    if !host.privileged {
        host.masked_paths.get_or_insert_with(|| spec::default_masked_paths(&machine.thermal_paths));
        host.readonly_paths.get_or_insert_with(spec::default_readonly_paths);
    }
    Ok(warnings)
}

/// The name of a capability as Docker tells it: `CAP_NET_ADMIN`, or `ALL`.
fn full_name(name: &str) -> String {
    let name = name.to_ascii_uppercase();
    if name == "ALL" || name.starts_with("CAP_") { name } else { format!("CAP_{name}") }
}

fn check_capabilities(host: &HostConfig, machine: &Machine) -> Result<(), ConfigError> {
    let add = host.cap_add.as_deref().map_or(&[][..], Vec::as_slice);
    let drop = host.cap_drop.as_deref().map_or(&[][..], Vec::as_slice);
    capabilities::validate(add).map_err(|e| ConfigError::new(format!("invalid CapAdd: {e}")))?;
    capabilities::validate(drop).map_err(|e| ConfigError::new(format!("invalid CapDrop: {e}")))?;
    // Names are right: what is left is that brig may lack what is asked for.
    capabilities::resolve(add, drop, host.privileged, machine.capabilities)
        .map(|_| ())
        .map_err(|e| ConfigError::new(format!("invalid CapAdd: {e}")))
}

#[cfg(test)]
mod tests;
