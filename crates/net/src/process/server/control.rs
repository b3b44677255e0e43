//! What the daemon asks for.

use super::{Server, Source};
use crate::{
    PortBinding, Protocol,
    process::{
        listen,
        protocol::{MAX_PORTS, RESOLVER_DESCRIPTORS, Reply, Request, VERSION, decode, encode, take_frame},
        slab::Token,
        udp,
    },
};
use rustix::{
    event::epoll::{self, EventData, EventFlags},
    io::Errno,
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg},
};
use std::{
    io::{self, IoSliceMut, Write},
    mem::MaybeUninit,
    ops::Bound,
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
};

/// Control connections at a time: one daemon has two.
const MAX_PEERS: usize = 16;

/// A control connection.
#[derive(Debug)]
pub(super) struct Peer {
    stream: UnixStream,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Descriptors that came with the request that is being read.
    descriptors: Vec<OwnedFd>,
}

impl Server {
    pub(super) fn accept_peer(&mut self, listener: &UnixListener) -> bool {
        while self.peers < MAX_PEERS {
            let Ok((stream, _)) = listener.accept() else { return true };
            let token = self.sources.reserve();
            if stream.set_nonblocking(true).is_err() || self.watch(&stream, token, EventFlags::IN).is_err() {
                self.sources.remove(token);
                continue;
            }
            self.peers += 1;
            let peer = Peer { stream, input: Vec::new(), output: Vec::new(), descriptors: Vec::new() };
            self.sources.put(token, Source::Peer(peer));
        }
        // The others wait in the kernel's queue until one leaves.
        let none = EventFlags::empty();
        epoll::modify(&self.epoll, listener, EventData::new_u64(self.control.0), none).is_ok()
    }

    pub(super) fn control_interest(&mut self) {
        if let Some(Source::Control(listener)) = self.sources.get_mut(self.control) {
            // It fails only for a socket that isn't watched, and this one is.
            let _ = epoll::modify(&self.epoll, listener, EventData::new_u64(self.control.0), EventFlags::IN);
        }
    }

    /// Reads requests and answers them, as long as the peer takes the answers.
    pub(super) fn serve(&mut self, peer: &mut Peer, token: Token) -> bool {
        let mut chunk = [0; 16 << 10];
        loop {
            match peer.flush() {
                Ok(true) => {}
                Ok(false) => return self.interest(peer, token, EventFlags::OUT),
                Err(_) => return false,
            }
            match take_frame(&mut peer.input) {
                Ok(Some(frame)) => {
                    let descriptors = std::mem::take(&mut peer.descriptors);
                    let reply = match decode(&frame) {
                        Ok(request) => self.answer(request, descriptors),
                        Err(_) => Reply::Unknown,
                    };
                    match encode(&reply) {
                        Ok(frame) => peer.output = frame,
                        Err(_) => return false,
                    }
                    continue;
                }
                Ok(None) => {}
                Err(_) => return false,
            }
            match peer.receive(&mut chunk) {
                Ok(0) => return false,
                Ok(length) => peer.input.extend_from_slice(&chunk[..length]),
                Err(Errno::AGAIN) => return self.interest(peer, token, EventFlags::IN),
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }

    fn interest(&self, peer: &Peer, token: Token, flags: EventFlags) -> bool {
        epoll::modify(&self.epoll, &peer.stream, EventData::new_u64(token.0), flags).is_ok()
    }

    fn answer(&mut self, request: Request, descriptors: Vec<OwnedFd>) -> Reply {
        match request {
            Request::Hello => Reply::Hello { version: VERSION, pid: std::process::id().cast_signed() },
            Request::Reserve { ports, proxy } => match self.reserve(&ports, proxy) {
                Ok(()) => Reply::Done,
                Err((index, errno)) => Reply::Refused { index, errno: errno.raw_os_error() },
            },
            Request::Release { ports } => {
                for port in ports {
                    self.release(&port);
                }
                Reply::Done
            }
            Request::List { after } => {
                let from = after.map_or(Bound::Unbounded, Bound::Excluded);
                let mut rest = self.ports.range((from, Bound::Unbounded)).map(|(port, _)| *port);
                let ports = rest.by_ref().take(MAX_PORTS).collect();
                Reply::Ports { ports, more: rest.next().is_some() }
            }
            Request::Resolve { resolver } => self.resolve(resolver, descriptors),
            Request::Forsake { resolver } => {
                self.forsake(&resolver);
                Reply::Done
            }
            Request::Names { network, name, anew, hosts } => {
                self.names.zones.network(network, &name, anew);
                for host in hosts {
                    self.names.zones.add(network, host);
                }
                Reply::Done
            }
            Request::Forget { network, endpoint } => {
                self.names.zones.remove(&network, &endpoint);
                Reply::Done
            }
            Request::Retain { resolvers, networks } => {
                self.forsake_others(&resolvers);
                self.names.zones.retain(&networks);
                Reply::Done
            }
            Request::Shutdown if self.ports.is_empty() && self.names.is_idle() => {
                self.over = true;
                Reply::Done
            }
            Request::Shutdown => Reply::Busy { ports: self.ports.len(), resolvers: self.names.resolvers() },
        }
    }

    fn reserve(&mut self, ports: &[PortBinding], proxy: bool) -> Result<(), (usize, Errno)> {
        let mut opened = Vec::new();
        for (index, port) in ports.iter().enumerate() {
            if self.ports.contains_key(port) {
                continue;
            }
            match self.open(port, proxy) {
                Ok(token) => {
                    self.ports.insert(*port, token);
                    opened.push(*port);
                }
                Err(errno) => {
                    for port in &opened {
                        self.release(port);
                    }
                    return Err((index, errno));
                }
            }
        }
        Ok(())
    }

    fn open(&mut self, port: &PortBinding, proxy: bool) -> Result<Token, Errno> {
        let socket = listen::open(port)?;
        let token = self.sources.reserve();
        let watched = match &socket {
            Some(socket) if proxy && port.protocol != Protocol::Sctp => {
                // While connections are over their limit, a new listener waits with the others.
                let flags = match port.protocol {
                    Protocol::Tcp if !self.accepting => EventFlags::empty(),
                    _ => EventFlags::IN,
                };
                self.watch(socket, token, flags)
            }
            _ => Ok(()),
        };
        if let Err(errno) = watched {
            self.sources.remove(token);
            return Err(errno);
        }
        let source = match (socket, port.protocol) {
            (Some(socket), Protocol::Tcp) if proxy => Source::Tcp { port: *port, socket },
            (Some(socket), Protocol::Udp) if proxy => {
                Source::Udp(udp::Listener { port: *port, socket, clients: Default::default() })
            }
            (socket, _) => Source::Silent { _socket: socket },
        };
        self.sources.put(token, source);
        Ok(token)
    }

    pub(super) fn release(&mut self, port: &PortBinding) {
        let Some(token) = self.ports.remove(port) else { return };
        self.drop_source(token);
        let of_port = |(token, source): (Token, &Source)| match source {
            Source::Pair(pair) if pair.port == *port => Some(token),
            _ => None,
        };
        for pair in self.sources.iter().filter_map(of_port).collect::<Vec<_>>() {
            self.drop_source(pair);
        }
    }
}

impl Peer {
    /// Reads bytes, and keeps descriptors that come with them.
    fn receive(&mut self, chunk: &mut [u8]) -> Result<usize, Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(RESOLVER_DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut into = [IoSliceMut::new(chunk)];
        let received = recvmsg(&self.stream, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
            }
        }
        // No request has more.
        self.descriptors.truncate(RESOLVER_DESCRIPTORS);
        Ok(received.bytes)
    }

    /// Whether all was written.
    fn flush(&mut self) -> io::Result<bool> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(length) => drop(self.output.drain(..length)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }
}
