//! As much of rtnetlink as moving an interface takes.

use crate::error::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with,
};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

const HEADER: usize = 16;
const LINK_BODY: usize = 16;
const ADDRESS_BODY: usize = 8;
const ERROR: u16 = libc::NLMSG_ERROR as u16;
const DONE: u16 = libc::NLMSG_DONE as u16;
const REQUEST: u16 = libc::NLM_F_REQUEST as u16;
const ACKNOWLEDGED: u16 = libc::NLM_F_ACK as u16;
const DUMP: u16 = libc::NLM_F_DUMP as u16;
const CREATE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
const UP: u32 = libc::IFF_UP as u32;

/// An interface.
pub(super) struct Link {
    pub(super) index: u32,
    pub(super) is_up: bool,
}

/// An address of an interface, as the kernel tells it.
pub(super) struct Address {
    family: u8,
    prefix: u8,
    flags: u32,
    scope: u8,
    /// Attributes that make it what it is: kind and payload.
    parts: Vec<(u16, Vec<u8>)>,
}

impl Address {
    /// Whether it was given for good, and is not just for where the interface was.
    pub(super) fn goes_along(&self) -> bool {
        self.flags & libc::IFA_F_PERMANENT != 0 && self.scope == libc::RT_SCOPE_UNIVERSE
    }
}

/// A socket, which belongs to the network namespace that it was opened in.
#[derive(Debug)]
pub(super) struct Rtnl {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Rtnl {
    pub(super) fn open() -> Result<Self, Errno> {
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, 0))?;
        // Larger than any datagram of a dump.
        Ok(Self { socket, buffer: vec![0; 64 << 10] })
    }

    /// The interface of a name.
    pub(super) fn link(&mut self, name: &str) -> Result<Link, Errno> {
        let mut request = Message::new(libc::RTM_GETLINK, ACKNOWLEDGED, &link_body(0, 0, 0));
        request.text(libc::IFLA_IFNAME, name);
        let mut found = None;
        self.exchange(request, |kind, body| {
            if kind == libc::RTM_NEWLINK
                && let (Some(index), Some(flags)) = (read_u32(body, 4), read_u32(body, 8))
            {
                found = Some(Link { index, is_up: flags & UP != 0 });
            }
        })?;
        found.ok_or(Errno(libc::ENODEV))
    }

    /// The addresses of an interface.
    pub(super) fn addresses(&mut self, index: u32) -> Result<Vec<Address>, Errno> {
        let request = Message::new(libc::RTM_GETADDR, DUMP, &[0; ADDRESS_BODY]);
        let mut found = Vec::new();
        self.exchange(request, |kind, body| {
            if kind == libc::RTM_NEWADDR && read_u32(body, 4) == Some(index) {
                found.extend(address(body));
            }
        })?;
        Ok(found)
    }

    /// Hands an interface over to another network namespace, where it has a new name from the first moment.
    pub(super) fn send_away(&mut self, index: u32, to: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
        let mut request = Message::new(libc::RTM_NEWLINK, ACKNOWLEDGED, &link_body(index, 0, 0));
        request.attribute(libc::IFLA_NET_NS_FD, &to.as_raw_fd().to_ne_bytes());
        request.text(libc::IFLA_IFNAME, name);
        self.exchange(request, |_, _| {})
    }

    pub(super) fn add_address(&mut self, index: u32, address: &Address) -> Result<(), Errno> {
        // Whether it is in use already is found out anew.
        let kept = address.flags & (libc::IFA_F_NODAD | libc::IFA_F_NOPREFIXROUTE);
        let mut body = [address.family, address.prefix, (kept & 0xff) as u8, address.scope, 0, 0, 0, 0];
        body[4..].copy_from_slice(&index.to_ne_bytes());
        let mut request = Message::new(libc::RTM_NEWADDR, ACKNOWLEDGED | CREATE, &body);
        address.parts.iter().for_each(|(kind, payload)| request.attribute(*kind, payload));
        request.attribute(libc::IFA_FLAGS, &kept.to_ne_bytes());
        self.exchange(request, |_, _| {})
    }

    pub(super) fn switch_on(&mut self, index: u32) -> Result<(), Errno> {
        self.exchange(Message::new(libc::RTM_NEWLINK, ACKNOWLEDGED, &link_body(index, UP, UP)), |_, _| {})
    }

    /// Sends a message and hands on what comes back, until the kernel says that this was all.
    fn exchange(&mut self, request: Message, mut each: impl FnMut(u16, &[u8])) -> Result<(), Errno> {
        send(&self.socket, &request.finish(), SendFlags::empty())?;
        loop {
            let length = match recv(&self.socket, &mut self.buffer[..], RecvFlags::empty()) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other?.0,
            };
            let mut rest = &self.buffer[..length];
            while let Some((kind, body, next)) = message(rest) {
                match kind {
                    DONE => return Ok(()),
                    ERROR => {
                        return match read_u32(body, 0).map(|code| (code as i32).wrapping_neg()) {
                            Some(0) => Ok(()),
                            Some(errno) => Err(Errno(errno)),
                            None => Err(Errno(libc::EBADMSG)),
                        };
                    }
                    _ => each(kind, body),
                }
                rest = next;
            }
        }
    }
}

/// A request in the making.
struct Message(Vec<u8>);

impl Message {
    fn new(kind: u16, flags: u16, body: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(REQUEST | flags).to_ne_bytes());
        bytes.extend_from_slice(body);
        Self(bytes)
    }

    /// Appends an attribute. None is longer than an address or a name.
    fn attribute(&mut self, kind: u16, payload: &[u8]) {
        let length = (4 + payload.len()) as u16;
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(payload);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn text(&mut self, kind: u16, text: &str) {
        self.attribute(kind, &[text.as_bytes(), &[0]].concat());
    }

    fn finish(mut self) -> Vec<u8> {
        let length = self.0.len() as u32;
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0
    }
}

/// `struct ifinfomsg`: index, flags and which of them are meant.
fn link_body(index: u32, flags: u32, mask: u32) -> [u8; LINK_BODY] {
    let mut body = [0; LINK_BODY];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body[8..12].copy_from_slice(&flags.to_ne_bytes());
    body[12..16].copy_from_slice(&mask.to_ne_bytes());
    body
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_ne_bytes)
}

/// The first message: its kind, what follows its header, and what follows it.
fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = usize::try_from(read_u32(bytes, 0)?).ok()?;
    let body = bytes.get(HEADER..length)?;
    Some((read_u16(bytes, 4)?, body, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

/// `struct ifaddrmsg` and its attributes.
fn address(body: &[u8]) -> Option<Address> {
    let &[family, prefix, flags, scope, ..] = body.first_chunk::<ADDRESS_BODY>()?;
    let mut address = Address { family, prefix, flags: flags.into(), scope, parts: Vec::new() };
    let mut rest = &body[ADDRESS_BODY..];
    while let (Some(length), Some(kind)) = (read_u16(rest, 0), read_u16(rest, 2)) {
        let payload = rest.get(4..length.into())?;
        match kind {
            libc::IFA_LOCAL | libc::IFA_ADDRESS | libc::IFA_BROADCAST => {
                address.parts.push((kind, payload.to_vec()))
            }
            libc::IFA_FLAGS => address.flags = read_u32(payload, 0)?,
            _ => {}
        }
        rest = rest.get(usize::from(length).next_multiple_of(4)..).unwrap_or_default();
    }
    Some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_loopback_interface() {
        let mut rtnl = Rtnl::open().unwrap();
        let lo = rtnl.link("lo").unwrap();
        let addresses = rtnl.addresses(lo.index).unwrap();
        assert!(addresses.iter().all(|address| !address.goes_along()), "they are of scope host");
        assert!(
            !lo.is_up || addresses.iter().any(|a| a.parts.contains(&(libc::IFA_LOCAL, vec![127, 0, 0, 1])))
        );
    }

    #[test]
    fn what_is_not_there() {
        assert_eq!(Rtnl::open().unwrap().link("no-such-link").err(), Some(Errno(libc::ENODEV)));
    }

    #[test]
    fn damaged_answers_end_the_reading() {
        for bytes in [&[0u8; 3][..], &[200, 0, 0, 0, 9, 9], &[4, 0, 0, 0, 1, 0, 0, 0]] {
            assert!(message(bytes).is_none(), "{bytes:?}");
        }
        assert!(address(&[2, 8, 0]).is_none());
        assert!(address(&[2, 8, 0, 0, 1, 0, 0, 0, 200, 0, 1, 0]).is_none());
    }
}
