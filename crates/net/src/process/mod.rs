//! `brig net`: one process a host that outlives the daemon. It holds the sockets of published ports, so that no other
//! program takes them, and carries by hand what address translation can't: `::1`, IPv6 to a container that has
//! only IPv4, and all of it when the firewall is switched off. And it answers for names of containers in them
//! ([`crate::dns`]).
//!
//! The daemon is the only one who speaks to it, over a unix stream socket beside a lock file: frames of a 32-bit
//! little-endian length and JSON, one answer a request ([`protocol`]). The process keeps nothing on disk; what
//! it holds can be listed, and a daemon that comes back makes it equal to its records ([`Client::reconcile`]).
//! It ends when told to and no port and no resolver is left.
//!
//! One thread, one epoll ([`server`]). What is buffered a connection is what two pipes hold; UDP has one buffer
//! for all. Connections, UDP peers and control clients are bounded.

mod client;
mod listen;
pub mod protocol;
pub mod server;
mod slab;
mod spawn;
mod tcp;
mod udp;

pub use client::{Client, LiveNames, Refusal};
pub use spawn::main;
