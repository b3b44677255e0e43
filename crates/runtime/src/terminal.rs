//! A terminal in a container's own devpts.
//!
//! The slave is opened from the master (`TIOCGPTPEER`), never by its path, which the container could replace
//! (CVE-2025-52565: a `/dev/pts/$n` or `/dev/console` that is really something else gets bind-mounted, writable).

use crate::error::{Errno, Error};
use crate::inroot::{Links, Node, Root, is_device};
use crate::mountfd::{Depth, Detached};
use crate::options::ConsoleSize;
use rustix::fs::{FileType, OFlags, fstat, fstatfs};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

/// `DEVPTS_SUPER_MAGIC` of `linux/magic.h`.
const DEVPTS_MAGIC: i64 = 0x1cd1;
/// First and last major number of slaves (`UNIX98_PTY_SLAVE_MAJOR`, eight of them).
const SLAVE_MAJORS: std::ops::RangeInclusive<u32> = 136..=143;

/// Both ends of a terminal, close-on-exec.
#[derive(Debug)]
pub(crate) struct Terminal {
    /// The end of whoever looks at it.
    pub(crate) master: OwnedFd,
    /// The end of the process that runs in it.
    pub(crate) slave: OwnedFd,
}

impl Terminal {
    /// Makes a new one in the devpts at `/dev/pts` of a root.
    pub(crate) fn open(root: &Root, size: ConsoleSize) -> Result<Self, Error> {
        const PTMX: &str = "/dev/pts/ptmx";
        let breakout =
            || Error::Breakout { what: "is not a terminal multiplexer:".into(), path: PTMX.into() };
        let master = root
            .open(Path::new(PTMX), OFlags::RDWR | OFlags::NOCTTY, Links::Refuse)
            .map_err(|e| Error::path("open", PTMX, e))?;
        let stat = fstatfs(&master).map_err(|e| Error::path("statfs", PTMX, e))?;
        let is_ptmx = is_device(master.as_fd(), 5, 2).map_err(|e| Error::path("stat", PTMX, e))?;
        if stat.f_type != DEVPTS_MAGIC || !is_ptmx {
            return Err(breakout());
        }
        let unlocked: libc::c_int = 0;
        // SAFETY: TIOCSPTLCK reads one integer, which outlives the call.
        if unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlocked) } != 0 {
            return Err(Error::step("unlock the terminal", Errno::last()));
        }
        let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
        // SAFETY: TIOCGPTPEER takes open flags by value and answers a descriptor.
        let slave = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) };
        if slave < 0 {
            return Err(Error::step("open the terminal's slave", Errno::last()));
        }
        // SAFETY: a new descriptor that nobody else knows.
        let slave = unsafe { OwnedFd::from_raw_fd(slave) };
        let terminal = Self { master, slave };
        if size != ConsoleSize::default() {
            terminal.resize(size)?;
        }
        Ok(terminal)
    }

    fn resize(&self, size: ConsoleSize) -> Result<(), Error> {
        let size =
            rustix::termios::Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&self.master, size)
            .map_err(|e| Error::step("set the terminal's size", e))
    }

    /// Makes the slave `/dev/console` of a root.
    pub(crate) fn mount_console(&self, root: &Root) -> Result<(), Error> {
        const CONSOLE: &str = "/dev/console";
        let failed = |e: Errno| Error::path("mount the terminal to", CONSOLE, e);
        check_slave(self.slave.as_fd())?;
        let target = root.make(Path::new(CONSOLE), Node::File, Links::Refuse).map_err(failed)?;
        let clone = Detached::clone_fd(self.slave.as_fd(), Depth::Top).map_err(failed)?;
        check_slave(clone.as_fd())?;
        clone.attach(target.as_fd()).map_err(failed)
    }

    /// Makes it the calling process' controlling terminal; the process must lead a session that has none.
    pub(crate) fn control(&self) -> Result<(), Error> {
        // SAFETY: TIOCSCTTY takes an integer and touches no memory.
        match unsafe { libc::ioctl(self.slave.as_raw_fd(), libc::TIOCSCTTY, 0) } {
            0 => Ok(()),
            _ => Err(Error::step("make the terminal the controlling one", Errno::last())),
        }
    }
}

fn check_slave(fd: BorrowedFd<'_>) -> Result<(), Error> {
    let stat = fstat(fd).map_err(|e| Error::step("stat the terminal", e))?;
    let is_slave = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
        && SLAVE_MAJORS.contains(&rustix::fs::major(stat.st_rdev));
    if is_slave {
        return Ok(());
    }
    Err(Error::Breakout { what: "is not a terminal:".into(), path: "/dev/console".into() })
}
