//! Published and exposed ports.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a port of a container is published.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct PortBinding {
    /// The host's address; empty for all.
    #[serde(rename = "HostIp")]
    pub host_ip: String,
    /// A port, a range `8000-8010`, or empty for any free one.
    pub host_port: String,
}

/// Container port (`80/tcp`) to where it is published; `null` when it is exposed only.
pub type PortMap = BTreeMap<String, Option<Vec<PortBinding>>>;

/// Container ports (`80/tcp`) that an image or container exposes.
pub type PortSet = BTreeMap<String, super::Empty>;

/// A port in the list of containers.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Port {
    /// The host's address that the port is published on.
    #[serde(rename = "IP", skip_serializing_if = "String::is_empty")]
    pub ip: String,
    /// The port in the container.
    pub private_port: u16,
    /// The port on the host.
    #[serde(skip_serializing_if = "super::is_default")]
    pub public_port: u16,
    /// `tcp`, `udp` or `sctp`.
    #[serde(rename = "Type")]
    pub protocol: String,
}
