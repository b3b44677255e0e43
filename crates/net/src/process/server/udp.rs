//! Datagrams to published ports.

use super::{Server, Source};
use crate::process::{slab::Token, udp};
use rustix::{
    event::epoll::EventFlags,
    io::Errno,
    net::{RecvFlags, SendFlags, recv, send},
};
use std::{os::fd::OwnedFd, time::Instant};

/// UDP clients at a time; the one that was silent longest makes room.
const MAX_UDP_CLIENTS: usize = 1024;
/// Datagrams from one socket before another one gets its turn.
const DATAGRAMS_A_TURN: usize = 32;

impl Server {
    /// Datagrams from clients.
    pub(super) fn ask_container(&mut self, listener: &mut udp::Listener, token: Token) -> bool {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(64 << 10, 0);
        for _ in 0..DATAGRAMS_A_TURN {
            let (length, flow) = match udp::receive(&listener.socket, &mut buffer) {
                Ok(received) => received,
                Err(Errno::AGAIN) => break,
                // An error of an earlier answer (ICMP); it was taken off by reading it.
                Err(_) => continue,
            };
            let client = match listener.clients.get(&flow) {
                Some(client) => *client,
                None => match self.udp_client(listener, token, flow) {
                    Ok(client) => client,
                    // Out of descriptors: the datagram is lost, as datagrams are.
                    Err(_) => continue,
                },
            };
            if let Some(Source::UdpClient { socket, heard, .. }) = self.sources.get_mut(client) {
                *heard = Instant::now();
                // Lost when the container does not take it, as on any way.
                let _ = send(socket, &buffer[..length], SendFlags::empty());
            }
        }
        self.buffer = buffer;
        true
    }

    fn udp_client(
        &mut self,
        listener: &mut udp::Listener,
        token: Token,
        flow: udp::Flow,
    ) -> Result<Token, Errno> {
        if self.udp_clients >= MAX_UDP_CLIENTS {
            self.make_room(listener, token);
        }
        let socket = udp::to_container(&listener.port)?;
        let client = self.sources.reserve();
        if let Err(errno) = self.watch(&socket, client, EventFlags::IN) {
            self.sources.remove(client);
            return Err(errno);
        }
        let heard = Instant::now();
        self.sources.put(client, Source::UdpClient { listener: token, flow, socket, heard });
        self.udp_clients += 1;
        listener.clients.insert(flow, client);
        self.sweep.get_or_insert(heard + udp::IDLE);
        Ok(client)
    }

    /// Forgets the client that was silent longest. `current` is not in its place now, so its own table is changed
    /// here.
    fn make_room(&mut self, current: &mut udp::Listener, current_token: Token) {
        let oldest = self
            .sources
            .iter()
            .filter_map(|(token, source)| match source {
                Source::UdpClient { heard, listener, flow, .. } => Some((*heard, token, *listener, *flow)),
                _ => None,
            })
            .min_by_key(|(heard, ..)| *heard);
        if let Some((_, token, listener, flow)) = oldest {
            if listener == current_token {
                current.clients.remove(&flow);
            }
            self.drop_source(token);
        }
    }

    /// Datagrams from a container.
    pub(super) fn answer_client(
        &mut self,
        listener: Token,
        flow: &udp::Flow,
        socket: &OwnedFd,
        heard: &mut Instant,
    ) -> bool {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(64 << 10, 0);
        for _ in 0..DATAGRAMS_A_TURN {
            match recv(socket, &mut buffer[..], RecvFlags::empty()) {
                Ok((length, _)) => {
                    *heard = Instant::now();
                    if let Some(Source::Udp(listener)) = self.sources.get_mut(listener) {
                        // Lost when the client is gone, as datagrams are.
                        let _ = udp::answer(&listener.socket, &buffer[..length], flow);
                    }
                }
                Err(Errno::AGAIN) => break,
                // Nobody listens in the container; the client may try again later.
                Err(_) => {}
            }
        }
        self.buffer = buffer;
        true
    }

    /// Forgets UDP clients that were silent for long, and sets the time for the next look.
    pub(super) fn forget_silent(&mut self) {
        let now = Instant::now();
        let mut next: Option<Instant> = None;
        let mut silent = Vec::new();
        for (token, source) in self.sources.iter() {
            if let Source::UdpClient { heard, .. } = source {
                let ends = *heard + udp::IDLE;
                if ends <= now {
                    silent.push(token);
                } else {
                    next = Some(next.map_or(ends, |n| n.min(ends)));
                }
            }
        }
        for token in silent {
            self.drop_source(token);
        }
        self.sweep = next;
        if self.udp_clients == 0 {
            // An idle process keeps no buffer.
            self.buffer = Vec::new();
        }
    }
}
