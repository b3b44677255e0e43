//! The daemon's side: starting the zygote and asking it for shims.

use super::{ARGUMENT, SOCKET_FD, binary, packet, title};
use crate::{
    Error,
    client::{self, CREATE, START_AHEAD},
    protocol::{self, ClientFrame, CodecError, PROTOCOL_VERSION, Reply, Request, ShimConfig, ShimState},
};
use oci_spec::runtime::LinuxNamespaceType;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::{
    collections::VecDeque,
    io::{self, Write},
    net::Shutdown,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
};

/// Descriptors that a shim is given for its container.
#[derive(Debug, Default)]
pub struct ShimFds {
    /// Namespaces to join; they win over paths in the OCI configuration. At most one of each type.
    pub joins: Vec<(LinuxNamespaceType, OwnedFd)>,
    /// What the shim keeps open as long as it lives and does nothing with: a lock that says that there is a shim, from
    /// the moment it is asked for.
    pub turn: Option<OwnedFd>,
}

/// A shim that made its container.
#[derive(Debug)]
pub struct Spawned {
    /// Its first control connection, blocking, no request waiting, subscribed to events.
    pub control: UnixStream,
    /// The container as created.
    pub state: ShimState,
    /// What was left out because kernel or rights did not give it.
    pub warnings: Vec<String>,
}

/// A shim that is being forked.
#[derive(Debug)]
pub struct Asked<'a> {
    client: &'a ZygoteClient,
    control: UnixStream,
    fds: ShimFds,
    /// The zygote that got the request.
    generation: u64,
}

impl<'a> Asked<'a> {
    /// Tells it what to make. `attached` are the shim's ends of connections on which it is asked to attach them
    /// ([`client::Attaching`]), which it does before the container is started.
    ///
    /// # Errors
    /// When that is too long to be told; what else fails, [`Beginning::finish`] answers.
    pub fn create(self, config: ShimConfig, attached: Vec<OwnedFd>) -> Result<Beginning<'a>, Error> {
        let dir = config.dir.clone();
        let request = Request::Create(Box::new(ShimConfig { attached: attached.len(), ..config }));
        let frame = protocol::encode(&ClientFrame { id: CREATE, request })?;
        let mut beginning = Beginning { asked: self, sent: Ok(()), said: Vec::new(), dir };
        beginning.say(Said::Frame(frame));
        attached.into_iter().for_each(|stream| beginning.say(Said::Descriptor(stream)));
        Ok(beginning)
    }

    /// As [`Self::create`], for a container whose network namespace is still to be made: the shim begins meanwhile.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn create_before_network(
        self,
        config: ShimConfig,
        attached: Vec<OwnedFd>,
    ) -> Result<WithoutNetwork<'a>, Error> {
        self.create(ShimConfig { network_later: true, ..config }, attached).map(WithoutNetwork)
    }
}

/// A shim that is making its container and waits for its network namespace.
#[derive(Debug)]
pub struct WithoutNetwork<'a>(Beginning<'a>);

impl<'a> WithoutNetwork<'a> {
    /// Gives it.
    #[must_use]
    pub fn network(self, namespace: OwnedFd) -> Beginning<'a> {
        let Self(mut beginning) = self;
        beginning.say(Said::Descriptor(namespace));
        beginning
    }

    /// Gives none after all, and waits until the shim has undone what it had begun.
    pub fn abandon(self) {
        self.0.abandon();
    }
}

/// A shim that is making its container.
#[derive(Debug)]
pub struct Beginning<'a> {
    asked: Asked<'a>,
    /// Whether all of `said` is on its way.
    sent: io::Result<()>,
    /// Kept for the case that it was said to nobody.
    said: Vec<Said>,
    dir: PathBuf,
}

/// What a shim is told before it answers.
#[derive(Debug)]
enum Said {
    Frame(Vec<u8>),
    Descriptor(OwnedFd),
}

impl Said {
    fn send(&self, mut control: &UnixStream) -> io::Result<()> {
        match self {
            Self::Frame(frame) => control.write_all(frame),
            Self::Descriptor(fd) => protocol::send_descriptor(control, fd.as_fd()),
        }
    }
}

impl Beginning<'_> {
    /// Does not want the container any more, and waits until the shim has undone what it had begun.
    pub fn abandon(self) {
        let mut control = self.asked.control;
        // What fails here is talking to a shim that is gone already.
        let _ = control.shutdown(Shutdown::Write);
        let _ = client::wait_reply(&mut control, CREATE, &mut VecDeque::new());
    }

    fn say(&mut self, said: Said) {
        if self.sent.is_ok() {
            self.sent = said.send(&self.asked.control);
        }
        self.said.push(said);
    }

    /// Asks for the container's start as soon as it is created. The answer is had from [`client::Control::started`],
    /// after [`Self::finish`].
    ///
    /// # Errors
    /// Never, as long as a start has nothing to say.
    pub fn start(&mut self) -> Result<(), Error> {
        let frame = protocol::encode(&ClientFrame { id: START_AHEAD, request: Request::Start })?;
        self.say(Said::Frame(frame));
        Ok(())
    }

    /// Waits until the container is created.
    ///
    /// # Errors
    /// As [`ZygoteClient::spawn_shim`].
    pub fn finish(self) -> Result<Spawned, Error> {
        let Self { asked, sent, said, dir } = self;
        let Asked { client, control, fds, generation } = asked;
        match wait_created(control, sent) {
            // The zygote died before it forked a shim, or one that had not begun: another is asked, once.
            Err(error) if is_closed(&error) && client.is_lost(generation) && !dir.exists() => {
                let again = client.ask_shim(fds)?;
                let sent = said.iter().try_for_each(|said| said.send(&again.control));
                wait_created(again.control, sent)
            }
            waited => waited,
        }
    }
}

fn wait_created(mut control: UnixStream, sent: io::Result<()>) -> Result<Spawned, Error> {
    // A shim that could not even start has said why before it hung up: its answer first.
    let reply = client::wait_reply(&mut control, CREATE, &mut VecDeque::new());
    match (reply, sent) {
        (Ok(Reply::State { state, warnings }), Ok(())) => Ok(Spawned { control, state: *state, warnings }),
        (Ok(_), Ok(())) => Err(Error::UnexpectedReply("create")),
        (Err(Error::Closed) | Ok(_), Err(e)) => Err(Error::System { step: "send configuration", source: e }),
        (Err(e), _) => Err(e),
    }
}

/// Asks the zygote for shims. Thread-safe, blocking; a zygote that died is started again.
#[derive(Debug)]
pub struct ZygoteClient {
    binary: OwnedFd,
    zygote: Mutex<Zygote>,
}

#[derive(Debug)]
struct Zygote {
    socket: Option<OwnedFd>,
    child: Child,
    /// How many there were before it.
    generation: u64,
}

/// Starts the zygote from this process' own binary, whose `main` must call [`super::main`] when its first argument
/// is [`ARGUMENT`].
///
/// # Errors
/// When the binary can't be opened or the process can't be made.
pub fn spawn() -> Result<ZygoteClient, Error> {
    // Descriptors below 10 are left alone: the socket must become 3 in the child without hitting another.
    let binary = raise(binary::own()?)?;
    let zygote = Zygote::start(&binary, 0)?;
    Ok(ZygoteClient { binary, zygote: Mutex::new(zygote) })
}

impl ZygoteClient {
    /// Makes a container with a shim of its own and waits until it is created: a few milliseconds, all of them the
    /// runtime's. When this fails, everything is undone and the shim is gone.
    ///
    /// # Errors
    /// [`Error::Refused`] with the shim's words when the container can't be made.
    pub fn spawn_shim(&self, config: &ShimConfig, fds: ShimFds) -> Result<Spawned, Error> {
        self.ask_shim(fds)?.create(config.clone(), Vec::new())?.finish()
    }

    /// The same in steps, between which the caller has something else to do: the zygote forks while the caller finds out
    /// what the shim is to make. A shim that is not told ends when the caller lets go of it.
    ///
    /// # Errors
    /// When the zygote can't be asked.
    pub fn ask_shim(&self, fds: ShimFds) -> Result<Asked<'_>, Error> {
        let (control, theirs) = UnixStream::pair().map_err(Error::system("socketpair"))?;
        let generation = self.ask(theirs.as_fd(), &fds)?;
        Ok(Asked { client: self, control, fds, generation })
    }

    fn ask(&self, control: std::os::fd::BorrowedFd<'_>, fds: &ShimFds) -> Result<u64, Error> {
        let mut zygote = self.zygote.lock().unwrap_or_else(PoisonError::into_inner);
        match zygote.send(control, fds) {
            Err(e) if is_gone(&e) => {
                zygote.stop();
                *zygote = Zygote::start(&self.binary, zygote.generation + 1)?;
                zygote.send(control, fds).map_err(Error::system("ask restarted zygote"))?;
            }
            sent => sent.map_err(Error::system("ask zygote"))?,
        }
        Ok(zygote.generation)
    }

    /// Whether the zygote that was asked is there no more. Its socket closes before what was queued in it does.
    fn is_lost(&self, asked: u64) -> bool {
        let zygote = self.zygote.lock().unwrap_or_else(PoisonError::into_inner);
        asked != zygote.generation || zygote.hung_up()
    }

    /// The zygote's process.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.zygote.lock().unwrap_or_else(PoisonError::into_inner).child.id().cast_signed()
    }

    /// The protocol that shims forked from now on speak.
    #[must_use]
    pub fn protocol(&self) -> u32 {
        PROTOCOL_VERSION
    }
}

impl Zygote {
    fn start(binary: &OwnedFd, generation: u64) -> Result<Self, Error> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(|e| Error::System { step: "socketpair", source: e.into() })?;
        let theirs = raise(theirs)?;
        let mut command = Command::new(format!("/proc/self/fd/{}", binary.as_raw_fd()));
        command.arg0("brig").args([ARGUMENT, title::ROOM]).current_dir("/").stdin(Stdio::null());
        command.stdout(Stdio::null()).env_clear();
        command.envs(std::env::vars_os().filter(|(name, _)| {
            let name = name.as_encoded_bytes();
            name.starts_with(b"BRIG_") || name.starts_with(b"RUST_")
        }));
        let socket = theirs.as_raw_fd();
        // SAFETY: between fork and exec only dup2 is called, which is async-signal-safe; the result has no
        // close-on-exec flag and the descriptor 3 it may replace in the child is close-on-exec or nobody's.
        unsafe {
            command.pre_exec(move || {
                if libc::dup2(socket, SOCKET_FD) < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
            });
        }
        let child = command.spawn().map_err(Error::system("start zygote"))?;
        Ok(Self { socket: Some(ours), child, generation })
    }

    fn send(&self, control: std::os::fd::BorrowedFd<'_>, fds: &ShimFds) -> io::Result<()> {
        match &self.socket {
            Some(socket) => packet::send(socket.as_fd(), control, fds),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn hung_up(&self) -> bool {
        let Some(socket) = &self.socket else { return true };
        let mut fds = [PollFd::new(socket, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut fds, Some(&now)).is_ok() && fds[0].revents().contains(PollFlags::HUP)
    }

    fn stop(&mut self) {
        // The zygote ends when its socket does, so the wait is short.
        self.socket = None;
        let _ = self.child.wait();
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Whether the other end of a control connection is gone, without a word.
fn is_closed(error: &Error) -> bool {
    match error {
        Error::Closed => true,
        // As one sees it whose own words were not read.
        Error::System { source, .. } | Error::Protocol(CodecError::Io(source)) => is_gone(source),
        _ => false,
    }
}

fn is_gone(e: &io::Error) -> bool {
    matches!(e.raw_os_error(), Some(libc::EPIPE | libc::ECONNRESET | libc::ENOTCONN | libc::ECONNREFUSED))
}

fn raise(fd: OwnedFd) -> Result<OwnedFd, Error> {
    rustix::io::fcntl_dupfd_cloexec(&fd, 10)
        .map_err(|e| Error::System { step: "duplicate descriptor", source: e.into() })
}
