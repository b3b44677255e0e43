//! The engine's connection to one shim: requests from many callers, answers and events from the shim.

use crate::error::{Error, Result};
use brig_core::Id;
use brig_shim::protocol::{
    ClientFrame, Decoder, Event, ExitRecord, Failure, Reply, Request, ServerFrame, decode, encode,
};
use std::{
    collections::HashMap,
    io,
    os::unix::net::UnixStream as StdUnixStream,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{
    io::AsyncWriteExt,
    net::UnixStream,
    sync::{mpsc, oneshot, watch},
};

/// How many requests wait for the connection.
const REQUESTS: usize = 32;
/// How much is read at once.
const READ: usize = 8 << 10;

/// What a shim has told of its container so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    /// How the container ended.
    pub(crate) exit: Option<ExitRecord>,
    /// The kernel killed a process of it for want of memory.
    pub(crate) oom: bool,
    /// The connection is gone; nothing more comes.
    pub(crate) closed: bool,
}

/// Is told of the ends of execs.
pub(crate) type OnExecExit = Arc<dyn Fn(Id, i32) + Send + Sync>;

struct Call {
    request: Request,
    reply: oneshot::Sender<Result<Reply, Failure>>,
}

/// A connection to a shim. Cheap to clone; the connection closes with the last clone.
#[derive(Debug, Clone)]
pub(crate) struct ShimLink {
    dir: Arc<Path>,
    calls: mpsc::Sender<Call>,
    told: watch::Receiver<Told>,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("request", &self.request).finish_non_exhaustive()
    }
}

impl ShimLink {
    /// Takes over a control connection on which no request is waiting, and the events that have come on it.
    pub(crate) fn new(
        dir: impl Into<PathBuf>,
        control: StdUnixStream,
        container: Id,
        on_exec_exit: OnExecExit,
        events: impl IntoIterator<Item = Event>,
    ) -> io::Result<Self> {
        control.set_nonblocking(true)?;
        let stream = UnixStream::from_std(control)?;
        let (calls, requests) = mpsc::channel(REQUESTS);
        let (tell, told) = watch::channel(Told::default());
        let mut task = LinkTask { stream, container, waiting: HashMap::new(), tell, on_exec_exit };
        events.into_iter().for_each(|event| task.take(ServerFrame::Event(event)));
        tokio::spawn(task.run(requests));
        Ok(Self { dir: Arc::from(dir.into()), calls, told })
    }

    /// The shim's folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the shim has told so far, to be watched.
    pub(crate) fn told(&self) -> watch::Receiver<Told> {
        self.told.clone()
    }

    /// Asks the shim, and waits for its answer.
    ///
    /// The outer error is the connection's, the inner one the shim's.
    pub(crate) async fn ask(&self, request: Request) -> Result<Result<Reply, Failure>> {
        let gone = || Error::ShimGone(self.dir.to_path_buf());
        let (reply, answer) = oneshot::channel();
        self.calls.send(Call { request, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }

    /// Asks the shim; its refusal is an error like the others.
    pub(crate) async fn call(&self, request: Request) -> Result<Reply> {
        self.ask(request).await?.map_err(Error::Shim)
    }

    /// Waits until the shim has hung up.
    pub(crate) async fn closed(&self) {
        let mut told = self.told.clone();
        // An error means that the task is gone, and with it the connection.
        let _ = told.wait_for(|told| told.closed).await;
    }
}

struct LinkTask {
    stream: UnixStream,
    container: Id,
    waiting: HashMap<u64, oneshot::Sender<Result<Reply, Failure>>>,
    tell: watch::Sender<Told>,
    on_exec_exit: OnExecExit,
}

impl LinkTask {
    async fn run(mut self, mut requests: mpsc::Receiver<Call>) {
        if let Err(error) = self.serve(&mut requests).await {
            tracing::warn!(container = %self.container, %error, "connection to the shim");
        }
        self.tell.send_modify(|told| told.closed = true);
    }

    async fn serve(&mut self, requests: &mut mpsc::Receiver<Call>) -> io::Result<()> {
        let mut decoder = Decoder::default();
        let mut next = 1u64;
        loop {
            tokio::select! {
                ready = self.stream.readable() => {
                    ready?;
                    // On the stack, while something is there: a thousand idle connections keep no buffers.
                    let mut buffer = [0; READ];
                    match self.stream.try_read(&mut buffer) {
                        Ok(0) => return Ok(()),
                        Ok(n) => decoder.push(&buffer[..n]),
                        Err(e) if e.kind() == io::ErrorKind::WouldBlock => continue,
                        Err(e) => return Err(e),
                    }
                    while let Some(frame) = decoder.next_frame().map_err(io::Error::other)? {
                        let frame = decode(frame).map_err(io::Error::other)?;
                        self.take(frame);
                    }
                }
                call = requests.recv() => {
                    let Some(call) = call else { return Ok(()) };
                    let frame = encode(&ClientFrame { id: next, request: call.request }).map_err(io::Error::other)?;
                    self.waiting.insert(next, call.reply);
                    next += 1;
                    self.stream.write_all(&frame).await?;
                }
            }
        }
    }

    fn take(&mut self, frame: ServerFrame) {
        match frame {
            ServerFrame::Reply { id, result } => {
                if let Some(reply) = self.waiting.remove(&id) {
                    // Who asked may have gone away since.
                    let _ = reply.send(result);
                }
            }
            ServerFrame::Event(Event::Exited(record)) => {
                self.tell.send_modify(|told| told.exit = Some(record));
            }
            ServerFrame::Event(Event::Oom) => self.tell.send_modify(|told| told.oom = true),
            ServerFrame::Event(Event::ExecExited { id, code }) => (self.on_exec_exit)(id, code),
            ServerFrame::Event(Event::Warning { message }) => {
                tracing::warn!(container = %self.container, message, "shim");
            }
            // Answers to our own requests, which we have from their replies.
            ServerFrame::Event(Event::Started { .. } | Event::Paused | Event::Resumed) => {}
        }
    }
}
