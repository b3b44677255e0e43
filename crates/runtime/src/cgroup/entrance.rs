//! How a process enters version 1's groups by itself.
//!
//! Moving another process (`cgroup.procs`) makes the kernel wait for an RCU grace period, several milliseconds, so
//! that the process neither forks nor ends meanwhile. A thread that moves itself (`0` to `tasks`) needs no such
//! lock, and a process of one thread is in the group with that.

use super::Cgroup;
use super::error::CgroupError;
use super::group::Group;
use rustix::fs::OFlags;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// Open files through which a child puts itself into the groups of all hierarchies but version 2's.
#[derive(Debug)]
pub struct Entrance(Vec<(PathBuf, OwnedFd)>);

impl Cgroup {
    /// Opens what a child of one thread enters version 1's groups by. For version 2 it is cloned into
    /// [`Cgroup::unified`].
    ///
    /// # Errors
    /// What the kernel says; the group may be gone.
    pub fn entrance(&self) -> Result<Entrance, CgroupError> {
        let open = |group: &Group| match group.open_file("tasks", OFlags::WRONLY) {
            Ok(file) => Ok((group.path.clone(), file)),
            Err(errno) => Err(CgroupError::io("open the tasks of cgroup", &group.path, errno)),
        };
        self.groups.iter().filter(|group| !group.is_v2()).map(open).collect::<Result<_, _>>().map(Entrance)
    }
}

impl Entrance {
    /// No group at all.
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    /// Moves the calling thread into the groups.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn enter(&self) -> Result<(), CgroupError> {
        for (path, file) in &self.0 {
            rustix::io::write(file, b"0").map_err(|errno| CgroupError::io("enter cgroup", path, errno))?;
        }
        Ok(())
    }

    /// Its descriptors.
    pub(crate) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().map(|(_, file)| file.as_fd())
    }
}
