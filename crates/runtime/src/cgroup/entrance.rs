//! How a process enters version 1's groups by itself.
//!
//! Moving another process (`cgroup.procs`) makes the kernel wait for an RCU grace period, several milliseconds, so
//! that the process neither forks nor ends meanwhile. A thread that moves itself (`0` to `tasks`) needs no such
//! lock, and a process of one thread is in the group with that.

use super::error::CgroupError;
use super::group::Group;
use super::{Cgroup, Hierarchies};
use rustix::fs::OFlags;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Open files through which a child puts itself into the groups of all hierarchies but version 2's.
#[derive(Debug)]
pub struct Entrance {
    files: Vec<OwnedFd>,
    everywhere: bool,
}

impl Cgroup {
    /// Opens what a child of one thread enters version 1's groups by. For version 2 it is cloned into
    /// [`Cgroup::unified`].
    ///
    /// # Errors
    /// What the kernel says; the group may be gone.
    pub fn entrance(&self) -> Result<Entrance, CgroupError> {
        let open = |group: &Group| {
            group
                .open_file("tasks", OFlags::WRONLY)
                .map_err(|errno| CgroupError::io("open the tasks of cgroup", &group.path, errno))
        };
        let files = self.groups.iter().filter(|group| !group.is_v2()).map(open).collect::<Result<_, _>>()?;
        Ok(Entrance::new(files, false))
    }

    /// As [`Cgroup::entrance`]; knows besides whether there is a group in each of the machine's hierarchies.
    pub(crate) fn entrance_of(&self, machine: &Hierarchies) -> Result<Entrance, CgroupError> {
        let everywhere = machine.are_all_known() && self.groups.len() == machine.all.len();
        Ok(Entrance { everywhere, ..self.entrance()? })
    }
}

impl Entrance {
    pub(crate) fn new(files: Vec<OwnedFd>, everywhere: bool) -> Self {
        Self { files, everywhere }
    }

    /// No group at all.
    pub(crate) fn none() -> Self {
        Self::new(Vec::new(), false)
    }

    /// Whether the group has the same path in every hierarchy of the machine.
    pub(crate) fn is_everywhere(&self) -> bool {
        self.everywhere
    }

    /// Moves the calling thread into the groups.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn enter(&self) -> Result<(), CgroupError> {
        for file in &self.files {
            rustix::io::write(file, b"0").map_err(|errno| {
                let link = format!("/proc/self/fd/{}", file.as_raw_fd());
                let path = std::fs::read_link(&link).unwrap_or_default();
                CgroupError::io("enter cgroup", path.parent().unwrap_or(Path::new("")), errno)
            })?;
        }
        Ok(())
    }

    /// Its descriptors.
    pub(crate) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.files.iter().map(AsFd::as_fd)
    }
}
