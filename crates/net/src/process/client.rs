//! The daemon's end of the conversation with `brig net`.

mod names;

use super::{
    protocol::{MAX_PORTS, RESOLVER_DESCRIPTORS, Reply, Request, VERSION, decode, encode, take_frame},
    spawn,
};
use crate::{PortBinding, error::Error};
pub use names::LiveNames;
use names::Wanted;
use rustix::{
    io::Errno,
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg},
};
use std::{
    collections::BTreeSet,
    io::{self, IoSlice, Read, Write},
    mem::MaybeUninit,
    os::{fd::BorrowedFd, unix::net::UnixStream},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

/// A process that does not answer for so long is stuck.
const PATIENCE: Duration = Duration::from_secs(10);
/// One that dies again so soon is not started a third time, until a port is asked for.
const TOO_SOON: Duration = Duration::from_secs(1);

/// A way to `brig net`: starts it when a port is to be reserved and it isn't there, and again when it died, with
/// the same ports.
#[derive(Debug, Clone)]
pub struct Client(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    socket: PathBuf,
    executable: PathBuf,
    proxy: bool,
    link: Mutex<Link>,
}

#[derive(Debug, Default)]
struct Link {
    stream: Option<UnixStream>,
    /// A second connection whose end tells that the process died.
    watch: Option<UnixStream>,
    /// Counts the watching connections, so that an old one's end is not taken for the present one's.
    watched: u64,
    /// What the process should hold.
    ports: BTreeSet<PortBinding>,
    /// Which names it should answer.
    names: Wanted,
    revived: Option<Instant>,
}

/// Why ports could not be reserved.
#[derive(Debug)]
pub enum Refusal {
    /// The kernel refused one.
    Port(PortBinding, Errno),
    /// The process can't be reached.
    Process(Error),
}

impl From<Error> for Refusal {
    fn from(e: Error) -> Self {
        Self::Process(e)
    }
}

/// Whether a process is started when there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Absent {
    Start,
    Leave,
}

impl Client {
    /// A client of the process at `socket`, which is started from `executable`. With `proxy` the process carries
    /// what comes in on its ports.
    #[must_use]
    pub fn new(socket: PathBuf, executable: PathBuf, proxy: bool) -> Self {
        Self(Arc::new(Shared { socket, executable, proxy, link: Mutex::default() }))
    }

    /// Reserves all these ports, or none.
    ///
    /// # Errors
    /// [`Refusal::Port`] with the first one that could not be taken.
    pub fn reserve(&self, ports: &[PortBinding]) -> Result<(), Refusal> {
        let mut link = self.link();
        for (n, chunk) in ports.chunks(MAX_PORTS).enumerate() {
            if let Err(refused) = self.reserve_chunk(&mut link, chunk) {
                let taken = &ports[..n * MAX_PORTS];
                self.release_chunks(&mut link, taken)?;
                return Err(refused);
            }
            link.ports.extend(chunk);
        }
        Ok(())
    }

    /// Lets go of ports. It is done as well when there is no process.
    ///
    /// # Errors
    /// When the process does not answer.
    pub fn release(&self, ports: &[PortBinding]) -> Result<(), Error> {
        self.release_chunks(&mut self.link(), ports)
    }

    /// Makes the process hold exactly these ports and answer exactly these names, and tells which ports it could not
    /// take.
    ///
    /// # Errors
    /// When the process can't be started or does not answer.
    pub fn reconcile(
        &self,
        ports: &BTreeSet<PortBinding>,
        names: LiveNames,
    ) -> Result<Vec<(PortBinding, Errno)>, Error> {
        let mut link = self.link();
        link.ports.clone_from(ports);
        link.names = Wanted::of(names);
        link.forget();
        let absent = if link.wants_nothing() { Absent::Leave } else { Absent::Start };
        self.connect(&mut link, absent)?;
        if link.stream.is_none() { Ok(Vec::new()) } else { self.restore(&mut link) }
    }

    /// What the process holds; nothing when there is none.
    ///
    /// # Errors
    /// When the process does not answer.
    pub fn list(&self) -> Result<BTreeSet<PortBinding>, Error> {
        let mut link = self.link();
        self.connect(&mut link, Absent::Leave)?;
        if link.stream.is_none() { Ok(BTreeSet::new()) } else { listed(&mut link) }
    }

    /// The id of the process, if there is one.
    ///
    /// # Errors
    /// When the process does not answer.
    pub fn pid(&self) -> Result<Option<i32>, Error> {
        let mut link = self.link();
        self.connect(&mut link, Absent::Leave)?;
        if link.stream.is_none() {
            return Ok(None);
        }
        match ask(&mut link, &Request::Hello)? {
            Reply::Hello { pid, .. } => Ok(Some(pid)),
            other => Err(nonsense(&other)),
        }
    }

    /// Ends the process unless it holds ports or answers names; waits until it is gone. `false` when it stays.
    ///
    /// # Errors
    /// When the process does not answer.
    pub fn shutdown(&self) -> Result<bool, Error> {
        let mut link = self.link();
        self.connect(&mut link, Absent::Leave)?;
        if link.stream.is_none() {
            return Ok(true);
        }
        match ask(&mut link, &Request::Shutdown)? {
            Reply::Done => {
                if let Some(mut stream) = link.stream.take() {
                    // Its end is the process's, or nearly.
                    let _ = stream.read(&mut [0]);
                }
                link.forget();
                Ok(true)
            }
            Reply::Busy { .. } => Ok(false),
            other => Err(nonsense(&other)),
        }
    }

    fn reserve_chunk(&self, link: &mut Link, chunk: &[PortBinding]) -> Result<(), Refusal> {
        self.connect(link, Absent::Start)?;
        let request = Request::Reserve { ports: chunk.to_vec(), proxy: self.0.proxy };
        let reply = match ask(link, &request) {
            // It died since the last call: once more with a new one.
            Err(_) if link.stream.is_none() => {
                self.connect(link, Absent::Start)?;
                ask(link, &request)?
            }
            reply => reply?,
        };
        match reply {
            Reply::Done => Ok(()),
            Reply::Refused { index, errno } => match chunk.get(index) {
                Some(port) => Err(Refusal::Port(*port, Errno::from_raw_os_error(errno))),
                None => Err(nonsense(&reply).into()),
            },
            other => Err(nonsense(&other).into()),
        }
    }

    fn release_chunks(&self, link: &mut Link, ports: &[PortBinding]) -> Result<(), Error> {
        for port in ports {
            link.ports.remove(port);
        }
        if ports.is_empty() {
            return Ok(());
        }
        self.connect(link, Absent::Leave)?;
        for chunk in ports.chunks(MAX_PORTS) {
            if link.stream.is_none() {
                return Ok(());
            }
            match ask(link, &Request::Release { ports: chunk.to_vec() }) {
                Ok(Reply::Done) => {}
                Ok(other) => return Err(nonsense(&other)),
                // It died, and what it held with it.
                Err(_) if link.stream.is_none() => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Connects unless it is connected. A process that was started takes over the ports of the one that died.
    fn connect(&self, link: &mut Link, absent: Absent) -> Result<(), Error> {
        if link.stream.is_some() {
            return Ok(());
        }
        if self.try_connect(link)? || absent == Absent::Leave {
            return Ok(());
        }
        let fail = |step| move |source| Error::Process { step, source };
        let starting = spawn::starting(&self.0.socket).map_err(fail("lock"))?;
        if !self.try_connect(link)? {
            spawn::start(&self.0.executable, &self.0.socket).map_err(fail("start"))?;
            if !self.try_connect(link)? {
                return Err(fail("connect")(io::ErrorKind::ConnectionRefused.into()));
            }
        }
        drop(starting);
        if !link.ports.is_empty() || !link.names.are_none() {
            for (port, errno) in self.restore(link)? {
                tracing::warn!(%port, %errno, "a published port was lost with the network process");
            }
        }
        Ok(())
    }

    fn try_connect(&self, link: &mut Link) -> Result<bool, Error> {
        let fail = |step| move |source| Error::Process { step, source };
        let absent = [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused];
        let stream = match UnixStream::connect(&self.0.socket) {
            Err(e) if absent.contains(&e.kind()) => return Ok(false),
            connected => connected.map_err(fail("connect"))?,
        };
        stream.set_read_timeout(Some(PATIENCE)).map_err(fail("connect"))?;
        stream.set_write_timeout(Some(PATIENCE)).map_err(fail("connect"))?;
        link.stream = Some(stream);
        match ask(link, &Request::Hello) {
            Ok(Reply::Hello { version, .. }) if version.abs_diff(VERSION) <= 1 => {}
            Ok(Reply::Hello { version, .. }) => {
                link.forget();
                let source = io::Error::other(format!("protocol {version}, expected {VERSION}"));
                return Err(fail("connect")(source));
            }
            Ok(other) => return Err(nonsense(&other)),
            // It was on its way out when it took the connection.
            Err(_) if link.stream.is_none() => return Ok(false),
            Err(e) => return Err(e),
        }
        self.watch(link).map_err(fail("watch"))?;
        Ok(true)
    }

    /// Makes what the process holds equal to what it should.
    fn restore(&self, link: &mut Link) -> Result<Vec<(PortBinding, Errno)>, Error> {
        let held = listed(link)?;
        let surplus: Vec<_> = held.difference(&link.ports).copied().collect();
        for chunk in surplus.chunks(MAX_PORTS) {
            ask(link, &Request::Release { ports: chunk.to_vec() })?;
        }
        let mut missing: Vec<_> = link.ports.difference(&held).copied().collect();
        let mut lost = Vec::new();
        while !missing.is_empty() {
            let chunk: Vec<_> = missing.iter().copied().take(MAX_PORTS).collect();
            let length = chunk.len();
            match ask(link, &Request::Reserve { ports: chunk, proxy: self.0.proxy })? {
                Reply::Done => drop(missing.drain(..length)),
                Reply::Refused { index, errno } if index < length => {
                    let port = missing.remove(index);
                    link.ports.remove(&port);
                    lost.push((port, Errno::from_raw_os_error(errno)));
                }
                other => return Err(nonsense(&other)),
            }
        }
        self.restore_names(link)?;
        Ok(lost)
    }

    /// Waits in the background for the process to die, to start it anew.
    fn watch(&self, link: &mut Link) -> io::Result<()> {
        let mut stream = UnixStream::connect(&self.0.socket)?;
        link.watch = Some(stream.try_clone()?);
        link.watched += 1;
        let watched = link.watched;
        let shared = Arc::downgrade(&self.0);
        thread::Builder::new().name("brig: net watch".to_owned()).stack_size(128 << 10).spawn(move || {
            // Nothing is ever sent here: this comes back when either side closes.
            let _ = stream.read(&mut [0]);
            revive(&shared, watched);
        })?;
        Ok(())
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.0.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.link.get_mut().unwrap_or_else(PoisonError::into_inner).forget();
    }
}

impl Link {
    /// Whether there is no need for a process.
    fn wants_nothing(&self) -> bool {
        self.ports.is_empty() && self.names.have_no_askers()
    }

    /// Drops both connections; the watching thread ends.
    fn forget(&mut self) {
        self.stream = None;
        if let Some(watch) = self.watch.take() {
            // It fails when the other side has closed, which wakes the thread as well.
            let _ = watch.shutdown(std::net::Shutdown::Both);
        }
    }
}

fn revive(shared: &Weak<Shared>, watched: u64) {
    let Some(shared) = shared.upgrade() else { return };
    let client = Client(shared);
    let mut link = client.link();
    // A connection that was given up on this side, or replaced meanwhile, says nothing.
    if link.watch.is_none() || link.watched != watched {
        return;
    }
    link.forget();
    let now = Instant::now();
    let too_soon = link.revived.is_some_and(|at| now.duration_since(at) < TOO_SOON);
    if link.wants_nothing() || too_soon {
        return;
    }
    link.revived = Some(now);
    match client.connect(&mut link, Absent::Start) {
        Ok(()) => tracing::warn!("the network process died and was started anew"),
        Err(error) => tracing::error!(%error, "the network process died and can't be started anew"),
    }
}

fn listed(link: &mut Link) -> Result<BTreeSet<PortBinding>, Error> {
    let mut all = BTreeSet::new();
    loop {
        match ask(link, &Request::List { after: all.last().copied() })? {
            Reply::Ports { ports, more } => {
                let none = ports.is_empty();
                all.extend(ports);
                if !more || none {
                    return Ok(all);
                }
            }
            other => return Err(nonsense(&other)),
        }
    }
}

/// One request and its answer. On failure the connections are dropped: an answer that comes late must not be taken
/// for another's.
fn ask(link: &mut Link, request: &Request) -> Result<Reply, Error> {
    ask_with(link, request, &[])
}

/// As [`ask`], with descriptors.
fn ask_with(link: &mut Link, request: &Request, descriptors: &[BorrowedFd<'_>]) -> Result<Reply, Error> {
    let Some(stream) = &mut link.stream else {
        return Err(Error::Process { step: "ask", source: io::ErrorKind::NotConnected.into() });
    };
    let exchange = |stream: &mut UnixStream| -> io::Result<Reply> {
        send(stream, &encode(request)?, descriptors)?;
        let mut buffer = Vec::new();
        let mut chunk = [0; 16 << 10];
        loop {
            if let Some(frame) = take_frame(&mut buffer)? {
                return decode(&frame);
            }
            match stream.read(&mut chunk)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length => buffer.extend_from_slice(&chunk[..length]),
            }
        }
    };
    exchange(stream).map_err(|source| {
        link.forget();
        Error::Process { step: "ask", source }
    })
}

fn send(stream: &mut UnixStream, frame: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    if descriptors.is_empty() {
        return stream.write_all(frame);
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(RESOLVER_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors"));
    }
    // They go with the first byte.
    let sent = sendmsg(&*stream, &[IoSlice::new(frame)], &mut control, SendFlags::NOSIGNAL)?;
    stream.write_all(&frame[sent..])
}

fn nonsense(reply: &Reply) -> Error {
    let source = io::Error::new(io::ErrorKind::InvalidData, format!("unexpected answer {reply:?}"));
    Error::Process { step: "ask", source }
}
