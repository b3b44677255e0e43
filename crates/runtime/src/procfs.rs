//! A procfs that nobody can tamper with: mounted detached, for our hands only.
//!
//! Writing below a container's `/proc` by path can be led astray by mounts or links there (CVE-2019-16884,
//! CVE-2025-52881: what was meant for an LSM attribute or a sysctl goes to another file, or into a dummy).

use crate::error::{Errno, Error};
use crate::mountfd::{Detached, attr};
use rustix::fs::{Mode, OFlags, ResolveFlags, fstatfs, openat2};
use std::os::fd::{AsFd, OwnedFd};

/// `PROC_SUPER_MAGIC` of `linux/magic.h`.
pub(crate) const PROC_MAGIC: i64 = 0x9fa0;

/// A private procfs of the calling process' pid namespace.
#[derive(Debug)]
pub(crate) struct ProcHandle(OwnedFd);

impl ProcHandle {
    /// Mounts one, attached nowhere.
    pub(crate) fn new() -> Result<Self, Error> {
        let proc = Detached::filesystem("proc", "proc", &[], attr::NOSUID | attr::NODEV | attr::NOEXEC)
            .map_err(|failure| Error::step(failure.step, failure.errno))?;
        Self::verified(proc.into_fd())
    }

    /// One that was mounted for the container, through its own mount; what is mounted over anything in it is not passed.
    pub(crate) fn of(mount: Detached) -> Self {
        Self(mount.into_fd())
    }

    fn verified(fd: OwnedFd) -> Result<Self, Error> {
        let stat = fstatfs(&fd).map_err(|e| Error::path("statfs", "/proc", e))?;
        if stat.f_type != PROC_MAGIC {
            return Err(Error::Breakout { what: "is not on procfs:".into(), path: "/proc".into() });
        }
        Ok(Self(fd))
    }

    /// Opens a file of it: no links, no mounts on the way, and on procfs at the end.
    pub(crate) fn open(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Error> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
        let shown = || format!("/proc/{path}");
        let fd = openat2(&self.0, path, flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty(), resolve)
            .map_err(|e| Error::path("open", shown(), e))?;
        let stat = fstatfs(&fd).map_err(|e| Error::path("statfs", shown(), e))?;
        if stat.f_type != PROC_MAGIC {
            return Err(Error::Breakout { what: "is not on procfs:".into(), path: shown() });
        }
        Ok(fd)
    }

    /// Writes a file of it in one call.
    pub(crate) fn write(&self, path: &str, text: &str) -> Result<(), Error> {
        let fd = self.open(path, OFlags::WRONLY)?;
        match rustix::io::write(&fd, text.as_bytes()) {
            Ok(n) if n == text.len() => Ok(()),
            Ok(_) => Err(Error::path("write", format!("/proc/{path}"), Errno(libc::EIO))),
            Err(e) => Err(Error::path("write", format!("/proc/{path}"), e)),
        }
    }
}

impl AsFd for ProcHandle {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_procfs_is_refused() {
        let file = std::fs::File::open("/dev").unwrap();
        assert!(matches!(ProcHandle::verified(file.into()), Err(Error::Breakout { .. })));
    }

    #[test]
    fn reads_below_and_nowhere_else() {
        let proc = ProcHandle::new().unwrap();
        proc.open("sys/kernel/hostname", OFlags::RDONLY).unwrap();
        assert!(proc.open("../etc/passwd", OFlags::RDONLY).is_err());
        assert!(proc.open("self/root/etc/passwd", OFlags::RDONLY).is_err());
        assert!(proc.write("sys/kernel/ostype", "x").is_err());
    }
}
