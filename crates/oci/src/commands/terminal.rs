//! Terminals: handing the master to a socket, or relaying it to the caller's own terminal.

use super::make::Stay;
use crate::args::Parsed;
use crate::error::Error;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::termios::{
    OptionalActions, OutputModes, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Checks that a terminal has somewhere to go; the words are runc's.
pub(super) fn check(own: &Parsed, terminal: bool, stay: Stay) -> Result<(), Error> {
    let socket = own.text("console-socket").is_some_and(|s| !s.is_empty());
    match (terminal, stay, socket) {
        (true, Stay::Leaves, false) => {
            Err(Error::Usage("cannot allocate tty if runc will detach without setting console socket".into()))
        }
        (false, _, true) | (_, Stay::Stays, true) => {
            Err(Error::Usage("cannot use console socket if runc will not detach or allocate tty".into()))
        }
        _ => Ok(()),
    }
}

/// Sends a descriptor to whoever listens at a socket.
pub(super) fn send(socket: &Path, fd: impl AsFd, name: &str) -> Result<(), Error> {
    let connection = UnixStream::connect(socket).map_err(Error::file("connect to", socket))?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [fd.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(&connection, &[IoSlice::new(name.as_bytes())], &mut control, SendFlags::NOSIGNAL)
        .map_err(|e| Error::file("send a descriptor to", socket)(e.into()))?;
    Ok(())
}

/// The caller's terminal while keys go to the container as they are; as it was when dropped.
pub(super) struct RawMode {
    before: Option<Termios>,
}

impl RawMode {
    /// Does nothing when standard input is no terminal.
    pub(super) fn begin() -> Result<Self, Error> {
        let stdin = rustix::stdio::stdin();
        let Ok(before) = tcgetattr(stdin) else { return Ok(Self { before: None }) };
        let mut raw = before.clone();
        raw.make_raw();
        // A container's terminal does not add carriage returns here (`end_lines_plainly`).
        raw.output_modes |= OutputModes::OPOST;
        tcsetattr(stdin, OptionalActions::Now, &raw).map_err(Error::system("make the terminal raw"))?;
        Ok(Self { before: Some(before) })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // A terminal that is gone needs no repair.
            let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, before);
        }
    }
}

/// Lets the container's terminal end lines as its programs do, as runc has it: who reads from us by a pipe finds no
/// carriage returns, and the caller's own terminal adds them.
pub(super) fn end_lines_plainly(master: BorrowedFd<'_>) -> Result<(), Error> {
    let failed = Error::system("set up the container's terminal");
    let mut modes = match tcgetattr(master) {
        Ok(modes) => modes,
        Err(e) => return Err(failed(e)),
    };
    modes.output_modes -= OutputModes::ONLCR;
    tcsetattr(master, OptionalActions::Now, &modes).map_err(failed)
}

/// Gives the container's terminal the size of the caller's.
pub(super) fn copy_size(master: BorrowedFd<'_>) {
    if let Ok(size) = tcgetwinsize(rustix::stdio::stdin()) {
        // The container may have ended.
        let _ = tcsetwinsize(master, size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Flag, parse};

    const FLAGS: &[Flag] = &[super::super::make::CONSOLE_SOCKET];

    #[test]
    fn a_terminal_needs_somewhere_to_go() {
        let with = parse(FLAGS, &["--console-socket".into(), "/s".into()]).unwrap();
        let without = Parsed::default();
        assert!(check(&with, true, Stay::Leaves).is_ok());
        assert!(check(&without, true, Stay::Stays).is_ok());
        assert!(check(&without, false, Stay::Leaves).is_ok());
        let error = check(&without, true, Stay::Leaves).unwrap_err().to_string();
        assert!(error.contains("without setting console socket"), "{error}");
        for (own, terminal, stay) in [(&with, false, Stay::Leaves), (&with, true, Stay::Stays)] {
            let error = check(own, terminal, stay).unwrap_err().to_string();
            assert!(error.contains("cannot use console socket"), "{error}");
        }
    }

    #[test]
    fn a_descriptor_arrives_with_its_name() {
        use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("console");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        send(&path, &file, "/dev/ptmx").unwrap();
        let (connection, _) = listener.accept().unwrap();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = [0; 64];
        let mut slices = [std::io::IoSliceMut::new(&mut bytes)];
        let n = recvmsg(&connection, &mut slices, &mut control, RecvFlags::empty()).unwrap().bytes;
        assert_eq!(&bytes[..n], b"/dev/ptmx");
        let rights = control.drain().filter(|m| matches!(m, RecvAncillaryMessage::ScmRights(_)));
        assert_eq!(rights.count(), 1);
        let error = send(&dir.path().join("nobody"), &file, "x").unwrap_err().to_string();
        assert!(error.contains("nobody"), "{error}");
    }
}
