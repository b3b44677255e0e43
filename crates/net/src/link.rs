//! Legacy links where a network's containers don't reach one another: ways from one container to another's ports.

use crate::{Driver, Endpoint, Error, Net, NetworkRecord, Protocol, firewall, sysctl};
use std::{collections::BTreeSet, net::Ipv4Addr, process::Command};

/// A way from a container to a port of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way {
    /// Whose connections are let through.
    pub from: Ipv4Addr,
    /// To whom.
    pub to: Ipv4Addr,
    /// Of which protocol.
    pub protocol: Protocol,
    /// To which port.
    pub port: u16,
}

impl Net {
    /// Lets the container of one endpoint reach ports of another's, until one of them is [released](Net::release).
    /// Nothing happens where they reach one another anyway.
    ///
    /// # Errors
    /// When the rules can't be changed.
    pub fn open_ways(
        &self,
        from: &Endpoint,
        to: &Endpoint,
        ports: impl IntoIterator<Item = (Protocol, u16)>,
    ) -> Result<(), Error> {
        let (Some(source), Some(target)) = (from.ipv4, to.ipv4) else { return Ok(()) };
        let apart = |n: &NetworkRecord| n.id == from.network && !n.icc;
        let mut rules = self.rules();
        if !rules.networks.iter().any(apart) {
            return Ok(());
        }
        let way = |(protocol, port)| Way { from: source.addr(), to: target.addr(), protocol, port };
        let ways: BTreeSet<Way> =
            ports.into_iter().map(way).filter(|way| !rules.ways.contains(way)).collect();
        if ways.is_empty() {
            return Ok(());
        }
        rules.ways.extend(&ways);
        let added = firewall::open_ways(&rules.table, &ways);
        rules.change(&self.config, "open ways for links", added)
    }

    /// Closes all ways from and to an endpoint.
    pub(crate) fn close_ways(&self, endpoint: &Endpoint) -> Result<(), Error> {
        let Some(ip) = endpoint.ipv4.map(|ip| ip.addr()) else { return Ok(()) };
        let mut rules = self.rules();
        let closed: BTreeSet<Way> =
            rules.ways.iter().filter(|w| w.from == ip || w.to == ip).copied().collect();
        if closed.is_empty() {
            return Ok(());
        }
        rules.ways.retain(|way| !closed.contains(way));
        let removed = firewall::close_ways(&rules.table, &closed);
        rules.change(&self.config, "close ways of links", removed)
    }
}

/// Sees to it that what is bridged goes through the rules, which a network needs whose containers are to be kept apart.
///
/// # Errors
/// When the kernel's module `br_netfilter` is neither there nor to be had.
pub(crate) fn filter_bridged(network: &NetworkRecord) -> Result<(), Error> {
    const SETTINGS: [&str; 2] = ["bridge/bridge-nf-call-iptables", "bridge/bridge-nf-call-ip6tables"];
    if network.icc || network.driver != Driver::Bridge {
        return Ok(());
    }
    let switch_on = || SETTINGS.iter().map(|name| sysctl::set(name, "1")).collect::<Result<Vec<_>, _>>();
    if !switch_on()?.contains(&sysctl::Outcome::Absent) {
        return Ok(());
    }
    // Once in a machine's life; there is no other way to ask for a module by its name that finds its file.
    let loaded = Command::new("modprobe").args(["--quiet", "--", "br_netfilter"]).status();
    if switch_on()?.contains(&sysctl::Outcome::Absent) {
        let why = loaded.map_or_else(|e| e.to_string(), |status| status.to_string());
        return Err(Error::NoBridgeFilter { network: network.name.clone(), why });
    }
    Ok(())
}
