//! Connections to a shim: control connections and attached ones.

use super::{
    ClientKey, ProcessKey, Shim,
    poller::{Role, Watched},
};
use crate::protocol::{self, ClientFrame, Decoder, Failure, Reply, ServerFrame};
use brig_logs::Stream;
use rustix::{event::epoll::EventFlags, net::sockopt::socket_peercred};
use std::{
    io::{self, IoSlice, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

/// A control client that lets so much lie unread is dropped.
const MAX_UNREAD: usize = 4 << 20;
/// What an attached client may be owed after the process ended: what pipes can hold, and some.
const MAX_OWED: usize = 8 << 20;
/// How long a connection that is being closed may go without taking anything.
const CLOSING: Duration = Duration::from_secs(10);
/// Control bytes read from one client before others have their turn.
const CONTROL_CHUNK: usize = 64 << 10;

/// A connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) stream: Watched<UnixStream>,
    pub(super) kind: ClientKind,
    pub(super) outgoing: Outgoing,
    /// Hung up: it takes nothing, and what it sent last is still on its way.
    pub(super) gone: bool,
    /// Set when the connection ends as soon as everything is sent: until when that may take.
    pub(super) closing: Option<Instant>,
}

#[derive(Debug)]
pub(super) enum ClientKind {
    Control {
        decoder: Decoder,
        /// Whether it is sent events.
        subscribed: bool,
    },
    Attached(Attached),
}

/// A connection that carries a process' streams.
#[derive(Debug)]
pub(super) struct Attached {
    pub(super) process: ProcessKey,
    pub(super) stdout: bool,
    pub(super) stderr: bool,
    /// Whether output is sent in Docker's frames.
    pub(super) framed: bool,
    pub(super) input: Incoming,
}

/// What an attached client sends.
#[derive(Debug)]
pub(super) enum Incoming {
    /// Thrown away.
    Discarded,
    /// The process' input; the bytes are on their way into it.
    Wanted {
        pending: Vec<u8>,
        taken: usize,
        /// Whether no more will come.
        ended: bool,
    },
    /// It has ended.
    Over,
}

/// Bytes that the socket has not taken yet.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
}

impl Outgoing {
    pub(super) fn is_empty(&self) -> bool {
        self.sent == self.bytes.len()
    }

    fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Sends what the socket takes and keeps the rest.
    fn send(&mut self, mut stream: &UnixStream, head: &[u8], body: &[u8]) -> io::Result<()> {
        let mut written = 0;
        if self.is_empty() {
            written = loop {
                match stream.write_vectored(&[IoSlice::new(head), IoSlice::new(body)]) {
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => break 0,
                    result => break result?,
                }
            };
            if written == head.len() + body.len() {
                return Ok(());
            }
        }
        for part in [head, body] {
            let skip = written.min(part.len());
            self.bytes.extend_from_slice(&part[skip..]);
            written -= skip;
        }
        Ok(())
    }

    fn flush(&mut self, mut stream: &UnixStream) -> io::Result<()> {
        while !self.is_empty() {
            match stream.write(&self.bytes[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            }
        }
        self.bytes = Vec::new();
        self.sent = 0;
        Ok(())
    }
}

/// Whether the peer may give orders: root, or whoever the shim runs as.
pub(super) fn may_speak(stream: &UnixStream) -> bool {
    socket_peercred(stream).is_ok_and(|peer| peer.uid.is_root() || peer.uid == rustix::process::geteuid())
}

impl Client {
    pub(super) fn is_subscribed(&self) -> bool {
        self.closing.is_none() && matches!(self.kind, ClientKind::Control { subscribed: true, .. })
    }

    /// When it is dropped if it takes nothing.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.closing
    }

    pub(super) fn attached(&self) -> Option<&Attached> {
        match &self.kind {
            ClientKind::Attached(attached) => Some(attached),
            ClientKind::Control { .. } => None,
        }
    }

    pub(super) fn shrink(&mut self) {
        match &mut self.kind {
            ClientKind::Control { decoder, .. } => decoder.shrink(),
            ClientKind::Attached(Attached { input: Incoming::Wanted { pending, taken, .. }, .. })
                if *taken == pending.len() =>
            {
                *pending = Vec::new();
                *taken = 0;
            }
            ClientKind::Attached(_) => {}
        }
    }

    /// What to wait for on its socket.
    fn interest(&self) -> EventFlags {
        if self.gone {
            // A hang-up would be told for ever.
            return EventFlags::empty();
        }
        let mut interest = EventFlags::empty();
        if !self.outgoing.is_empty() {
            interest |= EventFlags::OUT;
        }
        let reads = match &self.kind {
            // Who does not read answers gets no further ones.
            ClientKind::Control { .. } => self.outgoing.is_empty(),
            ClientKind::Attached(attached) => match &attached.input {
                Incoming::Discarded => true,
                Incoming::Wanted { pending, taken, ended } => !ended && *taken == pending.len(),
                Incoming::Over => false,
            },
        };
        if reads && self.closing.is_none() {
            interest |= EventFlags::IN;
        }
        // Hanging up is told whatever is asked for, as long as something is.
        interest | EventFlags::ERR
    }
}

impl Shim {
    /// Takes a connection in; `None` when it is broken already.
    pub(super) fn add_client(&mut self, stream: UnixStream) -> Option<ClientKey> {
        stream.set_nonblocking(true).ok()?;
        let key = self.next_client;
        self.next_client = self.next_client.wrapping_add(1);
        let kind = ClientKind::Control { decoder: Decoder::default(), subscribed: false };
        let client = Client {
            stream: Watched::new(stream),
            kind,
            outgoing: Outgoing::default(),
            gone: false,
            closing: None,
        };
        self.clients.insert(key, client);
        self.watch_client(key);
        Some(key)
    }

    pub(super) fn subscribe(&mut self, key: ClientKey) {
        if let Some(Client { kind: ClientKind::Control { subscribed, .. }, .. }) = self.clients.get_mut(&key)
        {
            *subscribed = true;
        }
    }

    /// Something happened on a connection.
    pub(super) fn client_ready(&mut self, key: ClientKey, flags: EventFlags) {
        self.fat = true;
        if flags.intersects(EventFlags::OUT) {
            self.flush_client(key);
        }
        let Some(client) = self.clients.get(&key) else { return };
        let attached = client.attached().is_some();
        let gone = flags.intersects(EventFlags::HUP | EventFlags::ERR);
        match (attached, gone) {
            (true, true) => self.attached_hung_up(key),
            (true, false) if flags.intersects(EventFlags::IN) => self.read_input(key),
            (true, false) => {}
            // Requests may be waiting before the hang-up; reading finds its end.
            (false, _) if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) => {
                self.read_requests(key, gone);
            }
            (false, _) => {}
        }
        self.watch_client(key);
    }

    fn read_requests(&mut self, key: ClientKey, gone: bool) {
        let mut chunk = std::mem::take(&mut self.buffer);
        chunk.resize(CONTROL_CHUNK, 0);
        let Some(client) = self.clients.get_mut(&key) else { return };
        let ClientKind::Control { decoder, .. } = &mut client.kind else { return };
        let read = (&*client.stream).read(&mut chunk);
        match read {
            Ok(0) => return self.drop_client(key),
            Ok(n) => decoder.push(&chunk[..n]),
            Err(e) if matches!(e.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) && !gone => {
            }
            Err(_) => return self.drop_client(key),
        }
        self.buffer = chunk;
        // A request may end the connection, or turn it into an attached one.
        while let Some(Client { kind: ClientKind::Control { decoder, .. }, closing: None, .. }) =
            self.clients.get_mut(&key)
        {
            let frame = match decoder.next_frame() {
                Ok(Some(json)) => protocol::decode::<ClientFrame>(json),
                Ok(None) => return,
                Err(e) => Err(e),
            };
            match frame {
                Ok(ClientFrame { id, request }) => self.handle(key, id, request),
                // What follows can't be understood either.
                Err(_) => return self.drop_client(key),
            }
        }
    }

    pub(super) fn reply(&mut self, key: ClientKey, id: u64, result: Result<Reply, Failure>) {
        match protocol::encode(&ServerFrame::Reply { id, result }) {
            Ok(frame) => self.send(key, &frame),
            // Too long to be sent: the client sees the end of the connection instead of waiting.
            Err(_) => self.drop_client(key),
        }
    }

    /// Sends a frame to a control client.
    pub(super) fn send(&mut self, key: ClientKey, frame: &[u8]) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        let sent = client.outgoing.send(&client.stream, frame, b"");
        if sent.is_err() || client.outgoing.len() > MAX_UNREAD {
            return self.drop_client(key);
        }
        self.watch_client(key);
    }

    /// Sends output to an attached client; answers whether the client can take more.
    pub(super) fn send_output(&mut self, key: ClientKey, stream: Stream, bytes: &[u8]) -> bool {
        let Some(client) = self.clients.get_mut(&key) else { return true };
        let ClientKind::Attached(attached) = &client.kind else { return true };
        let head = match (attached.framed, stream) {
            (false, _) => None,
            (true, Stream::Stdout) => Some(1u8),
            (true, Stream::Stderr) => Some(2),
        };
        // Chunks are far smaller than 4 GiB.
        let head = head.map(|kind| {
            let [a, b, c, d] = (bytes.len() as u32).to_be_bytes();
            [kind, 0, 0, 0, a, b, c, d]
        });
        let head = head.as_ref().map_or(&[][..], |h| &h[..]);
        let sent = client.outgoing.send(&client.stream, head, bytes);
        if sent.is_err() || client.outgoing.len() > MAX_OWED {
            self.drop_client(key);
            return true;
        }
        let room = client.outgoing.is_empty();
        self.watch_client(key);
        room
    }

    /// Sends what is left; a client that is being closed goes with its last byte.
    pub(super) fn flush_client(&mut self, key: ClientKey) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        let before = client.outgoing.len();
        if client.outgoing.flush(&client.stream).is_err() {
            return self.drop_client(key);
        }
        if client.outgoing.len() < before && client.closing.is_some() {
            client.closing = Some(Instant::now() + CLOSING);
        }
        if !client.outgoing.is_empty() {
            return;
        }
        if client.closing.is_some() {
            return self.drop_client(key);
        }
        if let Some(process) = client.attached().map(|a| a.process) {
            self.resume_output(process);
        }
    }

    /// Ends a connection when everything is sent.
    pub(super) fn close_client(&mut self, key: ClientKey) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        client.closing.get_or_insert_with(|| Instant::now() + CLOSING);
        self.flush_client(key);
        self.watch_client(key);
    }

    pub(super) fn close_overdue_clients(&mut self) {
        if self.clients.values().all(|c| c.closing.is_none()) {
            return;
        }
        let now = Instant::now();
        let overdue: Vec<ClientKey> = self
            .clients
            .iter()
            .filter(|(_, c)| c.closing.is_some_and(|until| until <= now))
            .map(|(key, _)| *key)
            .collect();
        for key in overdue {
            self.drop_client(key);
        }
    }

    /// Ends a connection now.
    pub(super) fn drop_client(&mut self, key: ClientKey) {
        let Some(mut client) = self.clients.remove(&key) else { return };
        self.poller.forget(&mut client.stream);
        // Unread bytes would turn the peer's end of file into an error: shut down first, so that no more come, and
        // read what is there.
        let _ = client.stream.shutdown(Shutdown::Both);
        let mut rest = [0u8; 4096];
        while matches!((&*client.stream).read(&mut rest), Ok(n) if n > 0) {}
        if let ClientKind::Attached(attached) = client.kind {
            self.resume_output(attached.process);
            self.input_changed(attached.process);
        }
        if matches!(self.phase, super::Phase::Serving) {
            self.poller.watch(&mut self.listener, Role::Listener, EventFlags::IN);
            if key == super::CREATOR {
                self.creator_left();
            }
        }
    }

    /// Watches a connection for what is wanted of it now.
    pub(super) fn watch_client(&mut self, key: ClientKey) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        let interest = client.interest();
        self.poller.watch(&mut client.stream, Role::Client(key), interest);
    }
}
