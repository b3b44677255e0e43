//! Questions about names that brig doesn't know: asked of the name servers outside, one after the other.
//!
//! Each question has a socket of its own for each server, connected, with a port of the kernel's choice and a random
//! id, so that nobody can slip in an answer. What a server says is handed on as it is, with its EDNS options and
//! records of any kind.

use super::{Server, Source, Timed, datagrams};
use crate::{
    dns::{
        Upstream as Address,
        message::{self, Carrier, Question},
    },
    netns,
    process::{server::Source as AnySource, slab::Token},
};
use brig_core::Id;
use domain::base::iana::Rcode;
use rustix::{
    event::epoll::{self, EventData, EventFlags},
    io::{Errno, read, write},
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with},
};
use std::{
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

/// A server that says nothing for so long is given up: the next one is asked too.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How often one question is asked by datagram, at least; with few servers they are asked again, as datagrams are
/// lost. Clients wait 5 seconds.
const LEAST_TRIES: usize = 3;
/// Questions under way: of all containers, and of one.
const MOST: usize = 4096;
const MOST_OF_ONE: usize = 512;
/// Where name servers listen.
const PORT: u16 = 53;
const LONGEST: usize = 65535;

/// Who waits for an answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Client {
    /// Who sent a datagram.
    Datagram(SocketAddr),
    /// Whose connection that is.
    Stream(Token),
}

impl Client {
    pub(super) fn carrier(self) -> Carrier {
        match self {
            Self::Datagram(_) => Carrier::Udp,
            Self::Stream(_) => Carrier::Tcp,
        }
    }
}

/// A question under way.
#[derive(Debug)]
pub(super) struct Forward {
    pub(super) resolver: Id,
    client: Client,
    /// As the client sent it.
    question: Vec<u8>,
    /// As the servers get it.
    id: u16,
    /// How many were asked.
    tries: usize,
    /// Those who may still answer.
    asked: Vec<Token>,
    /// A server's refusal, handed on when no other one knows better.
    refusal: Option<Vec<u8>>,
    until: Instant,
}

/// A server that was asked.
#[derive(Debug)]
pub(in crate::process::server) struct Upstream {
    forward: Token,
    socket: OwnedFd,
    stream: Option<Stream>,
}

/// An exchange by connection.
#[derive(Debug)]
struct Stream {
    output: Vec<u8>,
    input: Vec<u8>,
}

/// What a server's socket has for us.
enum Heard {
    Nothing,
    Bytes(Vec<u8>),
    Failure,
}

impl Server {
    /// Asks the servers outside; `false` where there is none to ask.
    pub(super) fn forward(&mut self, resolver: Id, question: &[u8], client: Client) -> bool {
        let names = &mut self.names;
        let Some(served) = names.served.get_mut(&resolver) else { return false };
        if names.forwarding >= MOST || served.forwarding >= MOST_OF_ONE {
            return false;
        }
        let mut random = [0; 2];
        if rustix::rand::getrandom(&mut random[..], rustix::rand::GetRandomFlags::empty()) != Ok(random.len())
        {
            return false;
        }
        names.forwarding += 1;
        served.forwarding += 1;
        let token = names.forwards.reserve();
        let until = Instant::now() + PATIENCE;
        names.forwards.put(
            token,
            Forward {
                resolver,
                client,
                question: question.to_vec(),
                id: u16::from_ne_bytes(random),
                tries: 0,
                asked: Vec::new(),
                refusal: None,
                until,
            },
        );
        names.deadlines.insert((until, Timed::Forward(token.0)));
        let asked = self.ask_next(token);
        if !asked {
            self.end_forward(token);
        }
        asked
    }

    /// Asks the next server that can be reached; `false` when there is none left.
    fn ask_next(&mut self, token: Token) -> bool {
        loop {
            let Some(forward) = self.names.forwards.get_mut(token) else { return false };
            let Some(served) = self.names.served.get(&forward.resolver) else { return false };
            let servers = &served.resolver.upstreams;
            let carrier = forward.client.carrier();
            let most = match carrier {
                Carrier::Udp if !servers.is_empty() => servers.len().max(LEAST_TRIES),
                Carrier::Udp | Carrier::Tcp => servers.len(),
            };
            if forward.tries >= most {
                return false;
            }
            let server = servers[forward.tries % servers.len()];
            forward.tries += 1;
            let mut question = forward.question.clone();
            message::set_id(&mut question, forward.id);
            let netns = served.netns.clone();
            let Some(upstream) = self.reach(token, server, netns.as_fd(), carrier, question) else {
                continue;
            };
            let source = self.sources.reserve();
            let flags = if upstream.stream.is_some() { EventFlags::OUT } else { EventFlags::IN };
            if self.watch(&upstream.socket, source, flags).is_err() {
                self.sources.remove(source);
                continue;
            }
            self.sources.put(source, AnySource::Names(Source::Upstream(upstream)));
            if let Some(forward) = self.names.forwards.get_mut(token) {
                forward.asked.push(source);
            }
            return true;
        }
    }

    /// Sends a question to a server, or begins to.
    fn reach(
        &mut self,
        forward: Token,
        server: Address,
        netns: BorrowedFd<'_>,
        carrier: Carrier,
        question: Vec<u8>,
    ) -> Option<Upstream> {
        let family = if server.ip.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let kind = match carrier {
            Carrier::Udp => SocketType::DGRAM,
            Carrier::Tcp => SocketType::STREAM,
        };
        let make = || socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None);
        let socket = if server.from_host {
            make().ok()?
        } else {
            if self.names.home.is_none() {
                self.names.home = netns::current().ok();
            }
            let home = self.names.home.as_ref()?;
            netns::inside(home.as_fd(), netns, || Ok(make())).ok()?.ok()?
        };
        match connect(&socket, &SocketAddr::new(server.ip, PORT)) {
            Ok(()) => {}
            Err(Errno::INPROGRESS) if carrier == Carrier::Tcp => {}
            Err(_) => return None,
        }
        let stream = match carrier {
            Carrier::Udp => {
                send(&socket, &question, SendFlags::empty()).ok()?;
                None
            }
            Carrier::Tcp => {
                let mut output = u16::try_from(question.len()).ok()?.to_be_bytes().to_vec();
                output.extend(question);
                Some(Stream { output, input: Vec::new() })
            }
        };
        Some(Upstream { forward, socket, stream })
    }

    /// A server answers; whether it may still say something better.
    pub(super) fn hear_upstream(&mut self, upstream: &mut Upstream, token: Token) -> bool {
        let heard = match &mut upstream.stream {
            None => hear_datagram(&upstream.socket),
            Some(stream) => stream.advance(&upstream.socket),
        };
        let (answer, code) = match heard {
            Heard::Nothing => {
                let waits = upstream.stream.as_ref().is_none_or(|stream| stream.output.is_empty());
                let flags = if waits { EventFlags::IN } else { EventFlags::OUT };
                let data = EventData::new_u64(token.0);
                return epoll::modify(&self.epoll, &upstream.socket, data, flags).is_ok();
            }
            Heard::Failure => {
                self.server_failed(upstream.forward, token, None);
                return false;
            }
            Heard::Bytes(bytes) => {
                let Some(forward) = self.names.forwards.get_mut(upstream.forward) else { return false };
                match message::answers(&forward.question, forward.id, &bytes) {
                    Some(code) => (bytes, code),
                    // Not an answer to this question: somebody else's, or garbage. The true one may come.
                    None => return upstream.stream.is_none(),
                }
            }
        };
        if matches!(code, Rcode::NOERROR | Rcode::NXDOMAIN) {
            self.deliver(upstream.forward, answer);
        } else {
            self.server_failed(upstream.forward, token, Some(answer));
        }
        false
    }

    /// A server can't answer: the next one is asked. With none left, the client gets what this one said.
    fn server_failed(&mut self, token: Token, source: Token, refusal: Option<Vec<u8>>) {
        let Some(forward) = self.names.forwards.get_mut(token) else { return };
        forward.asked.retain(|asked| *asked != source);
        forward.refusal = refusal.or(forward.refusal.take());
        let servers = self.names.served.get(&forward.resolver).map_or(0, |s| s.resolver.upstreams.len());
        let others_wait = !forward.asked.is_empty();
        // One that refused is not asked a second time.
        let more = forward.tries < servers;
        if more && self.ask_next(token) || others_wait {
            return;
        }
        self.give_up(token);
    }

    /// Nobody answered in time: the next one is asked, while those asked before may still answer.
    pub(super) fn hear_nothing(&mut self, token: Token) {
        if self.ask_next(token) {
            let until = Instant::now() + PATIENCE;
            if let Some(forward) = self.names.forwards.get_mut(token) {
                forward.until = until;
                self.names.deadlines.insert((until, Timed::Forward(token.0)));
            }
            return;
        }
        self.give_up(token);
    }

    fn give_up(&mut self, token: Token) {
        let Some(forward) = self.names.forwards.get_mut(token) else { return };
        let answer = forward.refusal.take().or_else(|| {
            Question::read(&forward.question).ok().map(|question| question.failure(Rcode::SERVFAIL))
        });
        match answer {
            Some(answer) => self.deliver(token, answer),
            None => self.end_forward(token),
        }
    }

    /// Hands an answer to the client.
    fn deliver(&mut self, token: Token, mut answer: Vec<u8>) {
        let Some(forward) = self.names.forwards.get_mut(token) else { return };
        if let Some(id) = message::id(&forward.question) {
            message::set_id(&mut answer, id);
        }
        let (client, resolver) = (forward.client, forward.resolver);
        self.end_forward(token);
        match client {
            Client::Datagram(to) => {
                let socket = self.names.served.get(&resolver).map(|served| served.udp);
                let source = socket.and_then(|token| self.sources.get_mut(token));
                if let Some(AnySource::Names(Source::Datagrams { socket, .. })) = source {
                    datagrams::send(socket, &answer, to);
                }
            }
            Client::Stream(token) => self.answer_stream(token, &answer),
        }
    }

    /// Forgets a question and closes its sockets. The one that is being served is closed by its own step.
    pub(super) fn end_forward(&mut self, token: Token) {
        let Some(forward) = self.names.forwards.remove(token) else { return };
        self.names.deadlines.remove(&(forward.until, Timed::Forward(token.0)));
        self.names.forwarding -= 1;
        if let Some(served) = self.names.served.get_mut(&forward.resolver) {
            served.forwarding -= 1;
        }
        for source in forward.asked {
            self.sources.remove(source);
        }
    }
}

fn hear_datagram(socket: &OwnedFd) -> Heard {
    let mut buffer = vec![0; LONGEST];
    match recv(socket, &mut buffer[..], RecvFlags::empty()) {
        Ok((length, _)) => {
            buffer.truncate(length);
            Heard::Bytes(buffer)
        }
        Err(Errno::AGAIN | Errno::INTR) => Heard::Nothing,
        Err(_) => Heard::Failure,
    }
}

impl Stream {
    /// Sends the rest of the question, then reads the answer.
    fn advance(&mut self, socket: &OwnedFd) -> Heard {
        while !self.output.is_empty() {
            match write(socket, &self.output) {
                Ok(length) => drop(self.output.drain(..length)),
                Err(Errno::AGAIN) => return Heard::Nothing,
                Err(Errno::INTR) => {}
                Err(_) => return Heard::Failure,
            }
        }
        loop {
            if let Some(header) = self.input.first_chunk::<2>() {
                let length = usize::from(u16::from_be_bytes(*header));
                if let Some(answer) = self.input.get(2..2 + length) {
                    return Heard::Bytes(answer.to_vec());
                }
            }
            let mut chunk = [0; 4096];
            match read(socket, &mut chunk) {
                Ok(0) => return Heard::Failure,
                // Never more than one answer of the greatest length, and a chunk.
                Ok(length) => self.input.extend_from_slice(&chunk[..length]),
                Err(Errno::AGAIN) => return Heard::Nothing,
                Err(Errno::INTR) => {}
                Err(_) => return Heard::Failure,
            }
        }
    }
}
