//! After a start of the daemon, and at its end.

use crate::{
    Driver, Endpoint, Error, Net, NetworkRecord, PortBinding, firewall, foreign, link,
    process::LiveNames,
    publish::{on_host, words},
    rtnl::{GROUP, Link},
};
use std::collections::{BTreeSet, HashSet};

impl Net {
    /// After a start of the daemon: takes over the stored networks and the endpoints of live containers, makes
    /// bridges, rules, reservations and names what they say, and removes all else of brig's (rules, veths, reservations).
    /// What comes back are warnings: ports that other programs have taken meanwhile, which stay unpublished.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn rebuild(
        &self,
        networks: &[NetworkRecord],
        live: &[Endpoint],
        names: LiveNames,
    ) -> Result<Vec<String>, Error> {
        for network in networks {
            self.register(network);
        }
        self.adopt(live);
        let bridges: Vec<_> = networks.iter().filter(|n| n.driver == Driver::Bridge).cloned().collect();
        for network in &bridges {
            let index = self.ensure_bridge(network)?;
            if self.config.firewall {
                link::filter_bridged(network)?;
            }
            self.remove_stale(index, live)?;
        }
        let mut warnings = Vec::new();
        for (network, uplink) in networks.iter().filter_map(|n| Some((n, n.uplink.as_ref()?))) {
            if let Err(error) = self.ensure_uplink(network, uplink) {
                // It may be plugged in later; a container that is attached to it looks again.
                warnings.push(format!("network {}: {error}", network.name));
            }
        }
        if !bridges.is_empty() {
            self.forward(bridges.iter().any(|n| n.ipv6))?;
        }
        let wanted: BTreeSet<PortBinding> = live.iter().flat_map(|e| e.ports.iter().copied()).collect();
        let lost = self.process.reconcile(&on_host(&wanted).into_iter().collect(), names)?;
        let gone: HashSet<PortBinding> = lost.iter().map(|(port, _)| *port).collect();
        self.rules().apply(&self.config, |rules| {
            rules.networks = bridges;
            rules.published = wanted.into_iter().filter(|p| !gone.contains(p)).collect();
        })?;
        let owner = |port: &PortBinding| live.iter().find(|e| e.ports.contains(port));
        warnings.extend(lost.iter().map(|(port, errno)| {
            let name = owner(port).map_or("", |e| e.name.as_str());
            format!("port {port} of container {name} is not published any more: {}", words(*errno))
        }));
        if self.config.firewall && foreign::legacy_filter() {
            warnings.push(
                "legacy iptables rules are in use: where their FORWARD policy is DROP, accept brig's bridges there"
                    .to_owned(),
            );
        }
        Ok(warnings)
    }

    /// When the daemon stops. With no endpoint left, `brig net` ends; `remove` takes bridges and rules away too.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn shutdown(&self, remove: bool) -> Result<(), Error> {
        let (idle, bridges) = {
            let state = self.state();
            let bridges: Vec<_> = state.networks.values().map(|n| n.record.bridge.clone()).collect();
            (state.veths.is_empty(), bridges)
        };
        if idle {
            self.process.shutdown()?;
        }
        if !remove {
            return Ok(());
        }
        if self.config.firewall {
            let mut rules = self.rules();
            let rules = &mut *rules;
            rules.commit("remove brig's table", firewall::remove(&rules.table))?;
            foreign::remove(&mut rules.nft, &rules.table)
                .map_err(|source| Error::Firewall { step: "take rules out of other tables", source })?;
        }
        for name in bridges.iter().filter(|b| !b.is_empty()) {
            let fail = |source| Error::Link { name: name.clone(), step: "remove", source };
            self.rtnl().delete(name).map_err(fail)?;
        }
        Ok(())
    }

    /// Marks what live endpoints have as taken.
    fn adopt(&self, live: &[Endpoint]) {
        let mut state = self.state();
        let state = &mut *state;
        for endpoint in live {
            state.veths.insert(endpoint.veth.clone());
            if let Some(network) = state.networks.get_mut(&endpoint.network) {
                let ips = endpoint.ipv4.map(|n| n.addr().into()).into_iter();
                for ip in ips.chain(endpoint.ipv6.map(|n| n.addr().into())) {
                    // Taken already when rebuilt twice.
                    network.adopt(ip);
                }
            }
            for port in on_host(&endpoint.ports) {
                state.ports.insert(port.protocol, &[port.host_ip], port.host_port);
            }
        }
    }

    /// Removes the bridge's ports that brig made and no live endpoint has.
    fn remove_stale(&self, bridge: u32, live: &[Endpoint]) -> Result<(), Error> {
        let mut rtnl = self.rtnl();
        let fail = |source| Error::Link { name: format!("#{bridge}"), step: "list ports", source };
        let ports = rtnl.ports(bridge).map_err(fail)?;
        let stale = |l: &&Link| l.group == GROUP && !live.iter().any(|e| e.veth == l.name);
        for link in ports.iter().filter(stale) {
            let fail = |source| Error::Link { name: link.name.clone(), step: "remove", source };
            rtnl.delete(&link.name).map_err(fail)?;
        }
        Ok(())
    }
}
