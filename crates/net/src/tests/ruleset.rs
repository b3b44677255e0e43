//! The table as others read it.

use super::*;
use std::process::Command;

/// Where the `nft` program is installed, it lists the table and takes its own listing back.
#[test]
fn the_table_reads_well() {
    world(|w| {
        let mut c = w.container();
        let local = PortRequest { host_ip: Some(Ipv4Addr::LOCALHOST.into()), ..tcp(8081, 81) };
        c.publish(w, &[tcp(8080, 80), local]).unwrap();
        let Ok(listed) = Command::new("nft").args(["list", "table", "inet", "brig"]).output() else { return };
        let text = String::from_utf8(listed.stdout).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for line in [
            "elements = { \"brig0\" }",
            "elements = { \"brig0\" . \"brig0\" }",
            "elements = { tcp . 8080 : 172.17.0.2 . 80 }",
            "elements = { tcp . 127.0.0.1 . 8081 : 172.17.0.2 . 81 }",
            "type filter hook prerouting priority raw; policy accept;",
            "iifname @bridges ip daddr 127.0.0.0/8 drop",
            "iif != \"lo\" meta l4proto . ip daddr . th dport @loopback4 drop",
            "fib daddr type local jump publish",
            "dnat ip to meta l4proto . ip daddr . th dport map @publish4",
            "meta nfproto ipv6 dnat ip6 to meta l4proto . th dport map @publish6_any",
            "oifname != \"brig0\" ip saddr 172.17.0.0/16 masquerade",
            "oifname \"brig0\" ip saddr 172.17.0.0/16 ct status dnat masquerade",
            "oifname @bridges jump into_bridge",
            "ct state established,related accept",
            "meta iifkind != \"\" accept",
            "meta oifkind != \"\" accept",
        ] {
            assert!(lines.contains(&line), "{line}\n{text}");
        }
        w.net.release(&c.endpoint).unwrap();
    });
}

/// Docker's and ufw's way: a policy. Made by the `nft` program, where it is installed.
#[test]
fn a_policy_to_drop_is_answered_in_its_chain_or_in_dockers() {
    for (place, docker) in [("FORWARD", ""), ("DOCKER-USER", "chain DOCKER-USER { }")] {
        world(|w| {
            let script = format!(
                "table ip filter {{ {docker}
                 chain FORWARD {{ type filter hook forward priority 0; policy drop;
                 {} ; }} ; }}",
                if docker.is_empty() { "counter" } else { "jump DOCKER-USER" }
            );
            let Ok(made) = Command::new("nft").arg(script).status() else { return };
            assert!(made.success());
            let mut c = w.container();
            c.serve(80);
            c.publish(w, &[tcp(8080, 80)]).unwrap();
            within(&w.outside, || serve((OUTSIDE, 80).into()));
            assert!(is_dropped(&within(&w.outside, || ask((HOST, 8080)))));
            w.net
                .rebuild(
                    std::slice::from_ref(&w.bridge),
                    std::slice::from_ref(&c.endpoint),
                    Default::default(),
                )
                .unwrap();
            assert_eq!(within(&w.outside, || ask((HOST, 8080))).unwrap(), OUTSIDE.to_string());
            assert_eq!(c.ask((OUTSIDE, 80)).unwrap(), HOST.to_string());
            let listed = Command::new("nft").args(["list", "chain", "ip", "filter", place]).output().unwrap();
            let text = String::from_utf8(listed.stdout).unwrap();
            assert!(text.contains("iifname \"brig0\" counter packets"), "{text}");
            assert!(text.contains("accept comment \"brig\""), "{text}");
            w.net.release(&c.endpoint).unwrap();
        });
    }
}
