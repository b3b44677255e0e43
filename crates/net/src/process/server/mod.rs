//! The loop of `brig net`: one thread, one epoll.

mod control;
mod names;
mod tcp;
mod udp;

use super::{
    slab::{Slab, Token},
    tcp::{Next, Pair},
    udp as datagrams,
};
use crate::PortBinding;
use control::Peer;
use rustix::{
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
    io::Errno,
};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    os::{fd::OwnedFd, unix::net::UnixListener},
    time::{Duration, Instant},
};

#[derive(Debug)]
enum Source {
    Control(UnixListener),
    Peer(Peer),
    Tcp {
        port: PortBinding,
        socket: OwnedFd,
    },
    Udp(datagrams::Listener),
    UdpClient {
        listener: Token,
        flow: datagrams::Flow,
        socket: OwnedFd,
        heard: Instant,
    },
    Pair(Pair),
    Names(names::Source),
    /// Held, but not carried. The socket is here to be closed in the end.
    Silent {
        _socket: Option<OwnedFd>,
    },
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
    names: names::Names,
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
        names: names::Names::new(),
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
        self.names_overdue();
        Ok(())
    }

    fn timeout(&self) -> Option<Timespec> {
        let next = self.sweep.into_iter().chain(self.names.next_deadline()).min();
        let wait = match next {
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
            Source::Names(source) => self.names_ready(source, token),
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
            Some(Source::Names(source)) => self.names_dropped(source, token),
            Some(Source::Control(_) | Source::Tcp { .. } | Source::Silent { .. }) | None => {}
        }
    }
}
