//! A daemon that comes back.

use super::*;
use crate::nft::{Batch, ChainKind, Family, Hook, Nft, Verdict};

#[test]
fn all_is_taken_over_and_the_rest_is_swept() {
    world(|w| {
        let (mut kept, mut gone) = (w.container(), w.container());
        kept.serve(80);
        gone.serve(80);
        kept.publish(w, &[tcp(8080, 80)]).unwrap();
        gone.publish(w, &[tcp(8081, 80)]).unwrap();
        // A daemon that was killed: another one with the records of only one container.
        let next = Net::open(w.net.config().clone()).unwrap();
        let networks = next.default_networks(std::slice::from_ref(&w.bridge)).unwrap();
        assert_eq!(networks[0].pools, w.bridge.pools);
        assert_eq!(
            next.rebuild(&networks, std::slice::from_ref(&kept.endpoint), Default::default()).unwrap(),
            Vec::<String>::new()
        );
        assert_eq!(ask((Ipv4Addr::LOCALHOST, 8080)).unwrap(), "172.17.0.1");
        assert!(ask((Ipv4Addr::LOCALHOST, 8081)).is_err());
        assert_eq!(next.process.list().unwrap(), kept.endpoint.ports.iter().copied().collect());
        let mut rtnl = Rtnl::open().unwrap();
        assert!(rtnl.link(&kept.endpoint.veth).unwrap().is_some());
        assert_eq!(rtnl.link(&gone.endpoint.veth).unwrap(), None);
        // What is taken stays taken.
        let request =
            EndpointRequest { ipv4: Some(kept.endpoint.ipv4.unwrap().addr()), ..Default::default() };
        assert!(next.allocate(&w.bridge.id, &request).is_err());
        let refused = next.publish(&gone.endpoint, &[tcp(8080, 80)]).unwrap_err().to_string();
        assert!(refused.ends_with("Bind for 0.0.0.0:8080 failed: port is already allocated"), "{refused}");
        next.rebuild(&networks, std::slice::from_ref(&kept.endpoint), Default::default()).unwrap();
        next.release(&kept.endpoint).unwrap();
    });
}

#[test]
fn a_port_that_another_program_took_meanwhile_is_not_stolen_back() {
    world(|w| {
        let mut c = w.container();
        c.serve(80);
        c.publish(w, &[tcp(8080, 80)]).unwrap();
        // The network process died, and somebody was quick.
        w.net.process.release(&c.endpoint.ports).unwrap();
        let other = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 8080)).unwrap();
        let next = Net::open(w.net.config().clone()).unwrap();
        let networks = next.default_networks(std::slice::from_ref(&w.bridge)).unwrap();
        let warnings =
            next.rebuild(&networks, std::slice::from_ref(&c.endpoint), Default::default()).unwrap();
        let expected = "port 0.0.0.0:8080:172.17.0.2:80/tcp of container web is not published any more: \
                        address already in use";
        assert_eq!(warnings, [expected]);
        TcpStream::connect((Ipv4Addr::LOCALHOST, 8080)).unwrap();
        other.accept().unwrap();
        next.release(&c.endpoint).unwrap();
    });
}

#[test]
fn rules_that_somebody_flushed_come_back() {
    world(|w| {
        let mut c = w.container();
        c.serve(80);
        c.publish(w, &[tcp(8080, 80)]).unwrap();
        let mut batch = Batch::default();
        batch.delete_table(Family::Inet, "brig");
        Nft::open().unwrap().commit(batch).unwrap();
        c.publish(w, &[tcp(8081, 80)]).unwrap();
        for port in [8080, 8081] {
            assert_eq!(within(&w.outside, || ask((HOST, port))).unwrap(), OUTSIDE.to_string());
        }
        w.net.release(&c.endpoint).unwrap();
    });
}

#[test]
fn a_foreign_firewall_that_drops_is_told_to_accept() {
    world(|w| {
        let mut nft = Nft::open().unwrap();
        let mut batch = Batch::default();
        batch.table(Family::Inet, "firewalld");
        batch.base_chain(Family::Inet, "firewalld", "filter_FORWARD", ChainKind::Filter, Hook::Forward, 10);
        batch.rule(Family::Inet, "firewalld", "filter_FORWARD", |r| r.verdict(Verdict::Drop));
        nft.commit(batch).unwrap();
        let mut c = w.container();
        c.serve(80);
        c.publish(w, &[tcp(8080, 80)]).unwrap();
        assert!(is_dropped(&within(&w.outside, || ask((HOST, 8080)))));
        w.net.ensure_network(&w.bridge).unwrap();
        w.net.ensure_network(&w.bridge).unwrap();
        assert_eq!(within(&w.outside, || ask((HOST, 8080))).unwrap(), OUTSIDE.to_string());
        let rules = |nft: &mut Nft| {
            let chains = nft.chains().unwrap();
            let of = |c: &crate::nft::ChainInfo| c.table == "firewalld";
            nft.commented_rules(chains.iter().find(|c| of(c)).unwrap()).unwrap().len()
        };
        assert_eq!(rules(&mut nft), 2);
        // What may come in is still brig's to say.
        let direct = (c.ip(), 80);
        assert!(is_dropped(&within(&w.outside, || ask(direct))));
        w.net.release(&c.endpoint).unwrap();
        w.net.shutdown(true).unwrap();
        assert_eq!(rules(&mut nft), 0);
        assert!(nft.chains().unwrap().iter().all(|c| c.table != "brig"));
        assert_eq!(Rtnl::open().unwrap().link("brig0").unwrap(), None);
    });
}

#[test]
fn switching_forwarding_on_cuts_nobody_who_wants_it() {
    world(|w| {
        let chain = |nft: &mut Nft| nft.chains().unwrap().iter().any(|c| c.name == "transit");
        assert!(chain(&mut Nft::open().unwrap()));
        // A second network of the host that has nothing to do with brig: somebody's bridge.
        let mut rtnl = Rtnl::open().unwrap();
        rtnl.create_bridge("other", MacAddr::random(), None).unwrap();
        let other = rtnl.link("other").unwrap().unwrap();
        rtnl.configure(other.index, &["203.0.113.1/24".parse().unwrap()], &[]).unwrap();
        let netns = w.net.create_netns().unwrap();
        let endpoint = Endpoint {
            interface: "eth0".to_owned(),
            veth: "behind".to_owned(),
            ipv4: Some("203.0.113.2/24".parse().unwrap()),
            gateway4: Some(Ipv4Addr::new(203, 0, 113, 1)),
            ..w.net.allocate(&w.bridge.id, &EndpointRequest::default()).unwrap()
        };
        let home = netns::current().unwrap();
        let bridge = ("other", other.index);
        attach::attach(&mut rtnl, home.as_fd(), netns.as_fd(), &endpoint, bridge, None).unwrap();
        within(&netns, || serve(([203, 0, 113, 2], 80).into()));
        assert_eq!(within(&w.outside, || ask(([203, 0, 113, 2], 80))).unwrap(), OUTSIDE.to_string());
        // After a restart, when forwarding is on already, network cards are still kept apart.
        let next = Net::open(w.net.config().clone()).unwrap();
        next.rebuild(std::slice::from_ref(&w.bridge), &[], Default::default()).unwrap();
        assert!(chain(&mut Nft::open().unwrap()));
    });
}

#[test]
fn two_daemons_on_one_host_leave_each_other_alone() {
    world(|w| {
        let mut a = w.container();
        a.serve(80);
        a.publish(w, &[tcp(8080, 80)]).unwrap();
        // The second one has a bridge and roots of its own, and shares the network process' socket only here.
        let mut config = w.net.config().clone();
        config.bridge = "brig1".to_owned();
        let net = Net::open(config).unwrap();
        let bridge = net.default_networks(&[]).unwrap().remove(0);
        assert_eq!(bridge.pools[0].subnet.to_string(), "172.18.0.0/16");
        net.ensure_network(&bridge).unwrap();
        let mut endpoint = net.allocate(&bridge.id, &EndpointRequest::default()).unwrap();
        let netns = net.create_netns().unwrap();
        net.attach(netns.as_fd(), &endpoint).unwrap();
        within(&netns, || serve((Ipv4Addr::UNSPECIFIED, 80).into()));
        endpoint.ports = net.publish(&endpoint, &[tcp(8081, 80)]).unwrap();
        within(&w.outside, || serve((OUTSIDE, 80).into()));
        assert_eq!(a.ask((OUTSIDE, 80)).unwrap(), HOST.to_string());
        assert_eq!(within(&netns, || ask((OUTSIDE, 80))).unwrap(), HOST.to_string());
        for port in [8080, 8081] {
            assert_eq!(within(&w.outside, || ask((HOST, port))).unwrap(), OUTSIDE.to_string());
            assert!(ask((Ipv4Addr::LOCALHOST, port)).is_ok());
        }
        let neighbour = endpoint.ipv4.unwrap().addr();
        assert!(is_dropped(&a.ask((neighbour, 80))));
        net.release(&endpoint).unwrap();
        net.shutdown(true).unwrap();
        assert_eq!(within(&w.outside, || ask((HOST, 8080))).unwrap(), OUTSIDE.to_string());
    });
}
