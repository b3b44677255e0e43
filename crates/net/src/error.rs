//! What can go wrong with networks.

use brig_core::{HasKind, Id, Kind};
use std::{io, net::IpAddr, path::PathBuf};

/// A failure of a network operation. Where Docker has words for it, these are Docker's.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A network namespace could not be made or entered.
    #[error("network namespace: {step}: {source}")]
    Netns {
        /// What was being done.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// A link, address or route could not be made, changed or removed.
    #[error("link {name}: {step}: {source}")]
    Link {
        /// The interface.
        name: String,
        /// What was being done.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel's settings under /proc/sys could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Sysctl {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The firewall's rules could not be changed.
    #[error("nftables: {step}: {source}")]
    Firewall {
        /// What was being done.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// An interface with the bridge's name exists and is something else.
    #[error("existing interface {name} is not a bridge")]
    NotABridge {
        /// The interface.
        name: String,
    },
    /// No network with this id is known here.
    #[error("network {0} not found")]
    UnknownNetwork(Id),
    /// The network has endpoints.
    #[error("error while removing network: network {name} id {id} has active endpoints")]
    NetworkInUse {
        /// Its name.
        name: String,
        /// Its id.
        id: Id,
    },
    /// A network's subnets or gateways make no sense.
    #[error("{0}")]
    InvalidPool(String),
    /// A driver's option that can't be read.
    #[error("{0}")]
    InvalidOption(String),
    /// Another network has the bridge.
    #[error(
        "cannot create network {id} ({bridge}): conflicts with network {other} ({bridge}): networks have same bridge \
         name"
    )]
    BridgeTaken {
        /// The bridge.
        bridge: String,
        /// The network that is not made.
        id: Id,
        /// The one that has it.
        other: Id,
    },
    /// Every pool that brig picks from overlaps a network or a route of the host.
    #[error("all predefined address pools have been fully subnetted")]
    PoolsExhausted,
    /// The subnet asked for overlaps another network's.
    #[error("Pool overlaps with other one on this address space")]
    PoolOverlaps,
    /// The address asked for belongs to another endpoint.
    #[error("Address already in use")]
    AddressInUse(IpAddr),
    /// The address asked for lies in none of the network's subnets.
    #[error("no configured subnet contains IP address {0}")]
    AddressOutOfRange(IpAddr),
    /// All addresses of the network are taken.
    #[error("no available IPv{version} addresses on this network's address pools: {network} ({id})")]
    AddressesExhausted {
        /// 4 or 6.
        version: u8,
        /// The network's name.
        network: String,
        /// The network's id.
        id: Id,
    },
    /// Containers of a network can't be kept apart.
    #[error(
        "cannot restrict inter-container communication on network {network}: the kernel module br_netfilter is not \
         loaded (modprobe: {why}); load it, or leave enable_icc on"
    )]
    NoBridgeFilter {
        /// The network.
        network: String,
        /// How modprobe ended.
        why: String,
    },
    /// A host port could not be published.
    #[error("driver failed programming external connectivity on endpoint {name} ({endpoint}): {source}")]
    Publish {
        /// The container's name.
        name: String,
        /// The endpoint's id.
        endpoint: Id,
        /// Why.
        source: Box<PublishError>,
    },
    /// The network process can't be started or reached, or answers nonsense.
    #[error("network process: {step}: {source}")]
    Process {
        /// What was being done.
        step: &'static str,
        /// Why not.
        source: io::Error,
    },
}

/// Why a port could not be published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Another container has it.
    #[error("Bind for {ip}:{port} failed: port is already allocated")]
    Allocated {
        /// The address that is taken.
        ip: IpAddr,
        /// The port that is taken.
        port: u16,
    },
    /// No port of the range is free.
    #[error("all ports are allocated")]
    RangeExhausted,
    /// The range asked for is empty or begins at zero.
    #[error("invalid port range: {first}-{last}")]
    InvalidRange {
        /// Its first port.
        first: u16,
        /// Its last port.
        last: u16,
    },
    /// The kernel refused the host's port, most often since another program has it.
    #[error("failed to bind host port for {binding}: {reason}")]
    Bind {
        /// `0.0.0.0:8080:172.17.0.2:80/tcp`
        binding: String,
        /// The system's words, as Go writes them: `address already in use`.
        reason: String,
    },
    /// Something under it failed.
    #[error(transparent)]
    Other(#[from] Error),
}

impl HasKind for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::UnknownNetwork(_) => Kind::NotFound,
            Self::InvalidPool(_) | Self::InvalidOption(_) | Self::AddressOutOfRange(_) => {
                Kind::InvalidParameter
            }
            Self::PoolOverlaps
            | Self::AddressInUse(_)
            | Self::BridgeTaken { .. }
            | Self::NetworkInUse { .. } => Kind::Forbidden,
            Self::PoolsExhausted | Self::AddressesExhausted { .. } | Self::Process { .. } => {
                Kind::Unavailable
            }
            Self::Netns { .. }
            | Self::Link { .. }
            | Self::Sysctl { .. }
            | Self::Firewall { .. }
            | Self::NotABridge { .. }
            | Self::NoBridgeFilter { .. }
            | Self::Publish { .. } => Kind::System,
        }
    }
}
