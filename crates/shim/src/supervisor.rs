//! The shim's own process: makes one container and serves it to its end.
//!
//! One thread and one epoll loop over the container's streams, the pidfds of its processes, the listening socket
//! and its connections. No buffer grows without bound: while an attached client can't take output, nothing is read
//! from the container, which then blocks as if the client were its pipe's reader (as under Docker); input is read
//! from a client only when the one before went into the container. What is written to the log is written before
//! anything is sent to anyone.

mod attach;
mod client;
mod container;
mod create;
mod exit;
mod lifecycle;
mod memory;
mod poller;
mod process;
mod records;
mod requests;
mod stdio;

use crate::protocol::{
    self, ClientFrame, CodecError, Event, ExitRecord, Failure, PROTOCOL_VERSION, Reply, Request, ServerFrame,
    ShimConfig,
};
use brig_core::{Id, Kind};
use brig_logs::Writer;
use client::Client;
use container::Container;
use oci_spec::runtime::LinuxNamespaceType;
use poller::{Poller, Role};
use process::Process;
use records::Records;
use rustix::event::epoll::EventFlags;
use std::{
    collections::BTreeMap,
    io::{self, Write},
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    time::{Duration, Instant},
};

/// Bytes read at once from a stream of the container or from a client.
const CHUNK: usize = 64 << 10;
/// After so long without anything to do, memory is given back.
const IDLE: Duration = Duration::from_millis(500);
/// Connections at once; further ones wait in the socket's queue.
const MAX_CLIENTS: usize = 256;

/// The number of a process in [`Shim::processes`]: 0 is the container's own, others are execs.
type ProcessKey = u32;
/// The container's own process.
const INIT: ProcessKey = 0;
/// The number of a client in [`Shim::clients`].
type ClientKey = u32;
/// Who asked for the container: the first client.
const CREATOR: ClientKey = 0;

/// Everything a running shim has.
struct Shim {
    poller: Poller,
    records: Records,
    listener: poller::Watched<UnixListener>,
    container: Container,
    processes: BTreeMap<ProcessKey, Process>,
    next_process: ProcessKey,
    /// Execs that ended, oldest first.
    finished: Vec<(Id, i32)>,
    clients: BTreeMap<ClientKey, Client>,
    next_client: ClientKey,
    log: Writer,
    /// Whether the last write to the log failed: said once, not for each line.
    log_failing: bool,
    /// A start that failed: once that is answered, this is recorded and the shim ends.
    not_started: Option<ExitRecord>,
    /// The state that was told is still to be written down.
    state_unwritten: bool,
    /// What chunks are read into; given back when idle.
    buffer: Vec<u8>,
    phase: Phase,
    /// Whether something was allocated since memory was last given back.
    fat: bool,
}

/// How far a shim is.
enum Phase {
    /// The container exists.
    Serving,
    /// The container's own process ended; its output is being read to its end, until the time given at most.
    Draining(Instant),
    /// All is recorded; clients are given what is left for them.
    Lingering,
}

/// Makes one container as the request that comes on `control` says, and serves it to its end. `show` is called
/// with the container's id as soon as that is known.
pub(crate) fn main(
    control: UnixStream,
    joins: Vec<(LinuxNamespaceType, OwnedFd)>,
    show: impl FnOnce(&Id),
) -> ! {
    let code = match first_request(&control) {
        Ok(None) => 0,
        Ok(Some((id, config))) => {
            show(&config.id);
            records::keep_panics(config.dir.clone());
            let made = receive_attached(&control, config.attached)
                .and_then(|attached| Ok((Shim::create(*config, joins, &control)?, attached)));
            match made {
                Ok(((shim, reply), attached)) => shim.serve(control, id, reply, attached),
                Err(failure) => {
                    answer(&control, id, Err(failure));
                    1
                }
            }
        }
        Err(error) => {
            let kind = Kind::InvalidParameter;
            answer(&control, 0, Err(Failure { kind, message: error.to_string(), exec_exit_code: Some(125) }));
            1
        }
    };
    std::process::exit(code)
}

fn first_request(mut control: &UnixStream) -> Result<Option<(u64, Box<ShimConfig>)>, CodecError> {
    let Some(json) = protocol::read_frame(&mut control)? else { return Ok(None) };
    let ClientFrame { id, request } = protocol::decode(&json)?;
    match request {
        Request::Create(config) => Ok(Some((id, config))),
        _ => Err(CodecError::Json(serde::de::Error::custom("the first request must be create"))),
    }
}

/// Connections that the creator wants attached before the start.
fn receive_attached(control: &UnixStream, count: usize) -> Result<Vec<UnixStream>, Failure> {
    let receive = |_| protocol::receive_descriptor(control).map(UnixStream::from);
    let attached: io::Result<_> = (0..count.min(MAX_CLIENTS)).map(receive).collect();
    attached.map_err(|e| container::failed("receive attached connections", e))
}

/// Blocking; the connection has room for it. A daemon that is gone needs no answer.
fn answer(mut control: &UnixStream, id: u64, result: Result<Reply, Failure>) {
    if let Ok(frame) = protocol::encode(&ServerFrame::Reply { id, result }) {
        let _ = control.write_all(&frame);
    }
}

impl Shim {
    /// Runs the loop until the container has ended and everybody was told; answers the exit code.
    fn serve(mut self, control: UnixStream, id: u64, reply: Reply, attached: Vec<UnixStream>) -> i32 {
        let creator = self.add_client(control);
        for stream in attached {
            if let Some(key) = self.add_client(stream) {
                // What it asks for is there, and comes before a start.
                self.client_ready(key, EventFlags::IN);
            }
        }
        if let Some(key) = creator {
            self.subscribe(key);
            self.reply(key, id, Ok(reply));
        }
        loop {
            if self.is_over() {
                return 0;
            }
            let timeout = self.timeout();
            let ready = match self.poller.wait(timeout) {
                Ok(ready) => ready,
                // Only a broken epoll descriptor could cause this, and nothing can be served without it.
                Err(error) => return self.abandon(&error),
            };
            if ready.is_empty() {
                self.give_back_memory();
            }
            for (token, flags) in ready {
                // What came before in this batch may have closed it.
                if let Some(role) = self.poller.role(token) {
                    self.dispatch(role, flags);
                }
            }
            self.advance();
        }
    }

    fn dispatch(&mut self, role: Role, flags: EventFlags) {
        match role {
            Role::Listener => self.accept(),
            Role::ProcessEnd(key) => self.process_ended(key),
            Role::Output(key, stream) => {
                if flags.intersects(EventFlags::OUT) {
                    self.feed_process(key);
                }
                if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                    self.read_output(key, stream);
                }
            }
            Role::Input(key) => self.feed_process(key),
            Role::Client(key) => self.client_ready(key, flags),
            Role::Memory => self.memory_event(),
        }
    }

    /// How long to wait for events at most; `None` for ever.
    fn timeout(&self) -> Option<Duration> {
        let now = Instant::now();
        let drains = self.processes.values().filter_map(|p| p.drain_until);
        let phase = match self.phase {
            Phase::Draining(until) => Some(until),
            Phase::Serving | Phase::Lingering => None,
        };
        let clients = self.clients.values().filter_map(Client::deadline);
        let idle = self.fat.then(|| now + IDLE);
        drains.chain(phase).chain(clients).chain(idle).min().map(|at| at.saturating_duration_since(now))
    }

    /// What follows from the passing of time and from what the last events changed.
    fn advance(&mut self) {
        self.close_overdue_clients();
        self.settle_processes();
    }

    fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Lingering) && self.clients.is_empty()
    }

    fn accept(&mut self) {
        if self.clients.len() >= MAX_CLIENTS {
            self.poller.watch(&mut self.listener, Role::Listener, EventFlags::empty());
            return;
        }
        match self.listener.accept() {
            Ok((stream, _)) if client::may_speak(&stream) => {
                self.add_client(stream);
            }
            Ok(_) => {}
            Err(e) if matches!(e.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM)) => {
                // Without room, the connection stays in the queue and would wake us for ever. A client that
                // leaves makes room, and the listener is watched again then.
                self.poller.watch(&mut self.listener, Role::Listener, EventFlags::empty());
            }
            // Gone before it was accepted.
            Err(_) => {}
        }
    }

    /// Sends an event to all who asked for events.
    fn push(&mut self, event: Event) {
        self.push_but(event, None);
    }

    /// As [`Shim::push`], to all but one.
    fn push_but(&mut self, event: Event, but: Option<ClientKey>) {
        let asked = self.clients.iter().filter(|(key, c)| c.is_subscribed() && Some(**key) != but);
        let keys: Vec<ClientKey> = asked.map(|(key, _)| *key).collect();
        if keys.is_empty() {
            return;
        }
        // Events are small and hold nothing that JSON can't.
        let Ok(frame) = protocol::encode(&ServerFrame::Event(event)) else { return };
        for key in keys {
            self.send(key, &frame);
        }
    }

    fn give_back_memory(&mut self) {
        if !std::mem::take(&mut self.fat) {
            return;
        }
        self.buffer = Vec::new();
        self.log.shrink();
        for client in self.clients.values_mut() {
            client.shrink();
        }
        memory::give_back();
    }

    fn hello(&mut self, key: ClientKey) -> Reply {
        self.subscribe(key);
        Reply::Hello { protocol: PROTOCOL_VERSION }
    }
}
