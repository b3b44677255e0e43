//! Which descriptors a child keeps (CVE-2024-21626: one that leads out of the container is a way out of it).

use crate::error::{Errno, Error};
use crate::options::Stdio;
use rustix::fs::{FileType, fstat};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

fn close_range(first: RawFd, last: RawFd, flags: u32) -> Result<(), Errno> {
    if first > last {
        return Ok(());
    }
    // SAFETY: takes integers. The callers are children that own no value whose descriptor is closed here and used
    // later: everything they use is in the list of descriptors to keep.
    match unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) } {
        0 => Ok(()),
        _ => Err(Errno::last()),
    }
}

/// Closes every descriptor but those given, the standard streams, and `preserved` ones from 3 on, which the program
/// gets.
pub(crate) fn close_all_but(keep: &[BorrowedFd<'_>], preserved: u16) -> Result<(), Error> {
    let mut keep: Vec<RawFd> = keep.iter().map(AsRawFd::as_raw_fd).collect();
    keep.sort_unstable();
    let mut next = 3 + RawFd::from(preserved);
    for fd in keep {
        close_range(next, fd - 1, 0).map_err(|e| Error::step("close inherited descriptors", e))?;
        next = next.max(fd + 1);
    }
    close_range(next, RawFd::MAX, 0).map_err(|e| Error::step("close inherited descriptors", e))
}

/// Closes every descriptor, standard streams too.
pub(crate) fn close_all() {
    // Can't fail with a valid range, and nothing could be done about it.
    let _ = close_range(0, RawFd::MAX, 0);
}

/// Makes every descriptor but the standard streams and `preserved` ones from 3 on go away at `execve`.
pub(crate) fn seal(preserved: u16) -> Result<(), Error> {
    close_range(3 + RawFd::from(preserved), RawFd::MAX, libc::CLOSE_RANGE_CLOEXEC)
        .map_err(|e| Error::step("mark descriptors close-on-exec", e))
}

/// Makes these the standard streams; the copies stay open across `execve`.
pub(crate) fn install(
    stdin: BorrowedFd<'_>,
    stdout: BorrowedFd<'_>,
    stderr: BorrowedFd<'_>,
) -> Result<(), Error> {
    let failed = |e: rustix::io::Errno| Error::step("set up standard streams", e);
    // First out of the way of 0 to 2, which they may be themselves in another order.
    let sources = [stdin, stdout, stderr].map(|fd| rustix::io::fcntl_dupfd_cloexec(fd, 3));
    for (number, source) in sources.into_iter().enumerate() {
        let source = source.map_err(failed)?;
        // SAFETY: takes integers; what 0 to 2 were before belongs to no value of this process that is used later.
        if unsafe { libc::dup2(source.as_raw_fd(), number as RawFd) } < 0 {
            return Err(Error::step("set up standard streams", Errno::last()));
        }
    }
    Ok(())
}

/// Gives the standard streams to a user, so that `/dev/stdout` can be opened again by a program that is not root.
pub(crate) fn give_to(uid: u32) -> Result<(), Error> {
    for number in 0..3 {
        // SAFETY: `install` has put open descriptors there.
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        let stat = fstat(fd).map_err(|e| Error::step("stat standard streams", e))?;
        let is_null = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
            && stat.st_rdev == rustix::fs::makedev(1, 3);
        if is_null || stat.st_uid == uid {
            continue;
        }
        match rustix::fs::fchown(fd, Some(rustix::fs::Uid::from_raw(uid)), None) {
            // A socket, a file system without owners, or one that is read-only: the user then has what the caller
            // gave, as with any other runtime.
            Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::PERM | rustix::io::Errno::ROFS) => {}
            Err(e) => return Err(Error::step("give standard streams to the user", e)),
        }
    }
    Ok(())
}

impl Stdio {
    /// Gives pipes to a user, as [`give_to`] does, before a user namespace takes the right to.
    pub(crate) fn give_pipes_to(&self, uid: u32) -> Result<(), Error> {
        for fd in self.fds() {
            let stat = fstat(fd).map_err(|e| Error::step("stat standard streams", e))?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Fifo || stat.st_uid == uid {
                continue;
            }
            match rustix::fs::fchown(fd, Some(rustix::fs::Uid::from_raw(uid)), None) {
                Ok(()) | Err(rustix::io::Errno::PERM | rustix::io::Errno::ROFS) => {}
                Err(e) => return Err(Error::step("give standard streams to the user", e)),
            }
        }
        Ok(())
    }

    /// The descriptors that a child has to keep for it.
    pub(crate) fn fds(&self) -> Vec<BorrowedFd<'_>> {
        match self {
            Self::Pipes { stdin, stdout, stderr } => [stdin, stdout, stderr].map(OwnedFd::as_fd).to_vec(),
            Self::Terminal => Vec::new(),
        }
    }
}
