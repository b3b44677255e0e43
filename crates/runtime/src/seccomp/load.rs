//! Putting a program into force.

use super::Program;
use rustix::io::Errno;
use std::os::fd::{FromRawFd, OwnedFd};

/// `struct sock_fprog`.
#[repr(C)]
struct FilterProgram {
    len: u16,
    filter: *const super::Instruction,
}

impl Program {
    /// Puts the filter into force for the calling thread, for good. It needs `no_new_privs` or CAP_SYS_ADMIN in the
    /// thread's user namespace. Async-signal-safe. Gives back the descriptor that user notifications come from if
    /// the program has such answers; it is close-on-exec.
    ///
    /// # Errors
    /// What `seccomp(2)` says: EACCES without the rights above, EBUSY if there is a listener already.
    pub fn load(&self) -> Result<Option<OwnedFd>, Errno> {
        let program = FilterProgram {
            // At most 4096, by the compiler.
            len: self.instructions.len() as u16,
            filter: self.instructions.as_ptr(),
        };
        let flags = libc::c_ulong::from(self.flags);
        // SAFETY: the kernel copies the program, which outlives the call, and checks it.
        let answer = unsafe {
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
        };
        if answer < 0 {
            return Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL));
        }
        if self.flags & super::FLAG_NEW_LISTENER == 0 {
            // With TSYNC a positive answer is the thread that could not follow.
            return if answer == 0 { Ok(None) } else { Err(Errno::SRCH) };
        }
        // SAFETY: with NEW_LISTENER the answer is a new descriptor that nobody else knows.
        Ok(Some(unsafe { OwnedFd::from_raw_fd(answer as i32) }))
    }
}
