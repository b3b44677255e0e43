//! Waiting for a runtime to call, which it never does when it has failed before.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::unix::net::{UnixListener, UnixStream};

/// How long a call may take to come on a busy machine.
const PATIENCE: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };

/// The next connection.
#[track_caller]
pub(crate) fn connection(listener: &UnixListener) -> UnixStream {
    let ready = poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&PATIENCE)).expect("to wait");
    assert!(ready > 0, "nobody called within {} s", PATIENCE.tv_sec);
    listener.accept().expect("a connection").0
}
