//! CRIU, which writes the processes of a container to files and makes them again, asked over its RPC: `criu swrk`
//! serves the one who started it over a socket.

pub(crate) mod descriptors;
pub(crate) mod messages;
pub(crate) mod mounts;

use crate::args::Parsed;
use crate::error::Error;
use messages::{Kind, Options, Request, Response};
use prost::Message;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketFlags, SocketType,
    recvmsg, send, socketpair,
};
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// The largest message: CRIU's own limit is 1 MiB, and no answer comes near this.
const MAX_MESSAGE: usize = 64 * 1024;

/// What CRIU tells while it works.
pub(crate) struct Notice<'a> {
    /// Of which step.
    pub(crate) step: &'a str,
    /// The first process, where there is one.
    pub(crate) pid: Option<i32>,
    /// What comes along: a terminal's master.
    pub(crate) fd: Option<OwnedFd>,
}

/// A running CRIU.
#[derive(Debug)]
pub(crate) struct Service {
    child: Child,
    socket: OwnedFd,
    log: PathBuf,
}

/// The program, as `--criu` says or `PATH` finds it.
pub(crate) fn find(global: &Parsed) -> Result<PathBuf, Error> {
    let given = global.text("criu").filter(|path| !path.is_empty()).unwrap_or("criu");
    let is_file = |path: &PathBuf| path.is_file();
    let found = match given.contains('/') {
        true => Some(PathBuf::from(given)).filter(is_file),
        false => std::env::var_os("PATH")
            .and_then(|path| std::env::split_paths(&path).map(|dir| dir.join(given)).find(is_file)),
    };
    found.ok_or_else(|| {
        Error::Usage(format!(
            "CRIU, which checkpoints and restores, is not installed: {given} is not found in $PATH. Install it \
             (Debian, Fedora: package criu), or name it by --criu"
        ))
    })
}

impl Service {
    /// Starts it. In a mount namespace of its own where `root` is a mount, when that is given.
    pub(crate) fn start(program: &Path, root: Option<&Path>, log: PathBuf) -> Result<Self, Error> {
        let failed = Error::system("make a socket for CRIU");
        let (socket, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .and_then(|(ours, theirs)| Ok((ours, rustix::io::dup(&theirs)?)))
                .map_err(failed)?;
        let mut command = Command::new(program);
        command.arg("swrk").arg(theirs.as_raw_fd().to_string());
        let child = match root {
            None => command.spawn(),
            Some(root) => brig_runtime::spawn_apart(&mut command, root),
        };
        let child = child.map_err(Error::file("execute", program))?;
        Ok(Self { child, socket, log })
    }

    /// Its number.
    pub(crate) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Asks for something and waits for the answer; `notice` is told of each step, and its error ends it.
    pub(crate) fn ask(
        mut self,
        kind: Kind,
        options: Options,
        notice: &mut dyn FnMut(Notice<'_>) -> Result<(), Error>,
    ) -> Result<Response, Error> {
        let said = self.converse(kind, options, notice);
        drop(self.socket);
        // Whatever it says now, the answer is what counts.
        let ended = self.child.wait().map_err(Error::file("wait for", "criu"));
        let response = said.map_err(|error| explain(error, &self.log))?;
        ended?;
        Ok(response)
    }

    fn converse(
        &self,
        kind: Kind,
        options: Options,
        notice: &mut dyn FnMut(Notice<'_>) -> Result<(), Error>,
    ) -> Result<Response, Error> {
        self.send(&Request { kind: kind as i32, options: Some(options), notify_success: None })?;
        loop {
            let (response, fd) = self.receive()?;
            if response.kind != Kind::Notify as i32 {
                return match response.success {
                    true => Ok(response),
                    false => Err(failure(kind, &response)),
                };
            }
            let told = response.notify.unwrap_or_default();
            let step = told.script.unwrap_or_default();
            let done = notice(Notice { step: &step, pid: told.pid, fd });
            let answer =
                Request { kind: Kind::Notify as i32, options: None, notify_success: Some(done.is_ok()) };
            let sent = self.send(&answer);
            done.and(sent)?;
        }
    }

    fn send(&self, request: &Request) -> Result<(), Error> {
        let bytes = request.encode_to_vec();
        send(&self.socket, &bytes, SendFlags::NOSIGNAL).map_err(Error::system("talk to CRIU"))?;
        Ok(())
    }

    fn receive(&self) -> Result<(Response, Option<OwnedFd>), Error> {
        let mut bytes = vec![0; MAX_MESSAGE];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let length = loop {
            let mut into = [IoSliceMut::new(&mut bytes)];
            match recvmsg(&self.socket, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC) {
                Err(rustix::io::Errno::INTR) => {}
                other => break other.map_err(Error::system("hear from CRIU"))?.bytes,
            }
        };
        if length == 0 {
            return Err(Error::State("CRIU ended without an answer".into()));
        }
        let fd = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        let response = Response::decode(&bytes[..length])
            .map_err(|e| Error::State(format!("CRIU's answer can't be read: {e}")))?;
        Ok((response, fd))
    }
}

/// The words are runc's, as far as they go.
fn failure(kind: Kind, response: &Response) -> Error {
    let number = response.error_number.unwrap_or(0);
    let what = match kind {
        Kind::Restore => "RESTORE",
        Kind::PreDump => "PRE_DUMP",
        _ => "DUMP",
    };
    let message = response.error_message.as_deref().unwrap_or_default();
    Error::State(format!("criu failed: type {what} errno {number} {message}").trim_end().to_owned())
}

/// Adds what CRIU's log says last of errors.
fn explain(error: Error, log: &Path) -> Error {
    let Ok(text) = std::fs::read(log) else { return error };
    let text = String::from_utf8_lossy(&text);
    let errors: Vec<&str> = text.lines().filter(|line| line.contains("Error (")).collect();
    let last = errors[errors.len().saturating_sub(3)..].join("\n");
    Error::State(format!("{error}\nlog file: {}\n{last}", log.display()).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_said_with_what_to_do() {
        const FLAGS: &[crate::args::Flag] = &[crate::args::Flag::value("criu", "PATH", "")];
        let global = crate::args::parse(FLAGS, &["--criu".into(), "/nonexistent/criu".into()]).unwrap();
        let error = find(&global).unwrap_err().to_string();
        assert!(error.contains("not installed") && error.contains("package criu"), "{error}");
    }

    #[test]
    fn the_logs_last_errors_are_shown() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("dump.log");
        std::fs::write(&log, "(00.1) Error (a.c:1): first\n(00.2) fine\n(00.3) Error (b.c:2): second\n")
            .unwrap();
        let error = explain(Error::State("failed".into()), &log).to_string();
        assert!(error.starts_with("failed\nlog file: ") && error.ends_with("b.c:2): second"), "{error}");
    }
}
