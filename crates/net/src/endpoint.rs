//! The record of a container's place in a network, as the engine stores it.

use crate::MacAddr;
use brig_core::Id;
use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
};

/// A container's place in a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its id.
    pub id: Id,
    /// The network it belongs to.
    pub network: Id,
    /// The container's name, for messages.
    pub name: String,
    /// The interface in the container: `eth0`.
    pub interface: String,
    /// The interface on the host: `veth` and seven hex digits.
    pub veth: String,
    /// The hardware address of the interface in the container.
    pub mac: MacAddr,
    /// Its IPv4 address with the subnet's prefix length.
    #[serde(default)]
    pub ipv4: Option<Ipv4Net>,
    /// Its IPv6 address with the subnet's prefix length.
    #[serde(default)]
    pub ipv6: Option<Ipv6Net>,
    /// The next hop of its default route; none when the default route is another endpoint's.
    #[serde(default)]
    pub gateway4: Option<Ipv4Addr>,
    /// The next hop of its IPv6 default route.
    #[serde(default)]
    pub gateway6: Option<Ipv6Addr>,
    /// Whether its link is the way to everywhere, without a next hop (ipvlan in mode `l3`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leads_everywhere: bool,
    /// The ports published, with the host ports that were picked.
    #[serde(default)]
    pub ports: Vec<PortBinding>,
}

impl Endpoint {
    /// Whether the container reaches by it whatever it has no other route to.
    #[must_use]
    pub fn is_way_out(&self) -> bool {
        self.gateway4.is_some() || self.gateway6.is_some() || self.leads_everywhere
    }
}

/// What is asked of a new endpoint; [`crate::Net::allocate`] fills in the rest.
#[derive(Debug, Clone, Default)]
pub struct EndpointRequest {
    /// The container's name, for messages.
    pub name: String,
    /// The interface's name in the container; none: `eth0`.
    pub interface: Option<String>,
    /// The IPv4 address wanted (`--ip`).
    pub ipv4: Option<Ipv4Addr>,
    /// The IPv6 address wanted (`--ip6`).
    pub ipv6: Option<Ipv6Addr>,
    /// The hardware address wanted (`--mac-address`).
    pub mac: Option<MacAddr>,
    /// Whether the container's default route goes elsewhere, as for a second network.
    pub no_default_route: bool,
}

/// A transport protocol whose ports can be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP: translated, but never proxied.
    Sctp,
}

impl Protocol {
    /// The name as in `80/tcp`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }

    /// Reads `tcp`, `udp` or `sctp`; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Tcp, Self::Udp, Self::Sctp].into_iter().find(|p| p.name() == text)
    }

    /// The IANA protocol number.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A port to publish: one container port on one host port, or on one of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortRequest {
    /// The protocol.
    pub protocol: Protocol,
    /// The port in the container.
    pub container_port: u16,
    /// The host address; none: all of them, IPv4 and, where the host has it, IPv6, on the same port.
    pub host_ip: Option<IpAddr>,
    /// The host port: the first free one of the range is taken. None: a free one of the ephemeral range.
    pub host_ports: Option<RangeInclusive<u16>>,
}

/// A published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortBinding {
    /// The protocol.
    pub protocol: Protocol,
    /// The host address; unspecified for all of its family.
    pub host_ip: IpAddr,
    /// The host port; zero in a routed network.
    pub host_port: u16,
    /// The container's address. Of the other family when a proxy has to carry it.
    pub container_ip: IpAddr,
    /// The port in the container.
    pub container_port: u16,
}

impl PortBinding {
    /// Whether the container is reached by its own address: then the host has no port of it, and its port is zero.
    #[must_use]
    pub fn is_routed(&self) -> bool {
        self.host_port == 0
    }

    /// The host's address and port.
    #[must_use]
    pub fn host(&self) -> SocketAddr {
        SocketAddr::new(self.host_ip, self.host_port)
    }

    /// The container's address and port.
    #[must_use]
    pub fn container(&self) -> SocketAddr {
        SocketAddr::new(self.container_ip, self.container_port)
    }
}

impl fmt::Display for PortBinding {
    /// `0.0.0.0:8080:172.17.0.2:80/tcp`, as in Docker's messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.host(), self.container(), self.protocol)
    }
}
