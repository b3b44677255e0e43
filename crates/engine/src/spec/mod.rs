//! The OCI configuration of a container: a pure function of what was looked up.

mod build;
mod input;

pub use build::{build, exec_process};
pub use input::*;

use brig_core::{HasKind, Kind};

/// A container that can't be described.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SpecError {
    /// A value that made it past validation and can't be used.
    #[error("{0}")]
    Invalid(String),
}

impl HasKind for SpecError {
    fn kind(&self) -> Kind {
        // As in Docker: what was wrong with the request was refused when the container was made.
        Kind::System
    }
}
