//! What the engine holds: all networks of one daemon.

use crate::{
    Endpoint, EndpointRequest, Error, NetworkRecord, PortBinding, PortRequest, netns, network::NetworkRequest,
};
use brig_core::Id;
use ipnet::IpNet;
use std::{
    net::IpAddr,
    os::fd::{BorrowedFd, OwnedFd},
    path::PathBuf,
};

/// How the daemon wants its networks.
#[derive(Debug, Clone)]
pub struct NetConfig {
    /// The default network's Linux bridge (`--bridge`).
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

/// All networks of one daemon. Shared by reference between threads; every call blocks.
#[derive(Debug)]
pub struct Net {
    config: NetConfig,
}

impl Net {
    /// Opens the kernel's interfaces; makes nothing yet.
    ///
    /// # Errors
    /// When netlink can't be opened.
    pub fn open(config: NetConfig) -> Result<Self, Error> {
        Ok(Self { config })
    }

    /// The configuration it was opened with.
    #[must_use]
    pub fn config(&self) -> &NetConfig {
        &self.config
    }

    /// The three networks that always exist, `bridge`, `host` and `none`, with those of `stored` kept as they are
    /// (but for what the configuration overrides). The engine stores what comes back.
    ///
    /// # Errors
    /// When no pool is free or the configured one makes no sense.
    pub fn default_networks(&self, stored: &[NetworkRecord]) -> Result<Vec<NetworkRecord>, Error> {
        let _ = stored;
        Err(unfinished())
    }

    /// A record for a new user-defined bridge network. Makes nothing; store it, then [`Net::ensure_network`].
    ///
    /// # Errors
    /// When its subnets make no sense or overlap others, or no default pool is free.
    pub fn define_network(&self, request: NetworkRequest) -> Result<NetworkRecord, Error> {
        let _ = request;
        Err(unfinished())
    }

    /// Makes what the network needs on the host (bridge, address, sysctls, rules), or adopts what is there.
    /// Idempotent.
    ///
    /// # Errors
    /// When a link or rule can't be made. What was made stays for the next try.
    pub fn ensure_network(&self, network: &NetworkRecord) -> Result<(), Error> {
        let _ = network;
        Err(unfinished())
    }

    /// Removes a network's bridge and rules. Its endpoints must be gone.
    ///
    /// # Errors
    /// When the kernel refuses; a bridge that is gone already is no error.
    pub fn remove_network(&self, network: &Id) -> Result<(), Error> {
        let _ = network;
        Err(unfinished())
    }

    /// A new network namespace with `lo` up and nothing else: all that the network `none` needs. It lives as long
    /// as the descriptor, a process in it or a mount of it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn create_netns(&self) -> Result<OwnedFd, Error> {
        netns::create(|| Ok(())).map(|(fd, ())| fd)
    }

    /// Picks addresses, names and a hardware address for a container in a bridge network. They are taken until
    /// [`Net::release`]. The engine stores the record before it calls [`Net::attach`].
    ///
    /// # Errors
    /// When the address asked for is taken or out of range, all are taken, or the network is unknown.
    pub fn allocate(&self, network: &Id, request: &EndpointRequest) -> Result<Endpoint, Error> {
        let _ = (network, request);
        Err(unfinished())
    }

    /// Makes the endpoint's interface inside `netns`, with its addresses and default route.
    ///
    /// # Errors
    /// When the kernel refuses; nothing is left then.
    pub fn attach(&self, netns: BorrowedFd<'_>, endpoint: &Endpoint) -> Result<(), Error> {
        let _ = (netns, endpoint);
        Err(unfinished())
    }

    /// Removes the endpoint's interface now, which takes up to 20 ms. When the namespace dies anyway, leave it.
    ///
    /// # Errors
    /// When the kernel refuses; an interface that is gone already is no error.
    pub fn detach(&self, endpoint: &Endpoint) -> Result<(), Error> {
        let _ = endpoint;
        Err(unfinished())
    }

    /// Gives the endpoint's addresses back and unpublishes its ports. The interface dies with its namespace.
    ///
    /// # Errors
    /// When the rules can't be changed or `brig net` can't be reached; the addresses are free in any case.
    pub fn release(&self, endpoint: &Endpoint) -> Result<(), Error> {
        let _ = endpoint;
        Err(unfinished())
    }

    /// Publishes ports of an endpoint: reserves them on the host, then translates. All or none. The engine keeps
    /// what comes back in [`Endpoint::ports`].
    ///
    /// # Errors
    /// [`Error::Publish`] when a port is taken or a rule can't be made; nothing is left then.
    pub fn publish(&self, endpoint: &Endpoint, requests: &[PortRequest]) -> Result<Vec<PortBinding>, Error> {
        let _ = (endpoint, requests);
        Err(unfinished())
    }

    /// Takes published ports back.
    ///
    /// # Errors
    /// When the rules can't be changed or `brig net` can't be reached; the ports are free in any case.
    pub fn unpublish(&self, ports: &[PortBinding]) -> Result<(), Error> {
        let _ = ports;
        Err(unfinished())
    }

    /// After a start of the daemon: takes over the stored networks and the endpoints of live containers, makes
    /// bridges, rules and reservations what they say, and removes all else of brig's (rules, veths, reservations).
    ///
    /// # Errors
    /// When the kernel refuses. Conflicts of single ports with other programs are answered as warnings.
    pub fn rebuild(&self, networks: &[NetworkRecord], live: &[Endpoint]) -> Result<Vec<String>, Error> {
        let _ = (networks, live);
        Err(unfinished())
    }

    /// When the daemon stops. With no endpoint left, `brig net` ends; `remove` takes bridges and rules away too.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn shutdown(&self, remove: bool) -> Result<(), Error> {
        let _ = remove;
        Err(unfinished())
    }
}

fn unfinished() -> Error {
    Error::InvalidPool("networks are under construction".to_owned())
}
