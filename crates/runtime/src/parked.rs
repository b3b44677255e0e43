//! A container that waits for its start after its maker has ended: `create` and `start` of a runtime's command line
//! are two processes.
//!
//! The container's first process holds a listening socket in the container's state folder, which only the runtime's
//! user can reach. Whoever connects and says so starts it, and hears over that connection, and through a page of
//! memory that it brings along, whether the program was executed. Nobody is needed in between, nothing polls, and a
//! container that is killed meanwhile is seen to be gone by the socket that refuses.

use crate::channel::{Channel, LastWords, Order, Report};
use crate::create::{Created, await_ready};
use crate::error::{Errno, Error};
use crate::listener::{self, Listening};
use crate::options::ExecTarget;
use crate::process;
use crate::seccomp::Program;
use rustix::fs::{Mode, OFlags};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect, listen, socket_with,
};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

/// A container that waits for [`start`].
#[derive(Debug)]
pub struct Parked {
    /// Process 1, as the caller's pid namespace numbers it.
    pub pid: i32,
    /// A pidfd of it, close-on-exec.
    pub pidfd: OwnedFd,
    /// The container's compiled seccomp filter.
    pub seccomp: Option<Program>,
}

impl Created {
    /// Leaves the container to itself: it waits at the socket `path`, which is made, until somebody calls [`start`].
    /// The container is no longer undone when the caller ends.
    ///
    /// # Errors
    /// When the socket can't be made; the container is undone then.
    pub fn park(self, path: &Path) -> Result<Parked, Error> {
        let listener = at(path, |address| {
            let socket = seqpacket()?;
            bind(&socket, address)?;
            listen(&socket, 1)?;
            Ok(socket)
        })
        .map_err(|e| Error::path("listen on", path, e))?;
        Ok(self.hand_over(listener))
    }
}

/// Starts a container that waits at `socket`. Returns once its program was executed.
///
/// `process` is the container's first one, whose seccomp notifications `listening` takes, where its filter has any.
///
/// # Errors
/// Nobody waits there (any more); what [`Created::start`] fails with.
pub fn start(socket: &Path, process: ExecTarget<'_>, listening: Listening<'_>) -> Result<(), Error> {
    let connection = at(socket, |address| {
        let connection = seqpacket()?;
        connect(&connection, address)?;
        Ok(connection)
    })
    .map_err(|e| Error::path("connect to", socket, e))?;
    let (words, page) = LastWords::shareable()?;
    let channel = Channel::from(connection);
    channel.order(Order::Start, Some(page.as_fd()));
    let gone = || Error::Died { step: "its start".into(), how: "gone".into() };
    let (Some(path), _) = await_ready(&channel, &mut Vec::new(), &mut || Ok(()))? else { return Err(gone()) };
    loop {
        match channel.await_report()? {
            Some((Report::Failed(error), _)) => return Err(error),
            // When nobody takes it the connection's end tells the process, which ends.
            Some((Report::Listening(number), _)) => listener::take(process, number, listening, &channel)?,
            Some(_) => {}
            None => break,
        }
    }
    if words.verdict(&path)? { Ok(()) } else { Err(gone()) }
}

/// Child: waits for [`start`], and executes the program. Returns only to a parent that is not there any more.
pub(crate) fn wait(listener: OwnedFd, path: &str, execute: &dyn Fn(&LastWords, &Channel) -> Error) -> Error {
    loop {
        let connection = match accept_with(&listener, SocketFlags::CLOEXEC) {
            Ok(connection) => Channel::from(connection),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNABORTED) => continue,
            Err(e) => return Error::step("wait for the start", e),
        };
        // One that connects and goes away, or talks nonsense, has started nothing.
        let Ok(Some((Order::Start, Some(page)))) = connection.await_order() else { continue };
        let error = match LastWords::map(page.as_fd()) {
            Err(error) => error,
            Ok(words) => match connection.report(&Report::Ready(path.to_owned()), None) {
                Err(_) => continue,
                Ok(()) => execute(&words, &connection),
            },
        };
        // The one who asked is told; when they are gone, the end of this process says as much.
        let _ = connection.report(&Report::Failed(error), None);
        process::exit(1);
    }
}

fn seqpacket() -> rustix::io::Result<OwnedFd> {
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// Does something with a socket's address, through its folder's descriptor: the address has no room for long paths.
fn at<T>(path: &Path, with: impl FnOnce(&SocketAddrUnix) -> rustix::io::Result<T>) -> Result<T, Errno> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno(libc::EINVAL));
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(folder, flags, Mode::empty())?;
    let short = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
    Ok(with(&SocketAddrUnix::new(&short)?)?)
}
