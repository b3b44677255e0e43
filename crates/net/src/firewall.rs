//! brig's own nftables table: what it holds, rendered from the networks and the published ports. Pure.
//!
//! ```text
//! table inet brig {
//!   set bridges { ifname }                    each bridge of brig's
//!   set peers { ifname . ifname }             a bridge and itself, where its containers may talk to one another
//!   map tcp-and-udp ports: publish4 { proto . address . port : address . port }, publish4_any { proto . port : … }
//!                          publish6, publish6_any likewise
//!   set loopback4 { proto . address . port }  published on 127.0.0.0/8
//!   set open4 { proto . address . port }      published by the container's own address; open6 likewise
//!   set ways4 { address . address . proto . port }  from one container to another's port, by a link
//!   set routed4 { ifname }                    bridges whose containers' own addresses are known outside; routed6
//!   set unprotected4 { ifname }               bridges whose containers are reached on all ports; unprotected6
//!   chain raw_prerouting     martians: 127/8 from a bridge, and what is published on 127/8 from anywhere but lo
//!   chain nat_prerouting, nat_output          to a local address: jump publish
//!   chain publish            dnat by the maps
//!   chain nat_postrouting    masquerade: out of a subnet, from 127/8 into a bridge, back into its own bridge
//!   chain forward            into a bridge: established, translated, opened, peers; all else is dropped
//! }
//! ```
//!
//! The bridges have `route_localnet`, so that 127.0.0.1:PORT can be translated; what a container sends to or from
//! 127/8 is dropped before it is routed, so the host's own services there stay out of its reach.
//!
//! A container's ports can be reached from outside through published ports only (`ct status dnat`): neither an
//! unpublished port nor a published one by the container's own address, as in Docker 28.

use crate::link::Way;
use crate::{
    Driver, GatewayMode, NetworkRecord, PortBinding,
    nft::{
        Batch, ChainKind, Ct, DataType, Element, Family, Fib, Header, Hook, Is, Key, Meta, Register, Rule,
        Verdict,
    },
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::{collections::BTreeSet, net::IpAddr};

/// The name of a daemon's table, and the comment on its rules in other tables. Several daemons on one host have
/// several bridges, so the table of all but the default bridge is named for it.
#[must_use]
pub fn table_of(bridge: &str) -> String {
    if bridge == "brig0" { "brig".to_owned() } else { format!("brig_{bridge}") }
}

const FAMILY: Family = Family::Inet;
const R0: Register = Register(0);
const LOCAL: u32 = 2;
const ESTABLISHED_OR_RELATED: u32 = 2 | 4;
const TRANSLATED: u32 = 0x20;
const LO: u32 = 1;

/// What happens to packets that pass through the host without touching a bridge of brig's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transit {
    /// Not brig's business.
    Leave,
    /// From one network card to another it is dropped: the host forwards only since brig switched it on, and shall
    /// not become a router by that.
    Drop,
}

/// The chain whose presence says that [`Transit::Drop`] is in force.
pub const TRANSIT_CHAIN: &str = "transit";

/// The whole table anew, in place of the one that is there.
pub fn render(
    table: &str,
    networks: &[NetworkRecord],
    ports: &[PortBinding],
    ways: &BTreeSet<Way>,
    transit: Transit,
) -> Batch {
    let mut batch = Batch::default();
    // Made first, so that it can be removed whether or not it was there.
    batch.table(FAMILY, table);
    batch.delete_table(FAMILY, table);
    batch.table(FAMILY, table);
    sets(&mut batch, table);
    chains(&mut batch, table, transit);
    let bridges: Vec<_> = networks.iter().filter(|n| n.driver == Driver::Bridge).collect();
    raw_rules(&mut batch, table);
    nat_rules(&mut batch, table, &bridges);
    forward_rules(&mut batch, table, &bridges, transit);
    let mut elements: Vec<Element> = bridges.iter().flat_map(|n| of_network(n)).collect();
    elements.extend(ports.iter().flat_map(of_port));
    elements.extend(ways.iter().map(of_way));
    elements.sort_by_key(|e| e.set);
    batch.add(FAMILY, table, &elements);
    batch
}

/// Adds published ports to the table.
pub fn publish(table: &str, ports: &[PortBinding]) -> Batch {
    let mut batch = Batch::default();
    batch.add(FAMILY, table, &elements_of(ports));
    batch
}

/// Takes published ports out of the table.
pub fn unpublish(table: &str, ports: &[PortBinding]) -> Batch {
    let mut batch = Batch::default();
    batch.remove(FAMILY, table, &elements_of(ports));
    batch
}

/// Adds ways between containers to the table.
pub fn open_ways(table: &str, ways: &BTreeSet<Way>) -> Batch {
    let mut batch = Batch::default();
    batch.add(FAMILY, table, &ways.iter().map(of_way).collect::<Vec<_>>());
    batch
}

/// Takes ways between containers out of the table.
pub fn close_ways(table: &str, ways: &BTreeSet<Way>) -> Batch {
    let mut batch = Batch::default();
    batch.remove(FAMILY, table, &ways.iter().map(of_way).collect::<Vec<_>>());
    batch
}

fn of_way(way: &Way) -> Element {
    let addresses = Key::default().with(&way.from.octets()).with(&way.to.octets());
    let key = addresses.with(&[way.protocol.number()]).with(&way.port.to_be_bytes());
    Element { set: "ways4", key, value: None }
}

/// Removes the table, which must exist.
pub fn remove(table: &str) -> Batch {
    let mut batch = Batch::default();
    batch.table(FAMILY, table);
    batch.delete_table(FAMILY, table);
    batch
}

fn elements_of(ports: &[PortBinding]) -> Vec<Element> {
    let mut elements: Vec<_> = ports.iter().flat_map(of_port).collect();
    elements.sort_by_key(|e| e.set);
    elements
}

fn sets(batch: &mut Batch, table: &str) {
    use DataType::{Interface, Ipv4, Ipv6, Port, Protocol};
    let mut set = |name, key: &[DataType], value: &[DataType]| batch.set(FAMILY, table, name, key, value);
    set("bridges", &[Interface], &[]);
    set("peers", &[Interface, Interface], &[]);
    set("loopback4", &[Protocol, Ipv4, Port], &[]);
    set("publish4", &[Protocol, Ipv4, Port], &[Ipv4, Port]);
    set("publish4_any", &[Protocol, Port], &[Ipv4, Port]);
    set("publish6", &[Protocol, Ipv6, Port], &[Ipv6, Port]);
    set("publish6_any", &[Protocol, Port], &[Ipv6, Port]);
    set("ways4", &[Ipv4, Ipv4, Protocol, Port], &[]);
    set("open4", &[Protocol, Ipv4, Port], &[]);
    set("open6", &[Protocol, Ipv6, Port], &[]);
    for name in ["routed4", "routed6", "unprotected4", "unprotected6"] {
        set(name, &[Interface], &[]);
    }
}

fn chains(batch: &mut Batch, table: &str, transit: Transit) {
    let mut base = |name, kind, hook, priority| batch.base_chain(FAMILY, table, name, kind, hook, priority);
    base("raw_prerouting", ChainKind::Filter, Hook::Prerouting, -300);
    base("nat_prerouting", ChainKind::Nat, Hook::Prerouting, -100);
    base("nat_output", ChainKind::Nat, Hook::Output, -100);
    base("nat_postrouting", ChainKind::Nat, Hook::Postrouting, 100);
    base("forward", ChainKind::Filter, Hook::Forward, 0);
    batch.chain(FAMILY, table, "publish");
    batch.chain(FAMILY, table, "into_bridge");
    if transit == Transit::Drop {
        batch.chain(FAMILY, table, TRANSIT_CHAIN);
    }
}

fn raw_rules(batch: &mut Batch, table: &str) {
    let mut rule = |body: &dyn Fn(&mut Rule<'_>)| batch.rule(FAMILY, table, "raw_prerouting", |r| body(r));
    for offset in [DESTINATION4, SOURCE4] {
        rule(&|r| {
            r.meta(Meta::InputName, R0).lookup("bridges", R0);
            ipv4(r).payload(Header::Network, offset, 1, R0).compare(R0, Is::Equal, &[127]);
            r.verdict(Verdict::Drop);
        });
    }
    rule(&|r| {
        r.meta(Meta::InputIndex, R0).compare(R0, Is::Not, &LO.to_ne_bytes());
        ipv4(r);
        host_port4(r).lookup("loopback4", R0).verdict(Verdict::Drop);
    });
}

fn nat_rules(batch: &mut Batch, table: &str, bridges: &[&NetworkRecord]) {
    // A packet to 127/8 from outside must reach the routing decision, which drops it as a martian. A local one was
    // translated on its way out.
    batch.rule(FAMILY, table, "nat_prerouting", |r| {
        ipv4(r)
            .payload(Header::Network, DESTINATION4, 1, R0)
            .compare(R0, Is::Equal, &[127])
            .verdict(Verdict::Return);
    });
    // ::1 can't leave the host, whatever it is translated to: the proxy has it.
    batch.rule(FAMILY, table, "nat_output", |r| {
        let loopback = std::net::Ipv6Addr::LOCALHOST.octets();
        ipv6(r)
            .payload(Header::Network, DESTINATION6, 16, R0)
            .compare(R0, Is::Equal, &loopback)
            .verdict(Verdict::Return);
    });
    for chain in ["nat_prerouting", "nat_output"] {
        batch.rule(FAMILY, table, chain, |r| {
            r.fib_type(Fib::Destination, R0)
                .compare(R0, Is::Equal, &LOCAL.to_ne_bytes())
                .verdict(Verdict::Jump("publish"));
        });
    }
    let mut publish = |body: &dyn Fn(&mut Rule<'_>)| batch.rule(FAMILY, table, "publish", |r| body(r));
    publish(&|r| {
        ipv4(r);
        host_port4(r).map("publish4", R0).dnat(Family::Ip, R0, Register(1));
    });
    publish(&|r| {
        ipv4(r);
        host_port_any(r).map("publish4_any", R0).dnat(Family::Ip, R0, Register(1));
    });
    publish(&|r| {
        ipv6(r);
        host_port6(r).map("publish6", R0).dnat(Family::Ip6, R0, Register(4));
    });
    publish(&|r| {
        ipv6(r);
        host_port_any(r).map("publish6_any", R0).dnat(Family::Ip6, R0, Register(4));
    });
    let mut post = |body: &dyn Fn(&mut Rule<'_>)| batch.rule(FAMILY, table, "nat_postrouting", |r| body(r));
    post(&|r| {
        r.meta(Meta::OutputName, R0).lookup("bridges", R0);
        ipv4(r).payload(Header::Network, SOURCE4, 1, R0).compare(R0, Is::Equal, &[127]).masquerade();
    });
    for network in bridges.iter().filter(|n| !n.internal) {
        for pool in network.pools.iter().filter(|p| network.gateway_modes.of(p.subnet.addr()).translates()) {
            // A container that comes back to its own bridge by a published port: the answer has to come the same
            // way, or it would go straight from port to port with the wrong source.
            post(&|r| {
                r.interface(Meta::OutputName, Is::Equal, &network.bridge);
                from_subnet(r, pool.subnet);
                r.ct(Ct::Status, R0).any_bit(R0, TRANSLATED).masquerade();
            });
            if network.masquerade {
                post(&|r| {
                    r.interface(Meta::OutputName, Is::Not, &network.bridge);
                    from_subnet(r, pool.subnet);
                    match network.sources.iter().find(|ip| ip.is_ipv4() == pool.subnet.addr().is_ipv4()) {
                        Some(IpAddr::V4(ip)) => r.load(&ip.octets(), R0).snat(Family::Ip, R0),
                        Some(IpAddr::V6(ip)) => r.load(&ip.octets(), R0).snat(Family::Ip6, R0),
                        None => r.masquerade(),
                    };
                });
            }
        }
    }
}

fn forward_rules(batch: &mut Batch, table: &str, bridges: &[&NetworkRecord], transit: Transit) {
    let mut rule = |chain, body: &dyn Fn(&mut Rule<'_>)| batch.rule(FAMILY, table, chain, |r| body(r));
    for network in bridges.iter().filter(|n| n.internal) {
        for (here, there) in [(Meta::InputName, Meta::OutputName), (Meta::OutputName, Meta::InputName)] {
            rule("forward", &|r| {
                r.interface(here, Is::Equal, &network.bridge);
                r.interface(there, Is::Not, &network.bridge).verdict(Verdict::Drop);
            });
        }
    }
    rule("forward", &|r| {
        r.meta(Meta::OutputName, R0).lookup("bridges", R0).verdict(Verdict::Jump("into_bridge"));
    });
    rule("into_bridge", &|r| {
        r.ct(Ct::State, R0).any_bit(R0, ESTABLISHED_OR_RELATED).verdict(Verdict::Accept);
    });
    rule("into_bridge", &|r| {
        r.ct(Ct::Status, R0).any_bit(R0, TRANSLATED).verdict(Verdict::Accept);
    });
    rule("into_bridge", &|r| {
        r.meta(Meta::InputName, R0).meta(Meta::OutputName, Register(4));
        r.lookup("peers", R0).verdict(Verdict::Accept);
    });
    if bridges.iter().any(|n| !n.icc) {
        rule("into_bridge", &|r| {
            ipv4(r).payload(Header::Network, SOURCE4, 4, R0).payload(
                Header::Network,
                DESTINATION4,
                4,
                Register(1),
            );
            r.meta(Meta::Protocol, Register(2)).payload(Header::Transport, 2, 2, Register(3));
            r.lookup("ways4", R0).verdict(Verdict::Accept);
        });
    }
    // What only networks with other gateway modes need is not asked of every packet.
    let has = |mode| {
        let modes = bridges.iter().map(|n| n.gateway_modes);
        modes.flat_map(|m| [m.v4, m.v6]).any(|m| m == mode)
    };
    if has(GatewayMode::Routed) {
        routed_rules(&mut rule);
    }
    if has(GatewayMode::NatUnprotected) {
        for (family, set) in FAMILIES.iter().zip(["unprotected4", "unprotected6"]) {
            rule("into_bridge", &|r| {
                family(r).meta(Meta::OutputName, R0).lookup(set, R0).verdict(Verdict::Accept);
            });
        }
    }
    rule("into_bridge", &|r| r.verdict(Verdict::Drop));
    if transit == Transit::Drop {
        rule("forward", &|r| {
            r.meta(Meta::InputName, R0).lookup("bridges", R0).verdict(Verdict::Accept);
        });
        rule("forward", &|r| r.verdict(Verdict::Jump(TRANSIT_CHAIN)));
        rule(TRANSIT_CHAIN, &|r| {
            r.ct(Ct::State, R0).any_bit(R0, ESTABLISHED_OR_RELATED).verdict(Verdict::Accept);
        });
        // Only hardware has no kind, and then the comparison is never reached: bridges, tunnels and veths are made by
        // somebody who wants forwarding (Docker, libvirt, a VPN), and must not find it cut.
        for kind in [Meta::InputKind, Meta::OutputKind] {
            rule(TRANSIT_CHAIN, &|r| {
                r.meta(kind, R0).compare(R0, Is::Not, &[0; 16]).verdict(Verdict::Accept);
            });
        }
        rule(TRANSIT_CHAIN, &|r| r.verdict(Verdict::Drop));
    }
}

/// Published ports by the containers' own addresses, and what tells of errors on the way there.
fn routed_rules(rule: &mut impl FnMut(&'static str, &dyn Fn(&mut Rule<'_>))) {
    const ICMP: u8 = 1;
    const ICMPV6: u8 = 58;
    rule("into_bridge", &|r| {
        ipv4(r);
        host_port4(r).lookup("open4", R0).verdict(Verdict::Accept);
    });
    rule("into_bridge", &|r| {
        ipv6(r);
        host_port6(r).lookup("open6", R0).verdict(Verdict::Accept);
    });
    for (family, (set, protocol)) in FAMILIES.iter().zip([("routed4", ICMP), ("routed6", ICMPV6)]) {
        rule("into_bridge", &|r| {
            family(r).meta(Meta::OutputName, R0).lookup(set, R0);
            r.meta(Meta::Protocol, R0).compare(R0, Is::Equal, &[protocol]).verdict(Verdict::Accept);
        });
    }
}

/// Goes on only for packets of one family.
type OfFamily = for<'r, 'w> fn(&'r mut Rule<'w>) -> &'r mut Rule<'w>;

const FAMILIES: [OfFamily; 2] = [ipv4, ipv6];

const SOURCE4: u32 = 12;
const DESTINATION4: u32 = 16;
const SOURCE6: u32 = 8;
const DESTINATION6: u32 = 24;

fn ipv4<'r, 'w>(r: &'r mut Rule<'w>) -> &'r mut Rule<'w> {
    r.meta(Meta::Family, R0).compare(R0, Is::Equal, &[Family::Ip as u8])
}

fn ipv6<'r, 'w>(r: &'r mut Rule<'w>) -> &'r mut Rule<'w> {
    r.meta(Meta::Family, R0).compare(R0, Is::Equal, &[Family::Ip6 as u8])
}

/// Loads the key of `publish4`: protocol, destination address, destination port.
fn host_port4<'r, 'w>(r: &'r mut Rule<'w>) -> &'r mut Rule<'w> {
    r.meta(Meta::Protocol, R0).payload(Header::Network, DESTINATION4, 4, Register(1)).payload(
        Header::Transport,
        2,
        2,
        Register(2),
    )
}

/// Loads the key of `publish6`: protocol, destination address, destination port.
fn host_port6<'r, 'w>(r: &'r mut Rule<'w>) -> &'r mut Rule<'w> {
    r.meta(Meta::Protocol, R0).payload(Header::Network, DESTINATION6, 16, Register(1)).payload(
        Header::Transport,
        2,
        2,
        Register(5),
    )
}

/// Loads the key of `publish4_any`: protocol, destination port.
fn host_port_any<'r, 'w>(r: &'r mut Rule<'w>) -> &'r mut Rule<'w> {
    r.meta(Meta::Protocol, R0).payload(Header::Transport, 2, 2, Register(1))
}

fn from_subnet(r: &mut Rule<'_>, subnet: IpNet) {
    match subnet {
        IpNet::V4(net) => from_subnet4(r, net),
        IpNet::V6(net) => from_subnet6(r, net),
    }
}

fn from_subnet4(r: &mut Rule<'_>, net: Ipv4Net) {
    ipv4(r).payload(Header::Network, SOURCE4, 4, R0);
    r.mask(R0, &net.netmask().octets()).compare(R0, Is::Equal, &net.network().octets());
}

fn from_subnet6(r: &mut Rule<'_>, net: Ipv6Net) {
    ipv6(r).payload(Header::Network, SOURCE6, 16, R0);
    r.mask(R0, &net.netmask().octets()).compare(R0, Is::Equal, &net.network().octets());
}

fn of_network(network: &NetworkRecord) -> Vec<Element> {
    let key = Key::default().with_interface(&network.bridge);
    let mut elements = vec![Element { set: "bridges", key: key.clone(), value: None }];
    let modes = network.gateway_modes;
    for (mode, routed, unprotected) in
        [(modes.v4, "routed4", "unprotected4"), (modes.v6, "routed6", "unprotected6")]
    {
        let set = match mode {
            GatewayMode::Routed => routed,
            GatewayMode::NatUnprotected => unprotected,
            GatewayMode::Nat | GatewayMode::Isolated => continue,
        };
        elements.push(Element { set, key: key.clone(), value: None });
    }
    if network.icc {
        elements.push(Element { set: "peers", key: key.with_interface(&network.bridge), value: None });
    }
    elements
}

/// A published port's elements; none when the families differ, since only the proxy can carry that.
fn of_port(port: &PortBinding) -> Vec<Element> {
    let protocol = Key::default().with(&[port.protocol.number()]);
    let host_port = port.host_port.to_be_bytes();
    let container_port = port.container_port.to_be_bytes();
    if port.is_routed() {
        let (set, address) = match &port.container_ip {
            IpAddr::V4(ip) => ("open4", protocol.with(&ip.octets())),
            IpAddr::V6(ip) => ("open6", protocol.with(&ip.octets())),
        };
        return vec![Element { set, key: address.with(&container_port), value: None }];
    }
    let (set, any, host, container): (_, _, &[u8], &[u8]) = match (&port.host_ip, &port.container_ip) {
        (IpAddr::V4(host), IpAddr::V4(container)) => {
            ("publish4", "publish4_any", &host.octets(), &container.octets())
        }
        (IpAddr::V6(host), IpAddr::V6(container)) => {
            ("publish6", "publish6_any", &host.octets(), &container.octets())
        }
        _ => return Vec::new(),
    };
    let value = Some(Key::default().with(container).with(&container_port));
    if port.host_ip.is_unspecified() {
        return vec![Element { set: any, key: protocol.with(&host_port), value }];
    }
    let key = protocol.with(host).with(&host_port);
    let mut elements = Vec::new();
    if port.host_ip.is_ipv4() && port.host_ip.is_loopback() {
        elements.push(Element { set: "loopback4", key: key.clone(), value: None });
    }
    elements.push(Element { set, key, value });
    elements
}
