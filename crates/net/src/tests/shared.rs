//! Networks on an interface of the host's.

use super::*;
use crate::{Driver, NetworkRequest, PoolRequest};
use std::collections::BTreeMap;

/// A second machine outside, to which a cable leads from the interface `lan0`: 10.66.0.1.
fn lan(w: &World) -> OwnedFd {
    let netns = w.net.create_netns().unwrap();
    let home = netns::current().unwrap();
    let mut rtnl = Rtnl::open().unwrap();
    rtnl.create_bridge("lan", MacAddr::random(), None).unwrap();
    let lan = rtnl.link("lan").unwrap().unwrap();
    rtnl.set_up(lan.index).unwrap();
    let machine = Endpoint {
        interface: "eth0".to_owned(),
        veth: "to-machine".to_owned(),
        ipv4: Some("10.66.0.1/24".parse().unwrap()),
        gateway4: None,
        ..outside_endpoint()
    };
    attach::attach(&mut rtnl, home.as_fd(), netns.as_fd(), &machine, ("lan", lan.index), None).unwrap();
    netns
}

fn request(driver: Driver, gateway: Option<&str>, options: &[(&str, &str)]) -> NetworkRequest {
    NetworkRequest {
        name: "shared".to_owned(),
        driver: Some(driver),
        pools: vec![PoolRequest {
            subnet: "10.66.0.0/24".parse().unwrap(),
            gateway: gateway.map(|ip| ip.parse().unwrap()),
            range: Some("10.66.0.64/26".parse().unwrap()),
            reserved: BTreeMap::new(),
        }],
        options: options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        ..Default::default()
    }
}

fn made(w: &World, request: NetworkRequest) -> NetworkRecord {
    let record = w.net.define_network(request).unwrap();
    w.net.ensure_network(&record).unwrap();
    record
}

#[test]
fn macvlan_containers_are_machines_of_their_own_outside() {
    world(|w| {
        let machine = lan(w);
        let network = made(w, request(Driver::Macvlan, Some("10.66.0.1"), &[("parent", "lan")]));
        let (mut a, b) = (w.container_in(&network), w.container_in(&network));
        a.serve(80);
        within(&machine, || serve(([10, 66, 0, 1], 80).into()));
        assert_eq!(a.ip(), IpAddr::from([10, 66, 0, 64]));
        assert_eq!(within(&machine, || ask((a.ip(), 80))).unwrap(), "10.66.0.1");
        assert_eq!(b.ask((a.ip(), 80)).unwrap(), b.ip().to_string());
        assert_eq!(b.ask((Ipv4Addr::new(10, 66, 0, 1), 80)).unwrap(), b.ip().to_string());
        assert_eq!(a.endpoint.gateway4, Some(Ipv4Addr::new(10, 66, 0, 1)));
        // The host has no port of it, nor an interface.
        assert_eq!(a.publish(w, &[tcp(8080, 80)]).unwrap(), []);
        // A daemon that starts finds it all.
        let networks = [w.bridge.clone(), network.clone()];
        let live = [a.endpoint.clone(), b.endpoint.clone()];
        assert_eq!(w.net.rebuild(&networks, &live, Default::default()).unwrap(), [""; 0]);
        w.net.detach(a.netns.as_fd(), &a.endpoint).unwrap();
        within(&a.netns, || assert_eq!(Rtnl::open().unwrap().link("eth0").unwrap(), None));
        for c in [&a, &b] {
            w.net.release(&c.endpoint).unwrap();
        }
        w.net.remove_network(&network.id).unwrap();
        assert!(w.net.rtnl().link("lan").unwrap().is_some(), "it was there before");
    });
}

#[test]
fn without_a_next_hop_or_an_interface_it_leads_nowhere() {
    world(|w| {
        let _machine = lan(w);
        let network = made(w, request(Driver::Macvlan, None, &[("parent", "lan")]));
        let c = w.container_in(&network);
        assert_eq!((network.pools[0].gateway, c.endpoint.gateway4), (None, None));
        w.net.release(&c.endpoint).unwrap();
        w.net.remove_network(&network.id).unwrap();
        let network = made(w, request(Driver::Macvlan, Some("10.66.0.1"), &[]));
        let dummy = network.uplink.clone().unwrap().interface;
        assert_eq!(dummy, format!("dm-{}", &network.id.to_string()[..12]));
        let (a, b) = (w.container_in(&network), w.container_in(&network));
        a.serve(80);
        assert_eq!(b.ask((a.ip(), 80)).unwrap(), b.ip().to_string());
        assert_eq!(a.endpoint.gateway4, None);
        for c in [&a, &b] {
            w.net.release(&c.endpoint).unwrap();
        }
        w.net.remove_network(&network.id).unwrap();
        assert!(w.net.rtnl().link(&dummy).unwrap().is_none());
    });
}

/// Where the kernel has ipvlan; else what the kernel says, and nothing is left.
#[test]
fn ipvlan_where_the_kernel_has_it() {
    world(|w| {
        let machine = lan(w);
        let network = made(w, request(Driver::Ipvlan, None, &[("parent", "lan"), ("ipvlan_mode", "l3")]));
        let request = EndpointRequest { name: "c".to_owned(), ..Default::default() };
        let endpoint = w.net.allocate(&network.id, &request).unwrap();
        assert!(endpoint.leads_everywhere && endpoint.mac == MacAddr::NONE);
        let netns = w.net.create_netns().unwrap();
        match w.net.attach(netns.as_fd(), &endpoint) {
            Ok(()) => {
                within(&netns, || serve((endpoint.ipv4.unwrap().addr(), 80).into()));
                let to = (endpoint.ipv4.unwrap().addr(), 80);
                assert_eq!(within(&machine, || ask(to)).unwrap(), "10.66.0.1");
            }
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("make an ipvlan link: Operation not supported"), "{text}");
            }
        }
        let custom = EndpointRequest { mac: Some(MacAddr::random()), ..request };
        let refused = w.net.allocate(&network.id, &custom).unwrap_err().to_string();
        assert_eq!(refused, "ipvlan interfaces do not support custom mac address assignment");
    });
}

#[test]
fn what_can_not_be_shared_is_refused_in_dockers_words() {
    world(|w| {
        let refused = |driver, options: &[(&str, &str)]| {
            w.net.define_network(request(driver, None, options)).unwrap_err().to_string()
        };
        assert_eq!(
            refused(Driver::Macvlan, &[("parent", "lo")]),
            "loopback interface is not a valid macvlan parent link"
        );
        assert_eq!(
            refused(Driver::Macvlan, &[("macvlan_mode", "x")]),
            "requested macvlan mode 'x' is not valid, 'bridge' mode is the macvlan driver default"
        );
        assert_eq!(
            refused(Driver::Ipvlan, &[("ipvlan_mode", "l4")]),
            "requested ipvlan mode 'l4' is not valid, 'ipvlan l2' mode is the ipvlan driver default"
        );
        assert_eq!(
            refused(Driver::Macvlan, &[("parent", "nope")]),
            "invalid subinterface vlan name nope, example formatting is eth0.10"
        );
        assert_eq!(
            refused(Driver::Macvlan, &[("parent", "nope.7")]),
            "-o parent interface was not found on the host: nope"
        );
        let passthru = request(Driver::Macvlan, None, &[("parent", "uplink"), ("macvlan_mode", "passthru")]);
        let first = made(w, passthru);
        assert_eq!(
            refused(Driver::Macvlan, &[("parent", "uplink")]),
            format!("macvlan network {} is already using parent interface uplink in mode passthru", first.id)
        );
    });
}
