//! Running a further process in a container, as seen from the parent.

use crate::{Error, ExecOptions};
use std::os::fd::OwnedFd;

/// A process that runs in a container beside its first one.
#[derive(Debug)]
pub struct Execed {
    /// Its number in the caller's pid namespace. It is a child of the caller, who reaps it.
    pub pid: i32,
    /// A pidfd of it, close-on-exec.
    pub pidfd: OwnedFd,
    /// The terminal's master, when it has one.
    pub terminal: Option<OwnedFd>,
    /// What was left out because the kernel or the caller's rights give less, one sentence each.
    pub warnings: Vec<String>,
}

/// Runs a process in a running container: joins all namespaces and the cgroup of its first process.
///
/// # Errors
/// [`Error::NotRunning`] when the container is gone, [`Error::Exec`] when the program can't be executed, and
/// whatever step fails; nothing is left then.
pub fn exec(options: ExecOptions<'_>) -> Result<Execed, Error> {
    let _ = options;
    Err(Error::Unsupported("exec in this build".into()))
}
