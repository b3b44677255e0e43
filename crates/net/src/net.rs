//! What the engine holds: all networks of one daemon.

use crate::{
    Driver, Endpoint, EndpointRequest, Error, MacAddr, NetworkRecord, Origin, PortBinding, Uplink, attach,
    bridge,
    config::NetConfig,
    firewall::{self, Transit},
    foreign,
    ipam::Allocator,
    link::{self, Way},
    netns,
    nft::{Batch, Nft},
    ports::Ports,
    process,
    rtnl::Rtnl,
    sysctl::{self, Outcome},
    uplink,
};
use brig_core::Id;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    io,
    net::IpAddr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// All networks of one daemon. Shared by reference between threads; every call blocks.
///
/// It belongs to the network namespace of the thread that opened it: its callers must be in the same one.
#[derive(Debug)]
pub struct Net {
    pub(crate) config: NetConfig,
    /// The namespace that it was opened in.
    home: OwnedFd,
    pub(crate) rtnl: Mutex<Rtnl>,
    pub(crate) state: Mutex<State>,
    pub(crate) rules: Mutex<Rules>,
    pub(crate) process: process::Client,
}

/// What is known of networks, addresses and ports.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) networks: BTreeMap<Id, Network>,
    pub(crate) veths: HashSet<String>,
    pub(crate) ports: Ports,
}

/// A network in use.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) record: NetworkRecord,
    allocators: Vec<Allocator>,
    /// The bridge's index once it was made.
    index: Option<u32>,
}

impl Network {
    fn new(record: NetworkRecord) -> Self {
        let allocators = record.pools.iter().map(Allocator::new).collect();
        Self { record, allocators, index: None }
    }

    /// Whether an endpoint has an address of it.
    fn is_in_use(&self) -> bool {
        self.record.pools.iter().zip(&self.allocators).any(|(pool, allocator)| allocator.is_in_use(pool))
    }
}

/// The firewall and what it holds.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) nft: Nft,
    /// The name of the daemon's table.
    pub(crate) table: String,
    pub(crate) networks: Vec<NetworkRecord>,
    pub(crate) published: BTreeSet<PortBinding>,
    pub(crate) ways: BTreeSet<Way>,
    pub(crate) transit: Transit,
}

impl Net {
    /// Opens the kernel's interfaces; makes nothing yet.
    ///
    /// # Errors
    /// When netlink can't be opened.
    pub fn open(config: NetConfig) -> Result<Self, Error> {
        let open = |step| move |source| Error::Link { name: config_name(), step, source };
        let rtnl = Rtnl::open().map_err(open("open rtnetlink"))?;
        let fail = |source| Error::Firewall { step: "open", source };
        let mut nft = Nft::open().map_err(fail)?;
        let table = firewall::table_of(&config.bridge);
        let own = |c: &crate::nft::ChainInfo| c.table == table && c.name == firewall::TRANSIT_CHAIN;
        let transit = match config.firewall && nft.chains().map_err(fail)?.iter().any(own) {
            true => Transit::Drop,
            false => Transit::Leave,
        };
        let process =
            process::Client::new(config.socket.clone(), config.executable.clone(), config.userland_proxy);
        Ok(Self {
            config,
            home: netns::current()?,
            process,
            rtnl: Mutex::new(rtnl),
            state: Mutex::new(State {
                networks: BTreeMap::new(),
                veths: HashSet::new(),
                ports: Ports::new(sysctl::ephemeral_ports()),
            }),
            rules: Mutex::new(Rules {
                nft,
                table,
                networks: Vec::new(),
                published: BTreeSet::new(),
                ways: BTreeSet::new(),
                transit,
            }),
        })
    }

    /// The configuration it was opened with.
    #[must_use]
    pub fn config(&self) -> &NetConfig {
        &self.config
    }

    /// Makes what the network needs on the host (bridge, address, settings, rules), or adopts what is there.
    /// Idempotent.
    ///
    /// # Errors
    /// When a link or rule can't be made. What was made stays for the next try.
    pub fn ensure_network(&self, network: &NetworkRecord) -> Result<(), Error> {
        self.register(network);
        if let Some(uplink) = &network.uplink {
            self.ensure_uplink(network, uplink)?;
        }
        if network.driver != Driver::Bridge {
            return Ok(());
        }
        self.ensure_bridge(network)?;
        if self.config.firewall {
            link::filter_bridged(network)?;
        }
        self.forward(network.ipv6)?;
        self.rules().apply(&self.config, |rules| {
            rules.networks.retain(|n| n.id != network.id);
            rules.networks.push(network.clone());
        })
    }

    /// Removes a network's bridge and rules.
    ///
    /// # Errors
    /// [`Error::UnknownNetwork`], [`Error::NetworkInUse`] while it has endpoints, or when the kernel refuses; a bridge that is gone already is no error.
    pub fn remove_network(&self, network: &Id) -> Result<(), Error> {
        let removed = {
            let mut state = self.state();
            let known = state.networks.get(network).ok_or(Error::UnknownNetwork(*network))?;
            if known.is_in_use() {
                return Err(Error::NetworkInUse { name: known.record.name.clone(), id: *network });
            }
            state.networks.remove(network).ok_or(Error::UnknownNetwork(*network))?
        };
        if let Some(uplink) = &removed.record.uplink {
            return self.remove_uplink(uplink);
        }
        let NetworkRecord { driver, bridge: name, adopted, .. } = removed.record;
        if driver != Driver::Bridge {
            return Ok(());
        }
        self.rules().apply(&self.config, |rules| rules.networks.retain(|n| n.id != *network))?;
        if adopted {
            return Ok(());
        }
        let fail = |source| Error::Link { name: name.clone(), step: "remove", source };
        self.rtnl().delete(&name).map_err(fail)?;
        Ok(())
    }

    /// A new network namespace with `lo` up and nothing else: all that the network `none` needs. It lives as long
    /// as the descriptor, a process in it or a mount of it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn create_netns(&self) -> Result<OwnedFd, Error> {
        self.create_netns_for(|_| Ok(()))
    }

    /// As [`Net::create_netns`]; `taker` is given the namespace as soon as it is there, before `lo` is up: that sets the
    /// kernel's own threads to work, which may take the processor from the calling one for longer than all else takes.
    ///
    /// # Errors
    /// As [`Net::create_netns`], and when `taker` fails.
    pub fn create_netns_for(
        &self,
        taker: impl FnOnce(BorrowedFd<'_>) -> io::Result<()>,
    ) -> Result<OwnedFd, Error> {
        const LO: u32 = 1;
        let fail = |source| Error::Link { name: "lo".to_owned(), step: "switch on", source };
        let work = |netns: BorrowedFd<'_>| {
            taker(netns).map_err(|source| Error::Netns { step: "hand over", source })?;
            Rtnl::open().and_then(|mut r| r.set_up(LO)).map_err(fail)
        };
        netns::create(self.home.as_fd(), work).map(|(fd, ())| fd)
    }

    /// Picks addresses, names and a hardware address for a container in a bridge network. They are taken until
    /// [`Net::release`]. The engine stores the record before it calls [`Net::attach`].
    ///
    /// # Errors
    /// When the address asked for is taken or out of range, all are taken, or the network is unknown.
    pub fn allocate(&self, network: &Id, request: &EndpointRequest) -> Result<Endpoint, Error> {
        let mut state = self.state();
        let state = &mut *state;
        let net = state.networks.get_mut(network).ok_or(Error::UnknownNetwork(*network))?;
        let mac = match net.record.driver {
            Driver::Ipvlan if request.mac.is_some() => {
                let words = "ipvlan interfaces do not support custom mac address assignment";
                return Err(Error::InvalidOption(words.to_owned()));
            }
            // That of the interface that is shared.
            Driver::Ipvlan => Some(MacAddr::NONE),
            _ => request.mac,
        };
        let ipv4 = net.allocate(4, request.ipv4.map(IpAddr::V4))?;
        let ipv6 = match net.allocate(6, request.ipv6.map(IpAddr::V6)) {
            Ok(ip) => ip,
            Err(e) => {
                net.release(ipv4.map(|(ip, _)| ip));
                return Err(e);
            }
        };
        let ipv4 = ipv4.and_then(|(ip, len)| as_v4(ip).and_then(|ip| Ipv4Net::new(ip, len).ok()));
        let ipv6 = ipv6.and_then(|(ip, len)| as_v6(ip).and_then(|ip| Ipv6Net::new(ip, len).ok()));
        let mut endpoint = Endpoint {
            id: Id::random(),
            network: *network,
            name: request.name.clone(),
            interface: request.interface.clone().unwrap_or_else(|| "eth0".to_owned()),
            veth: fresh_veth(&mut state.veths),
            mac: mac.unwrap_or_else(|| match ipv4 {
                Some(ip) => MacAddr::from_ipv4(ip.addr()),
                None => MacAddr::random(),
            }),
            ipv4,
            ipv6,
            gateway4: None,
            gateway6: None,
            leads_everywhere: false,
            ports: Vec::new(),
        };
        if !request.no_default_route {
            lead_out(&net.record, &mut endpoint);
        }
        Ok(endpoint)
    }

    /// Writes down that an endpoint is to be the way out, as far as its network leads anywhere.
    pub fn lead_out(&self, endpoint: &mut Endpoint) {
        if let Some(network) = self.state().networks.get(&endpoint.network) {
            lead_out(&network.record, endpoint);
        }
    }

    /// Makes the endpoint's interface inside `netns`, with its addresses and default route.
    ///
    /// # Errors
    /// When the kernel refuses; nothing is left then.
    pub fn attach(&self, netns: BorrowedFd<'_>, endpoint: &Endpoint) -> Result<(), Error> {
        let (record, index) = {
            let state = self.state();
            let net = state.networks.get(&endpoint.network).ok_or(Error::UnknownNetwork(endpoint.network))?;
            (net.record.clone(), net.index)
        };
        if let Some(uplink) = &record.uplink {
            // The host's interfaces come and go.
            let shared = (uplink.mode, self.ensure_uplink(&record, uplink)?);
            let home = self.home.as_fd();
            return attach::share(&mut self.rtnl(), home, netns, endpoint, shared, record.mtu);
        }
        let index = match index {
            Some(index) => index,
            None => self.ensure_bridge(&record)?,
        };
        let attach = |index| {
            let bridge = (record.bridge.as_str(), index);
            attach::attach(&mut self.rtnl(), self.home.as_fd(), netns, endpoint, bridge, record.mtu)
        };
        let attached = attach(index);
        if attached.is_err() {
            // Did somebody remove the bridge? Then it is made again, once; else the first error is the one to tell.
            if let Ok(current) = self.ensure_bridge(&record)
                && current != index
            {
                return attach(current);
            }
        }
        attached
    }

    /// Makes an attached endpoint the way out of `netns`, which has none.
    ///
    /// # Errors
    /// When the kernel refuses, as it does when there is one.
    pub fn route(&self, netns: BorrowedFd<'_>, endpoint: &Endpoint) -> Result<(), Error> {
        netns::inside(self.home.as_fd(), netns, || attach::route(endpoint))
    }

    /// The next hops of a network; none in an internal one.
    #[must_use]
    pub fn gateways(&self, network: &Id) -> (Option<std::net::Ipv4Addr>, Option<std::net::Ipv6Addr>) {
        let state = self.state();
        let record = state.networks.get(network).map(|n| &n.record).filter(|record| record.leads_out());
        let mut gateways =
            record.into_iter().flat_map(|record| &record.pools).filter_map(|pool| pool.gateway);
        (gateways.clone().find_map(as_v4), gateways.find_map(as_v6))
    }

    /// Removes the endpoint's interface from `netns` now, which takes up to 20 ms. When the namespace dies anyway, leave
    /// it.
    ///
    /// # Errors
    /// When the kernel refuses; an interface that is gone already is no error.
    pub fn detach(&self, netns: BorrowedFd<'_>, endpoint: &Endpoint) -> Result<(), Error> {
        if self.state().networks.get(&endpoint.network).is_some_and(|n| n.record.uplink.is_some()) {
            return attach::unshare(self.home.as_fd(), netns, endpoint);
        }
        let fail = |source| Error::Link { name: endpoint.veth.clone(), step: "remove", source };
        self.rtnl().delete(&endpoint.veth).map_err(fail)?;
        Ok(())
    }

    pub(crate) fn register(&self, network: &NetworkRecord) {
        let mut state = self.state();
        match state.networks.get_mut(&network.id) {
            Some(known) if known.record.pools == network.pools => known.record = network.clone(),
            _ => {
                state.networks.insert(network.id, Network::new(network.clone()));
            }
        }
    }

    pub(crate) fn ensure_uplink(&self, network: &NetworkRecord, of: &Uplink) -> Result<u32, Error> {
        uplink::ensure(&mut self.rtnl(), network, of)
    }

    /// Removes an interface that brig made, unless another network shares it.
    fn remove_uplink(&self, uplink: &Uplink) -> Result<(), Error> {
        let name = &uplink.interface;
        let shared = |n: &Network| n.record.uplink.as_ref().is_some_and(|other| other.interface == *name);
        if uplink.origin == Origin::Host || self.state().networks.values().any(shared) {
            return Ok(());
        }
        let fail = |source| Error::Link { name: name.clone(), step: "remove", source };
        self.rtnl().delete(name).map(drop).map_err(fail)
    }

    pub(crate) fn ensure_bridge(&self, network: &NetworkRecord) -> Result<u32, Error> {
        let index = bridge::ensure(&mut self.rtnl(), network)?;
        if let Some(known) = self.state().networks.get_mut(&network.id) {
            known.index = Some(index);
        }
        Ok(index)
    }

    /// Switches forwarding on. Where it was off, brig sees to it that the host becomes no router by that.
    pub(crate) fn forward(&self, ipv6: bool) -> Result<(), Error> {
        if self.config.ip_forward && bridge::forward(ipv6)? == Outcome::Changed {
            self.rules().transit = Transit::Drop;
        }
        Ok(())
    }

    pub(crate) fn release_addresses(&self, endpoint: &Endpoint) {
        let mut state = self.state();
        state.veths.remove(&endpoint.veth);
        if let Some(net) = state.networks.get_mut(&endpoint.network) {
            net.release(endpoint.ipv4.map(|n| n.addr().into()));
            net.release(endpoint.ipv6.map(|n| n.addr().into()));
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // What the lock guards is changed in single steps: a panic elsewhere leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn rtnl(&self) -> MutexGuard<'_, Rtnl> {
        self.rtnl.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Network {
    /// An address of this family with its prefix length; none when the network has no such pool.
    fn allocate(&mut self, version: u8, wanted: Option<IpAddr>) -> Result<Option<(IpAddr, u8)>, Error> {
        let pools = self.record.pools.iter().zip(&mut self.allocators);
        let mut of_family = pools.filter(|(p, _)| p.subnet.addr().is_ipv4() == (version == 4)).peekable();
        match wanted {
            None if of_family.peek().is_none() => Ok(None),
            None => {
                let found = of_family.find_map(|(pool, a)| Some((a.allocate()?, pool.subnet.prefix_len())));
                found.map(Some).ok_or_else(|| Error::AddressesExhausted {
                    version,
                    network: self.record.name.clone(),
                    id: self.record.id,
                })
            }
            Some(ip) => {
                let (pool, allocator) =
                    of_family.find(|(_, a)| a.contains(ip)).ok_or(Error::AddressOutOfRange(ip))?;
                allocator.claim(ip)?;
                Ok(Some((ip, pool.subnet.prefix_len())))
            }
        }
    }

    /// Takes the addresses of a stored endpoint; `false` when one was taken or lies outside.
    pub(crate) fn adopt(&mut self, ip: IpAddr) -> bool {
        self.allocators.iter_mut().find(|a| a.contains(ip)).is_some_and(|a| a.claim(ip).is_ok())
    }

    fn release(&mut self, ip: Option<IpAddr>) {
        for allocator in &mut self.allocators {
            ip.into_iter().for_each(|ip| allocator.release(ip));
        }
    }
}

impl Rules {
    /// Changes what the rules are made of, then renders and commits them anew.
    pub(crate) fn apply(&mut self, config: &NetConfig, change: impl FnOnce(&mut Self)) -> Result<(), Error> {
        change(self);
        if !config.firewall {
            return Ok(());
        }
        let published: Vec<_> = self.published.iter().copied().collect();
        let batch = firewall::render(&self.table, &self.networks, &published, &self.ways, self.transit);
        self.commit("replace brig's table", batch)?;
        foreign::ensure(&mut self.nft, &self.table, &self.networks)
            .map_err(|source| Error::Firewall { step: "accept forwarding in other tables", source })
    }

    /// Adds published ports; the whole table when it, or something in it, is missing.
    pub(crate) fn publish(&mut self, config: &NetConfig, ports: &[PortBinding]) -> Result<(), Error> {
        self.published.extend(ports);
        let added = self.change(config, "add published ports", firewall::publish(&self.table, ports));
        if added.is_err() {
            self.published.retain(|p| !ports.contains(p));
        }
        added
    }

    /// Takes published ports away; makes the whole table anew when it, or something in it, is missing.
    pub(crate) fn unpublish(&mut self, config: &NetConfig, ports: &[PortBinding]) -> Result<(), Error> {
        let known: Vec<_> = ports.iter().filter(|p| self.published.remove(p)).copied().collect();
        self.change(config, "take published ports away", firewall::unpublish(&self.table, &known))
    }

    pub(crate) fn change(
        &mut self,
        config: &NetConfig,
        step: &'static str,
        batch: Batch,
    ) -> Result<(), Error> {
        if !config.firewall {
            return Ok(());
        }
        match self.commit(step, batch) {
            Err(Error::Firewall { source, .. }) if source.raw_os_error() == Some(libc::ENOENT) => {
                tracing::warn!("rules were missing from brig's nftables table: it is made anew");
                self.apply(config, |_| {})
            }
            changed => changed,
        }
    }

    pub(crate) fn commit(&mut self, step: &'static str, batch: Batch) -> Result<(), Error> {
        self.nft.commit(batch).map_err(|refused| Error::Firewall { step, source: refused.source })
    }
}

fn config_name() -> String {
    "netlink".to_owned()
}

fn lead_out(network: &NetworkRecord, endpoint: &mut Endpoint) {
    if !network.leads_out() {
        return;
    }
    endpoint.leads_everywhere = network.uplink.as_ref().is_some_and(|uplink| uplink.mode.routes());
    if !endpoint.leads_everywhere {
        let gateways = || network.pools.iter().filter_map(|pool| pool.gateway);
        endpoint.gateway4 = endpoint.ipv4.and(gateways().find_map(as_v4));
        endpoint.gateway6 = endpoint.ipv6.and(gateways().find_map(as_v6));
    }
}

fn fresh_veth(taken: &mut HashSet<String>) -> String {
    loop {
        let name = format!("veth{}", &Id::random().short()[..7]);
        if taken.insert(name.clone()) {
            return name;
        }
    }
}

fn as_v4(ip: IpAddr) -> Option<std::net::Ipv4Addr> {
    match ip {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    }
}

fn as_v6(ip: IpAddr) -> Option<std::net::Ipv6Addr> {
    match ip {
        IpAddr::V4(_) => None,
        IpAddr::V6(ip) => Some(ip),
    }
}

/// The subnets that a new network must not overlap: those of known networks and the host's routes, but for routes
/// to `own` bridge.
pub(crate) fn taken_subnets(net: &Net, own: &str) -> Result<Vec<IpNet>, Error> {
    let fail = |source| Error::Link { name: own.to_owned(), step: "list routes", source };
    let mut rtnl = net.rtnl();
    let own_index = rtnl.link(own).map_err(fail)?.map(|l| l.index);
    let routes = rtnl.routes().map_err(fail)?;
    drop(rtnl);
    let foreign =
        routes.into_iter().filter(|(_, link)| link.is_none() || *link != own_index).map(|(net, _)| net);
    let state = net.state();
    let known =
        state.networks.values().filter(|n| n.record.bridge != own).flat_map(|n| n.record.pools.iter());
    Ok(foreign.chain(known.map(|p| p.subnet)).collect())
}
