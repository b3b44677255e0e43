//! The client's own streams without threads and without changing their mode, which other programs share:
//! readiness comes from the reactor where the file has one, and the calls themselves then don't block.

use rustix::event::{PollFd, PollFlags, poll};
use std::{io, os::fd::BorrowedFd};
use tokio::io::{Interest, unix::AsyncFd};

#[derive(Debug)]
enum Ready {
    /// Pipes, sockets, terminals.
    Reactor(AsyncFd<BorrowedFd<'static>>),
    /// Files and `/dev/null` never make anyone wait.
    Always(BorrowedFd<'static>),
}

impl Ready {
    #[expect(
        deprecated,
        reason = "unsound only for descriptors that are closed meanwhile, which these never are"
    )]
    fn new(fd: BorrowedFd<'static>, interest: Interest) -> Self {
        match AsyncFd::with_interest(fd, interest) {
            Ok(fd) => Self::Reactor(fd),
            Err(_) => Self::Always(fd),
        }
    }

    fn fd(&self) -> BorrowedFd<'static> {
        match self {
            Self::Reactor(fd) => *fd.get_ref(),
            Self::Always(fd) => *fd,
        }
    }
}

/// Whether a call on `fd` would not block now.
fn is_ready(fd: BorrowedFd<'_>, flags: PollFlags) -> io::Result<bool> {
    let mut fds = [PollFd::new(&fd, flags)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    Ok(poll(&mut fds, Some(&now))? > 0)
}

/// Standard input.
#[derive(Debug)]
pub struct Input(Ready);

impl Input {
    /// Standard input of this process.
    #[must_use]
    pub fn new() -> Self {
        Self(Ready::new(rustix::stdio::stdin(), Interest::READABLE))
    }

    /// Reads what is there, and waits when nothing is; 0 at the end.
    ///
    /// # Errors
    /// The system's.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Ready::Reactor(fd) = &self.0 {
            loop {
                let mut guard = fd.readable().await?;
                if is_ready(self.0.fd(), PollFlags::IN)? {
                    break;
                }
                guard.clear_ready();
            }
        }
        Ok(rustix::io::retry_on_intr(|| rustix::io::read(self.0.fd(), &mut *buffer))?)
    }
}

impl Default for Input {
    fn default() -> Self {
        Self::new()
    }
}

/// The most that a pipe which is ready surely takes at once.
const PIPE_BUF: usize = 4096;

/// Standard output or standard error.
#[derive(Debug)]
pub struct Output(Ready);

impl Output {
    /// Standard output of this process.
    #[must_use]
    pub fn stdout() -> Self {
        Self(Ready::new(rustix::stdio::stdout(), Interest::WRITABLE))
    }

    /// Standard error of this process.
    #[must_use]
    pub fn stderr() -> Self {
        Self(Ready::new(rustix::stdio::stderr(), Interest::WRITABLE))
    }

    /// Writes all, waiting for the reader where there is one.
    ///
    /// # Errors
    /// The system's; `BrokenPipe` when the reader is gone.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let mut piece = bytes;
            if let Ready::Reactor(fd) = &self.0 {
                loop {
                    let mut guard = fd.writable().await?;
                    if is_ready(self.0.fd(), PollFlags::OUT)? {
                        break;
                    }
                    guard.clear_ready();
                }
                piece = &bytes[..bytes.len().min(PIPE_BUF)];
            }
            let written = match rustix::io::write(self.0.fd(), piece) {
                Ok(n) => n,
                // The file may have been made non-blocking by somebody else.
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {
                    tokio::task::yield_now().await;
                    continue;
                }
                Err(e) => return Err(e.into()),
            };
            bytes = &bytes[written..];
        }
        Ok(())
    }
}
