//! Signals of the calling process, taken as they come instead of interrupting it.

use crate::error::{Errno, Error};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// All signals that can be caught, blocked for the calling thread, and a descriptor that is readable when one is
/// pending. Processes that this crate makes start with none blocked.
#[derive(Debug)]
pub struct Signals(OwnedFd);

impl Signals {
    /// Blocks them all.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn all() -> Result<Self, Error> {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigfillset initialises the set, which is read only afterwards; the old mask is not asked for.
        let fd = unsafe {
            libc::sigfillset(set.as_mut_ptr());
            // A fault of this very process must not be waited for.
            for fault in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGABRT] {
                libc::sigdelset(set.as_mut_ptr(), fault);
            }
            libc::pthread_sigmask(libc::SIG_SETMASK, set.as_ptr(), std::ptr::null_mut());
            libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        if fd < 0 {
            return Err(Error::step("make a descriptor for signals", Errno::last()));
        }
        // SAFETY: a new descriptor that nobody else knows.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The numbers of the signals that are pending, which are so no more.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn taken(&self) -> Result<Vec<i32>, Error> {
        let mut numbers = Vec::new();
        loop {
            let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit();
            let size = size_of::<libc::signalfd_siginfo>();
            // SAFETY: the buffer has room for one record, and the kernel writes whole ones.
            let n = unsafe { libc::read(self.0.as_raw_fd(), info.as_mut_ptr().cast(), size) };
            match (n, Errno::last()) {
                (n, _) if n == size as isize => {
                    // SAFETY: just written whole.
                    numbers.push(unsafe { info.assume_init() }.ssi_signo as i32);
                }
                (_, Errno(libc::EAGAIN)) => return Ok(numbers),
                (_, Errno(libc::EINTR)) => {}
                (_, errno) => return Err(Error::step("read signals", errno)),
            }
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
