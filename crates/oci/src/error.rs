//! What goes wrong, in runc's words where callers look for them.

use std::path::PathBuf;

/// A failed command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user has to change something.
    #[error("{0}")]
    Usage(String),
    /// No container of this id.
    #[error("container does not exist")]
    NotThere,
    /// The id is taken.
    #[error("container with given ID already exists")]
    Exists,
    /// Not something that an id may be.
    #[error("invalid container ID format")]
    BadId,
    /// What the container is doing does not allow it.
    #[error("{0}")]
    State(String),
    /// The container or a process of it can't be made.
    #[error(transparent)]
    Runtime(#[from] brig_runtime::Error),
    /// Its cgroup.
    #[error(transparent)]
    Cgroup(#[from] brig_runtime::cgroup::CgroupError),
    /// A file.
    #[error("{step} {path}: {source}")]
    File {
        /// What was tried.
        step: &'static str,
        /// On what.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// A system call that concerns no file.
    #[error("{step}: {source}")]
    System {
        /// What was tried.
        step: &'static str,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// `config.json`, a process file or a list of limits.
    #[error("{path}: {reason}")]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        reason: String,
    },
}

impl Error {
    /// A file could not be worked with.
    pub(crate) fn file(step: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { step, path, source }
    }

    /// A system call failed.
    pub(crate) fn system(step: &'static str) -> impl FnOnce(rustix::io::Errno) -> Self {
        move |errno| Self::System { step, source: errno.into() }
    }
}
