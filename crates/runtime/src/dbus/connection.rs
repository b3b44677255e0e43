//! One talk with a bus, or with somebody without a bus between.

use super::address::Address;
use super::error::DbusError;
use super::message::{self, Call, Kind, Message};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// When to give up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    end: Instant,
    within: Duration,
}

impl Deadline {
    /// So far from now.
    pub(crate) fn within(within: Duration) -> Self {
        Self { end: Instant::now() + within, within }
    }

    fn left(self) -> Option<Duration> {
        self.end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }
}

/// How many signals that nobody has waited for yet are kept. Those of a busy machine's other units are not ours.
const KEPT: usize = 1024;

/// The longest line of the introduction.
const LONGEST_LINE: usize = 16 << 10;

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    address: String,
    serial: u32,
    received: Vec<u8>,
    signals: VecDeque<Message>,
}

impl Connection {
    /// Connects, and says who calls. The other side asks the kernel who that is, so that nothing need be known of the
    /// ids outside of a user namespace.
    pub(crate) fn open(address: &Address, deadline: Deadline) -> Result<Self, DbusError> {
        let name = address.to_string();
        let stream = address.connect().map_err(|e| DbusError::Socket {
            step: "connect to",
            address: name.clone(),
            reason: reason(&e),
        })?;
        let mut new =
            Self { stream, address: name, serial: 0, received: Vec::new(), signals: VecDeque::new() };
        new.write(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n", deadline)?;
        loop {
            let line = new.line(deadline)?;
            match line.split(' ').next() {
                Some("DATA") => {}
                Some("OK") => return Ok(new),
                _ => {
                    return Err(DbusError::Rejected {
                        address: new.address,
                        user: rustix::process::geteuid().as_raw(),
                        said: line,
                    });
                }
            }
        }
    }

    /// Calls a method; answers the number that its answer will name.
    pub(crate) fn send(&mut self, call: &Call<'_>, deadline: Deadline) -> Result<u32, DbusError> {
        // 0 is no serial.
        self.serial += 1;
        self.write(&call.bytes(self.serial), deadline)?;
        Ok(self.serial)
    }

    /// Waits for an answer. Calls may be answered in any order, but are waited for in the order that they were made in.
    pub(crate) fn answer(&mut self, serial: u32, deadline: Deadline) -> Result<Message, DbusError> {
        loop {
            let message = self.next(deadline)?;
            match message.kind {
                Kind::Return if message.reply_to == Some(serial) => return Ok(message),
                Kind::Error if message.reply_to == Some(serial) => {
                    let text = message.text().unwrap_or_default().to_owned();
                    return Err(DbusError::Answer { name: message.error, message: text });
                }
                Kind::Signal => self.keep(message),
                _ => {}
            }
        }
    }

    /// Calls a method and waits for its answer.
    pub(crate) fn call(&mut self, call: &Call<'_>, deadline: Deadline) -> Result<Message, DbusError> {
        let serial = self.send(call, deadline)?;
        self.answer(serial, deadline)
    }

    /// Waits for a signal, which may have come already.
    pub(crate) fn signal(
        &mut self,
        deadline: Deadline,
        is_wanted: impl Fn(&Message) -> bool,
    ) -> Result<Message, DbusError> {
        if let Some(at) = self.signals.iter().position(&is_wanted)
            && let Some(found) = self.signals.remove(at)
        {
            return Ok(found);
        }
        loop {
            let message = self.next(deadline)?;
            if message.kind == Kind::Signal && is_wanted(&message) {
                return Ok(message);
            }
        }
    }

    fn keep(&mut self, signal: Message) {
        if self.signals.len() == KEPT {
            self.signals.pop_front();
        }
        self.signals.push_back(signal);
    }

    fn next(&mut self, deadline: Deadline) -> Result<Message, DbusError> {
        loop {
            if let Some(start) = self.received.first_chunk() {
                let whole = message::length(start).map_err(|what| self.malformed(what))?;
                if self.received.len() >= whole {
                    let bytes: Vec<u8> = self.received.drain(..whole).collect();
                    return Message::parse(&bytes).map_err(|what| self.malformed(what));
                }
            }
            self.receive(deadline)?;
        }
    }

    /// A line of the introduction, without its end.
    fn line(&mut self, deadline: Deadline) -> Result<String, DbusError> {
        loop {
            if let Some(end) = self.received.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.received.drain(..end + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if self.received.len() > LONGEST_LINE {
                return Err(self.malformed("a line without an end"));
            }
            self.receive(deadline)?;
        }
    }

    fn receive(&mut self, deadline: Deadline) -> Result<(), DbusError> {
        let mut bytes = [0; 4096];
        loop {
            let left = deadline.left().ok_or_else(|| self.silent(deadline))?;
            self.stream.set_read_timeout(Some(left)).map_err(|e| self.failed("wait for", &e))?;
            match self.stream.read(&mut bytes) {
                Ok(0) => {
                    return Err(self.failed("read from", &std::io::Error::from(ErrorKind::ConnectionReset)));
                }
                Ok(length) => {
                    self.received.extend_from_slice(&bytes[..length]);
                    return Ok(());
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Err(self.silent(deadline)),
                Err(e) => return Err(self.failed("read from", &e)),
            }
        }
    }

    fn write(&mut self, mut bytes: &[u8], deadline: Deadline) -> Result<(), DbusError> {
        while !bytes.is_empty() {
            let left = deadline.left().ok_or_else(|| self.silent(deadline))?;
            self.stream.set_write_timeout(Some(left)).map_err(|e| self.failed("wait for", &e))?;
            match self.stream.write(bytes) {
                Ok(length) => bytes = &bytes[length..],
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Err(self.silent(deadline)),
                Err(e) => return Err(self.failed("write to", &e)),
            }
        }
        Ok(())
    }

    fn silent(&self, deadline: Deadline) -> DbusError {
        DbusError::Timeout { address: self.address.clone(), seconds: deadline.within.as_secs() }
    }

    fn failed(&self, step: &'static str, error: &std::io::Error) -> DbusError {
        DbusError::Socket { step, address: self.address.clone(), reason: reason(error) }
    }

    fn malformed(&self, what: &'static str) -> DbusError {
        DbusError::Malformed { address: self.address.clone(), what }
    }
}

fn reason(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) => crate::error::Errno(errno).to_string(),
        None => "the other side has closed the connection".into(),
    }
}
