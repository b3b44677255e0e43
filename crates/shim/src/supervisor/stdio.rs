//! The shim's ends of a process' standard streams.

use super::poller::Watched;
use crate::protocol::ConsoleSize;
use brig_runtime::Stdio;
use rustix::{
    fs::{OFlags, Uid, fchown},
    io::Errno,
    pipe::{PipeFlags, pipe_with},
    termios::{Winsize, tcsetwinsize},
};
use std::{
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

/// The shim's ends.
#[derive(Debug)]
pub(super) enum Ends {
    /// There are none yet: an exec that is not started.
    Unmade,
    /// Pipes; each goes when its other end did.
    Pipes {
        /// What the process reads; `None` without input or after its end.
        stdin: Option<Watched<OwnedFd>>,
        stdout: Option<Watched<OwnedFd>>,
        stderr: Option<Watched<OwnedFd>>,
    },
    /// A terminal.
    Terminal {
        /// `None` when its output was read to the end.
        master: Option<Watched<OwnedFd>>,
        /// Held so that a moment in which the container has no slave open is not the end: some inits close and
        /// open their terminal again.
        _slave: Option<OwnedFd>,
    },
}

/// Makes pipes: what the process gets, and the shim's ends. Without input, the process reads from `/dev/null`. They
/// belong to `owner`, so that a process of another user may open `/dev/stdout` again.
pub(super) fn pipes(input: bool, owner: u32) -> io::Result<(Stdio, Ends)> {
    let make = || -> io::Result<(OwnedFd, OwnedFd)> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        if owner != 0 {
            match fchown(&read, Some(Uid::from_raw(owner)), None) {
                // Without the right to give it away, or for a user this namespace does not have, it stays ours.
                Ok(()) | Err(Errno::PERM | Errno::INVAL) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok((read, write))
    };
    let (their_stdin, stdin) = if input {
        let (read, write) = make()?;
        set_nonblocking(write.as_fd())?;
        (read, Some(Watched::new(write)))
    } else {
        (File::open("/dev/null")?.into(), None)
    };
    let (stdout, their_stdout) = make()?;
    let (stderr, their_stderr) = make()?;
    set_nonblocking(stdout.as_fd())?;
    set_nonblocking(stderr.as_fd())?;
    let theirs = Stdio::Pipes { stdin: their_stdin, stdout: their_stdout, stderr: their_stderr };
    let ours = Ends::Pipes { stdin, stdout: Some(Watched::new(stdout)), stderr: Some(Watched::new(stderr)) };
    Ok((theirs, ours))
}

/// The shim's end of a terminal that the runtime made.
pub(super) fn terminal(master: OwnedFd) -> io::Result<Ends> {
    set_nonblocking(master.as_fd())?;
    let slave = open_slave(master.as_fd());
    Ok(Ends::Terminal { master: Some(Watched::new(master)), _slave: slave })
}

/// Resizes a terminal.
pub(super) fn resize(master: BorrowedFd<'_>, size: ConsoleSize) -> io::Result<()> {
    Ok(tcsetwinsize(master, Winsize { ws_row: size.rows, ws_col: size.cols, ws_xpixel: 0, ws_ypixel: 0 })?)
}

fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(fd)?;
    Ok(rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK)?)
}

/// Opens the slave without a path, which the container could have replaced. Where the kernel can't, the terminal
/// ends when the container first closes it.
fn open_slave(master: BorrowedFd<'_>) -> Option<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: takes a descriptor and flags, touches no memory.
    let fd = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) };
    // SAFETY: a descriptor that the call has just made, and nobody else knows.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
}
