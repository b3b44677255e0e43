//! Output from processes to the log and to attached clients; input from clients to processes.

use super::{
    CHUNK, ClientKey, INIT, ProcessKey, Shim,
    client::{Client, ClientKind, Incoming},
    process::{Input, Life},
};
use crate::protocol::Event;
use brig_logs::Stream;
use rustix::io::Errno;
use std::{
    io::{self, Read},
    os::fd::BorrowedFd,
};

/// What came of reading once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Got {
    Bytes,
    /// Nothing now.
    Nothing,
    End,
}

impl Shim {
    /// Reads one chunk of output, unless it is held back.
    pub(super) fn read_output(&mut self, key: ProcessKey, stream: Stream) {
        if self.processes.get(&key).is_some_and(|p| !p.held_back) {
            self.pump_output(key, stream);
        }
    }

    /// Reads one chunk of output, logs it and sends it to attached clients.
    pub(super) fn pump_output(&mut self, key: ProcessKey, stream: Stream) -> Got {
        let Some(process) = self.processes.get_mut(&key) else { return Got::End };
        let Some(output) = process.output(stream) else { return Got::End };
        self.fat = true;
        let mut chunk = std::mem::take(&mut self.buffer);
        chunk.resize(CHUNK, 0);
        let got = match read(output, &mut chunk) {
            Ok(0) => Got::End,
            Ok(n) => {
                self.deliver(key, stream, &chunk[..n]);
                Got::Bytes
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Got::Nothing,
            // A terminal whose last slave was closed says EIO. Nothing else can be expected of a pipe.
            Err(_) => Got::End,
        };
        self.buffer = chunk;
        if got == Got::End {
            self.end_output(key, stream);
        }
        got
    }

    fn deliver(&mut self, key: ProcessKey, stream: Stream, bytes: &[u8]) {
        if key == INIT {
            let logged = self.log.write(stream, bytes);
            self.note_log(logged);
        }
        let takers: Vec<ClientKey> = self
            .clients
            .iter()
            .filter(|(_, client)| {
                client.closing.is_none()
                    && client.attached().is_some_and(|a| {
                        a.process == key
                            && match stream {
                                Stream::Stdout => a.stdout,
                                Stream::Stderr => a.stderr,
                            }
                    })
            })
            .map(|(key, _)| *key)
            .collect();
        let mut room = true;
        for taker in takers {
            room &= self.send_output(taker, stream, bytes);
        }
        if !room {
            self.hold_back(key, true);
        }
    }

    /// An output came to its end: what the log held back is a line without newline.
    pub(super) fn end_output(&mut self, key: ProcessKey, stream: Stream) {
        if self.processes.get(&key).is_none_or(|p| p.output(stream).is_none()) {
            return;
        }
        if key == INIT {
            let logged = self.log.end(stream);
            self.note_log(logged);
        }
        if let Some(process) = self.processes.get_mut(&key) {
            process.close_output(stream, &mut self.poller);
        }
    }

    /// Says once that the log can't be written, until it can again.
    pub(super) fn note_log(&mut self, result: Result<(), brig_logs::Error>) {
        match result {
            Ok(()) => self.log_failing = false,
            Err(_) if self.log_failing => {}
            Err(error) => {
                self.log_failing = true;
                self.push(Event::Warning { message: format!("output is lost: {error}") });
            }
        }
    }

    fn hold_back(&mut self, key: ProcessKey, held: bool) {
        let writing = self.has_pending_input(key);
        if let Some(process) = self.processes.get_mut(&key)
            && process.held_back != held
        {
            process.held_back = held;
            process.watch_output(key, &mut self.poller, writing);
        }
    }

    /// Reads on if no attached client is owed anything.
    pub(super) fn resume_output(&mut self, key: ProcessKey) {
        let owed = self
            .clients
            .values()
            .any(|c| !c.outgoing.is_empty() && c.attached().is_some_and(|a| a.process == key));
        if !owed {
            self.hold_back(key, false);
        }
    }

    /// A client has sent input, or its end.
    pub(super) fn read_input(&mut self, key: ClientKey) {
        let Some(Client { kind: ClientKind::Attached(attached), stream, .. }) = self.clients.get_mut(&key)
        else {
            return;
        };
        match &mut attached.input {
            Incoming::Wanted { .. } => {
                let process = attached.process;
                self.pump_input(key);
                self.input_changed(process);
            }
            Incoming::Discarded | Incoming::Over => {
                let mut thrown_away = [0u8; 4096];
                if let Ok(0) = (&**stream).read(&mut thrown_away) {
                    attached.input = Incoming::Over;
                }
            }
        }
    }

    /// The client is gone; the input it sent before still goes into the process.
    pub(super) fn attached_hung_up(&mut self, key: ClientKey) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        let ClientKind::Attached(attached) = &mut client.kind else { return };
        let process = attached.process;
        if !matches!(attached.input, Incoming::Wanted { .. }) {
            return self.drop_client(key);
        }
        (attached.stdout, attached.stderr) = (false, false);
        client.outgoing = super::client::Outgoing::default();
        client.gone = true;
        self.resume_output(process);
        self.pump_input(key);
        self.input_changed(process);
    }

    /// The process can take input, or has just got one.
    pub(super) fn feed_process(&mut self, key: ProcessKey) {
        let feeders: Vec<ClientKey> = self
            .clients
            .iter()
            .filter(|(_, c)| {
                c.attached().is_some_and(|a| a.process == key && matches!(a.input, Incoming::Wanted { .. }))
            })
            .map(|(key, _)| *key)
            .collect();
        for feeder in feeders {
            self.pump_input(feeder);
            self.watch_client(feeder);
        }
        self.input_changed(key);
    }

    /// Watches the process' input for room if a client has something for it.
    pub(super) fn input_changed(&mut self, key: ProcessKey) {
        let waiting = self.has_pending_input(key);
        if let Some(process) = self.processes.get_mut(&key) {
            process.watch_input(key, &mut self.poller, waiting);
        }
    }

    fn has_pending_input(&self, key: ProcessKey) -> bool {
        self.clients.values().filter_map(Client::attached).any(|a| {
            a.process == key
                && matches!(&a.input, Incoming::Wanted { pending, taken, .. } if *taken < pending.len())
        })
    }

    /// Moves input from one client into its process, as far as both go without waiting.
    fn pump_input(&mut self, key: ClientKey) {
        loop {
            let Some(Client { kind: ClientKind::Attached(attached), stream, .. }) =
                self.clients.get_mut(&key)
            else {
                return;
            };
            let Some(process) = self.processes.get(&attached.process) else { return };
            let Incoming::Wanted { pending, taken, ended } = &mut attached.input else { return };
            match process.input() {
                Input::Later => return,
                // It closed its input: what comes is for nobody.
                Input::None if matches!(process.life, Life::Alive { .. }) => {
                    attached.input = Incoming::Discarded;
                    return self.watch_or_drop(key);
                }
                Input::None => {
                    attached.input = Incoming::Over;
                    return self.watch_or_drop(key);
                }
                Input::Open(input) if *taken < pending.len() => match write(input, &pending[*taken..]) {
                    Ok(n) => *taken += n,
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                    Err(_) => {
                        // The process has closed its end.
                        let process = attached.process;
                        attached.input = Incoming::Discarded;
                        if let Some(process) = self.processes.get_mut(&process) {
                            process.close_input(&mut self.poller);
                        }
                        return self.watch_or_drop(key);
                    }
                },
                Input::Open(_) if *ended => return self.input_ended(key),
                Input::Open(_) => {
                    let mut chunk = std::mem::take(pending);
                    chunk.resize(CHUNK / 4, 0);
                    *taken = 0;
                    let read = (&**stream).read(&mut chunk);
                    chunk.truncate(*read.as_ref().unwrap_or(&0));
                    *pending = chunk;
                    match read {
                        Ok(0) => *ended = true,
                        Ok(_) => self.fat = true,
                        Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                        Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                        Err(_) => *ended = true,
                    }
                }
            }
        }
    }

    /// A client's input came to its end, and all of it is in the process.
    fn input_ended(&mut self, key: ClientKey) {
        let Some(Client { kind: ClientKind::Attached(attached), .. }) = self.clients.get_mut(&key) else {
            return;
        };
        attached.input = Incoming::Over;
        let Some(process) = self.processes.get_mut(&attached.process) else { return };
        if process.input_ends_with_client && !process.terminal {
            process.close_input(&mut self.poller);
            self.watch_or_drop(key);
        } else {
            // The input goes on for others: the end of this client's is that it detaches, as under Docker.
            self.close_client(key);
        }
    }

    /// Watches a client on; one that has hung up is of no use any more.
    fn watch_or_drop(&mut self, key: ClientKey) {
        if self.clients.get(&key).is_some_and(|client| client.gone) {
            self.drop_client(key);
        } else {
            self.watch_client(key);
        }
    }
}

fn read(fd: BorrowedFd<'_>, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match rustix::io::read(fd, &mut *into) {
            Err(Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}

fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match rustix::io::write(fd, bytes) {
            Err(Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}
