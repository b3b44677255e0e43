//! Questions by datagrams.

use super::{Outcome, Server, forward::Client};
use brig_core::Id;
use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags, SocketAddrAny, recvfrom, sendto},
};
use std::{net::SocketAddr, os::fd::OwnedFd};

/// Questions from one socket before another one gets its turn.
const A_TURN: usize = 32;
/// No question is longer.
const LONGEST: usize = 4096;

impl Server {
    pub(super) fn answer_datagrams(&mut self, resolver: Id, socket: &OwnedFd) -> bool {
        let mut buffer = [0; LONGEST];
        for _ in 0..A_TURN {
            let (length, from) = match recvfrom(socket, &mut buffer[..], RecvFlags::empty()) {
                Ok((length, _, Some(from))) => (length, from),
                Ok((_, _, None)) | Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => break,
                // An error of an earlier answer (ICMP); it was taken off by reading it.
                Err(_) => continue,
            };
            let Ok(from) = SocketAddr::try_from(from) else { continue };
            match self.ask(resolver, &buffer[..length], Client::Datagram(from)) {
                Outcome::Answer(answer) => send(socket, &answer, from),
                Outcome::Outside | Outcome::Nothing => {}
            }
        }
        true
    }
}

/// Sends an answer. It is lost where the client is gone, as datagrams are.
pub(super) fn send(socket: &OwnedFd, answer: &[u8], to: SocketAddr) {
    let _ = sendto(socket, answer, SendFlags::empty(), &SocketAddrAny::from(to));
}
