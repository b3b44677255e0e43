//! Speaking to a shim, blocking. Asynchronous callers take [`connect`], make the stream non-blocking and use
//! [`crate::protocol`]'s codec themselves.

use crate::{
    Error,
    protocol::{
        self, ClientFrame, Event, PROTOCOL_VERSION, Reply, Request, SOCKET_NAME, ServerFrame, Target,
    },
};
use std::{
    collections::VecDeque,
    fs::File,
    io::{Read, Write},
    os::{fd::AsRawFd, unix::net::UnixStream},
    path::Path,
};

/// Connects to the shim whose folder is `dir`. Works for paths longer than a socket address can hold.
///
/// # Errors
/// [`Error::Path`] when the folder or socket is missing or nobody listens.
pub fn connect(dir: &Path) -> Result<UnixStream, Error> {
    let folder = File::open(dir).map_err(Error::path(dir, "open folder"))?;
    UnixStream::connect(format!("/proc/self/fd/{}/{SOCKET_NAME}", folder.as_raw_fd()))
        .map_err(Error::path(dir.join(SOCKET_NAME), "connect"))
}

/// The id of the request that makes a shim's container.
pub(crate) const CREATE: u64 = 0;
/// The id of the one request on an [`Attaching`].
const ATTACH: u64 = 0;
/// The id of a start that is asked for before the answer to that.
pub(crate) const START_AHEAD: u64 = 1;

/// A control connection: requests one at a time, events put aside until asked for.
#[derive(Debug)]
pub struct Control {
    stream: UnixStream,
    next_id: u64,
    events: VecDeque<Event>,
}

impl Control {
    /// Takes over a connection on which no request is waiting.
    #[must_use]
    pub fn new(stream: UnixStream) -> Self {
        Self { stream, next_id: START_AHEAD + 1, events: VecDeque::new() }
    }

    /// Connects to the shim whose folder is `dir` and checks that it speaks a protocol we know.
    ///
    /// # Errors
    /// As [`connect`] and [`Control::call`].
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let mut control = Self::new(connect(dir)?);
        match control.call(Request::Hello { protocol: PROTOCOL_VERSION })? {
            Reply::Hello { .. } => Ok(control),
            _ => Err(Error::UnexpectedReply("hello")),
        }
    }

    /// Sends one request and waits for its reply.
    ///
    /// # Errors
    /// [`Error::Refused`] with the shim's words, or what broke the connection.
    pub fn call(&mut self, request: Request) -> Result<Reply, Error> {
        let id = self.next_id;
        self.next_id += 1;
        let frame = protocol::encode(&ClientFrame { id, request })?;
        self.stream.write_all(&frame).map_err(Error::system("send request"))?;
        wait_reply(&mut self.stream, id, &mut self.events)
    }

    /// Waits for the reply to a [`Request::Start`] that was sent ahead ([`crate::zygote::Beginning::start`]).
    ///
    /// # Errors
    /// As [`Control::call`].
    pub fn started(&mut self) -> Result<Reply, Error> {
        wait_reply(&mut self.stream, START_AHEAD, &mut self.events)
    }

    /// The next event, waiting for it; `None` when the shim closed the connection.
    ///
    /// # Errors
    /// What broke the connection.
    pub fn next_event(&mut self) -> Result<Option<Event>, Error> {
        if let Some(event) = self.events.pop_front() {
            return Ok(Some(event));
        }
        match protocol::read_frame(&mut self.stream)? {
            None => Ok(None),
            Some(json) => match protocol::decode(&json)? {
                ServerFrame::Event(event) => Ok(Some(event)),
                ServerFrame::Reply { .. } => Err(Error::UnexpectedReply("nothing")),
            },
        }
    }

    /// The connection, and the events that came and were not asked for.
    #[must_use]
    pub fn into_parts(self) -> (UnixStream, VecDeque<Event>) {
        (self.stream, self.events)
    }

    /// The connection, for polling or a timeout.
    #[must_use]
    pub fn stream(&self) -> &UnixStream {
        &self.stream
    }
}

/// Connects to the shim whose folder is `dir` and attaches to `target`: what is read from the stream is output,
/// what is written is input (see [`Request::Attach`]).
///
/// # Errors
/// As [`connect`] and [`Control::call`].
pub fn attach(
    dir: &Path,
    target: Target,
    stdin: bool,
    stdout: bool,
    stderr: bool,
) -> Result<UnixStream, Error> {
    Attaching::begin(connect(dir)?, target, stdin, stdout, stderr)?.finish()
}

/// A connection on which the shim is asked to attach it.
#[derive(Debug)]
pub struct Attaching(UnixStream);

impl Attaching {
    /// Asks; `stream` leads to the shim, or is going to.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn begin(
        mut stream: UnixStream,
        target: Target,
        stdin: bool,
        stdout: bool,
        stderr: bool,
    ) -> Result<Self, Error> {
        let request = Request::Attach { target, stdin, stdout, stderr };
        let frame = protocol::encode(&ClientFrame { id: ATTACH, request })?;
        stream.write_all(&frame).map_err(Error::system("send request"))?;
        Ok(Self(stream))
    }

    /// Waits for the answer; what is read from then on is output, what is written is input.
    ///
    /// # Errors
    /// [`Error::Refused`] with the shim's words, or what broke the connection.
    pub fn finish(self) -> Result<UnixStream, Error> {
        let Self(mut stream) = self;
        match wait_reply(&mut stream, ATTACH, &mut VecDeque::new())? {
            Reply::Done => Ok(stream),
            _ => Err(Error::UnexpectedReply("attach")),
        }
    }
}

/// Reads up to the reply `id`; events that come first go to `events`.
pub(crate) fn wait_reply(
    stream: &mut impl Read,
    id: u64,
    events: &mut VecDeque<Event>,
) -> Result<Reply, Error> {
    loop {
        let json = protocol::read_frame(stream)?.ok_or(Error::Closed)?;
        match protocol::decode(&json)? {
            ServerFrame::Event(event) => events.push_back(event),
            ServerFrame::Reply { id: got, result } if got == id => return result.map_err(Error::Refused),
            ServerFrame::Reply { .. } => return Err(Error::UnexpectedReply("another request")),
        }
    }
}
