//! What can go wrong with logs.

use brig_core::{HasKind, Kind};
use std::{io, path::PathBuf};

/// A failure of a log driver or reader.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such driver; Docker's words.
    #[error("logger: no log driver named '{0}' is registered")]
    UnknownDriver(String),
    /// A driver that Docker has and brig does not.
    #[error(
        "log driver '{0}' is not supported: brig has json-file, local, none, journald, syslog, gelf and fluentd"
    )]
    UnsupportedDriver(String),
    /// An option that the driver does not know; Docker's words.
    #[error("unknown log opt '{option}' for {driver} log driver")]
    UnknownOption {
        /// The option's name.
        option: String,
        /// The driver's name.
        driver: &'static str,
    },
    /// An option's value is out of its range.
    #[error("invalid value '{value}' for log opt '{option}': {reason}")]
    InvalidOption {
        /// The option's name.
        option: &'static str,
        /// What was given.
        value: String,
        /// What would be right.
        reason: &'static str,
    },
    /// Refused, in Docker's words.
    #[error("{0}")]
    Refused(String),
    /// The driver keeps nothing that could be read back; Docker's words.
    #[error("configured logging driver does not support reading")]
    NotReadable,
    /// The file system refused.
    #[error("log {path}: {step}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done to it.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn io(path: impl Into<PathBuf>, step: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, step, source }
    }
}

impl HasKind for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::UnknownDriver(_)
            | Self::UnknownOption { .. }
            | Self::InvalidOption { .. }
            | Self::Refused(_) => Kind::InvalidParameter,
            Self::UnsupportedDriver(_) | Self::NotReadable => Kind::NotImplemented,
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => Kind::NotFound,
            Self::Io { .. } => Kind::System,
        }
    }
}
