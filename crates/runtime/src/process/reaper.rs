//! The small init of `--init`: process 1 of the container when its program does not want to be that.
//!
//! It runs under the program's own seccomp filter and capabilities, holds no descriptor, and stays opaque to the
//! container (not dumpable), as its memory is a copy of its maker's.

use super::signals;
use crate::descriptors;
use crate::error::Errno;

/// Signals that mean a fault of our own, and those of terminals for background processes: not the program's.
const NOT_FORWARDED: [i32; 9] = [
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGABRT,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGTTIN,
    libc::SIGTTOU,
];

/// Forks. `None` in the child, which goes on to execute the program: leader of a process group of its own, in the
/// foreground of the terminal if there is one.
pub(super) fn fork_program() -> Result<Option<i32>, Errno> {
    signals::block_all();
    // Where the pid namespace is another container's, orphans go to its init unless we ask for them.
    // SAFETY: takes integers and touches no memory.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
    // SAFETY: the process has one thread.
    match unsafe { libc::fork() } {
        -1 => Err(Errno::last()),
        0 => {
            // SAFETY: these take integers and touch no memory. A failing tcsetpgrp means that there is no terminal.
            // SIGTTOU is still blocked, so it may be called from the background.
            unsafe {
                libc::setpgid(0, 0);
                if libc::isatty(0) == 1 {
                    libc::tcsetpgrp(0, libc::getpgrp());
                }
            }
            signals::reset();
            Ok(None)
        }
        child => Ok(Some(child)),
    }
}

/// Forwards signals to the program and reaps whatever dies, until the program has ended; then ends as it did.
pub(super) fn serve(program: i32) -> ! {
    descriptors::close_all();
    // SAFETY: the name is NUL-terminated and at most 16 bytes.
    unsafe { libc::prctl(libc::PR_SET_NAME, c"brig-init".as_ptr(), 0, 0, 0) };
    loop {
        match signals::wait() {
            libc::SIGCHLD => {
                if let Some(code) = reap(program) {
                    super::execute::exit(code);
                }
            }
            signal if NOT_FORWARDED.contains(&signal) => {}
            signal => {
                // SAFETY: takes integers. The program is our child and not reaped yet, so the number is its own.
                unsafe { libc::kill(program, signal) };
            }
        }
    }
}

/// Reaps all that is dead. The exit code when the program is among it.
fn reap(program: i32) -> Option<i32> {
    let mut code = None;
    loop {
        let mut status = 0;
        // SAFETY: status outlives the call.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        if pid <= 0 {
            return code;
        }
        if pid == program {
            code = Some(exit_code(status));
        }
    }
}

fn exit_code(status: i32) -> i32 {
    if libc::WIFSIGNALED(status) { 128 + libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_a_shells() {
        assert_eq!(exit_code(3 << 8), 3);
        assert_eq!(exit_code(libc::SIGKILL), 137);
        assert_eq!(exit_code(libc::SIGTERM | 0x80), 143, "with a core dump");
    }
}
