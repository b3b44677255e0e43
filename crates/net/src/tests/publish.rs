//! Published ports.

use super::*;
use std::net::{Ipv6Addr, UdpSocket};

const LOCALHOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

#[test]
fn a_port_is_reached_from_everywhere() {
    for filtered in [true, false] {
        world(|w| {
            filter_bridged(filtered);
            let mut c = w.container();
            c.serve(80);
            let published = c.publish(w, &[tcp(8080, 80)]).unwrap();
            let text: Vec<_> = published.iter().map(ToString::to_string).collect();
            assert_eq!(text, ["0.0.0.0:8080:172.17.0.2:80/tcp", "[::]:8080:172.17.0.2:80/tcp"]);
            assert_eq!(ask((LOCALHOST, 8080)).unwrap(), "172.17.0.1");
            assert_eq!(ask((Ipv4Addr::new(127, 9, 9, 9), 8080)).unwrap(), "172.17.0.1");
            assert_eq!(ask((HOST, 8080)).unwrap(), HOST.to_string());
            assert_eq!(ask(([172, 17, 0, 1], 8080)).unwrap(), "172.17.0.1");
            // By the proxy.
            assert_eq!(ask((Ipv6Addr::LOCALHOST, 8080)).unwrap(), "172.17.0.1");
            // From outside, with the client's own address; not by the container's own.
            assert_eq!(within(&w.outside, || ask((HOST, 8080))).unwrap(), OUTSIDE.to_string());
            let direct = (c.ip(), 80);
            assert!(is_dropped(&within(&w.outside, || ask(direct))));
            // A neighbour and the container itself, by any of the host's addresses.
            let neighbour = w.container();
            for who in [&neighbour, &c] {
                for host in [HOST, Ipv4Addr::new(172, 17, 0, 1)] {
                    assert_eq!(who.ask((host, 8080)).unwrap(), "172.17.0.1", "{filtered}");
                }
            }
            w.net.release(&c.endpoint).unwrap();
            for host in [LOCALHOST, HOST] {
                assert_eq!(ask((host, 8080)).unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
            }
        });
    }
}

#[test]
fn a_container_of_another_network_reaches_it_by_the_host() {
    world(|w| {
        let request = crate::NetworkRequest { name: "other".to_owned(), ..Default::default() };
        let other = w.net.define_network(request).unwrap();
        w.net.ensure_network(&other).unwrap();
        let (mut a, b) = (w.container(), w.container_in(&other));
        a.serve(80);
        a.publish(w, &[tcp(8080, 80)]).unwrap();
        assert!(b.ask((HOST, 8080)).is_ok());
        assert!(is_dropped(&b.ask((a.ip(), 80))));
    });
}

#[test]
fn a_port_on_loopback_stays_there() {
    world(|w| {
        let mut c = w.container();
        c.serve(80);
        let local = PortRequest { host_ip: Some(LOCALHOST.into()), ..tcp(8080, 80) };
        c.publish(w, &[local]).unwrap();
        assert_eq!(ask((LOCALHOST, 8080)).unwrap(), "172.17.0.1");
        let refused = within(&w.outside, || ask((HOST, 8080))).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        // A neighbour on the link that sends to 127.0.0.1, even where somebody let such packets in.
        sysctl::set("ipv4/conf/uplink/route_localnet", "1").unwrap();
        within(&w.outside, || {
            let mut rtnl = Rtnl::open().unwrap();
            rtnl.delete_address(1, "127.0.0.1/8".parse().unwrap()).unwrap();
            sysctl::set("ipv4/conf/wan0/route_localnet", "1").unwrap();
            let answer = ask((LOCALHOST, 8080));
            assert!(is_dropped(&answer), "{answer:?}");
        });
    });
}

#[test]
fn a_port_on_one_address_only() {
    world(|w| {
        let mut c = w.container();
        c.serve(80);
        let request = PortRequest { host_ip: Some(HOST.into()), ..tcp(8080, 80) };
        c.publish(w, &[request]).unwrap();
        assert_eq!(within(&w.outside, || ask((HOST, 8080))).unwrap(), OUTSIDE.to_string());
        assert!(ask((LOCALHOST, 8080)).is_err());
        // The rest of the port is free for another.
        let mut d = w.container();
        d.serve(81);
        let request = PortRequest { host_ip: Some(LOCALHOST.into()), ..tcp(8080, 81) };
        d.publish(w, &[request]).unwrap();
        assert_eq!(ask((LOCALHOST, 8080)).unwrap(), "172.17.0.1");
    });
}

#[test]
fn udp_from_everywhere_and_a_flow_follows_the_port() {
    world(|w| {
        let udp = PortRequest { protocol: Protocol::Udp, ..tcp(5353, 53) };
        let answer = |c: &Container, text: &'static str| {
            within(&c.netns, || {
                let socket = UdpSocket::bind("0.0.0.0:53").unwrap();
                thread::spawn(move || {
                    let mut buffer = [0; 64];
                    while let Ok((_, from)) = socket.recv_from(&mut buffer) {
                        let _ = socket.send_to(text.as_bytes(), from);
                    }
                });
            });
        };
        let exchange = |socket: &UdpSocket, to: SocketAddr| {
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            // Connected, so that an answer from another address is not taken.
            socket.connect(to).unwrap();
            socket.send(b"?").unwrap();
            let mut buffer = [0; 64];
            let length = socket.recv(&mut buffer).unwrap();
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        };
        let mut a = w.container();
        answer(&a, "a");
        a.publish(w, std::slice::from_ref(&udp)).unwrap();
        let bind = |ip: IpAddr| UdpSocket::bind(SocketAddr::new(ip, 0)).unwrap();
        let unspecified = || bind(Ipv4Addr::UNSPECIFIED.into());
        assert_eq!(exchange(&unspecified(), (LOCALHOST, 5353).into()), "a");
        assert_eq!(exchange(&unspecified(), (HOST, 5353).into()), "a");
        assert_eq!(exchange(&bind(Ipv6Addr::UNSPECIFIED.into()), (Ipv6Addr::LOCALHOST, 5353).into()), "a");
        let peer = within(&w.outside, unspecified);
        assert_eq!(exchange(&peer, (HOST, 5353).into()), "a");
        assert_eq!(a.publish(w, &[tcp(5353, 53)]).unwrap().len(), 2);
        // The same peer, the same port, another container.
        w.net.release(&a.endpoint).unwrap();
        let mut b = w.container();
        answer(&b, "b");
        b.publish(w, &[udp]).unwrap();
        assert_eq!(exchange(&peer, (HOST, 5353).into()), "b");
    });
}

#[test]
fn a_port_that_is_taken() {
    world(|w| {
        let (mut a, mut b) = (w.container(), w.container());
        a.publish(w, &[tcp(8080, 80)]).unwrap();
        let text = |e: Error| e.to_string();
        let prefix = |e: &Endpoint| {
            format!("driver failed programming external connectivity on endpoint web ({}): ", e.id)
        };
        let refused = text(b.publish(w, &[tcp(9090, 90), tcp(8080, 80)]).unwrap_err());
        assert_eq!(refused, prefix(&b.endpoint) + "Bind for 0.0.0.0:8080 failed: port is already allocated");
        // Nothing is left of the attempt.
        a.publish(w, &[tcp(9090, 90)]).unwrap();
        let other = TcpListener::bind((LOCALHOST, 7070)).unwrap();
        let refused = text(b.publish(w, &[tcp(6060, 60), tcp(7070, 70)]).unwrap_err());
        let expected = "failed to bind host port for 0.0.0.0:7070:172.17.0.3:70/tcp: address already in use";
        assert_eq!(refused, prefix(&b.endpoint) + expected);
        drop(other);
        b.publish(w, &[tcp(6060, 60), tcp(7070, 70)]).unwrap();
        let absent = PortRequest { host_ip: Some([9, 9, 9, 9].into()), ..tcp(8081, 80) };
        let refused = text(b.publish(w, &[absent]).unwrap_err());
        let expected =
            "failed to bind host port for 9.9.9.9:8081:172.17.0.3:80/tcp: cannot assign requested address";
        assert_eq!(refused, prefix(&b.endpoint) + expected);
    });
}

#[test]
fn ranges_and_free_ports_avoid_what_others_hold() {
    world(|w| {
        let mut c = w.container();
        let other = TcpListener::bind((HOST, 8000)).unwrap();
        let range = PortRequest { host_ports: Some(8000..=8002), ..tcp(0, 80) };
        let port = |bindings: Vec<PortBinding>| bindings[0].host_port;
        assert_eq!(port(c.publish(w, std::slice::from_ref(&range)).unwrap()), 8001);
        assert_eq!(port(c.publish(w, std::slice::from_ref(&range)).unwrap()), 8002);
        let refused = c.publish(w, std::slice::from_ref(&range)).unwrap_err().to_string();
        assert!(
            refused.contains("address already in use") || refused.contains("all ports are allocated"),
            "{refused}"
        );
        drop(other);
        assert_eq!(port(c.publish(w, &[range]).unwrap()), 8000);
        let free = PortRequest { host_ports: None, ..tcp(0, 80) };
        let first = port(c.publish(w, std::slice::from_ref(&free)).unwrap());
        let second = port(c.publish(w, &[free]).unwrap());
        assert_eq!((first, second), (32768, 32769));
    });
}

#[test]
fn sctp_is_translated_even_where_the_host_has_no_such_sockets() {
    world(|w| {
        let mut c = w.container();
        let sctp = PortRequest { protocol: Protocol::Sctp, ..tcp(8080, 80) };
        assert_eq!(c.publish(w, std::slice::from_ref(&sctp)).unwrap().len(), 2);
        assert!(w.container().publish(w, &[sctp]).is_err());
        w.net.release(&c.endpoint).unwrap();
    });
}

#[test]
fn a_thousand_ports_at_once() {
    world(|w| {
        let mut c = w.container();
        c.serve(80);
        let requests: Vec<_> = (10_000..11_000)
            .map(|p| PortRequest { host_ip: Some(Ipv4Addr::UNSPECIFIED.into()), ..tcp(p, 80) })
            .collect();
        // The one server for all tests has a process' soft limit of descriptors; most have 1,024.
        let requests = &requests[..500];
        let start = std::time::Instant::now();
        c.publish(w, requests).unwrap();
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        assert_eq!(ask((LOCALHOST, 10_000)).unwrap(), "172.17.0.1");
        assert_eq!(ask((LOCALHOST, 10_499)).unwrap(), "172.17.0.1");
        assert_eq!(w.net.process.list().unwrap().len(), 500);
        w.net.release(&c.endpoint).unwrap();
        assert_eq!(w.net.process.list().unwrap().len(), 0);
    });
}

#[test]
fn without_a_firewall_the_proxy_carries_all_and_without_a_proxy_the_firewall_what_it_can() {
    world_with(
        |c| c.firewall = false,
        |w| {
            let mut c = w.container();
            c.serve(80);
            c.publish(w, &[tcp(8080, 80)]).unwrap();
            assert_eq!(ask((LOCALHOST, 8080)).unwrap(), "172.17.0.1");
            assert_eq!(within(&w.outside, || ask((HOST, 8080))).unwrap(), "172.17.0.1");
            w.net.release(&c.endpoint).unwrap();
        },
    );
    world_with(
        |c| c.userland_proxy = false,
        |w| {
            let mut c = w.container();
            c.serve(80);
            assert_eq!(c.publish(w, &[tcp(8080, 80)]).unwrap().len(), 1);
            assert_eq!(ask((LOCALHOST, 8080)).unwrap(), "172.17.0.1");
            assert!(ask((Ipv6Addr::LOCALHOST, 8080)).is_err());
            w.net.release(&c.endpoint).unwrap();
        },
    );
}
