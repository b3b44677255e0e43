//! Why a cgroup operation failed.

use super::systemd::SystemdError;
use crate::error::Errno;
use brig_core::{HasKind, Kind};
use std::path::{Path, PathBuf};

/// A failure of a cgroup operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CgroupError {
    /// The path names nothing below the root, or climbs out of it.
    #[error("cgroup path {path}: it must name a group below the root, without \"..\"", path = .0.display())]
    Path(PathBuf),
    /// The machine has no cgroup hierarchy at all.
    #[error("no cgroup hierarchy is mounted")]
    None,
    /// The group is there already and has processes: it is somebody else's.
    #[error("container's cgroup is not empty: {path} is in use", path = .0.display())]
    InUse(PathBuf),
    /// A limit was asked for and the machine lacks what it takes.
    #[error("{controller} controller is not mounted: can't set {file}")]
    Controller {
        /// Its name in version 1.
        controller: &'static str,
        /// The file that would have been written.
        file: String,
    },
    /// A limit was asked for and the kernel refused it.
    #[error("failed to write {value:?} to {path}: {errno}", path = path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// The text.
        value: String,
        /// What the kernel said.
        errno: Errno,
    },
    /// A rule for devices is malformed.
    #[error("device rule {0:?}")]
    Device(String),
    /// systemd's driver failed.
    #[error(transparent)]
    Systemd(#[from] SystemdError),
    /// Another step failed.
    #[error("{step} {path}: {errno}", path = path.display())]
    Io {
        /// What was tried, as in "make cgroup".
        step: &'static str,
        /// On what.
        path: PathBuf,
        /// What the kernel said.
        errno: Errno,
    },
    /// Processes did not end, or did not freeze, in the time given.
    #[error("cgroup {path}: {step} took longer than {seconds} s", path = path.display())]
    Timeout {
        /// The group.
        path: PathBuf,
        /// What was waited for.
        step: &'static str,
        /// How long.
        seconds: u64,
    },
}

impl CgroupError {
    pub(super) fn io(step: &'static str, path: &Path, errno: impl Into<Errno>) -> Self {
        Self::Io { step, path: path.to_owned(), errno: errno.into() }
    }
}

impl HasKind for CgroupError {
    fn kind(&self) -> Kind {
        match self {
            Self::Path(_) | Self::Device(_) => Kind::InvalidParameter,
            Self::Systemd(error) if error.is_of_the_caller() => Kind::InvalidParameter,
            Self::InUse(_) => Kind::Conflict,
            _ => Kind::System,
        }
    }
}

impl From<CgroupError> for crate::Error {
    fn from(error: CgroupError) -> Self {
        Self::Cgroup(error.to_string())
    }
}
