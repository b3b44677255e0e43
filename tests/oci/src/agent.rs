//! Who answers the calls that a seccomp filter notifies of.

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::Value;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// `SECCOMP_IOCTL_NOTIF_RECV` and `SECCOMP_IOCTL_NOTIF_SEND` of `linux/seccomp.h`.
const RECEIVE: u32 = 0xc050_2100;
const ANSWER: u32 = 0xc018_2101;

/// `struct seccomp_notif`.
#[repr(C)]
#[derive(Debug, Default)]
struct Notification {
    id: u64,
    pid: u32,
    flags: u32,
    number: i32,
    arch: u32,
    pointer: u64,
    arguments: [u64; 6],
}

/// `struct seccomp_notif_resp`.
#[repr(C)]
#[derive(Debug, Default)]
struct Response {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

/// A listening agent.
#[derive(Debug)]
pub struct Agent {
    listener: UnixListener,
    path: PathBuf,
}

/// The filter of one process.
#[derive(Debug)]
pub struct Notified {
    /// The specification's container process state.
    pub state: Value,
    fd: OwnedFd,
}

impl Agent {
    /// Listens at a path.
    pub fn new(path: PathBuf) -> Self {
        Self { listener: UnixListener::bind(&path).expect("a socket"), path }
    }

    /// Where.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The filter that was handed over.
    #[track_caller]
    pub fn receive(&self) -> Notified {
        let connection = crate::waiting::connection(&self.listener);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut text = vec![0; 64 * 1024];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let said = recvmsg(&connection, &mut [IoSliceMut::new(&mut text)], &mut control, flags);
        let length = said.expect("a message").bytes;
        let fd = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        let state = serde_json::from_slice(&text[..length]).expect("JSON");
        Notified { state, fd: fd.expect("a descriptor") }
    }
}

impl Notified {
    /// Waits for a call and lets it fail with an error number.
    #[track_caller]
    pub fn refuse(&self, errno: i32) {
        let mut notification = Notification::default();
        // SAFETY: the kernel writes a `seccomp_notif`, which this is.
        let r = unsafe { libc::ioctl(self.fd.as_raw_fd(), RECEIVE as _, &raw mut notification) };
        assert_eq!(r, 0, "{}", std::io::Error::last_os_error());
        let answer = Response { id: notification.id, error: -errno, ..Response::default() };
        // SAFETY: the kernel reads a `seccomp_notif_resp`, which this is.
        let r = unsafe { libc::ioctl(self.fd.as_raw_fd(), ANSWER as _, &raw const answer) };
        assert_eq!(r, 0, "{}", std::io::Error::last_os_error());
    }
}
