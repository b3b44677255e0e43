//! The packet that asks the zygote for a shim.

use super::ShimFds;
use oci_spec::runtime::LinuxNamespaceType;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

const VERSION: u8 = 1;
/// One of each namespace type at most, the turn, and the control connection.
const MAX_FDS: usize = 2 + NAMESPACES.len();
/// The code of [`Packet::turn`].
const TURN: u8 = 0xff;

/// A namespace's place here is its code in the packet.
const NAMESPACES: [LinuxNamespaceType; 8] = [
    LinuxNamespaceType::Mount,
    LinuxNamespaceType::Cgroup,
    LinuxNamespaceType::Uts,
    LinuxNamespaceType::Ipc,
    LinuxNamespaceType::User,
    LinuxNamespaceType::Pid,
    LinuxNamespaceType::Network,
    LinuxNamespaceType::Time,
];

/// What the zygote got.
#[derive(Debug)]
pub(super) struct Packet {
    /// The new shim's control connection.
    pub(super) control: OwnedFd,
    /// The namespaces its container joins.
    pub(super) joins: Vec<(LinuxNamespaceType, OwnedFd)>,
    /// What the shim holds as long as it lives.
    pub(super) turn: Option<OwnedFd>,
}

pub(super) fn send(socket: BorrowedFd<'_>, control: BorrowedFd<'_>, given: &ShimFds) -> io::Result<()> {
    let mut bytes = vec![VERSION];
    let mut fds = vec![control];
    if let Some(turn) = &given.turn {
        bytes.push(TURN);
        fds.push(turn.as_fd());
    }
    for (kind, fd) in &given.joins {
        let code = NAMESPACES.iter().position(|n| n == kind).expect("every namespace type has a code");
        bytes.push(code as u8);
        fds.push(fd.as_fd());
    }
    if fds.len() > MAX_FDS {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "more than one descriptor a namespace"));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(io::Error::other("descriptors do not fit the packet"));
    }
    loop {
        match rustix::net::sendmsg(socket, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::NOSIGNAL) {
            Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(e) => return Err(e.into()),
        }
    }
}

/// The next packet; `None` when the daemon is gone. A packet that makes no sense is dropped with its descriptors.
pub(super) fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<Packet>> {
    loop {
        let mut bytes = [0u8; MAX_FDS];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut into = [IoSliceMut::new(&mut bytes)];
        let got = match rustix::net::recvmsg(socket, &mut into, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => continue,
            got => got?,
        };
        let mut fds = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        if got.bytes == 0 {
            return Ok(None);
        }
        if let Some(packet) = parse(&bytes[..got.bytes], fds) {
            return Ok(Some(packet));
        }
    }
}

fn parse(bytes: &[u8], fds: Vec<OwnedFd>) -> Option<Packet> {
    let (&version, codes) = bytes.split_first()?;
    if version != VERSION || fds.len() != codes.len() + 1 {
        return None;
    }
    let mut fds = fds.into_iter();
    let control = fds.next()?;
    let mut packet = Packet { control, joins: Vec::new(), turn: None };
    for (&code, fd) in codes.iter().zip(fds) {
        match code {
            TURN => packet.turn = Some(fd),
            code => packet.joins.push((*NAMESPACES.get(usize::from(code))?, fd)),
        }
    }
    Some(packet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
    }

    #[test]
    fn a_packet_crosses_with_its_descriptors() {
        let (a, b) = pair();
        let (control, _peer) = pair();
        let net = std::fs::File::open("/proc/self/ns/net").unwrap().into();
        let turn = std::fs::File::open("/dev/null").unwrap().into();
        let given = ShimFds { joins: vec![(LinuxNamespaceType::Network, net)], turn: Some(turn) };
        send(a.as_fd(), control.as_fd(), &given).unwrap();
        let packet = receive(b.as_fd()).unwrap().unwrap();
        assert_eq!((packet.joins.len(), packet.turn.is_some()), (1, true));
        assert_eq!(packet.joins[0].0, LinuxNamespaceType::Network);
        drop(a);
        assert!(receive(b.as_fd()).unwrap().is_none());
    }

    #[test]
    fn nonsense_is_skipped() {
        let (a, b) = pair();
        let (control, _peer) = pair();
        for bad in [&[9u8][..], &[VERSION], &[VERSION, 200], &[VERSION, 0]] {
            rustix::io::write(&a, bad).unwrap();
        }
        send(a.as_fd(), control.as_fd(), &ShimFds::default()).unwrap();
        let packet = receive(b.as_fd()).unwrap().unwrap();
        assert!(packet.joins.is_empty() && packet.turn.is_none());
    }
}
