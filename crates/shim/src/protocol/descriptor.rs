//! A descriptor on its way through a connection, between two frames.

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// The byte that a descriptor comes with.
const BYTE: u8 = b'd';

/// Sends one.
///
/// # Errors
/// What `sendmsg(2)` says, a peer that is gone among it.
pub fn send_descriptor(connection: impl AsFd, fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = [fd];
    ancillary.push(SendAncillaryMessage::ScmRights(&fds));
    loop {
        match rustix::net::sendmsg(&connection, &[IoSlice::new(&[BYTE])], &mut ancillary, SendFlags::NOSIGNAL)
        {
            Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(e) => return Err(e.into()),
        }
    }
}

/// Waits for one; close-on-exec.
///
/// # Errors
/// `ECONNRESET` when the connection ends before, `EBADMSG` when something else comes, and what `recvmsg(2)` says.
pub fn receive_descriptor(connection: impl AsFd) -> io::Result<OwnedFd> {
    let mut byte = [0u8; 1];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let got = loop {
        let into = &mut [IoSliceMut::new(&mut byte)];
        match rustix::net::recvmsg(&connection, into, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            got => break got?.bytes,
        }
    };
    let fd = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    match (got, fd) {
        (0, _) => Err(rustix::io::Errno::CONNRESET.into()),
        (_, Some(fd)) if byte == [BYTE] => Ok(fd),
        _ => Err(rustix::io::Errno::BADMSG.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn one_crosses_and_nothing_else_counts() {
        let (a, b) = UnixStream::pair().unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        send_descriptor(&a, null.as_fd()).unwrap();
        let got = receive_descriptor(&b).unwrap();
        assert_eq!(rustix::fs::fstat(&got).unwrap().st_rdev, rustix::fs::fstat(&null).unwrap().st_rdev);
        rustix::io::write(&a, b"d").unwrap();
        assert_eq!(receive_descriptor(&b).unwrap_err().raw_os_error(), Some(libc::EBADMSG));
        drop(a);
        assert_eq!(receive_descriptor(&b).unwrap_err().raw_os_error(), Some(libc::ECONNRESET));
    }
}
