//! Names of containers: what the resolver at 127.0.0.11 answers in a container on a network of its user's.
//!
//! * [`zones`]: who has which names and addresses on which network. Pure.
//! * [`message`]: questions and answers as bytes. Pure.
//! * [`listen`]: the resolver's sockets in a container's network namespace. They are bound to ports of the kernel's
//!   choice, so that a container's own name server may have port 53; what is sent to 127.0.0.11:53 is translated.
//!
//! The process `brig net` serves the sockets (`process::server`), so that names are answered while the daemon is
//! away.

pub mod listen;
pub mod message;
pub mod zones;

use brig_core::Id;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};

/// Where containers find their resolver.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

/// What a container's resolver knows besides the names on its networks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolver {
    /// Whose it is: a sandbox.
    pub id: Id,
    /// The networks whose names it answers. Of several that know a name, the first counts.
    pub networks: Vec<Id>,
    /// Names that only this container knows.
    pub links: Vec<Link>,
    /// Who is asked for all other names, the first one first. Empty where nothing leads outside.
    pub upstreams: Vec<Upstream>,
    /// What `host.docker.internal` stands for.
    pub host: Vec<IpAddr>,
}

/// Another name for a container on a network (`--link NAME:ALIAS`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The network.
    pub network: Id,
    /// The other name.
    pub alias: String,
    /// The container's name on the network.
    pub name: String,
}

/// A name server outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// Its address.
    pub ip: IpAddr,
    /// Whether it is asked from the host's network namespace, as a server on the host's loopback has to be; else from
    /// the container's.
    pub from_host: bool,
}

/// A container's names and addresses on one network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its endpoint.
    pub endpoint: Id,
    /// Its names; the first is the one that its addresses are looked up as.
    pub names: Vec<String>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}
