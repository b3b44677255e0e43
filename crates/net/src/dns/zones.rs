//! Who has which names and addresses on which network.

use super::{Host, Resolver};
use brig_core::Id;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
};

/// Names that stand for the host, as on Docker's desktops.
const HOST_NAMES: [&str; 2] = ["host.docker.internal", "gateway.docker.internal"];

/// All names, by network.
#[derive(Debug, Default)]
pub struct Zones(BTreeMap<Id, Zone>);

/// The names on one network.
#[derive(Debug, Default)]
struct Zone {
    /// The network's name, in lower case: `web.NAME` is `web` here.
    name: String,
    hosts: BTreeMap<Id, Host>,
    /// In lower case.
    by_name: HashMap<String, Vec<Id>>,
    by_address: HashMap<IpAddr, Id>,
}

impl Zones {
    /// Sets a network's name, and takes all its hosts away when `anew`.
    pub fn network(&mut self, id: Id, name: &str, anew: bool) {
        let zone = self.0.entry(id).or_default();
        if anew {
            *zone = Zone::default();
        }
        zone.name = name.to_lowercase();
    }

    /// Adds a host to a network, in place of an earlier one of the same endpoint.
    pub fn add(&mut self, network: Id, host: Host) {
        let zone = self.0.entry(network).or_default();
        zone.remove(&host.endpoint);
        for name in distinct(&host) {
            zone.by_name.entry(name).or_default().push(host.endpoint);
        }
        for address in &host.addresses {
            zone.by_address.insert(*address, host.endpoint);
        }
        zone.hosts.insert(host.endpoint, host);
    }

    /// Takes a host off a network; whether it was there.
    pub fn remove(&mut self, network: &Id, endpoint: &Id) -> bool {
        let Some(zone) = self.0.get_mut(network) else { return false };
        let was_there = zone.remove(endpoint);
        if zone.hosts.is_empty() {
            self.0.remove(network);
        }
        was_there
    }

    /// Takes away all networks but these.
    pub fn retain(&mut self, networks: &BTreeSet<Id>) {
        self.0.retain(|id, _| networks.contains(id));
    }

    /// The networks that have hosts, with their names and these.
    pub fn all(&self) -> impl Iterator<Item = (&Id, &str, impl Iterator<Item = &Host>)> {
        self.0.iter().map(|(id, zone)| (id, zone.name.as_str(), zone.hosts.values()))
    }

    /// The addresses of a name, in lower case and without the last dot; `None` when a resolver doesn't know it.
    #[must_use]
    pub fn addresses(&self, resolver: &Resolver, name: &str) -> Option<Vec<IpAddr>> {
        if HOST_NAMES.contains(&name) && !resolver.host.is_empty() {
            return Some(resolver.host.clone());
        }
        resolver.networks.iter().find_map(|id| {
            let zone = self.0.get(id)?;
            let link = resolver
                .links
                .iter()
                .find(|link| link.network == *id && link.alias.eq_ignore_ascii_case(name));
            let linked = link.and_then(|link| zone.addresses(&link.name.to_lowercase()));
            let qualified = || zone.addresses(name.strip_suffix(&zone.name)?.strip_suffix('.')?);
            linked.or_else(|| zone.addresses(name)).or_else(qualified)
        })
    }

    /// The name that an address has, `web.NETWORK`.
    #[must_use]
    pub fn name(&self, resolver: &Resolver, address: IpAddr) -> Option<String> {
        resolver.networks.iter().find_map(|id| {
            let zone = self.0.get(id)?;
            let host = zone.hosts.get(zone.by_address.get(&address)?)?;
            host.names.first().map(|name| format!("{name}.{}", zone.name))
        })
    }
}

impl Zone {
    fn addresses(&self, name: &str) -> Option<Vec<IpAddr>> {
        let endpoints = self.by_name.get(name)?;
        Some(
            endpoints
                .iter()
                .filter_map(|e| self.hosts.get(e))
                .flat_map(|h| h.addresses.iter().copied())
                .collect(),
        )
    }

    fn remove(&mut self, endpoint: &Id) -> bool {
        let Some(host) = self.hosts.remove(endpoint) else { return false };
        for name in distinct(&host) {
            if let Some(endpoints) = self.by_name.get_mut(&name) {
                endpoints.retain(|e| e != endpoint);
                if endpoints.is_empty() {
                    self.by_name.remove(&name);
                }
            }
        }
        for address in &host.addresses {
            // Another may have it by now.
            if self.by_address.get(address) == Some(endpoint) {
                self.by_address.remove(address);
            }
        }
        true
    }
}

/// A host's names in lower case, each once.
fn distinct(host: &Host) -> BTreeSet<String> {
    host.names.iter().map(|name| name.to_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Link;

    fn host(names: &[&str], ip: &str) -> Host {
        Host {
            endpoint: Id::random(),
            names: names.iter().map(|&n| n.to_owned()).collect(),
            addresses: vec![ip.parse().unwrap()],
        }
    }

    fn resolver(networks: &[Id]) -> Resolver {
        Resolver {
            id: Id::random(),
            networks: networks.to_vec(),
            links: vec![],
            upstreams: vec![],
            host: vec![],
        }
    }

    fn found(zones: &Zones, resolver: &Resolver, name: &str) -> Option<Vec<String>> {
        zones.addresses(resolver, name).map(|found| found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn names_aliases_and_their_networks() {
        let (front, back) = (Id::random(), Id::random());
        let mut zones = Zones::default();
        zones.network(front, "Front", false);
        zones.network(back, "back", false);
        let web = host(&["web", "shared", "web"], "10.0.0.2");
        zones.add(front, web.clone());
        zones.add(front, host(&["Api", "shared"], "10.0.0.3"));
        zones.add(back, host(&["web"], "10.1.0.2"));
        let both = resolver(&[front, back]);
        assert_eq!(found(&zones, &both, "web").unwrap(), ["10.0.0.2"]);
        assert_eq!(found(&zones, &both, "api").unwrap(), ["10.0.0.3"]);
        assert_eq!(found(&zones, &both, "shared").unwrap(), ["10.0.0.2", "10.0.0.3"]);
        assert_eq!(found(&zones, &both, "web.back").unwrap(), ["10.1.0.2"]);
        assert_eq!(found(&zones, &both, "web.front").unwrap(), ["10.0.0.2"]);
        assert_eq!(found(&zones, &both, "webback"), None);
        assert_eq!(found(&zones, &both, "nobody"), None);
        assert_eq!(found(&zones, &resolver(&[back]), "api"), None);
        assert_eq!(zones.name(&both, "10.1.0.2".parse().unwrap()).unwrap(), "web.back");
        assert_eq!(zones.name(&resolver(&[front]), "10.1.0.2".parse().unwrap()), None);
        zones.remove(&front, &web.endpoint);
        assert_eq!(found(&zones, &both, "shared").unwrap(), ["10.0.0.3"]);
        assert_eq!(found(&zones, &both, "web").unwrap(), ["10.1.0.2"]);
        assert_eq!(zones.name(&both, "10.0.0.2".parse().unwrap()), None);
    }

    #[test]
    fn an_endpoint_has_its_latest_names() {
        let network = Id::random();
        let mut zones = Zones::default();
        let mut web = host(&["old"], "10.0.0.2");
        zones.add(network, web.clone());
        web.names = vec!["new".to_owned()];
        zones.add(network, web.clone());
        let resolver = resolver(&[network]);
        assert_eq!(found(&zones, &resolver, "old"), None);
        assert_eq!(found(&zones, &resolver, "new").unwrap(), ["10.0.0.2"]);
        // Its address goes to another before it is taken away.
        zones.add(network, host(&["next"], "10.0.0.2"));
        zones.remove(&network, &web.endpoint);
        assert_eq!(zones.name(&resolver, "10.0.0.2".parse().unwrap()).unwrap(), "next.");
    }

    #[test]
    fn links_are_known_to_one_alone_and_the_host_has_names() {
        let network = Id::random();
        let mut zones = Zones::default();
        zones.add(network, host(&["db"], "10.0.0.2"));
        let mut linked = resolver(&[network]);
        linked.links.push(Link { network, alias: "Store".to_owned(), name: "db".to_owned() });
        linked.host.push("10.0.0.1".parse().unwrap());
        assert_eq!(found(&zones, &linked, "store").unwrap(), ["10.0.0.2"]);
        assert_eq!(found(&zones, &linked, "host.docker.internal").unwrap(), ["10.0.0.1"]);
        assert_eq!(found(&zones, &resolver(&[network]), "store"), None);
        assert_eq!(found(&zones, &resolver(&[network]), "host.docker.internal"), None);
    }
}
