//! `network create`.

use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    error::Result,
    flags::{Flag, Mode, Parsed},
    out,
};
use brig_api::{ConfigReference, Ipam, IpamConfig, NetworkCreateRequest, NetworkCreateResponse};
use ipnet::IpNet;
use std::{collections::BTreeMap, net::IpAddr};

/// `brig network create`
pub static CREATE: Command = Command {
    paths: &["network create"],
    synopsis: "NETWORK",
    about: "Make a network",
    examples: &[
        ("network create backend", "Containers on it find each other by name"),
        ("network create --subnet 10.9.0.0/24 --internal vault", "Its own addresses, no way out"),
    ],
    flags: &[&[
        Flag::switch("attachable", "Let containers join a network of a swarm"),
        Flag::list("aux-address", "Addresses that others on the network have, by name").label("map"),
        Flag::string("config-from", "The network to take the configuration from"),
        Flag::switch("config-only", "Make a network that holds configuration only"),
        Flag::string("driver", "What makes the network").short('d').default("bridge", "\"bridge\""),
        Flag::list("gateway", "Address of the way out, one a subnet").label("strings"),
        Flag::switch("ingress", "Make a swarm's routing-mesh network"),
        Flag::switch("internal", "No way out of the network and none in"),
        Flag::list("ip-range", "Give out addresses of this part of a subnet").label("strings"),
        Flag::string("ipam-driver", "What gives out addresses").default("default", "\"default\""),
        Flag::list("ipam-opt", "Options of the address driver").label("map"),
        Flag::switch("ipv4", "Whether endpoints have IPv4 addresses").default("true", "true"),
        Flag::switch("ipv6", "Whether endpoints have IPv6 addresses"),
        Flag::list("label", "Set a label"),
        Flag::list("opt", "Options of the driver").short('o').label("map"),
        Flag::string("scope", "Where the network is known"),
        Flag::list("subnet", "Subnet in CIDR form").label("strings"),
    ]],
    mode: Mode::Interspersed,
    operands: Operands::Exactly(1),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { create(cli, &flags).await }) },
};

async fn create(cli: &Cli, flags: &Parsed) -> Result {
    let request = NetworkCreateRequest {
        name: flags.args[0].clone(),
        driver: flags.get("driver").to_owned(),
        scope: flags.get("scope").to_owned(),
        enable_ipv4: flags.changed("ipv4").then(|| flags.on("ipv4")),
        enable_ipv6: flags.changed("ipv6").then(|| flags.on("ipv6")),
        ipam: Some(Ipam {
            driver: flags.get("ipam-driver").to_owned(),
            options: Some(map(flags, "ipam-opt")),
            config: Some(ipam(&Given {
                subnets: words(flags, "subnet"),
                ranges: words(flags, "ip-range"),
                gateways: words(flags, "gateway"),
                reserved: map(flags, "aux-address"),
            })?),
        }),
        internal: flags.on("internal"),
        attachable: flags.on("attachable"),
        ingress: flags.on("ingress"),
        config_only: flags.on("config-only"),
        config_from: flags.non_empty("config-from").map(|network| ConfigReference { network }),
        options: Some(map(flags, "opt")),
        labels: Some(map(flags, "label")),
        ..NetworkCreateRequest::default()
    };
    let created: NetworkCreateResponse =
        cli.client()?.post("/networks/create").body_json(&request).json().await?;
    if !created.warning.is_empty() {
        out::warn(&format!("WARNING: {}", created.warning));
    }
    out::line(&created.id)
}

/// `name=value`s; a name alone has an empty value.
fn map(flags: &Parsed, name: &str) -> BTreeMap<String, String> {
    let pairs = flags.list(name).into_iter().map(|text| match text.split_once('=') {
        Some((key, value)) => (key.to_owned(), value.to_owned()),
        None => (text, String::new()),
    });
    pairs.collect()
}

/// A flag that may hold several words between commas.
fn words(flags: &Parsed, name: &str) -> Vec<String> {
    flags.list(name).iter().flat_map(|text| text.split(',')).map(str::to_owned).collect()
}

/// What is said of subnets, not yet put together.
#[derive(Debug, Default)]
struct Given {
    subnets: Vec<String>,
    ranges: Vec<String>,
    gateways: Vec<String>,
    reserved: BTreeMap<String, String>,
}

/// Finds out which range, gateway and address belongs to which subnet. Docker's words.
fn ipam(given: &Given) -> Result<Vec<IpamConfig>> {
    let Given { subnets, ranges, gateways, reserved } = given;
    if subnets.len() < ranges.len() || subnets.len() < gateways.len() {
        return Err("every ip-range or gateway must have a corresponding subnet".into());
    }
    let mut pools: Vec<IpamConfig> = Vec::new();
    for subnet in subnets {
        for other in &pools {
            if lies_in(&other.subnet, subnet)? || lies_in(subnet, &other.subnet)? {
                return Err("multiple overlapping subnet configuration is not supported".into());
            }
        }
        pools.push(IpamConfig { subnet: subnet.clone(), ..IpamConfig::default() });
    }
    for range in ranges {
        let pool = of(&mut pools, range)?.ok_or_else(|| format!("no matching subnet for range {range}"))?;
        if !pool.ip_range.is_empty() {
            return Err(format!(
                "cannot configure multiple ranges ({range}, {}) on the same subnet ({})",
                pool.ip_range, pool.subnet
            )
            .into());
        }
        pool.ip_range.clone_from(range);
    }
    for gateway in gateways {
        let pool =
            of(&mut pools, gateway)?.ok_or_else(|| format!("no matching subnet for gateway {gateway}"))?;
        if !pool.gateway.is_empty() {
            return Err(format!(
                "cannot configure multiple gateways ({gateway}, {}) for the same subnet ({})",
                pool.gateway, pool.subnet
            )
            .into());
        }
        pool.gateway.clone_from(gateway);
    }
    for (name, address) in reserved {
        let pool = of(&mut pools, address)?
            .ok_or_else(|| format!("no matching subnet for aux-address {address}"))?;
        pool.auxiliary_addresses.get_or_insert_default().insert(name.clone(), address.clone());
    }
    Ok(pools)
}

/// The pool that an address or a range lies in.
fn of<'a>(pools: &'a mut [IpamConfig], text: &str) -> Result<Option<&'a mut IpamConfig>> {
    for pool in pools {
        if lies_in(&pool.subnet, text)? {
            return Ok(Some(pool));
        }
    }
    Ok(None)
}

fn lies_in(subnet: &str, text: &str) -> Result<bool> {
    let net: IpNet = subnet.parse().map_err(|_| format!("invalid subnet: invalid CIDR address: {subnet}"))?;
    let address: IpAddr = if text.contains('/') {
        text.parse::<IpNet>().map_err(|_| format!("invalid CIDR address: {text}"))?.addr()
    } else {
        text.parse().map_err(|_| format!("invalid IP address: {text}"))?
    };
    Ok(net.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| (*w).to_owned()).collect()
    }

    #[test]
    fn everything_finds_its_subnet() {
        let pools = ipam(&Given {
            subnets: list(&["10.1.0.0/16", "fd00::/64"]),
            ranges: list(&["10.1.5.0/24"]),
            gateways: list(&["fd00::9", "10.1.0.9"]),
            reserved: BTreeMap::from([("router".to_owned(), "10.1.0.5".to_owned())]),
        })
        .unwrap();
        assert_eq!((pools[0].ip_range.as_str(), pools[0].gateway.as_str()), ("10.1.5.0/24", "10.1.0.9"));
        assert_eq!(pools[1].gateway, "fd00::9");
        assert_eq!(pools[0].auxiliary_addresses.as_ref().unwrap()["router"], "10.1.0.5");
    }

    #[test]
    fn what_has_no_subnet_is_told() {
        let given = |subnets: &[&str], ranges: &[&str], gateways: &[&str]| {
            let reserved = BTreeMap::new();
            ipam(&Given { subnets: list(subnets), ranges: list(ranges), gateways: list(gateways), reserved })
                .unwrap_err()
                .to_string()
        };
        let overlapping = given(&["10.99.0.0/24", "10.99.0.0/25"], &[], &[]);
        assert_eq!(overlapping, "multiple overlapping subnet configuration is not supported");
        assert_eq!(
            given(&[], &[], &["1.2.3.4"]),
            "every ip-range or gateway must have a corresponding subnet"
        );
        assert_eq!(given(&["10.98.0.0/24"], &[], &["10.97.0.1"]), "no matching subnet for gateway 10.97.0.1");
        assert_eq!(
            given(&["10.98.0.0/24"], &["10.9.0.0/25"], &[]),
            "no matching subnet for range 10.9.0.0/25"
        );
    }
}
