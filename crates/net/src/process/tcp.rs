//! A TCP connection carried to a container and back, without its bytes ever coming here: from socket to pipe to
//! socket by splice(2), either direction closed on its own.

use crate::PortBinding;
use rustix::{
    io::Errno,
    net::{AddressFamily, Shutdown, SocketFlags, SocketType, connect, shutdown, socket_with, sockopt},
    pipe::{PipeFlags, SpliceFlags, pipe_with, splice},
};
use std::{
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
};

/// A pipe's capacity, in bytes: what is buffered a direction at most.
const CAPACITY: usize = 64 << 10;
/// Moves before another connection gets its turn.
const ROUNDS: usize = 16;

/// What a connection needs in descriptors: two sockets, two pipes.
pub const DESCRIPTORS: usize = 6;

/// A connection on both its sides.
#[derive(Debug)]
pub struct Pair {
    /// The published port that it came in by.
    pub port: PortBinding,
    client: OwnedFd,
    container: OwnedFd,
    inward: Flow,
    outward: Flow,
}

/// One direction.
#[derive(Debug)]
struct Flow {
    read: OwnedFd,
    write: OwnedFd,
    pending: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Bytes may come.
    Open,
    /// The sender has closed; what is in the pipe is still to be delivered.
    Ending,
    /// The receiver was told.
    Closed,
}

/// What comes next for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Wait until a socket is ready again.
    Wait,
    /// There is more to do right now.
    Again,
    /// It is over, in peace or by an error.
    Over,
}

impl Pair {
    /// Starts to connect to the container for a client that was accepted.
    pub fn start(port: PortBinding, client: OwnedFd) -> Result<Self, Errno> {
        let to: SocketAddr = port.container();
        let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let container = socket_with(family, SocketType::STREAM, flags, None)?;
        sockopt::set_tcp_nodelay(&container, true)?;
        sockopt::set_tcp_nodelay(&client, true)?;
        match connect(&container, &to) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(e) => return Err(e),
        }
        Ok(Self { port, client, container, inward: Flow::new()?, outward: Flow::new()? })
    }

    /// Both sockets, to be watched for any change (edge-triggered).
    pub fn sockets(&self) -> [&OwnedFd; 2] {
        [&self.client, &self.container]
    }

    /// Moves what can be moved.
    pub fn advance(&mut self) -> Next {
        for _ in 0..ROUNDS {
            let moved = self
                .inward
                .advance(&self.client, &self.container)
                .and_then(|a| Ok(self.outward.advance(&self.container, &self.client)? || a));
            match moved {
                Err(_) => return Next::Over,
                Ok(_) if self.inward.state == State::Closed && self.outward.state == State::Closed => {
                    return Next::Over;
                }
                Ok(true) => {}
                Ok(false) => return Next::Wait,
            }
        }
        Next::Again
    }
}

impl Flow {
    fn new() -> Result<Self, Errno> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Self { read, write, pending: 0, state: State::Open })
    }

    /// Whether anything moved.
    fn advance(&mut self, from: impl AsFd, to: impl AsFd) -> Result<bool, Errno> {
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        let mut moved = false;
        if self.state == State::Open && self.pending < CAPACITY {
            match splice(from, None, &self.write, None, CAPACITY - self.pending, flags) {
                Ok(0) => {
                    self.state = State::Ending;
                    moved = true;
                }
                Ok(n) => {
                    self.pending += n;
                    moved = true;
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(e) => return Err(e),
            }
        }
        if self.pending > 0 {
            match splice(&self.read, None, &to, None, self.pending, flags) {
                Ok(n) => {
                    self.pending -= n;
                    moved |= n > 0;
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(e) => return Err(e),
            }
        }
        if self.state == State::Ending && self.pending == 0 {
            match shutdown(&to, Shutdown::Write) {
                // Not connected: the container's side is still on its way; its connection or refusal wakes us.
                Err(Errno::NOTCONN) => {}
                told => {
                    told?;
                    self.state = State::Closed;
                    moved = true;
                }
            }
        }
        Ok(moved)
    }
}
