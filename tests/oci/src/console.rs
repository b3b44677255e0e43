//! The socket that is sent the master of a container's terminal.

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::fs::File;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// A listening console socket.
#[derive(Debug)]
pub struct Console {
    listener: UnixListener,
    path: PathBuf,
}

impl Console {
    /// Listens at a path.
    pub fn new(path: PathBuf) -> Self {
        Self { listener: UnixListener::bind(&path).expect("a socket"), path }
    }

    /// Where.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The master that was sent.
    #[track_caller]
    pub fn receive(&self) -> File {
        let connection = crate::waiting::connection(&self.listener);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut name = [0; 256];
        recvmsg(&connection, &mut [IoSliceMut::new(&mut name)], &mut control, RecvFlags::CMSG_CLOEXEC)
            .expect("a message");
        let master = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        File::from(master.expect("a descriptor"))
    }
}
