//! What a container is doing: found out from its process and its cgroup, never from what was written down.

use crate::error::Error;
use crate::records::{Entry, Record};
use brig_runtime::cgroup::Cgroup;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::fmt;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;

/// The specification's states, and runc's `paused`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Waits for `start`.
    Created,
    /// Its program runs.
    Running,
    /// Frozen.
    Paused,
    /// Its process has ended.
    Stopped,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        })
    }
}

/// A container, looked at.
#[derive(Debug)]
pub(crate) struct Container {
    /// What is known of it.
    pub(crate) record: Record,
    /// What it is doing.
    pub(crate) status: Status,
    /// Its process, unless that has ended.
    pub(crate) pidfd: Option<OwnedFd>,
}

impl Container {
    /// Looks at a container.
    pub(crate) fn look(entry: &Entry) -> Result<Self, Error> {
        let record = entry.record()?;
        let pidfd = process(&record)?;
        let status = match &pidfd {
            None => Status::Stopped,
            Some(_) if entry.start_socket().exists() => Status::Created,
            Some(_) if cgroup(&record).is_some_and(|c| c.is_frozen()) => Status::Paused,
            Some(_) => Status::Running,
        };
        Ok(Self { record, status, pidfd })
    }

    /// Its cgroup, while that is there.
    pub(crate) fn cgroup(&self) -> Option<Cgroup> {
        cgroup(&self.record)
    }
}

/// A container's cgroup, while that is there and is still its own.
pub(crate) fn cgroup(record: &Record) -> Option<Cgroup> {
    let unit = record.unit.as_ref();
    let found = record.cgroup.as_deref().and_then(|path| Cgroup::open_of(path, unit).ok())?;
    match record.cgroup_identity.as_slice() {
        [] => Some(found),
        identity => found.if_still(identity),
    }
}

/// A handle on the container's process; none when it has ended, though its number may be another's now.
fn process(record: &Record) -> Result<Option<OwnedFd>, Error> {
    let Some(pid) = Pid::from_raw(record.pid) else { return Ok(None) };
    let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        Err(rustix::io::Errno::SRCH) => return Ok(None),
        Err(e) => return Err(Error::system("open the container's process")(e)),
    };
    // Read after opening: if it is the right one now, the handle is on the right one.
    Ok(birth(record.pid)?.filter(|birth| *birth == record.start_time).map(|_| pidfd))
}

/// When a process was born; none when it has ended, reaped or not.
pub(crate) fn birth(pid: i32) -> Result<Option<u64>, Error> {
    match brig_core::process::stat(pid) {
        Ok(stat) => Ok((!stat.ended).then_some(stat.start_time)),
        Err(e) if e.kind() == ErrorKind::NotFound || e.raw_os_error() == Some(libc::ESRCH) => Ok(None),
        Err(e) => Err(Error::file("read", format!("/proc/{pid}/stat"))(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_birth_and_nobodys() {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        assert!(birth(pid).unwrap().is_some());
        assert_eq!(birth(i32::MAX).unwrap(), None);
        let mut record = Record {
            id: "x".into(),
            pid,
            start_time: birth(pid).unwrap().unwrap(),
            created: String::new(),
            bundle: "/".into(),
            rootfs: "/".into(),
            cgroup: None,
            cgroup_identity: Vec::new(),
            unit: None,
            owner: 0,
        };
        assert!(process(&record).unwrap().is_some());
        record.start_time += 1;
        assert!(process(&record).unwrap().is_none(), "the number is another's now");
    }
}
