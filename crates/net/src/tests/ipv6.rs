//! A network with IPv6.

use super::*;
use crate::{NetworkRequest, PoolRequest};
use std::net::Ipv6Addr;

fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

#[test]
fn containers_have_it_too_and_ports_are_translated() {
    world(|w| {
        let pool = PoolRequest {
            subnet: "fd00:b::/64".parse().unwrap(),
            gateway: None,
            range: None,
            reserved: Default::default(),
        };
        let request =
            NetworkRequest { name: "six".to_owned(), ipv6: true, pools: vec![pool], ..Default::default() };
        let network = w.net.define_network(request).unwrap();
        w.net.ensure_network(&network).unwrap();
        let mut rtnl = Rtnl::open().unwrap();
        let uplink = rtnl.link("uplink").unwrap().unwrap();
        rtnl.add_address(uplink.index, "fd00:a::1/64".parse().unwrap()).unwrap();
        within(&w.outside, || {
            sysctl::set("ipv6/conf/wan0/disable_ipv6", "0").unwrap();
            let mut rtnl = Rtnl::open().unwrap();
            let wan = rtnl.link("wan0").unwrap().unwrap();
            rtnl.configure(wan.index, &["fd00:a::2/64".parse().unwrap()], &[ip("fd00:a::1").into()]).unwrap();
            serve((ip("fd00:a::2"), 80).into());
        });
        let mut c = w.container_in(&network);
        assert_eq!(c.endpoint.ipv6.unwrap().to_string(), "fd00:b::2/64");
        within(&c.netns, || serve((Ipv6Addr::UNSPECIFIED, 80).into()));
        assert_eq!(ask((ip("fd00:b::2"), 80)).unwrap(), "fd00:b::1");
        assert_eq!(c.ask((ip("fd00:a::2"), 80)).unwrap(), "fd00:a::1");
        let published = c.publish(w, &[tcp(8080, 80)]).unwrap();
        assert_eq!(published[1].to_string(), "[::]:8080:[fd00:b::2]:80/tcp");
        assert_eq!(ask((ip("fd00:a::1"), 8080)).unwrap(), "fd00:a::1");
        assert_eq!(within(&w.outside, || ask((ip("fd00:a::1"), 8080))).unwrap(), "fd00:a::2");
        // ::1 can't be translated: the proxy carries it.
        assert_eq!(ask((Ipv6Addr::LOCALHOST, 8080)).unwrap(), "fd00:b::1");
        assert!(is_dropped(&within(&w.outside, || ask((ip("fd00:b::2"), 80)))));
        w.net.release(&c.endpoint).unwrap();
    });
}
