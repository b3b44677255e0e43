//! How the daemon wants its networks.

use ipnet::IpNet;
use std::{net::IpAddr, path::PathBuf};

/// How the daemon wants its networks.
#[derive(Debug, Clone)]
pub struct NetConfig {
    /// The default network's Linux bridge (`--bridge`); `none`: no default network.
    pub bridge: String,
    /// The bridge's address and subnet (`--bip`); none: a free default pool.
    pub bip: Option<IpNet>,
    /// The part of the default network's subnet that containers get addresses from (`--fixed-cidr`).
    pub fixed_cidr: Option<IpNet>,
    /// The default network's MTU (`--mtu`).
    pub mtu: Option<u32>,
    /// Whether firewall rules are made (`--iptables`).
    pub firewall: bool,
    /// Whether forwarding is switched on (`--ip-forward`).
    pub ip_forward: bool,
    /// Whether outgoing connections of the default network take the host's address (`--ip-masq`).
    pub ip_masquerade: bool,
    /// Whether containers of the default network reach one another (`--icc`).
    pub icc: bool,
    /// Whether `brig net` proxies what can't be translated (`--userland-proxy`).
    pub userland_proxy: bool,
    /// The host address of ports published without one (`--ip`); none: all.
    pub host_ip: Option<IpAddr>,
    /// The control socket of `brig net`.
    pub socket: PathBuf,
    /// The binary that is executed as `brig net`; `/proc/self/exe` for the running one.
    pub executable: PathBuf,
}

impl NetConfig {
    /// dockerd's defaults, with brig's names.
    #[must_use]
    pub fn new(paths: &brig_core::StatePaths) -> Self {
        Self {
            bridge: "brig0".to_owned(),
            bip: None,
            fixed_cidr: None,
            mtu: None,
            firewall: true,
            ip_forward: true,
            ip_masquerade: true,
            icc: true,
            userland_proxy: true,
            host_ip: None,
            socket: paths.net_socket(),
            executable: PathBuf::from("/proc/self/exe"),
        }
    }
}
