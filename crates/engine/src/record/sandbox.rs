//! A sandbox: the namespaces that one or several containers share, with a lifetime of its own.

use brig_core::Id;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr};

/// The namespaces that one or several containers share, and their place on networks.
///
/// A container outside of `container:` modes and pods has a sandbox of its own, made by its start and gone
/// with its end. Namespaces live as long as a process is in them, so nothing is pinned in the file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxRecord {
    /// The layout of this record; see [`SandboxRecord::VERSION`].
    pub version: u32,
    /// Its id.
    pub id: Id,
    /// The container whose start made it and in whose processes its namespaces live.
    pub owner: Id,
    /// All containers in it, the owner among them.
    pub members: Vec<Id>,
    /// Its places on networks, by the network's name.
    pub endpoints: BTreeMap<String, EndpointRecord>,
    /// Published ports as they were bound.
    pub ports: Vec<PublishedPort>,
}

impl SandboxRecord {
    /// The layout written now.
    pub const VERSION: u32 = 1;

    /// An empty sandbox of one container.
    #[must_use]
    pub fn new(owner: Id) -> Self {
        Self {
            version: Self::VERSION,
            id: Id::random(),
            owner,
            members: vec![owner],
            endpoints: BTreeMap::new(),
            ports: Vec::new(),
        }
    }
}

/// A place on a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointRecord {
    /// Its id.
    pub id: Id,
    /// The network's id.
    pub network: Id,
    /// The interface's name inside.
    pub interface: String,
    /// The interface's name on the host.
    pub host_interface: String,
    /// Its addresses with the length of their networks' prefixes.
    pub addresses: Vec<ipnet::IpNet>,
    /// The IPv4 gateway.
    pub gateway: Option<IpAddr>,
    /// The hardware address, `02:42:…`.
    pub mac: String,
}

/// A published port as it was bound.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PublishedPort {
    /// The port inside.
    pub container_port: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// The host's address.
    pub host_ip: IpAddr,
    /// The host's port.
    pub host_port: u16,
}
