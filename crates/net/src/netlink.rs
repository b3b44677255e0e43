//! Netlink: messages written by hand and the socket that carries them. Nothing of it blocks for long: the kernel
//! works requests off while they are being sent.

use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, bind, netlink::SocketAddrNetlink,
    recv, send, socket_with, sockopt,
};
use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
    time::Duration,
};

const HEADER: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// The message is a request; all of them are.
pub const NLM_F_REQUEST: u16 = 1;
/// The kernel answers with an acknowledgement.
pub const NLM_F_ACK: u16 = 4;
/// All objects are asked for.
pub const NLM_F_DUMP: u16 = 0x300;
/// The request fails when the object exists.
pub const NLM_F_EXCL: u16 = 0x200;
/// The object is made when it does not exist.
pub const NLM_F_CREATE: u16 = 0x400;
/// The object goes to the end of its list.
pub const NLM_F_APPEND: u16 = 0x800;
const NLA_F_NESTED: u16 = 1 << 15;
const NLA_TYPE_MASK: u16 = 0x3fff;

/// Writes messages one after another into one buffer.
#[derive(Debug, Default, Clone)]
pub struct Writer {
    buffer: Vec<u8>,
    messages: u32,
    last: usize,
}

impl Writer {
    /// Appends a message; `body` writes its fixed part and its attributes. Sequence numbers count from zero.
    pub fn message(&mut self, kind: u16, flags: u16, body: impl FnOnce(&mut Self)) {
        let start = self.buffer.len();
        self.last = start;
        self.buffer.extend_from_slice(&[0; HEADER]);
        body(self);
        let length = u32::try_from(self.buffer.len() - start).expect("messages are far below 4 GiB");
        let header = &mut self.buffer[start..start + HEADER];
        header[0..4].copy_from_slice(&length.to_ne_bytes());
        header[4..6].copy_from_slice(&kind.to_ne_bytes());
        header[6..8].copy_from_slice(&(flags | NLM_F_REQUEST).to_ne_bytes());
        header[8..12].copy_from_slice(&self.messages.to_ne_bytes());
        self.messages += 1;
        self.pad();
    }

    /// Asks for an acknowledgement of the last message.
    pub fn acknowledge_last(&mut self) {
        if let Some(flags) = self.buffer.get_mut(self.last + 6) {
            *flags |= NLM_F_ACK.to_ne_bytes()[0];
        }
    }

    /// Appends bytes as they are (a message's fixed part).
    pub fn raw(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Appends an attribute.
    pub fn attr(&mut self, kind: u16, payload: &[u8]) {
        self.attr_with(kind, |w| w.raw(payload));
    }

    /// Appends an attribute whose payload `body` writes: bytes, or more attributes.
    pub fn attr_with(&mut self, kind: u16, body: impl FnOnce(&mut Self)) {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; 4]);
        body(self);
        let length = u16::try_from(self.buffer.len() - start).expect("attributes are split before 64 KiB");
        self.buffer[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.buffer[start + 2..start + 4].copy_from_slice(&kind.to_ne_bytes());
        self.pad();
    }

    /// Appends an attribute that holds attributes, marked so.
    pub fn nest(&mut self, kind: u16, body: impl FnOnce(&mut Self)) {
        self.attr_with(kind | NLA_F_NESTED, body);
    }

    /// Appends a text with its terminating zero.
    pub fn text(&mut self, kind: u16, text: &str) {
        self.attr_with(kind, |w| {
            w.raw(text.as_bytes());
            w.raw(&[0]);
        });
    }

    /// Appends a number in the machine's byte order, as rtnetlink wants it.
    pub fn number(&mut self, kind: u16, number: u32) {
        self.attr(kind, &number.to_ne_bytes());
    }

    /// Appends a number in network byte order, as nfnetlink wants it.
    pub fn number_be(&mut self, kind: u16, number: u32) {
        self.attr(kind, &number.to_be_bytes());
    }

    /// Number of messages so far.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.messages
    }

    /// What was written.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    fn pad(&mut self) {
        while !self.buffer.len().is_multiple_of(4) {
            self.buffer.push(0);
        }
    }
}

/// The attributes in `bytes`, as far as they are whole.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let header = rest.first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]) & NLA_TYPE_MASK;
        let payload = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, payload))
    })
}

/// The first attribute of this kind.
#[must_use]
pub fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(k, _)| *k == kind).map(|(_, payload)| payload)
}

/// A number in the machine's byte order at the start of `bytes`.
#[must_use]
pub fn read_u32(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().copied().map(u32::from_ne_bytes)
}

/// A text up to its first zero.
#[must_use]
pub fn read_text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// One message as read: its kind, its sequence number and what follows the header.
#[derive(Debug)]
struct Message<'a> {
    kind: u16,
    sequence: u32,
    body: &'a [u8],
}

fn messages(bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let header = rest.get(..HEADER)?;
        let length = usize::try_from(read_u32(header)?).ok()?;
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        let sequence = read_u32(&header[8..])?;
        let body = rest.get(HEADER..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Message { kind, sequence, body })
    })
}

/// Message `index` of a batch was refused.
#[derive(Debug)]
pub struct Refused {
    /// Which message, counted from zero.
    pub index: u32,
    /// Why.
    pub source: io::Error,
}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> Self {
        refused.source
    }
}

impl From<io::Error> for Refused {
    fn from(source: io::Error) -> Self {
        Self { index: 0, source }
    }
}

impl From<rustix::io::Errno> for Refused {
    fn from(source: rustix::io::Errno) -> Self {
        Self { index: 0, source: source.into() }
    }
}

/// A netlink socket. It belongs for good to the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    /// Large enough for any datagram the kernel makes (dumps come in up to 32 KiB).
    buffer: Vec<u8>,
}

/// The kernel's largest dump datagram.
const RECEIVE: usize = 32 << 10;

impl Socket {
    /// A socket for links, addresses and routes.
    pub fn route() -> io::Result<Self> {
        // NETLINK_ROUTE is protocol 0.
        Self::open(None)
    }

    /// A socket for nftables.
    pub fn netfilter() -> io::Result<Self> {
        Self::open(Some(rustix::net::netlink::NETFILTER))
    }

    /// A socket that is told of changes: of those of `group` (`RTNLGRP_*`), from now on. It waits for at most `patience`
    /// for one.
    pub fn listen(group: u32, patience: Duration) -> io::Result<Self> {
        let socket = Self::route()?;
        sockopt::set_socket_timeout(&socket.fd, sockopt::Timeout::Recv, Some(patience))?;
        let length = libc::socklen_t::try_from(size_of_val(&group)).expect("four");
        // SAFETY: the descriptor is open, and `group` is a readable int of the length given.
        let joined = unsafe {
            libc::setsockopt(
                socket.fd.as_raw_fd(),
                libc::SOL_NETLINK,
                libc::NETLINK_ADD_MEMBERSHIP,
                (&raw const group).cast(),
                length,
            )
        };
        if joined == 0 { Ok(socket) } else { Err(io::Error::last_os_error()) }
    }

    /// Waits for a change that `wanted` knows, by kind and body; `false` when it does not come in time.
    pub fn wait_for(&mut self, mut wanted: impl FnMut(u16, &[u8]) -> bool) -> io::Result<bool> {
        while let Some(bytes) = self.receive(RecvFlags::empty())? {
            if messages(bytes).any(|message| wanted(message.kind, message.body)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn open(protocol: Option<Protocol>) -> io::Result<Self> {
        let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
        bind(&fd, &SocketAddrNetlink::new(0, 0))?;
        Ok(Self { fd, buffer: Vec::new() })
    }

    /// Sends all messages at once and reads the answers: the first refusal, or done. At least one of the messages
    /// must ask for an acknowledgement.
    pub fn transact(&mut self, batch: &Writer) -> Result<(), Refused> {
        self.send(batch.bytes())?;
        let mut refused: Option<Refused> = None;
        let mut acknowledged = false;
        // The kernel has worked the batch off by the time that send returns: the answers are all queued.
        while let Some(bytes) = self.receive(RecvFlags::DONTWAIT)? {
            for message in messages(bytes).filter(|m| m.kind == NLMSG_ERROR) {
                match error_of(message.body) {
                    Some(source) if refused.is_none() => {
                        refused = Some(Refused { index: message.sequence, source });
                    }
                    Some(_) => {}
                    None => acknowledged = true,
                }
            }
        }
        match refused {
            Some(refused) => Err(refused),
            None if acknowledged => Ok(()),
            None => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "no acknowledgement").into()),
        }
    }

    /// Sends one message and hands what comes back to `each`, kind and body, until the kernel says that it is done.
    pub fn query(&mut self, request: &Writer, mut each: impl FnMut(u16, &[u8])) -> io::Result<()> {
        self.send(request.bytes())?;
        loop {
            let Some(bytes) = self.receive(RecvFlags::empty())? else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            for message in messages(bytes) {
                match message.kind {
                    NLMSG_DONE => return Ok(()),
                    NLMSG_ERROR => return error_of(message.body).map_or(Ok(()), Err),
                    kind => each(kind, message.body),
                }
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        // What an earlier, failed exchange left unread must not be taken for an answer.
        while self.receive(RecvFlags::DONTWAIT)?.is_some() {}
        // The kernel takes a batch in one piece or not at all; the default limit is 208 KiB.
        if bytes.len() > 64 << 10 {
            sockopt::set_socket_send_buffer_size_force(&self.fd, bytes.len() * 2)?;
        }
        let sent = send(&self.fd, bytes, SendFlags::empty())?;
        if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    /// One datagram, or `None` when `flags` say not to wait and there is none.
    fn receive(&mut self, flags: RecvFlags) -> io::Result<Option<&[u8]>> {
        self.buffer.resize(RECEIVE, 0);
        loop {
            match recv(&self.fd, &mut self.buffer[..], flags | RecvFlags::TRUNC) {
                Ok((_, length)) if length > RECEIVE => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "datagram too long"));
                }
                Ok((_, length)) => return Ok(Some(&self.buffer[..length])),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return Ok(None),
                Err(e) => return Err(e.into()),
            }
        }
    }
}

/// The error in an answer; `None` for an acknowledgement.
fn error_of(body: &[u8]) -> Option<io::Error> {
    match body.first_chunk().copied().map(i32::from_ne_bytes) {
        Some(0) => None,
        Some(errno) => Some(io::Error::from_raw_os_error(errno.wrapping_neg())),
        None => Some(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_read_back() {
        let mut w = Writer::default();
        w.message(16, 0, |w| {
            w.raw(&[1, 2, 3, 4]);
            w.text(3, "eth0");
            w.nest(18, |w| w.number(1, 7));
        });
        let message = messages(w.bytes()).next().unwrap();
        assert_eq!((message.kind, message.sequence), (16, 0));
        let attrs = &message.body[4..];
        assert_eq!(read_text(find(attrs, 3).unwrap()), "eth0");
        assert_eq!(find(find(attrs, 18).unwrap(), 1).and_then(read_u32), Some(7));
        assert_eq!(find(attrs, 9), None);
    }

    #[test]
    fn damaged_input_ends_the_iteration() {
        for bytes in [&[0u8; 3][..], &[0, 0, 1, 0], &[200, 0, 1, 0, 9], &[3, 0, 1, 0]] {
            assert_eq!(attributes(bytes).count(), 0, "{bytes:?}");
            assert_eq!(messages(bytes).count(), 0);
        }
        let mut short = [0u8; 16];
        short[0] = 4;
        assert_eq!(messages(&short).count(), 0);
    }

    #[test]
    fn a_refusal_names_the_message() {
        let mut socket = Socket::route().unwrap();
        let mut w = Writer::default();
        // RTM_GETLINK by an index that no link has.
        w.message(18, NLM_F_ACK, |w| {
            let mut info = [0u8; 16];
            info[4..8].copy_from_slice(&i32::MAX.to_ne_bytes());
            w.raw(&info);
        });
        let refused = socket.transact(&w).unwrap_err();
        assert_eq!((refused.index, refused.source.raw_os_error()), (0, Some(libc::ENODEV)));
    }
}
