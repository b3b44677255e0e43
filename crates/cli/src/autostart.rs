//! Starting brig's own daemon when none answers on the default socket.
//!
//! The daemon is started as `brig daemon` in a session of its own. It tells that it listens as it would tell
//! systemd: by `READY=1` to the socket in `NOTIFY_SOCKET`. Its end without that word means that it gave up.

use crate::error::{Error, Result};
use brig_core::paths::{DATA_ROOT, EXEC_ROOT};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::OFlags,
    process,
};
use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read},
    os::{
        fd::OwnedFd,
        linux::net::SocketAddrExt,
        unix::{
            net::{SocketAddr, UnixDatagram, UnixStream},
            process::CommandExt,
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// The first word of the hidden command that makes a session and becomes the daemon in it.
pub const SESSION_COMMAND: &str = "__session";
/// Where the daemon's words go.
const LOG: &str = "/var/log/brig.log";

/// brig's own socket.
#[must_use]
pub fn socket() -> PathBuf {
    brig_core::StatePaths::new(DATA_ROOT, EXEC_ROOT).socket()
}

/// Makes sure that a daemon listens on brig's own socket, if the caller may start one.
///
/// # Errors
/// When the daemon that was started gave up.
pub fn ensure() -> Result {
    match UnixStream::connect(socket()) {
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {}
        // Whatever else is wrong, the first request will tell.
        _ => return Ok(()),
    }
    if !process::geteuid().is_root() {
        return Ok(());
    }
    start()
}

fn start() -> Result {
    let fail = |step: &str, e: io::Error| Error::Message(format!("starting the daemon: {step}: {e}"));
    let binary = std::env::current_exe().map_err(|e| fail("finding brig's own binary", e))?;
    let (log, log_path) = open_log().map_err(|e| fail("opening its log", e))?;
    crate::out::warn(&format!("Starting the daemon in the background (its log: {})", log_path.display()));
    let name = format!("brig-start-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).map_err(|e| fail("naming a socket", e))?;
    let notify = UnixDatagram::bind_addr(&address).map_err(|e| fail("binding a socket", e))?;
    let errors = log.try_clone().map_err(|e| fail("dup", e))?;
    let mut child = Command::new(binary)
        .args([SESSION_COMMAND, "daemon"])
        .env("NOTIFY_SOCKET", format!("@{name}"))
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .current_dir("/")
        .spawn()
        .map_err(|e| fail("exec", e))?;
    if wait_ready(&notify, &child).map_err(|e| fail("waiting for it", e))? {
        return Ok(());
    }
    let status = child.wait().map_err(|e| fail("wait", e))?;
    Err(Error::Message(format!(
        "the daemon did not start ({status}); its last words, from {}:\n{}",
        log_path.display(),
        tail(&log_path)
    )))
}

/// Waits until the daemon tells that it is ready, or ends; answers whether it is ready.
fn wait_ready(notify: &UnixDatagram, child: &Child) -> io::Result<bool> {
    let pid = i32::try_from(child.id()).ok().and_then(process::Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("the child has no pid"))?;
    let ended = process::pidfd_open(pid, process::PidfdFlags::empty())?;
    loop {
        let mut fds = [PollFd::new(notify, PollFlags::IN), PollFd::new(&ended, PollFlags::IN)];
        rustix::io::retry_on_intr(|| poll(&mut fds, None))?;
        let (told, gone) = (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
        if told {
            let mut message = [0; 4096];
            let length = notify.recv(&mut message)?;
            if message[..length].split(|b| *b == b'\n').any(|line| line == b"READY=1") {
                return Ok(true);
            }
        } else if gone {
            return Ok(false);
        }
    }
}

fn open_log() -> io::Result<(File, PathBuf)> {
    let open = |path: &Path| {
        let fd: OwnedFd = rustix::fs::open(
            path,
            OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW,
            rustix::fs::Mode::from_raw_mode(0o640),
        )?;
        io::Result::Ok((File::from(fd), path.to_path_buf()))
    };
    open(Path::new(LOG)).or_else(|_| {
        std::fs::create_dir_all(DATA_ROOT)?;
        open(&Path::new(DATA_ROOT).join("brig.log"))
    })
}

/// The last lines of the daemon's log.
fn tail(path: &Path) -> String {
    use std::io::Seek;
    let read = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(io::SeekFrom::Start(length.saturating_sub(2048)))?;
        let mut bytes = Vec::new();
        file.take(2048).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

/// The hidden command: leaves the caller's session and becomes `brig <args>`.
#[must_use]
pub fn session<S: AsRef<OsStr>>(args: &[S]) -> Error {
    if let Err(e) = process::setsid() {
        return Error::Message(format!("starting the daemon: setsid: {e}"));
    }
    let binary = match std::env::current_exe() {
        Ok(binary) => binary,
        Err(e) => return e.into(),
    };
    let failed = Command::new(binary).arg0("brig").args(args).exec();
    Error::Message(format!("starting the daemon: exec: {failed}"))
}
