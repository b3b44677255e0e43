//! The OCI configuration of a container: [`build`] is the one function that makes it, and it is pure. What it is
//! made from is [`SpecInput`]; [`SpecHost::look_up`] is the only thing here that looks at the machine.
//!
//! The outcome is dockerd's (28.x) for the same container, with these differences: namespaces to join are given to
//! the shim as descriptors, not as paths; `--init` is the runtime's own; there are no hooks.

mod build;
mod devices;
mod exec;
mod filter;
mod hidden;
mod input;
mod mounts;
mod process;
mod resources;
mod tmpfs;

pub use build::{Built, build};
pub use exec::exec_process;
pub use filter::{Compiled, Filter, Programs};
pub use hidden::{default_masked_paths, default_readonly_paths};
pub use input::*;
pub use resources::{changed_limits, limits};

use brig_core::{HasKind, Kind};
use brig_runtime::{capabilities::CapabilityError, seccomp::SeccompError};

/// A container that can't be described.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// A value that made it past validation and can't be used.
    #[error("{0}")]
    Invalid(String),
    /// A capability that is gone since the container was made, or never was.
    #[error(transparent)]
    Capability(#[from] CapabilityError),
    /// The seccomp profile is none.
    #[error(transparent)]
    Seccomp(#[from] SeccompError),
    /// A device of `--device` that is not there, or none.
    #[error("error gathering device information while adding custom device \"{path}\": {reason}")]
    Device {
        /// Its path on the host.
        path: String,
        /// Docker's words for why.
        reason: String,
    },
    /// A block device whose use is to be limited.
    #[error("stat {path}: {reason}")]
    BlockDevice {
        /// Its path on the host.
        path: String,
        /// What the system said.
        reason: String,
    },
}

impl HasKind for SpecError {
    fn kind(&self) -> Kind {
        // As in Docker: what was wrong with the request was refused when the container was made.
        Kind::System
    }
}

#[cfg(test)]
mod tests;
