//! Gateway modes of networks, the host's address that is taken on the way out, and that of published ports.

use super::*;
use crate::NetworkRequest;

const MODE4: &str = "com.docker.network.bridge.gateway_mode_ipv4";

fn network(w: &World, internal: bool, options: &[(&str, &str)]) -> NetworkRecord {
    let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let request = NetworkRequest { name: "other".to_owned(), internal, options, ..Default::default() };
    let record = w.net.define_network(request).unwrap();
    w.net.ensure_network(&record).unwrap();
    record
}

#[test]
fn a_routed_networks_published_ports_are_reached_by_the_containers_own_address() {
    world(|w| {
        let routed = network(w, false, &[(MODE4, "routed")]);
        let (mut a, b) = (w.container_in(&routed), w.container());
        a.serve(80);
        a.serve(81);
        // The host's port is of no account.
        let published = a.publish(w, &[tcp(8080, 80)]).unwrap();
        assert!(published[0].is_routed() && published[0].host_ip.is_unspecified(), "{published:?}");
        assert_eq!(within(&w.outside, || ask((a.ip(), 80))).unwrap(), OUTSIDE.to_string());
        // From a network that translates.
        assert_eq!(b.ask((a.ip(), 80)).unwrap(), "172.18.0.1");
        for host in [HOST, Ipv4Addr::LOCALHOST] {
            assert_eq!(ask((host, 8080)).unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
        }
        assert!(is_dropped(&within(&w.outside, || ask((a.ip(), 81)))));
        // On its way out it keeps its address: the machine outside knows the way back.
        within(&w.outside, || serve((OUTSIDE, 80).into()));
        assert_eq!(a.ask((OUTSIDE, 80)).unwrap(), a.ip().to_string());
        // A daemon that starts takes it over.
        let networks = [w.bridge.clone(), routed];
        let live = [a.endpoint.clone(), b.endpoint.clone()];
        assert_eq!(w.net.rebuild(&networks, &live, Default::default()).unwrap(), [""; 0]);
        assert_eq!(within(&w.outside, || ask((a.ip(), 80))).unwrap(), OUTSIDE.to_string());
        w.net.unpublish(&a.endpoint.ports).unwrap();
        assert!(is_dropped(&within(&w.outside, || ask((a.ip(), 80)))));
    });
}

#[test]
fn an_unprotected_network_is_reached_on_all_ports_and_translates_all_the_same() {
    world(|w| {
        let open = network(w, false, &[(MODE4, "nat-unprotected")]);
        let mut a = w.container_in(&open);
        a.serve(80);
        a.serve(81);
        a.publish(w, &[tcp(8080, 80)]).unwrap();
        assert_eq!(within(&w.outside, || ask((a.ip(), 81))).unwrap(), OUTSIDE.to_string());
        assert_eq!(within(&w.outside, || ask((HOST, 8080))).unwrap(), OUTSIDE.to_string());
        within(&w.outside, || serve((OUTSIDE, 80).into()));
        assert_eq!(a.ask((OUTSIDE, 80)).unwrap(), HOST.to_string());
        w.net.release(&a.endpoint).unwrap();
    });
}

#[test]
fn on_an_isolated_network_the_host_has_no_address() {
    world(|w| {
        let isolated = network(w, true, &[(MODE4, "isolated")]);
        let (a, b) = (w.container_in(&isolated), w.container_in(&isolated));
        a.serve(80);
        assert_eq!(b.ask((a.ip(), 80)).unwrap(), b.ip().to_string());
        let link = w.net.rtnl().link(&isolated.bridge).unwrap().unwrap();
        assert_eq!(w.net.rtnl().addresses(link.index).unwrap(), []);
        ask((a.ip(), 80)).unwrap_err();
    });
}

#[test]
fn a_networks_own_addresses_of_the_host() {
    world(|w| {
        let second = Ipv4Addr::new(198, 51, 100, 7);
        let uplink = w.net.rtnl().link("uplink").unwrap().unwrap();
        w.net.rtnl().add_address(uplink.index, "198.51.100.7/24".parse().unwrap()).unwrap();
        let options = [
            ("com.docker.network.host_ipv4", "198.51.100.7"),
            ("com.docker.network.bridge.host_binding_ipv4", "198.51.100.7"),
        ];
        let other = network(w, false, &options);
        let mut a = w.container_in(&other);
        a.serve(80);
        a.publish(w, &[tcp(8080, 80)]).unwrap();
        assert_eq!(within(&w.outside, || ask((second, 8080))).unwrap(), OUTSIDE.to_string());
        within(&w.outside, || ask((HOST, 8080))).unwrap_err();
        within(&w.outside, || serve((OUTSIDE, 80).into()));
        assert_eq!(a.ask((OUTSIDE, 80)).unwrap(), second.to_string());
        w.net.release(&a.endpoint).unwrap();
    });
}

#[test]
fn what_is_no_mode_is_refused_in_dockers_words() {
    world(|w| {
        for (name, value, words) in [
            (
                MODE4,
                "bridged",
                "failed to parse com.docker.network.bridge.gateway_mode_ipv4 value: bridged (unknown gateway mode bridged)",
            ),
            (MODE4, "isolated", "gateway mode 'isolated' can only be used for an internal network"),
            (
                "com.docker.network.host_ipv4",
                "x",
                "failed to parse com.docker.network.host_ipv4 value: x (nil ip)",
            ),
        ] {
            let options = [(name.to_owned(), value.to_owned())].into();
            let request = NetworkRequest { name: "n".to_owned(), options, ..Default::default() };
            assert_eq!(w.net.define_network(request).unwrap_err().to_string(), words);
        }
    });
}
