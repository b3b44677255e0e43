//! Other people's firewalls. What brig's table accepts, another table may still drop: Docker and ufw set the policy
//! of `FORWARD` in `ip filter` (iptables-nft) to drop, firewalld ends its forward chain with a rejection. An accept
//! for each of brig's bridges goes to the head of each such chain, with the own table's name as its comment, and is taken out again
//! with the bridge. What may come in is still decided in brig's own table, whose drops nobody overrules.
//!
//! Where there is a chain `DOCKER-USER`, Docker's place for others' rules, they go there: Docker keeps it when it
//! makes its own rules anew.
//!
//! The legacy `ip_tables` of the kernel can't be changed rule by rule, and not by nftables: see [`legacy_filter`].

use crate::{
    Driver, NetworkRecord,
    nft::{Batch, ChainInfo, Family, Is, Meta, Nft, RuleInfo, Verdict},
};
use std::{collections::BTreeSet, io};

const FORWARD: u32 = 2;
const DOCKER_USER: &str = "DOCKER-USER";

/// A chain to put rules in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    family: u8,
    table: String,
    chain: String,
}

/// Puts brig's rules into all chains that need them, and takes out those of bridges that are gone.
pub fn ensure(nft: &mut Nft, own: &str, networks: &[NetworkRecord]) -> io::Result<()> {
    let chains = nft.chains()?;
    let places = places(&chains, networks.iter().any(|n| n.ipv6));
    let mut batch = Batch::default();
    for rule in own_rules(nft, own, &chains)? {
        batch.delete_rule(&rule);
    }
    for place in &places {
        for network in networks.iter().filter(|n| n.driver == Driver::Bridge) {
            for interface in [Meta::InputName, Meta::OutputName] {
                let family = family(place.family);
                batch.insert_rule(family, &place.table, &place.chain, own, |r| {
                    r.interface(interface, Is::Equal, &network.bridge).counter().verdict(Verdict::Accept);
                });
            }
        }
    }
    Ok(nft.commit(batch)?)
}

/// Takes all of brig's rules out.
pub fn remove(nft: &mut Nft, own: &str) -> io::Result<()> {
    let chains = nft.chains()?;
    let mut batch = Batch::default();
    for rule in own_rules(nft, own, &chains)? {
        batch.delete_rule(&rule);
    }
    Ok(nft.commit(batch)?)
}

fn own_rules(nft: &mut Nft, own: &str, chains: &[ChainInfo]) -> io::Result<Vec<RuleInfo>> {
    let mut found = Vec::new();
    for chain in
        chains.iter().filter(|c| c.table != own && (c.hook == Some(FORWARD) || c.name == DOCKER_USER))
    {
        found.extend(nft.commented_rules(chain)?.into_iter().filter(|r| r.comment == own));
    }
    Ok(found)
}

/// Where rules are needed.
fn places(chains: &[ChainInfo], ipv6: bool) -> BTreeSet<Place> {
    let drops = |c: &&ChainInfo| {
        c.hook == Some(FORWARD)
            && c.kind == "filter"
            && (c.drops || c.table == "firewalld")
            && (c.family != Family::Ip6 || ipv6)
    };
    chains
        .iter()
        .filter(drops)
        .map(|c| {
            let beside = |o: &&ChainInfo| o.family == c.family && o.table == c.table && o.name == DOCKER_USER;
            let chain = chains.iter().find(beside).unwrap_or(c);
            Place { family: c.family as u8, table: c.table.clone(), chain: chain.name.clone() }
        })
        .collect()
}

fn family(number: u8) -> Family {
    match number {
        2 => Family::Ip,
        10 => Family::Ip6,
        _ => Family::Inet,
    }
}

/// Whether the legacy `ip_tables` has a `filter` table in this network namespace. Its FORWARD policy may be to
/// drop; then the administrator has to accept the bridges there, and brig says so.
#[must_use]
pub fn legacy_filter() -> bool {
    std::fs::read_to_string("/proc/net/ip_tables_names")
        .is_ok_and(|names| names.lines().any(|n| n == "filter"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(table: &str, name: &str, hook: Option<u32>, drops: bool) -> ChainInfo {
        ChainInfo {
            family: Family::Ip,
            table: table.to_owned(),
            name: name.to_owned(),
            hook,
            kind: "filter".to_owned(),
            drops,
        }
    }

    #[test]
    fn only_chains_that_drop_and_dockers_own_place_first() {
        let ufw = [
            chain("filter", "FORWARD", Some(FORWARD), true),
            chain("filter", "INPUT", Some(1), true),
            chain("brig", "forward", Some(FORWARD), false),
            chain("mangle", "FORWARD", Some(FORWARD), false),
        ];
        let of = |chains: &[ChainInfo]| -> Vec<String> {
            places(chains, false).into_iter().map(|p| format!("{} {}", p.table, p.chain)).collect()
        };
        assert_eq!(of(&ufw), ["filter FORWARD"]);
        let mut docker = ufw.to_vec();
        docker.push(chain("filter", DOCKER_USER, None, false));
        assert_eq!(of(&docker), ["filter DOCKER-USER"]);
        assert_eq!(
            of(&[chain("firewalld", "filter_FORWARD", Some(FORWARD), false)]),
            ["firewalld filter_FORWARD"]
        );
        let six = ChainInfo { family: Family::Ip6, ..ufw[0].clone() };
        assert_eq!(places(std::slice::from_ref(&six), false).len(), 0);
        assert_eq!(places(&[six], true).len(), 1);
    }
}
