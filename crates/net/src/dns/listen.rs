//! The resolver's sockets in a container's network namespace.

use super::ADDRESS;
use crate::{
    Error, Protocol, netns,
    nft::{Batch, ChainKind, Family, Header, Hook, Is, Meta, Nft, Register},
};
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, listen, socket_with},
};
use std::{
    io,
    net::{SocketAddr, SocketAddrV4},
    os::fd::{BorrowedFd, OwnedFd},
};

/// The table in the container's namespace.
const TABLE: &str = "brig_dns";
/// Where clients expect a name server.
const PORT: u16 = 53;
/// Connections that wait to be accepted, at most.
const BACKLOG: i32 = 16;

/// The sockets of one resolver.
#[derive(Debug)]
pub struct Sockets {
    /// For datagrams.
    pub udp: OwnedFd,
    /// Listens for connections.
    pub tcp: OwnedFd,
}

/// Makes a resolver's sockets inside `netns`, and leads what is sent to 127.0.0.11:53 there to them. Done again, the
/// latest sockets get it.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn open(home: BorrowedFd<'_>, netns: BorrowedFd<'_>) -> Result<Sockets, Error> {
    netns::inside(home, netns, || {
        let fail = |e: Errno| Error::Netns { step: "listen for DNS queries", source: e.into() };
        let udp = bound(SocketType::DGRAM).map_err(fail)?;
        let tcp = bound(SocketType::STREAM).map_err(fail)?;
        listen(&tcp.0, BACKLOG).map_err(fail)?;
        let rules = rules(&[(Protocol::Udp, udp.1), (Protocol::Tcp, tcp.1)]);
        let refused =
            |source: io::Error| Error::Firewall { step: "lead DNS queries to the resolver", source };
        Nft::open().map_err(refused)?.commit(rules).map_err(|e| refused(e.source))?;
        Ok(Sockets { udp: udp.0, tcp: tcp.0 })
    })
}

/// A socket on a port of the kernel's choice, and that port.
fn bound(kind: SocketType) -> Result<(OwnedFd, u16), Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::INET, kind, flags, None)?;
    bind(&socket, &SocketAddrV4::new(ADDRESS, 0))?;
    match SocketAddr::try_from(getsockname(&socket)?) {
        Ok(address) => Ok((socket, address.port())),
        Err(_) => Err(Errno::AFNOSUPPORT),
    }
}

fn rules(ports: &[(Protocol, u16)]) -> Batch {
    const FAMILY: Family = Family::Ip;
    const DESTINATION: u32 = 16;
    const DESTINATION_PORT: u32 = 2;
    let (r0, r1) = (Register(0), Register(1));
    let mut batch = Batch::default();
    // Made first, so that it can be removed whether or not it was there.
    batch.table(FAMILY, TABLE);
    batch.delete_table(FAMILY, TABLE);
    batch.table(FAMILY, TABLE);
    batch.base_chain(FAMILY, TABLE, "output", ChainKind::Nat, Hook::Output, -100);
    for (protocol, port) in ports {
        batch.rule(FAMILY, TABLE, "output", |r| {
            r.payload(Header::Network, DESTINATION, 4, r0).compare(r0, Is::Equal, &ADDRESS.octets());
            r.meta(Meta::Protocol, r0).compare(r0, Is::Equal, &[protocol.number()]);
            r.payload(Header::Transport, DESTINATION_PORT, 2, r0).compare(r0, Is::Equal, &PORT.to_be_bytes());
            r.load(&ADDRESS.octets(), r0).load(&port.to_be_bytes(), r1).dnat(FAMILY, r0, r1);
        });
    }
    batch
}
