//! The subnets that a request names. Pure; Docker's words, one complaint a line.

use brig_api::IpamConfig;
use brig_net::PoolRequest;
use ipnet::IpNet;
use std::{collections::BTreeMap, net::IpAddr};

/// Reads subnets, or answers all that is wrong with them.
pub(super) fn pools(config: &[IpamConfig]) -> Result<Vec<PoolRequest>, Vec<String>> {
    let mut wrong = Vec::new();
    let pools = config.iter().filter(|c| **c != IpamConfig::default()).filter_map(|c| pool(c, &mut wrong));
    let pools: Vec<_> = pools.collect();
    if wrong.is_empty() { Ok(pools) } else { Err(wrong) }
}

fn pool(config: &IpamConfig, wrong: &mut Vec<String>) -> Option<PoolRequest> {
    let Ok(subnet) = config.subnet.parse::<IpNet>() else {
        wrong.push(format!("invalid subnet {}: invalid CIDR block notation", config.subnet));
        return None;
    };
    if subnet != subnet.trunc() {
        wrong.push(format!("invalid subnet {subnet}: it should be {}", subnet.trunc()));
    }
    Some(PoolRequest {
        subnet,
        gateway: address(subnet, "gateway", &config.gateway, wrong),
        range: range(subnet, &config.ip_range, wrong),
        reserved: reserved(subnet, config.auxiliary_addresses.as_ref(), wrong),
    })
}

fn family(subnet: IpNet) -> &'static str {
    if subnet.addr().is_ipv4() { "an IPv4" } else { "an IPv6" }
}

fn range(subnet: IpNet, text: &str, wrong: &mut Vec<String>) -> Option<IpNet> {
    if text.is_empty() {
        return None;
    }
    let Ok(range) = text.parse::<IpNet>() else {
        wrong.push(format!("invalid ip-range {text}: invalid CIDR block notation"));
        return None;
    };
    if range.addr().is_ipv4() != subnet.addr().is_ipv4() {
        wrong.push(format!("invalid ip-range {text}: parent subnet is {} block", family(subnet)));
        return None;
    }
    if range.prefix_len() < subnet.prefix_len() {
        wrong.push(format!("invalid ip-range {text}: CIDR block is bigger than its parent subnet {subnet}"));
    }
    if range != range.trunc() {
        wrong.push(format!("invalid ip-range {text}: it should be {}", range.trunc()));
    }
    if !subnet.contains(&range.addr()) {
        wrong.push(format!("invalid ip-range {text}: parent subnet {subnet} doesn't contain ip-range"));
    }
    Some(range)
}

fn address(subnet: IpNet, what: &str, text: &str, wrong: &mut Vec<String>) -> Option<IpAddr> {
    if text.is_empty() {
        return None;
    }
    let Ok(address) = text.parse::<IpAddr>() else {
        wrong.push(format!("invalid {what} {text}: invalid address"));
        return None;
    };
    if address.is_ipv4() != subnet.addr().is_ipv4() {
        wrong.push(format!("invalid {what} {text}: parent subnet is {} block", family(subnet)));
    } else if !subnet.contains(&address) {
        wrong.push(format!("invalid {what} {text}: parent subnet {subnet} doesn't contain this address"));
    }
    Some(address)
}

fn reserved(
    subnet: IpNet,
    addresses: Option<&BTreeMap<String, String>>,
    wrong: &mut Vec<String>,
) -> BTreeMap<String, IpAddr> {
    let given = addresses.into_iter().flatten();
    let read = given.filter_map(|(name, text)| {
        Some((name.clone(), address(subnet, &format!("auxiliary address {name}:"), text, wrong)?))
    });
    read.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(subnet: &str, range: &str, gateway: &str) -> IpamConfig {
        IpamConfig {
            subnet: subnet.to_owned(),
            ip_range: range.to_owned(),
            gateway: gateway.to_owned(),
            auxiliary_addresses: None,
        }
    }

    #[test]
    fn what_is_right_is_read() {
        let read = pools(&[config("10.1.0.0/16", "10.1.2.0/24", "10.1.0.9"), IpamConfig::default()]).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].range.unwrap().to_string(), "10.1.2.0/24");
        assert_eq!(read[0].gateway.unwrap().to_string(), "10.1.0.9");
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (subnet, range, gateway, words) in [
            ("nope", "", "", "invalid subnet nope: invalid CIDR block notation"),
            ("10.95.0.7/24", "", "", "invalid subnet 10.95.0.7/24: it should be 10.95.0.0/24"),
            (
                "10.96.0.0/25",
                "10.96.0.0/24",
                "",
                "invalid ip-range 10.96.0.0/24: CIDR block is bigger than its parent subnet 10.96.0.0/25",
            ),
            (
                "10.96.0.0/24",
                "10.97.0.0/25",
                "",
                "invalid ip-range 10.97.0.0/25: parent subnet 10.96.0.0/24 doesn't contain ip-range",
            ),
            ("10.96.0.0/24", "", "x", "invalid gateway x: invalid address"),
            ("10.96.0.0/24", "", "fd00::1", "invalid gateway fd00::1: parent subnet is an IPv4 block"),
            (
                "10.96.0.0/24",
                "",
                "10.97.0.1",
                "invalid gateway 10.97.0.1: parent subnet 10.96.0.0/24 doesn't contain this address",
            ),
        ] {
            assert_eq!(pools(&[config(subnet, range, gateway)]).unwrap_err(), [words]);
        }
    }
}
