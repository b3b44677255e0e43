//! `run`, and waiting for a process that was made here: signals go to it, its terminal is relayed, its status is ours.

use super::make::{self, Stay};
use super::terminal::{RawMode, copy_size, end_lines_plainly};
use super::{Command, Context, delete, listener};
use crate::args::{Flag, Parsed};
use crate::error::Error;
use crate::status::{Container, Status};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

pub(super) const RUN: Command = Command {
    name: "run",
    about: "Make a container, run its program, and remove the container when it ends",
    operands: "CONTAINER",
    count: 1..=1,
    flags: &[
        make::BUNDLE,
        make::CONSOLE_SOCKET,
        make::PIDFD_SOCKET,
        Flag::switch("detach", "end when the program runs, and leave the container").or("d"),
        Flag::switch("keep", "do not remove the container when it ends"),
        make::PID_FILE,
        Flag::switch("no-subreaper", "taken for compatibility: orphans go to the host's init in any case"),
        make::NO_PIVOT,
        make::NO_NEW_KEYRING,
        make::PRESERVE_FDS,
    ],
    examples: "  cd bundle && brig oci run web\n  brig oci run --detach --bundle /bundles/web --pid-file /run/web.pid \
               web",
    failure: 1,
    run,
};

fn run(context: &Context<'_>, own: &Parsed) -> Result<u8, Error> {
    let detach = own.is_set("detach");
    let mut made = make::make(context, own, if detach { Stay::Leaves } else { Stay::Stays })?;
    let master = made.created.terminal();
    let (entry, record) = (made.entry, made.record);
    // Blocked before the program runs: no signal is lost between its start and the wait.
    let signals = if detach { None } else { Some(brig_runtime::Signals::all()?) };
    let spec = &made.spec;
    let state =
        listener::State { id: entry.id(), status: "created", pid: record.pid, bundle: &record.bundle };
    let mut listening = |pid, fd| listener::send(spec, &state, pid, &fd);
    let started = master
        .as_ref()
        .map_or(Ok(()), |master| end_lines_plainly(master.as_fd()))
        .and_then(|()| make::write_pid_file(own, record.pid))
        .and_then(|()| Ok(made.created.start_with(&mut listening)?));
    let running = match started {
        Ok(running) => running,
        Err(error) => {
            entry.remove()?;
            return Err(error);
        }
    };
    let poststart = make::run_poststart_hooks(&entry, &record.bundle, &made.spec, record.pid, &running.pidfd);
    if let Err(error) = poststart {
        delete::ended_within(&running.pidfd, delete::PATIENCE)?;
        delete::remove(context, &entry, &Container { record, status: Status::Stopped, pidfd: None })?;
        return Err(error);
    }
    drop(made.lock);
    let Some(signals) = signals else { return Ok(0) };
    let code = attend(&running.pidfd, master, &signals)?;
    if !own.is_set("keep") {
        let _lock = entry.lock()?;
        delete::remove(context, &entry, &Container { record, status: Status::Stopped, pidfd: None })?;
    }
    Ok(code)
}

/// Stays with a process until it ends; gives its exit code, 128 more than the signal that ended it.
pub(super) fn attend(
    pidfd: &OwnedFd,
    master: Option<OwnedFd>,
    signals: &brig_runtime::Signals,
) -> Result<u8, Error> {
    let raw = master.is_some().then(RawMode::begin).transpose()?;
    let mut relay = master.map(|master| {
        copy_size(master.as_fd());
        Relay { master: File::from(master), input: true, output: true }
    });
    loop {
        let mut fds =
            vec![PollFd::new(pidfd, PollFlags::IN), PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN)];
        if let Some(relay) = &relay {
            let wanted = |wanted| if wanted { PollFlags::IN } else { PollFlags::empty() };
            fds.push(PollFd::new(&relay.master, wanted(relay.output)));
            fds.push(PollFd::from_borrowed_fd(rustix::stdio::stdin(), wanted(relay.input)));
        }
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other.map_err(Error::system("wait for the container"))?,
        };
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        if let Some(relay) = &mut relay {
            if ready[2] {
                relay.output()?;
            }
            if ready[3] && relay.input {
                relay.input()?;
            }
        }
        if ready[1] {
            for signal in signals.taken()? {
                match (signal, &relay) {
                    (libc::SIGCHLD | libc::SIGURG, _) => {}
                    (libc::SIGWINCH, Some(relay)) => copy_size(relay.master.as_fd()),
                    // Ended meanwhile: seen below.
                    (signal, _) => match super::kill::send(pidfd, signal) {
                        Ok(()) | Err(Error::State(_)) => {}
                        Err(error) => return Err(error),
                    },
                }
            }
        }
        if ready[0] {
            if let Some(relay) = &mut relay {
                relay.rest()?;
            }
            drop(raw);
            return status(pidfd);
        }
    }
}

fn status(pidfd: &OwnedFd) -> Result<u8, Error> {
    let ended = loop {
        match waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other.map_err(Error::system("wait for the container's process"))?,
        }
    };
    let code = ended.and_then(|s| s.exit_status().or_else(|| s.terminating_signal().map(|n| 128 + n)));
    Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
}

/// Bytes between a container's terminal and the caller's.
struct Relay {
    master: File,
    input: bool,
    output: bool,
}

impl Relay {
    /// What the container wrote. Its end is EIO, when the last process has closed the terminal.
    fn output(&mut self) -> Result<(), Error> {
        let mut bytes = [0; 16 * 1024];
        match self.master.read(&mut bytes) {
            Ok(0) => self.output = false,
            Ok(n) => {
                let mut out = std::io::stdout().lock();
                // Nobody may be reading any more: the container goes on.
                if out.write_all(&bytes[..n]).and_then(|()| out.flush()).is_err() {
                    self.output = false;
                }
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.raw_os_error() == Some(libc::EIO) => self.output = false,
            Err(source) => return Err(Error::System { step: "read the container's terminal", source }),
        }
        Ok(())
    }

    /// What the user typed.
    fn input(&mut self) -> Result<(), Error> {
        let mut bytes = [0; 4096];
        match rustix::io::read(rustix::stdio::stdin(), &mut bytes) {
            Ok(0) => self.input = false,
            Ok(n) => {
                // The container may just have ended.
                self.input = self.master.write_all(&bytes[..n]).is_ok();
            }
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            // The caller's terminal is gone.
            Err(rustix::io::Errno::IO) => self.input = false,
            Err(e) => return Err(Error::system("read standard input")(e)),
        }
        Ok(())
    }

    /// What is left to read after the container's end.
    fn rest(&mut self) -> Result<(), Error> {
        while self.output {
            let mut fds = [PollFd::new(&self.master, PollFlags::IN)];
            let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
            let n = poll(&mut fds, Some(&now)).map_err(Error::system("wait for the container's terminal"))?;
            if n == 0 {
                break;
            }
            self.output()?;
        }
        Ok(())
    }
}
