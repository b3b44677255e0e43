//! Where a seccomp filter's notifications come from: the descriptor is made in the process under the filter, which can't
//! be counted on to send it (the filter may notify of that very call). It says the number, and the descriptor is
//! fetched.

use crate::channel::{Channel, Order};
use crate::error::{Errno, Error};
use crate::options::ExecTarget;
use rustix::process::{PidfdGetfdFlags, pidfd_getfd};
use std::os::fd::OwnedFd;

/// Takes the descriptor of the process of this number, as the caller's pid namespace has it. The process goes on when it
/// returns.
pub type Listening<'a> = &'a mut dyn FnMut(i32, OwnedFd) -> Result<(), Error>;

/// For who has refused filters that notify.
pub(crate) fn nobody(_: i32, _: OwnedFd) -> Result<(), Error> {
    Err(Error::Unsupported("seccomp user notification".into()))
}

/// Parent: fetches the descriptor, hands it to `listening`, and lets the process go on.
pub(crate) fn take(
    process: ExecTarget<'_>,
    number: i32,
    listening: Listening<'_>,
    channel: &Channel,
) -> Result<(), Error> {
    let fetched = pidfd_getfd(process.pidfd, number, PidfdGetfdFlags::empty());
    let listener = fetched.map_err(|e| match e {
        rustix::io::Errno::PERM | rustix::io::Errno::NOSYS => Error::step(
            "fetch the seccomp listener (it takes CAP_SYS_PTRACE over the container and Linux 5.6)",
            Errno::from(e),
        ),
        e => Error::step("fetch the seccomp listener", e),
    })?;
    listening(process.pid, listener)?;
    channel.order(Order::Listened, None);
    Ok(())
}
