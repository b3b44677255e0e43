//! The record of a network, as the engine stores it.

use crate::uplink::{Origin, Uplink};
use brig_core::Id;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr};

/// Labels or options, in the order of their keys.
pub type Labels = BTreeMap<String, String>;

/// What makes a network's links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// A Linux bridge with address translation.
    Bridge,
    /// The host's own network namespace: nothing to make.
    Host,
    /// A namespace with a loopback interface only.
    Null,
    /// Links on an interface of the host's, each with a hardware address.
    Macvlan,
    /// Links on an interface of the host's, with its hardware address.
    Ipvlan,
}

impl Driver {
    /// Whether containers get interfaces and addresses by it.
    #[must_use]
    pub fn has_endpoints(self) -> bool {
        matches!(self, Self::Bridge | Self::Macvlan | Self::Ipvlan)
    }

    /// The name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::Null => "null",
            Self::Macvlan => "macvlan",
            Self::Ipvlan => "ipvlan",
        }
    }
}

/// How packets get from outside into a bridge network, and from it to the outside, in one family
/// (`com.docker.network.bridge.gateway_mode_ipv4` and `…_ipv6`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GatewayMode {
    /// In by published ports of the host's, out by the host's address.
    #[default]
    Nat,
    /// As [`Self::Nat`], and in by the containers' own addresses as well, on all ports.
    NatUnprotected,
    /// In and out by the containers' own addresses; in on published ports only.
    Routed,
    /// The host has no address on the network, which is an internal one.
    Isolated,
}

impl GatewayMode {
    /// Reads the option's value; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "nat" => Self::Nat,
            "nat-unprotected" => Self::NatUnprotected,
            "routed" => Self::Routed,
            "isolated" => Self::Isolated,
            _ => return None,
        })
    }

    /// Whether addresses are translated.
    #[must_use]
    pub fn translates(self) -> bool {
        matches!(self, Self::Nat | Self::NatUnprotected)
    }
}

/// The way in and out by family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GatewayModes {
    /// IPv4's.
    pub v4: GatewayMode,
    /// IPv6's.
    pub v6: GatewayMode,
}

impl GatewayModes {
    /// That of an address' family.
    #[must_use]
    pub fn of(self, ip: IpAddr) -> GatewayMode {
        if ip.is_ipv4() { self.v4 } else { self.v6 }
    }
}

/// A subnet that a network gives addresses from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// All addresses that are on the link.
    pub subnet: IpNet,
    /// The bridge's own address; of a macvlan or ipvlan network that of another machine, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// Addresses are picked from this part of the subnet only (`--ip-range`, `--fixed-cidr`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<IpNet>,
    /// Addresses that other machines on the link have (`--aux-address`), by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reserved: BTreeMap<String, IpAddr>,
}

/// A network as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkRecord {
    /// Its id.
    pub id: Id,
    /// Its name: `bridge`, `host`, `none` or the user's.
    pub name: String,
    /// What makes its links.
    pub driver: Driver,
    /// The Linux bridge's name; empty where the driver has none.
    #[serde(default)]
    pub bridge: String,
    /// The interface that the containers share; none for other drivers than macvlan and ipvlan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uplink: Option<Uplink>,
    /// Whether the bridge was there before the network, made by somebody else, and stays when it goes.
    #[serde(default)]
    pub adopted: bool,
    /// Its subnets: none, one IPv4, one IPv6, or both.
    #[serde(default)]
    pub pools: Vec<Pool>,
    /// Whether endpoints get IPv6 addresses.
    #[serde(default)]
    pub ipv6: bool,
    /// No way out and none in (`--internal`).
    #[serde(default)]
    pub internal: bool,
    /// Shown, and without effect outside of Swarm (`--attachable`).
    #[serde(default)]
    pub attachable: bool,
    /// Whether the user chose a subnet, so that addresses in it can be asked for.
    #[serde(default)]
    pub configured: bool,
    /// Options of the address driver as given.
    #[serde(default)]
    pub ipam_options: Option<Labels>,
    /// Whether the network's containers reach one another (`enable_icc`).
    #[serde(default = "yes")]
    pub icc: bool,
    /// Whether outgoing connections take the host's address (`enable_ip_masquerade`).
    #[serde(default = "yes")]
    pub masquerade: bool,
    /// The way in and out.
    #[serde(default)]
    pub gateway_modes: GatewayModes,
    /// The host address of ports published without one (`host_binding_ipv4`); none: the daemon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<IpAddr>,
    /// The host's addresses that outgoing connections take (`com.docker.network.host_ipv4` and `…_ipv6`), in place of
    /// those of the interface that they leave by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<IpAddr>,
    /// What the containers' interfaces are called before their number (`container_iface_prefix`); none: `eth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface_prefix: Option<String>,
    /// The links' MTU in bytes; `None`: the kernel's default.
    #[serde(default)]
    pub mtu: Option<u32>,
    /// The driver's options as given.
    #[serde(default)]
    pub options: Labels,
    /// The user's labels.
    #[serde(default)]
    pub labels: Labels,
    /// When it was made, RFC 3339.
    #[serde(default)]
    pub created: String,
}

impl NetworkRecord {
    /// Whether a container on it only reaches the world outside.
    #[must_use]
    pub fn leads_out(&self) -> bool {
        let next_hop = || self.pools.iter().any(|pool| pool.gateway.is_some());
        !self.internal
            && match &self.uplink {
                Some(uplink) => uplink.origin != Origin::Dummy && (uplink.mode.routes() || next_hop()),
                None => self.driver == Driver::Bridge,
            }
    }
}

fn yes() -> bool {
    true
}

/// What is asked of a new network; [`crate::Net::define_network`] fills in the rest.
#[derive(Debug, Clone, Default)]
pub struct NetworkRequest {
    /// Its name.
    pub name: String,
    /// What makes its links: one of those that have endpoints; none: a bridge.
    pub driver: Option<Driver>,
    /// Subnets with, or without, a gateway; none: a free one of the default pools.
    pub pools: Vec<PoolRequest>,
    /// Whether endpoints get IPv6 addresses.
    pub ipv6: bool,
    /// No way out and none in.
    pub internal: bool,
    /// Shown, and without effect outside of Swarm.
    pub attachable: bool,
    /// Options of the address driver as given.
    pub ipam_options: Option<Labels>,
    /// The driver's options (`com.docker.network.bridge.name` and the like).
    pub options: Labels,
    /// The user's labels.
    pub labels: Labels,
    /// When it is made, RFC 3339.
    pub created: String,
}

/// A subnet as asked for.
#[derive(Debug, Clone)]
pub struct PoolRequest {
    /// All addresses that are on the link.
    pub subnet: IpNet,
    /// The bridge's own address; none: the first one of the subnet. Of another driver: as asked for.
    pub gateway: Option<IpAddr>,
    /// Addresses are picked from this part of the subnet only.
    pub range: Option<IpNet>,
    /// Addresses that other machines on the link have.
    pub reserved: BTreeMap<String, IpAddr>,
}
