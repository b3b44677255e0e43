//! Names of containers, answered in their network namespaces.

mod datagrams;
mod forward;
mod streams;

use super::{Server, Source as AnySource};
use crate::{
    dns::{
        Resolver,
        message::{Asks, Question, Unread},
        zones::Zones,
    },
    process::{
        protocol::{RESOLVER_DESCRIPTORS, Reply},
        slab::{Slab, Token},
    },
};
use brig_core::Id;
use domain::base::iana::Rcode;
use forward::Forward;
use rustix::event::epoll::EventFlags;
use std::{
    collections::{BTreeMap, BTreeSet},
    os::fd::OwnedFd,
    rc::Rc,
    time::Instant,
};

/// Something that epoll watches for a resolver.
#[derive(Debug)]
pub(super) enum Source {
    /// Its socket for datagrams.
    Datagrams { resolver: Id, socket: OwnedFd },
    /// Its socket for connections.
    Listener { resolver: Id, socket: OwnedFd },
    /// A client's connection.
    Client(streams::Client),
    /// A server outside that was asked.
    Upstream(forward::Upstream),
}

/// What is known, and what is under way.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) zones: Zones,
    served: BTreeMap<Id, Served>,
    forwards: Slab<Forward>,
    /// Questions under way outside.
    forwarding: usize,
    deadlines: BTreeSet<(Instant, Timed)>,
    /// brig net's own network namespace.
    home: Option<OwnedFd>,
    /// Which of several addresses comes first the next time.
    turn: usize,
}

/// What something has until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timed {
    /// A server, to answer.
    Forward(u64),
    /// A client, to ask.
    Client(u64),
    /// A listener rests.
    Listener(u64),
}

/// One resolver.
#[derive(Debug)]
struct Served {
    resolver: Rc<Resolver>,
    netns: Rc<OwnedFd>,
    udp: Token,
    tcp: Token,
    /// Its questions under way outside.
    forwarding: usize,
    /// Its clients' connections.
    clients: usize,
}

/// What becomes of a question.
enum Outcome {
    /// This is the answer.
    Answer(Vec<u8>),
    /// It is asked outside.
    Outside,
    /// It gets no answer.
    Nothing,
}

impl Names {
    pub(super) fn new() -> Self {
        Self {
            zones: Zones::default(),
            served: BTreeMap::new(),
            forwards: Slab::default(),
            forwarding: 0,
            deadlines: BTreeSet::new(),
            home: None,
            turn: 0,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.served.is_empty()
    }

    pub(super) fn resolvers(&self) -> usize {
        self.served.len()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }
}

impl Server {
    /// Begins to answer names in a container, or changes what is known there.
    pub(super) fn resolve(&mut self, resolver: Resolver, descriptors: Vec<OwnedFd>) -> Reply {
        let id = resolver.id;
        if descriptors.is_empty() {
            return match self.names.served.get_mut(&id) {
                Some(served) => {
                    served.resolver = Rc::new(resolver);
                    Reply::Done
                }
                None => Reply::Missing,
            };
        }
        let Ok([udp, tcp, netns]) = <[OwnedFd; RESOLVER_DESCRIPTORS]>::try_from(descriptors) else {
            return Reply::Unknown;
        };
        self.forsake(&id);
        let watched = |server: &mut Self, source: Source| {
            let token = server.sources.reserve();
            let socket = match &source {
                Source::Datagrams { socket, .. } | Source::Listener { socket, .. } => socket,
                Source::Client(_) | Source::Upstream(_) => return None,
            };
            if server.watch(socket, token, EventFlags::IN).is_err() {
                server.sources.remove(token);
                return None;
            }
            server.sources.put(token, AnySource::Names(source));
            Some(token)
        };
        let Some(udp) = watched(self, Source::Datagrams { resolver: id, socket: udp }) else {
            return Reply::Unknown;
        };
        let Some(tcp) = watched(self, Source::Listener { resolver: id, socket: tcp }) else {
            self.sources.remove(udp);
            return Reply::Unknown;
        };
        let served = Served {
            resolver: Rc::new(resolver),
            netns: Rc::new(netns),
            udp,
            tcp,
            forwarding: 0,
            clients: 0,
        };
        self.names.served.insert(id, served);
        Reply::Done
    }

    /// Stops answering in a container.
    pub(super) fn forsake(&mut self, id: &Id) {
        let Some(served) = self.names.served.remove(id) else { return };
        self.sources.remove(served.udp);
        self.sources.remove(served.tcp);
        let clients = self.sources.iter().filter_map(|(token, source)| match source {
            AnySource::Names(Source::Client(client)) if client.resolver == *id => Some(token),
            _ => None,
        });
        for client in clients.collect::<Vec<_>>() {
            self.drop_source(client);
        }
        let forwards = self.names.forwards.iter().filter(|(_, f)| f.resolver == *id).map(|(token, _)| token);
        for forward in forwards.collect::<Vec<_>>() {
            self.end_forward(forward);
        }
    }

    pub(super) fn forsake_others(&mut self, resolvers: &BTreeSet<Id>) {
        let others = self.names.served.keys().filter(|id| !resolvers.contains(id)).copied();
        for id in others.collect::<Vec<_>>() {
            self.forsake(&id);
        }
    }

    /// Does what a source is ready for; whether it stays.
    pub(super) fn names_ready(&mut self, source: &mut Source, token: Token) -> bool {
        match source {
            Source::Datagrams { resolver, socket } => self.answer_datagrams(*resolver, socket),
            Source::Listener { resolver, socket } => self.accept_stream(*resolver, socket, token),
            Source::Client(client) => self.serve_stream(client, token),
            Source::Upstream(upstream) => self.hear_upstream(upstream, token),
        }
    }

    /// A source is closed.
    pub(super) fn names_dropped(&mut self, source: Source, token: Token) {
        if let Source::Client(client) = source {
            self.names.deadlines.remove(&(client.until, Timed::Client(token.0)));
            if let Some(served) = self.names.served.get_mut(&client.resolver) {
                served.clients -= 1;
            }
        }
    }

    /// Sees to what had its time.
    pub(super) fn names_overdue(&mut self) {
        let now = Instant::now();
        while let Some((at, timed)) = self.names.deadlines.first().copied()
            && at <= now
        {
            self.names.deadlines.remove(&(at, timed));
            match timed {
                Timed::Forward(token) => self.hear_nothing(Token(token)),
                Timed::Client(token) => self.drop_source(Token(token)),
                Timed::Listener(token) => self.accept_now(Token(token)),
            }
        }
    }

    /// Answers a question from what is known, or asks outside for `client`.
    fn ask(&mut self, resolver: Id, bytes: &[u8], client: forward::Client) -> Outcome {
        let carrier = client.carrier();
        let question = match Question::read(bytes) {
            Ok(question) => question,
            Err(Unread::Ignored) => return Outcome::Nothing,
            Err(Unread::Answered(answer)) => return Outcome::Answer(answer),
        };
        let Some(served) = self.names.served.get(&resolver) else { return Outcome::Nothing };
        let known = match question.asks() {
            Asks::Name(address) => {
                self.names.zones.name(&served.resolver, address).map(|name| question.pointer(&name, carrier))
            }
            // A name that is known has nothing else: what is asked outside about it could only mislead.
            Asks::Ipv4 | Asks::Ipv6 | Asks::Else => {
                let found = self.names.zones.addresses(&served.resolver, &question.name());
                found.map(|mut addresses| {
                    self.names.turn = self.names.turn.wrapping_add(1);
                    let first = self.names.turn % addresses.len().max(1);
                    addresses.rotate_left(first);
                    question.addresses(&addresses, carrier)
                })
            }
        };
        match known {
            Some(answer) => Outcome::Answer(answer),
            None if self.forward(resolver, bytes, client) => Outcome::Outside,
            None => Outcome::Answer(question.failure(Rcode::SERVFAIL)),
        }
    }
}
