//! The loop of `brig net`: one thread, one epoll.

use super::{
    listen,
    protocol::{MAX_PORTS, Reply, Request, VERSION, decode, encode, take_frame},
    slab::{Slab, Token},
    tcp::{self, Next, Pair},
    udp,
};
use crate::{PortBinding, Protocol};
use rustix::{
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
    io::Errno,
    net::{SocketFlags, accept_with},
    process::{Resource, getrlimit},
};
use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, Read, Write},
    ops::Bound,
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    time::{Duration, Instant},
};

/// Control connections at a time: one daemon has two.
const MAX_PEERS: usize = 16;
/// UDP clients at a time; the one that was silent longest makes room.
const MAX_UDP_CLIENTS: usize = 1024;
/// Descriptors that connections leave for new ports and control.
const SPARE_DESCRIPTORS: usize = 64;
/// Datagrams from one socket before another one gets its turn.
const DATAGRAMS_A_TURN: usize = 32;

#[derive(Debug)]
enum Source {
    Control(UnixListener),
    Peer(Peer),
    Tcp {
        port: PortBinding,
        socket: OwnedFd,
    },
    Udp(udp::Listener),
    UdpClient {
        listener: Token,
        flow: udp::Flow,
        socket: OwnedFd,
        heard: Instant,
    },
    Pair(Pair),
    /// Held, but not carried. The socket is here to be closed in the end.
    Silent {
        _socket: Option<OwnedFd>,
    },
}

#[derive(Debug)]
struct Peer {
    stream: UnixStream,
    input: Vec<u8>,
    output: Vec<u8>,
}

#[derive(Debug)]
struct Server {
    epoll: OwnedFd,
    sources: Slab<Source>,
    control: Token,
    ports: BTreeMap<PortBinding, Token>,
    /// Connections with more to do than their turn allowed.
    again: VecDeque<Token>,
    /// One datagram.
    buffer: Vec<u8>,
    peers: usize,
    pairs: usize,
    udp_clients: usize,
    sweep: Option<Instant>,
    accepting: bool,
    over: bool,
}

/// Serves until it is told to end.
///
/// # Errors
/// When epoll fails; single connections and ports never end it.
pub fn run(control: UnixListener) -> io::Result<()> {
    control.set_nonblocking(true)?;
    let mut server = Server {
        epoll: epoll::create(CreateFlags::CLOEXEC)?,
        sources: Slab::default(),
        control: Token(0),
        ports: BTreeMap::new(),
        again: VecDeque::new(),
        buffer: Vec::new(),
        peers: 0,
        pairs: 0,
        udp_clients: 0,
        sweep: None,
        accepting: true,
        over: false,
    };
    server.control = server.sources.reserve();
    server.watch(&control, server.control, EventFlags::IN)?;
    server.sources.put(server.control, Source::Control(control));
    while !server.over {
        server.turn()?;
    }
    Ok(())
}

impl Server {
    fn watch(&self, socket: impl std::os::fd::AsFd, token: Token, flags: EventFlags) -> Result<(), Errno> {
        epoll::add(&self.epoll, socket, EventData::new_u64(token.0), flags)
    }

    fn turn(&mut self) -> io::Result<()> {
        let mut events = [const { std::mem::MaybeUninit::<Event>::uninit() }; 64];
        let ready = match epoll::wait(&self.epoll, &mut events, self.timeout().as_ref()) {
            Ok((ready, _)) => ready,
            Err(Errno::INTR) => return Ok(()),
            Err(e) => return Err(e.into()),
        };
        for event in ready {
            self.step(Token(event.data.u64()));
        }
        for _ in 0..self.again.len() {
            if let Some(token) = self.again.pop_front() {
                self.step(token);
            }
        }
        if self.sweep.is_some_and(|at| at <= Instant::now()) {
            self.forget_silent();
        }
        Ok(())
    }

    fn timeout(&self) -> Option<Timespec> {
        let wait = match self.sweep {
            _ if !self.again.is_empty() => Duration::ZERO,
            // Rounded up, so that it does not wake a moment too early.
            Some(at) => at.saturating_duration_since(Instant::now()) + Duration::from_millis(1),
            None => return None,
        };
        Timespec::try_from(wait).ok()
    }

    /// Does what a source is ready for. A source that is gone by now was in the same batch of events.
    fn step(&mut self, token: Token) {
        let Some(mut source) = self.sources.take(token) else { return };
        let stays = match &mut source {
            Source::Control(listener) => self.accept_peer(listener),
            Source::Peer(peer) => self.serve(peer, token),
            Source::Tcp { port, socket } => self.accept_client(*port, socket),
            Source::Udp(listener) => self.ask_container(listener, token),
            Source::UdpClient { listener, flow, socket, heard } => {
                self.answer_client(*listener, flow, socket, heard)
            }
            Source::Pair(pair) => match pair.advance() {
                Next::Wait => true,
                Next::Again => {
                    self.again.push_back(token);
                    true
                }
                Next::Over => false,
            },
            Source::Silent { .. } => true,
        };
        self.sources.put(token, source);
        if !stays {
            self.drop_source(token);
        }
    }

    /// Closes a source and all that hangs on it. Closing a socket takes it out of the epoll.
    fn drop_source(&mut self, token: Token) {
        match self.sources.remove(token) {
            Some(Source::Peer(_)) => {
                self.peers -= 1;
                self.control_interest();
            }
            Some(Source::Pair(_)) => {
                self.pairs -= 1;
                self.accept_again();
            }
            Some(Source::Udp(listener)) => {
                for client in listener.clients.into_values() {
                    self.drop_source(client);
                }
            }
            Some(Source::UdpClient { listener, flow, .. }) => {
                self.udp_clients -= 1;
                if let Some(Source::Udp(listener)) = self.sources.get_mut(listener) {
                    listener.clients.remove(&flow);
                }
            }
            Some(Source::Control(_) | Source::Tcp { .. } | Source::Silent { .. }) | None => {}
        }
    }

    fn accept_peer(&mut self, listener: &UnixListener) -> bool {
        while self.peers < MAX_PEERS {
            let Ok((stream, _)) = listener.accept() else { return true };
            let token = self.sources.reserve();
            if stream.set_nonblocking(true).is_err() || self.watch(&stream, token, EventFlags::IN).is_err() {
                self.sources.remove(token);
                continue;
            }
            self.peers += 1;
            let peer = Peer { stream, input: Vec::new(), output: Vec::new() };
            self.sources.put(token, Source::Peer(peer));
        }
        // The others wait in the kernel's queue until one leaves.
        let none = EventFlags::empty();
        epoll::modify(&self.epoll, listener, EventData::new_u64(self.control.0), none).is_ok()
    }

    fn control_interest(&mut self) {
        if let Some(Source::Control(listener)) = self.sources.get_mut(self.control) {
            // It fails only for a socket that isn't watched, and this one is.
            let _ = epoll::modify(&self.epoll, listener, EventData::new_u64(self.control.0), EventFlags::IN);
        }
    }

    /// Reads requests and answers them, as long as the peer takes the answers.
    fn serve(&mut self, peer: &mut Peer, token: Token) -> bool {
        let mut chunk = [0; 16 << 10];
        loop {
            match peer.flush() {
                Ok(true) => {}
                Ok(false) => return self.interest(peer, token, EventFlags::OUT),
                Err(_) => return false,
            }
            match take_frame(&mut peer.input) {
                Ok(Some(frame)) => {
                    let reply = match decode(&frame) {
                        Ok(request) => self.answer(request),
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
            match peer.stream.read(&mut chunk) {
                Ok(0) => return false,
                Ok(length) => peer.input.extend_from_slice(&chunk[..length]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    return self.interest(peer, token, EventFlags::IN);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }

    fn interest(&self, peer: &Peer, token: Token, flags: EventFlags) -> bool {
        epoll::modify(&self.epoll, &peer.stream, EventData::new_u64(token.0), flags).is_ok()
    }

    fn answer(&mut self, request: Request) -> Reply {
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
            Request::Shutdown if self.ports.is_empty() => {
                self.over = true;
                Reply::Done
            }
            Request::Shutdown => Reply::Busy { ports: self.ports.len() },
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

    fn release(&mut self, port: &PortBinding) {
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

    fn accept_client(&mut self, port: PortBinding, socket: &OwnedFd) -> bool {
        loop {
            if self.pairs >= self.most_pairs() {
                self.accept_no_more();
                // The caller puts this listener back only afterwards: it is out of reach for the loop above.
                self.listener_interest(socket, port, EventFlags::empty());
                return true;
            }
            match accept_with(socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(client) => self.start_pair(port, client),
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) if self.pairs > 0 => {
                    self.accept_no_more();
                    self.listener_interest(socket, port, EventFlags::empty());
                    return true;
                }
                // Nothing more to accept; or an error of the one connection, as accept(2) says.
                Err(_) => return true,
            }
        }
    }

    fn start_pair(&mut self, port: PortBinding, client: OwnedFd) {
        // On failure the client is closed, as a refused connection to the container closes it.
        let Ok(mut pair) = Pair::start(port, client) else { return };
        let token = self.sources.reserve();
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        if pair.sockets().into_iter().any(|s| self.watch(s, token, flags).is_err()) {
            self.sources.remove(token);
            return;
        }
        self.pairs += 1;
        let next = pair.advance();
        self.sources.put(token, Source::Pair(pair));
        match next {
            Next::Wait => {}
            Next::Again => self.again.push_back(token),
            Next::Over => self.drop_source(token),
        }
    }

    fn most_pairs(&self) -> usize {
        let files = getrlimit(Resource::Nofile).current.unwrap_or(1 << 20);
        let files = usize::try_from(files).unwrap_or(usize::MAX);
        let kept = SPARE_DESCRIPTORS + self.ports.len() + self.peers + self.udp_clients;
        (files.saturating_sub(kept) / tcp::DESCRIPTORS).max(1)
    }

    fn accept_no_more(&mut self) {
        self.accepting = false;
        self.listeners_interest(EventFlags::empty());
    }

    fn accept_again(&mut self) {
        if !self.accepting && self.pairs < self.most_pairs() {
            self.accepting = true;
            self.listeners_interest(EventFlags::IN);
        }
    }

    fn listeners_interest(&self, flags: EventFlags) {
        for (_, source) in self.sources.iter() {
            if let Source::Tcp { port, socket } = source {
                self.listener_interest(socket, *port, flags);
            }
        }
    }

    fn listener_interest(&self, socket: &OwnedFd, port: PortBinding, flags: EventFlags) {
        if let Some(token) = self.ports.get(&port) {
            // It fails only for a socket that isn't watched, and all listeners are.
            let _ = epoll::modify(&self.epoll, socket, EventData::new_u64(token.0), flags);
        }
    }

    /// Datagrams from clients.
    fn ask_container(&mut self, listener: &mut udp::Listener, token: Token) -> bool {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(64 << 10, 0);
        for _ in 0..DATAGRAMS_A_TURN {
            let (length, flow) = match udp::receive(&listener.socket, &mut buffer) {
                Ok(received) => received,
                Err(Errno::AGAIN) => break,
                // An error of an earlier answer (ICMP); it was taken off by reading it.
                Err(_) => continue,
            };
            let client = match listener.clients.get(&flow) {
                Some(client) => *client,
                None => match self.udp_client(listener, token, flow) {
                    Ok(client) => client,
                    // Out of descriptors: the datagram is lost, as datagrams are.
                    Err(_) => continue,
                },
            };
            if let Some(Source::UdpClient { socket, heard, .. }) = self.sources.get_mut(client) {
                *heard = Instant::now();
                // Lost when the container does not take it, as on any way.
                let _ = rustix::net::send(socket, &buffer[..length], rustix::net::SendFlags::empty());
            }
        }
        self.buffer = buffer;
        true
    }

    fn udp_client(
        &mut self,
        listener: &mut udp::Listener,
        token: Token,
        flow: udp::Flow,
    ) -> Result<Token, Errno> {
        if self.udp_clients >= MAX_UDP_CLIENTS {
            self.make_room(listener, token);
        }
        let socket = udp::to_container(&listener.port)?;
        let client = self.sources.reserve();
        if let Err(errno) = self.watch(&socket, client, EventFlags::IN) {
            self.sources.remove(client);
            return Err(errno);
        }
        let heard = Instant::now();
        self.sources.put(client, Source::UdpClient { listener: token, flow, socket, heard });
        self.udp_clients += 1;
        listener.clients.insert(flow, client);
        self.sweep.get_or_insert(heard + udp::IDLE);
        Ok(client)
    }

    /// Forgets the client that was silent longest. `current` is not in its place now, so its own table is changed
    /// here.
    fn make_room(&mut self, current: &mut udp::Listener, current_token: Token) {
        let oldest = self
            .sources
            .iter()
            .filter_map(|(token, source)| match source {
                Source::UdpClient { heard, listener, flow, .. } => Some((*heard, token, *listener, *flow)),
                _ => None,
            })
            .min_by_key(|(heard, ..)| *heard);
        if let Some((_, token, listener, flow)) = oldest {
            if listener == current_token {
                current.clients.remove(&flow);
            }
            self.drop_source(token);
        }
    }

    /// Datagrams from a container.
    fn answer_client(
        &mut self,
        listener: Token,
        flow: &udp::Flow,
        socket: &OwnedFd,
        heard: &mut Instant,
    ) -> bool {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(64 << 10, 0);
        for _ in 0..DATAGRAMS_A_TURN {
            match rustix::net::recv(socket, &mut buffer[..], rustix::net::RecvFlags::empty()) {
                Ok((length, _)) => {
                    *heard = Instant::now();
                    if let Some(Source::Udp(listener)) = self.sources.get_mut(listener) {
                        // Lost when the client is gone, as datagrams are.
                        let _ = udp::answer(&listener.socket, &buffer[..length], flow);
                    }
                }
                Err(Errno::AGAIN) => break,
                // Nobody listens in the container; the client may try again later.
                Err(_) => {}
            }
        }
        self.buffer = buffer;
        true
    }

    /// Forgets UDP clients that were silent for long, and sets the time for the next look.
    fn forget_silent(&mut self) {
        let now = Instant::now();
        let mut next: Option<Instant> = None;
        let mut silent = Vec::new();
        for (token, source) in self.sources.iter() {
            if let Source::UdpClient { heard, .. } = source {
                let ends = *heard + udp::IDLE;
                if ends <= now {
                    silent.push(token);
                } else {
                    next = Some(next.map_or(ends, |n| n.min(ends)));
                }
            }
        }
        for token in silent {
            self.drop_source(token);
        }
        self.sweep = next;
        if self.udp_clients == 0 {
            // An idle process keeps no buffer.
            self.buffer = Vec::new();
        }
    }
}

impl Peer {
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
