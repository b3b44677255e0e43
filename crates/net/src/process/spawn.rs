//! How `brig net` is started: by the daemon, as a session of its own, one a socket.

use super::server;
use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock, open},
    process::{Resource, Rlimit, getrlimit, setrlimit, setsid, umask},
    stdio::{dup2_stderr, dup2_stdin, dup2_stdout},
};
use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    os::unix::{net::UnixListener, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Starts `executable` as `brig net --socket SOCKET` and waits until it serves.
///
/// # Errors
/// When it can't be executed, or says on its standard error why it can't serve.
pub(super) fn start(executable: &Path, socket: &Path) -> io::Result<()> {
    let output = Command::new(executable)
        .arg0("brig")
        .args(["net", "--socket"])
        .arg(socket)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{}: {}", output.status, said.trim())))
}

/// The lock that the process holds while it lives.
fn lock_path(socket: &Path) -> PathBuf {
    socket.with_extension("lock")
}

/// Holds the right to start a process; waits while another one is at it.
pub(super) fn starting(socket: &Path) -> io::Result<File> {
    lock(&socket.with_extension("start"))
}

fn lock(path: &Path) -> io::Result<File> {
    let file = File::options().write(true).create(true).truncate(false).open(path)?;
    loop {
        match flock(&file, FlockOperation::LockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// `brig net --socket PATH`; `arguments` are those after `net`. Call it first thing in `main`, before there are
/// threads. The calling process ends as soon as its child serves; the child, a session of its own, comes back from
/// here when it was told to end. The answer is the exit status.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> i32 {
    let mut arguments = arguments.into_iter();
    let socket = match (arguments.next(), arguments.next(), arguments.next()) {
        (Some(flag), Some(path), None) if flag == "--socket" => PathBuf::from(path),
        _ => {
            eprintln!("usage: brig net --socket PATH");
            return 125;
        }
    };
    match serve(&socket) {
        Ok(()) => 0,
        Err(e) => {
            eprintln!("{}: {e}", socket.display());
            1
        }
    }
}

fn serve(socket: &Path) -> io::Result<()> {
    // SAFETY: nothing but the standard streams was opened by this process, so nobody owns what is closed: it can
    // only have leaked in.
    unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
    umask(Mode::from_raw_mode(0o077));
    // Whoever starts us holds the right to, so the holder of the lock, if any, is on its way out.
    let lock = lock(&lock_path(socket))?;
    match fs::remove_file(socket) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let control = UnixListener::bind(socket)?;
    let limit = getrlimit(Resource::Nofile);
    // As many ports as the administrator allows; a lower limit only means fewer.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    // SAFETY: this process has one thread, so the child may go on as if nothing had happened.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            setsid()?;
            dup2_stdin(&null)?;
            dup2_stdout(&null)?;
            dup2_stderr(&null)?;
            let served = server::run(control);
            // Gone from sight before the lock is: whoever comes now starts a new one.
            let _ = fs::remove_file(socket);
            drop(lock);
            served
        }
        _ => Ok(()),
    }
}
