//! Connections to published ports.

use super::{Server, Source};
use crate::{
    PortBinding,
    process::tcp::{self, Next, Pair},
};
use rustix::{
    event::epoll::{self, EventData, EventFlags},
    io::Errno,
    net::{SocketFlags, accept_with},
    process::{Resource, getrlimit},
};
use std::os::fd::OwnedFd;

/// Descriptors that connections leave for new ports and control.
const SPARE_DESCRIPTORS: usize = 64;

impl Server {
    pub(super) fn accept_client(&mut self, port: PortBinding, socket: &OwnedFd) -> bool {
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

    pub(super) fn accept_again(&mut self) {
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
}
