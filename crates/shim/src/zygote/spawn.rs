//! The daemon's side: starting the zygote and asking it for shims.

use super::{ARGUMENT, SOCKET_FD, binary, packet, title};
use crate::{
    Error, client,
    protocol::{self, ClientFrame, CodecError, PROTOCOL_VERSION, Reply, Request, ShimConfig, ShimState},
};
use oci_spec::runtime::LinuxNamespaceType;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::{
    collections::VecDeque,
    io::{self, Write},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
};

/// Descriptors that a shim is given for its container.
#[derive(Debug, Default)]
pub struct ShimFds {
    /// Namespaces to join; they win over paths in the OCI configuration. At most one of each type.
    pub joins: Vec<(LinuxNamespaceType, OwnedFd)>,
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
        let mut asked = None;
        match self.try_spawn(config, &fds, &mut asked) {
            // The zygote died before it forked a shim, or one that had not begun: another is asked, once.
            Err(error) if is_closed(&error) && self.is_lost(asked) && !config.dir.exists() => {
                self.try_spawn(config, &fds, &mut asked)
            }
            tried => tried,
        }
    }

    /// `asked` becomes the zygote that got the request.
    fn try_spawn(
        &self,
        config: &ShimConfig,
        fds: &ShimFds,
        asked: &mut Option<u64>,
    ) -> Result<Spawned, Error> {
        let (mut control, theirs) = UnixStream::pair().map_err(Error::system("socketpair"))?;
        let request = Request::Create(Box::new(config.clone()));
        let frame = protocol::encode(&ClientFrame { id: 0, request })?;
        *asked = Some(self.ask(theirs.as_fd(), &fds.joins)?);
        drop(theirs);
        let sent = control.write_all(&frame);
        // A shim that could not even start has said why before it hung up: its answer first.
        let reply = client::wait_reply(&mut control, 0, &mut VecDeque::new());
        match (reply, sent) {
            (Ok(Reply::State { state, warnings }), Ok(())) => {
                Ok(Spawned { control, state: *state, warnings })
            }
            (Ok(_), Ok(())) => Err(Error::UnexpectedReply("create")),
            (Err(Error::Closed) | Ok(_), Err(e)) => {
                Err(Error::System { step: "send configuration", source: e })
            }
            (Err(e), _) => Err(e),
        }
    }

    fn ask(
        &self,
        control: std::os::fd::BorrowedFd<'_>,
        joins: &[(LinuxNamespaceType, OwnedFd)],
    ) -> Result<u64, Error> {
        let mut zygote = self.zygote.lock().unwrap_or_else(PoisonError::into_inner);
        match zygote.send(control, joins) {
            Err(e) if is_gone(&e) => {
                zygote.stop();
                *zygote = Zygote::start(&self.binary, zygote.generation + 1)?;
                zygote.send(control, joins).map_err(Error::system("ask restarted zygote"))?;
            }
            sent => sent.map_err(Error::system("ask zygote"))?,
        }
        Ok(zygote.generation)
    }

    /// Whether the zygote that was asked is there no more. Its socket closes before what was queued in it does.
    fn is_lost(&self, asked: Option<u64>) -> bool {
        let zygote = self.zygote.lock().unwrap_or_else(PoisonError::into_inner);
        asked.is_some_and(|asked| asked != zygote.generation || zygote.hung_up())
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

    fn send(
        &self,
        control: std::os::fd::BorrowedFd<'_>,
        joins: &[(LinuxNamespaceType, OwnedFd)],
    ) -> io::Result<()> {
        match &self.socket {
            Some(socket) => packet::send(socket.as_fd(), control, joins),
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
