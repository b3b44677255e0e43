//! Making a container, as seen from the parent.

use crate::{CreateOptions, Error};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A container that is made and waits for [`Created::start`]. Dropping it kills and undoes it.
#[derive(Debug)]
pub struct Created {
    pid: i32,
    pidfd: OwnedFd,
    terminal: Option<OwnedFd>,
    warnings: Vec<String>,
}

/// A container whose program was executed.
#[derive(Debug)]
pub struct Running {
    /// Process 1, as the caller's pid namespace numbers it. It is a child of the caller, who reaps it.
    pub pid: i32,
    /// A pidfd of it, close-on-exec.
    pub pidfd: OwnedFd,
}

/// Makes a container up to the point just before its program is executed.
///
/// # Errors
/// Everything that can fail, from a malformed spec to a program that is not there; all is undone then.
pub fn create(options: CreateOptions<'_>) -> Result<Created, Error> {
    let _ = options;
    Err(Error::Unsupported("creating containers in this build".into()))
}

impl Created {
    /// Process 1, as the caller's pid namespace numbers it.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// A pidfd of process 1.
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// The terminal's master, once.
    pub fn terminal(&mut self) -> Option<OwnedFd> {
        self.terminal.take()
    }

    /// What was left out because the kernel or the caller's rights give less, one sentence each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Lets the container's program go.
    ///
    /// # Errors
    /// [`Error::Exec`] when the program can't be executed, [`Error::Seccomp`] when its filter is refused; the
    /// container is undone then.
    pub fn start(self) -> Result<Running, Error> {
        Ok(Running { pid: self.pid, pidfd: self.pidfd })
    }
}
