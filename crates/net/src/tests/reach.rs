//! Who reaches whom, without published ports.

use super::*;
use crate::rtnl::Link;

#[test]
fn a_container_has_its_addresses_and_the_host_reaches_it() {
    world(|w| {
        let c = w.container();
        c.serve(80);
        assert_eq!(ask((c.ip(), 80)).unwrap(), "172.17.0.1");
        assert_eq!(c.ip(), IpAddr::from([172, 17, 0, 2]));
        within(&c.netns, || {
            let mut rtnl = Rtnl::open().unwrap();
            let eth0: Link = rtnl.link("eth0").unwrap().unwrap();
            assert!(eth0.up);
            assert_eq!(rtnl.addresses(eth0.index).unwrap(), ["172.17.0.2/16".parse().unwrap()]);
            let read =
                |name: &str| std::fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{name}")).unwrap();
            // As Docker leaves it: no IPv6 on the network's interface, but on the loopback one.
            assert_eq!(read("eth0/disable_ipv6").trim(), "1");
            assert_eq!(read("default/disable_ipv6").trim(), "0");
            let lo = rtnl.addresses(1).unwrap();
            assert!(lo.contains(&"127.0.0.1/8".parse().unwrap()) && lo.contains(&"::1/128".parse().unwrap()));
        });
    });
}

#[test]
fn containers_reach_one_another_and_the_outside_by_the_hosts_address() {
    for filtered in [true, false] {
        world(|w| {
            filter_bridged(filtered);
            let (a, b) = (w.container(), w.container());
            b.serve(80);
            assert_eq!(a.ask((b.ip(), 80)).unwrap(), a.ip().to_string());
            within(&w.outside, || serve((OUTSIDE, 80).into()));
            assert_eq!(a.ask((OUTSIDE, 80)).unwrap(), HOST.to_string());
        });
    }
}

#[test]
fn without_icc_containers_keep_apart_but_reach_the_outside() {
    world_with(
        |c| c.icc = false,
        |w| {
            filter_bridged(true);
            let (a, b) = (w.container(), w.container());
            b.serve(80);
            assert!(is_dropped(&a.ask((b.ip(), 80))));
            within(&w.outside, || serve((OUTSIDE, 80).into()));
            assert_eq!(a.ask((OUTSIDE, 80)).unwrap(), HOST.to_string());
        },
    );
}

#[test]
fn nobody_outside_reaches_a_container_by_its_own_address() {
    world(|w| {
        let c = w.container();
        c.serve(80);
        let (to, outside) = ((c.ip(), 80), &w.outside);
        assert!(is_dropped(&within(outside, || ask(to))));
    });
}

#[test]
fn the_hosts_loopback_services_stay_out_of_reach() {
    world(|w| {
        let c = w.container();
        serve((Ipv4Addr::LOCALHOST, 631).into());
        // The container believes that 127.0.0.1 lies behind the gateway.
        within(&c.netns, || {
            let mut rtnl = Rtnl::open().unwrap();
            rtnl.delete_address(1, "127.0.0.1/8".parse().unwrap()).unwrap();
            sysctl::set("ipv4/conf/eth0/route_localnet", "1").unwrap();
        });
        let answer = c.ask((Ipv4Addr::LOCALHOST, 631));
        assert!(is_dropped(&answer), "{answer:?}");
    });
}

#[test]
fn networks_keep_apart_and_internal_ones_stay_inside() {
    world(|w| {
        let define = |name: &str, internal| {
            let request = crate::NetworkRequest { name: name.to_owned(), internal, ..Default::default() };
            let record = w.net.define_network(request).unwrap();
            w.net.ensure_network(&record).unwrap();
            record
        };
        let (other, inner) = (define("other", false), define("inner", true));
        assert_eq!(other.pools[0].subnet.to_string(), "172.18.0.0/16");
        let (a, b, c, d) =
            (w.container(), w.container_in(&other), w.container_in(&inner), w.container_in(&inner));
        for c in [&a, &b, &c, &d] {
            c.serve(80);
        }
        assert!(is_dropped(&a.ask((b.ip(), 80))));
        assert!(c.ask((a.ip(), 80)).is_err());
        assert_eq!(c.ask((d.ip(), 80)).unwrap(), c.ip().to_string());
        assert_eq!(c.endpoint.gateway4, None);
        within(&w.outside, || serve((OUTSIDE, 80).into()));
        assert_eq!(b.ask((OUTSIDE, 80)).unwrap(), HOST.to_string());
        // Not even with a route does it get out.
        within(&c.netns, || {
            let mut rtnl = Rtnl::open().unwrap();
            let eth0 = rtnl.link("eth0").unwrap().unwrap();
            rtnl.configure(eth0.index, &[], &[inner.pools[0].gateway.unwrap()]).unwrap();
        });
        assert!(is_dropped(&c.ask((OUTSIDE, 80))));
        let in_use = w.net.remove_network(&other.id).unwrap_err();
        assert!(in_use.to_string().ends_with("has active endpoints"), "{in_use}");
        w.net.release(&b.endpoint).unwrap();
        w.net.remove_network(&other.id).unwrap();
        assert_eq!(w.net.rtnl().link(&other.bridge).unwrap(), None);
    });
}

#[test]
fn ensuring_twice_changes_nothing_and_a_lost_bridge_comes_back() {
    world(|w| {
        let link = w.net.rtnl().link("brig0").unwrap().unwrap();
        w.net.ensure_network(&w.bridge).unwrap();
        assert_eq!(w.net.rtnl().link("brig0").unwrap().unwrap(), link);
        // The next start finds the bridge and takes its subnet.
        let again = Net::open(w.net.config().clone()).unwrap();
        let adopted = again.default_networks(&[]).unwrap().remove(0);
        assert_eq!(adopted.pools, w.bridge.pools);
        assert!(w.net.rtnl().delete("brig0").unwrap());
        let c = w.container();
        c.serve(80);
        assert_eq!(ask((c.ip(), 80)).unwrap(), "172.17.0.1");
    });
}

#[test]
fn a_name_that_is_no_bridge_is_refused() {
    world_with(
        |c| c.bridge = "brig7".to_owned(),
        |w| {
            let record = NetworkRecord { bridge: "lo".to_owned(), ..w.bridge.clone() };
            let refused = w.net.ensure_network(&record).unwrap_err();
            assert_eq!(refused.to_string(), "existing interface lo is not a bridge");
        },
    );
}

#[test]
fn a_subnet_in_use_is_avoided_and_a_configured_one_is_used() {
    world(|w| {
        let mut rtnl = Rtnl::open().unwrap();
        let uplink = rtnl.link("uplink").unwrap().unwrap();
        rtnl.add_address(uplink.index, "172.18.3.1/24".parse().unwrap()).unwrap();
        let request = crate::NetworkRequest { name: "n".to_owned(), ..Default::default() };
        assert_eq!(w.net.define_network(request).unwrap().pools[0].subnet.to_string(), "172.19.0.0/16");
    });
    world_with(
        |c| c.bip = Some("10.9.0.5/24".parse().unwrap()),
        |w| {
            assert_eq!(w.bridge.pools[0].subnet.to_string(), "10.9.0.0/24");
            assert_eq!(w.bridge.pools[0].gateway, Some(IpAddr::from([10, 9, 0, 5])));
            assert_eq!(w.container().ip(), IpAddr::from([10, 9, 0, 1]));
        },
    );
}

#[test]
fn detaching_leaves_no_link_and_attaching_undoes_itself() {
    world(|w| {
        let c = w.container();
        w.net.detach(c.netns.as_fd(), &c.endpoint).unwrap();
        w.net.detach(c.netns.as_fd(), &c.endpoint).unwrap();
        assert_eq!(w.net.rtnl().link(&c.endpoint.veth).unwrap(), None);
        // A gateway that can't be reached: the route is refused, and the pair goes again.
        let request = EndpointRequest::default();
        let endpoint = w.net.allocate(&w.bridge.id, &request).unwrap();
        let bad = Endpoint { gateway4: Some(Ipv4Addr::new(9, 9, 9, 9)), ..endpoint };
        let refused = w.net.attach(c.netns.as_fd(), &bad).unwrap_err();
        assert!(refused.to_string().starts_with("link eth0: give addresses and routes: "), "{refused}");
        assert_eq!(w.net.rtnl().link(&bad.veth).unwrap(), None);
    });
}

#[test]
fn addresses_and_hardware_addresses_as_asked_for() {
    world(|w| {
        let request = EndpointRequest {
            ipv4: Some(Ipv4Addr::new(172, 17, 9, 9)),
            mac: MacAddr::parse("02:00:00:00:00:07"),
            ..Default::default()
        };
        let endpoint = w.net.allocate(&w.bridge.id, &request).unwrap();
        let taken = w.net.allocate(&w.bridge.id, &request).unwrap_err();
        assert_eq!(taken.to_string(), "Address already in use");
        let netns = w.net.create_netns().unwrap();
        w.net.attach(netns.as_fd(), &endpoint).unwrap();
        let c = Container { netns, endpoint };
        c.serve(80);
        assert_eq!(ask((c.ip(), 80)).unwrap(), "172.17.0.1");
        let mac = within(&c.netns, || {
            let raw = std::fs::read_to_string("/proc/thread-self/net/arp").unwrap();
            assert!(raw.contains("172.17.0.1"), "{raw}");
            c.endpoint.mac
        });
        assert_eq!(mac.to_string(), "02:00:00:00:00:07");
        w.net.release(&c.endpoint).unwrap();
        w.net.allocate(&w.bridge.id, &request).unwrap();
    });
}

#[test]
fn a_bridge_of_somebody_else_stays_when_its_network_goes() {
    world(|w| {
        let request = |bridge: &str| crate::NetworkRequest {
            name: "other".to_owned(),
            options: [("com.docker.network.bridge.name".to_owned(), bridge.to_owned())].into(),
            ..Default::default()
        };
        let own = w.net.define_network(request("theirs")).unwrap();
        assert!(!own.adopted);
        w.net.ensure_network(&own).unwrap();
        let taken = w.net.define_network(request("theirs")).unwrap_err();
        assert!(taken.to_string().ends_with("networks have same bridge name"), "{taken}");
        // As a daemon sees it that did not make the bridge.
        let daemon = Net::open(w.net.config().clone()).unwrap();
        let adopted = daemon.define_network(request("theirs")).unwrap();
        assert!(adopted.adopted);
        daemon.ensure_network(&adopted).unwrap();
        daemon.remove_network(&adopted.id).unwrap();
        assert!(w.net.rtnl().link("theirs").unwrap().is_some());
        w.net.remove_network(&own.id).unwrap();
        assert_eq!(w.net.rtnl().link("theirs").unwrap(), None);
    });
}
