//! Questions by connections, each with its length in front. One at a time: a client that sends more waits.

use super::{Outcome, Server, Source, Timed, forward};
use crate::process::{server::Source as AnySource, slab::Token};
use brig_core::Id;
use rustix::{
    event::epoll::{self, EventData, EventFlags},
    io::{Errno, read, write},
    net::{SocketFlags, accept_with},
};
use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

/// Connections of one container at a time.
const MOST_CLIENTS: usize = 32;
/// A client that asks nothing for so long is sent away.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long nobody is accepted when there are no descriptors left.
const PAUSE: Duration = Duration::from_secs(1);
/// A question with its length.
const LONGEST: usize = 2 + 65535;

/// A client's connection.
#[derive(Debug)]
pub(in crate::process::server) struct Client {
    pub(super) resolver: Id,
    stream: OwnedFd,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Its question is asked outside.
    waits: bool,
    /// When it is sent away.
    pub(super) until: Instant,
}

impl Server {
    pub(super) fn accept_stream(&mut self, resolver: Id, listener: &OwnedFd, token: Token) -> bool {
        loop {
            let stream = match accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(stream) => stream,
                Err(Errno::INTR | Errno::CONNABORTED) => continue,
                Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                    return self.accept_later(token, listener);
                }
                Err(_) => return true,
            };
            let Some(served) = self.names.served.get_mut(&resolver) else { return true };
            if served.clients >= MOST_CLIENTS {
                // Closed at once: it may come again.
                continue;
            }
            let own = self.sources.reserve();
            if epoll::add(&self.epoll, &stream, EventData::new_u64(own.0), EventFlags::IN).is_err() {
                self.sources.remove(own);
                continue;
            }
            served.clients += 1;
            let until = Instant::now() + PATIENCE;
            self.names.deadlines.insert((until, Timed::Client(own.0)));
            let client =
                Client { resolver, stream, input: Vec::new(), output: Vec::new(), waits: false, until };
            self.sources.put(own, AnySource::Names(Source::Client(client)));
        }
    }

    /// No descriptor is left: those that wait would wake us for nothing.
    fn accept_later(&mut self, token: Token, listener: &OwnedFd) -> bool {
        self.names.deadlines.insert((Instant::now() + PAUSE, Timed::Listener(token.0)));
        epoll::modify(&self.epoll, listener, EventData::new_u64(token.0), EventFlags::empty()).is_ok()
    }

    /// Accepts again after [`PAUSE`].
    pub(super) fn accept_now(&mut self, token: Token) {
        if let Some(AnySource::Names(Source::Listener { socket, .. })) = self.sources.get_mut(token) {
            // It fails only for a socket that isn't watched, and this one is.
            let _ = epoll::modify(&self.epoll, socket, EventData::new_u64(token.0), EventFlags::IN);
        }
    }

    pub(super) fn serve_stream(&mut self, client: &mut Client, token: Token) -> bool {
        if client.waits {
            return false;
        }
        loop {
            match client.flush() {
                Ok(true) => {}
                Ok(false) => return self.stream_interest(client, token, EventFlags::OUT),
                Err(_) => return false,
            }
            if client.waits {
                // Only the other side's end wakes it then. One that has merely said all is still there.
                return self.stream_interest(client, token, EventFlags::empty());
            }
            if let Some(question) = client.take_question() {
                self.names.deadlines.remove(&(client.until, Timed::Client(token.0)));
                client.until = Instant::now() + PATIENCE;
                self.names.deadlines.insert((client.until, Timed::Client(token.0)));
                match self.ask(client.resolver, &question, forward::Client::Stream(token)) {
                    Outcome::Answer(answer) => client.answer(&answer),
                    Outcome::Outside => client.waits = true,
                    Outcome::Nothing => return false,
                }
                continue;
            }
            let mut chunk = [0; 4096];
            match read(&client.stream, &mut chunk) {
                Ok(0) => return false,
                Ok(length) if client.input.len() + length <= LONGEST => {
                    client.input.extend_from_slice(&chunk[..length]);
                }
                Ok(_) => return false,
                Err(Errno::AGAIN) => return self.stream_interest(client, token, EventFlags::IN),
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }

    /// The answer from outside to what a client waits for. A client that is gone doesn't get it.
    pub(super) fn answer_stream(&mut self, token: Token, answer: &[u8]) {
        if let Some(AnySource::Names(Source::Client(client))) = self.sources.get_mut(token) {
            client.waits = false;
            client.answer(answer);
            self.step(token);
        }
    }

    fn stream_interest(&self, client: &Client, token: Token, flags: EventFlags) -> bool {
        epoll::modify(&self.epoll, &client.stream, EventData::new_u64(token.0), flags).is_ok()
    }
}

impl Client {
    /// Whether all was written.
    fn flush(&mut self) -> Result<bool, Errno> {
        while !self.output.is_empty() {
            match write(&self.stream, &self.output) {
                Ok(length) => drop(self.output.drain(..length)),
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }

    fn answer(&mut self, answer: &[u8]) {
        // Longer ones don't exist.
        if let Ok(length) = u16::try_from(answer.len()) {
            self.output.extend_from_slice(&length.to_be_bytes());
            self.output.extend_from_slice(answer);
        }
    }

    fn take_question(&mut self) -> Option<Vec<u8>> {
        let length = usize::from(u16::from_be_bytes(*self.input.first_chunk::<2>()?));
        let question = self.input.get(2..2 + length)?.to_vec();
        self.input.drain(..2 + length);
        Some(question)
    }
}
