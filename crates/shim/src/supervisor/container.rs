//! The container behind the processes: its state, its cgroup, what it takes to enter it.

use crate::protocol::{Failure, ShimState, Status};
use brig_core::{HasKind, Kind};
use brig_runtime::{
    Created,
    cgroup::{Cgroup, OomWatch},
    seccomp::Program,
};
use std::os::fd::OwnedFd;

use super::poller::Watched;

/// The container of a shim.
pub(super) struct Container {
    pub(super) state: ShimState,
    /// Until it is started.
    pub(super) created: Option<Created>,
    /// The filter for processes that enter it.
    pub(super) seccomp: Option<Program>,
    /// Its first process, for entering.
    pub(super) pidfd: OwnedFd,
    /// Host user that owns the streams of processes run as each container user: offset of the user namespace.
    pub(super) owners: Owners,
    /// Whether the kernel kills everything with the first process. Else its cgroup has to be killed.
    pub(super) own_pid_namespace: bool,
    /// Once it is started; `created` has it before.
    pub(super) running_cgroup: Option<Cgroup>,
    /// The root, so that its file system does not go with the container's last process but with the shim: an
    /// overlay writes all of its upper file system to disk when it goes, and the process could not end before.
    pub(super) _root: Option<OwnedFd>,
    /// The mount namespace, so that the process has not to undo it before it can end either. It goes when the end has
    /// been told, before the connections do.
    pub(super) mounts: Option<OwnedFd>,
    pub(super) memory: Option<Watched<OomWatch>>,
    /// Kills for want of memory that were told.
    pub(super) oom_kills: u64,
}

/// Which user of the host a user of the container is.
#[derive(Debug, Default)]
pub(super) struct Owners(pub(super) Vec<(u32, u32, u32)>);

impl Owners {
    /// The user of the host; the same without a user namespace, root for one that is not mapped.
    pub(super) fn on_host(&self, uid: u32) -> u32 {
        if self.0.is_empty() {
            return uid;
        }
        self.0
            .iter()
            .find_map(|&(inside, outside, size)| {
                let offset = uid.checked_sub(inside)?;
                (offset < size).then(|| outside.checked_add(offset))?
            })
            .unwrap_or(0)
    }
}

impl Container {
    pub(super) fn own_cgroup(&self) -> Option<&Cgroup> {
        self.created.as_ref().and_then(Created::cgroup).or(self.running_cgroup.as_ref())
    }

    pub(super) fn cgroup(&self) -> Result<&Cgroup, Failure> {
        self.own_cgroup().ok_or_else(|| Failure {
            kind: Kind::NotImplemented,
            message: format!("container {} has no cgroup of its own", self.state.id),
            exec_exit_code: None,
        })
    }

    /// Refuses what only a running container can do, in Docker's words.
    pub(super) fn must_run(&self) -> Result<(), Failure> {
        let id = self.state.id;
        let message = match self.state.status {
            Status::Running => return Ok(()),
            Status::Paused => format!("Container {id} is paused, unpause the container before exec"),
            Status::Created | Status::Exited => format!("container {id} is not running"),
        };
        Err(conflict(message))
    }
}

/// A request that clashes with the present state.
pub(super) fn conflict(message: String) -> Failure {
    Failure { kind: Kind::Conflict, message, exec_exit_code: None }
}

/// A failed step on brig's side.
pub(super) fn failed(step: &str, error: impl std::fmt::Display) -> Failure {
    Failure { kind: Kind::System, message: format!("{step}: {error}"), exec_exit_code: None }
}

/// The runtime's words and exit code.
pub(super) fn runtime_failure(error: &brig_runtime::Error) -> Failure {
    Failure { kind: error.kind(), message: error.to_string(), exec_exit_code: Some(error.exit_code()) }
}

#[cfg(test)]
mod tests {
    use super::Owners;

    #[test]
    fn users_of_the_host() {
        assert_eq!(Owners::default().on_host(7), 7);
        let mapped = Owners(vec![(0, 100_000, 1000), (1000, 5, 1)]);
        assert_eq!(mapped.on_host(0), 100_000);
        assert_eq!(mapped.on_host(999), 100_999);
        assert_eq!(mapped.on_host(1000), 5);
        assert_eq!(mapped.on_host(1001), 0);
    }
}
