//! From a child that sits in the container's namespaces to the container's program: working folder, limits, user,
//! capabilities, seccomp, `execve`. The same for the first process and for those that join later.

mod attributes;
mod execute;
mod home;
mod identity;
mod labels;
mod limits;
mod lookup;
mod reaper;
mod signals;

pub(crate) use attributes::set_affinity;
pub(crate) use execute::{Executable, exit, prepare};
pub(crate) use identity::become_owner;
pub(crate) use limits::raise as raise_hard_limits;
pub(crate) use signals::{end_by_them as end_by_signals, reset as reset_signals};

use crate::error::{Errno, Error};
use crate::options::Departures;

/// `KEYCTL_JOIN_SESSION_KEYRING` of `linux/keyctl.h`.
const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;

/// Leaves the caller's session keyring for a fresh one: keys are in no namespace.
pub(crate) fn new_session_keyring(departures: Departures) -> Result<(), Error> {
    if departures.keep_keyring {
        return Ok(());
    }
    let anonymous = std::ptr::null::<libc::c_char>();
    // SAFETY: a null name asks for an anonymous keyring; nothing else is read.
    let r = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, anonymous) };
    match Errno::last() {
        _ if r >= 0 => Ok(()),
        // A kernel without keys, or brig itself in a container whose filter forbids them: nothing can be handed on.
        Errno(libc::ENOSYS | libc::EPERM) => Ok(()),
        errno => Err(Error::step("join session keyring", errno)),
    }
}
