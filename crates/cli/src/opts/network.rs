//! `--network name` or `--network name=…,alias=…,ip=…`, and the flags that belong to the first one.

use super::text::is_mac;
use crate::flags::Parsed;
use brig_api::{EndpointIpamConfig, EndpointSettings, NetworkingConfig};
use std::collections::BTreeMap;

/// One `--network`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attachment {
    /// The network's name or id, or a mode such as `host`.
    pub target: String,
    /// Names on it.
    pub aliases: Vec<String>,
    /// Options of its driver.
    pub driver_opts: BTreeMap<String, String>,
    /// Legacy links.
    pub links: Vec<String>,
    /// The address.
    pub ipv4: String,
    /// The address.
    pub ipv6: String,
    /// Link-local addresses.
    pub link_local: Vec<String>,
    /// The MAC address.
    pub mac: String,
    /// The endpoint of the highest priority gives the default gateway.
    pub gw_priority: i64,
}

/// Reads one `--network`.
///
/// # Errors
/// In Docker's words.
pub fn parse(text: &str) -> Result<Attachment, String> {
    let mut net = Attachment::default();
    let long = text.contains('=') && text.split(',').next().is_some_and(|f| f.contains('='));
    if !long {
        net.target = text.to_owned();
        return Ok(net);
    }
    for field in super::csv(text)? {
        let Some((key, value)) = field.split_once('=') else {
            return Err(format!("invalid field {field}"));
        };
        let (key, value) = (key.trim().to_ascii_lowercase(), value.trim().to_owned());
        match key.as_str() {
            "name" => net.target = value,
            "alias" => net.aliases.push(value),
            "ip" => net.ipv4 = value,
            "ip6" => net.ipv6 = value,
            "mac-address" => {
                if !is_mac(&value) {
                    return Err(format!("{value} is not a valid mac address"));
                }
                net.mac = value;
            }
            "link-local-ip" => net.link_local.push(value),
            "driver-opt" => {
                let Some((name, setting)) = value.split_once('=') else {
                    return Err("invalid key value pair format in driver options".to_owned());
                };
                net.driver_opts.insert(name.trim().to_ascii_lowercase(), setting.trim().to_owned());
            }
            "gw-priority" => {
                net.gw_priority =
                    value.parse().map_err(|_| format!("invalid gw-priority ({value}): invalid syntax"))?;
            }
            _ => return Err(format!("invalid field key {key}")),
        }
    }
    if net.target.is_empty() {
        return Err("network name/id is not specified".to_owned());
    }
    Ok(net)
}

pub(crate) fn check(text: &str) -> Result<(), String> {
    parse(text).map(|_| ())
}

/// What a request says of networks.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Networks {
    /// `HostConfig.NetworkMode`.
    pub mode: String,
    /// `NetworkingConfig`.
    pub config: NetworkingConfig,
}

/// Puts `--network` and its kin together.
///
/// # Errors
/// In Docker's words.
pub fn collect(flags: &Parsed) -> Result<Networks, String> {
    let mut nets = flags.all("network").chain(flags.all("net")).map(parse).collect::<Result<Vec<_>, _>>()?;
    if nets.iter().any(|n| n.target.is_empty()) {
        return Err("no name set for network".to_owned());
    }
    if nets.is_empty() {
        nets.push(Attachment { target: "default".to_owned(), ..Attachment::default() });
    }
    let several = nets.len() > 1;
    for (i, net) in nets.iter().enumerate() {
        if nets[..i].iter().any(|n| n.target == net.target) {
            return Err(format!(
                "network {} is specified multiple times",
                crate::format::go_quote(&net.target)
            ));
        }
        if several
            && !is_user_defined(&net.target)
            && !matches!(net.target.as_str(), "bridge" | "default" | "none" | "host")
        {
            return Err(
                "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
                    .to_owned(),
            );
        }
    }
    merge_flags(flags, &mut nets[0])?;
    let mode = nets[0].target.clone();
    let mut endpoints = BTreeMap::new();
    for net in &nets {
        if !net.aliases.is_empty() && !is_user_defined(&net.target) {
            return Err("network-scoped aliases are only supported for user-defined networks".to_owned());
        }
        endpoints.insert(net.target.clone(), Some(settings(net)));
    }
    // As Docker: only what was asked for is sent, and a mode alone sends nothing.
    let plain = nets.len() == 1 && is_plain(&nets[0]);
    let config = if plain && !is_user_defined(&mode) { BTreeMap::new() } else { endpoints };
    Ok(Networks { mode, config: NetworkingConfig { endpoints_config: Some(config) } })
}

fn is_plain(net: &Attachment) -> bool {
    *net == Attachment { target: net.target.clone(), ..Attachment::default() }
}

fn merge_flags(flags: &Parsed, first: &mut Attachment) -> Result<(), String> {
    let conflict = |flag: &str, field: &str| {
        Err(format!("conflicting options: cannot specify both --{flag} and per-network {field}"))
    };
    let mut aliases = flags.list("network-alias");
    aliases.extend(flags.list("net-alias"));
    if !aliases.is_empty() {
        if !first.aliases.is_empty() {
            return conflict("network-alias", "alias");
        }
        first.aliases = aliases;
    }
    let links = flags.list("link");
    if !links.is_empty() {
        first.links = links;
    }
    let addresses: [(&str, &mut String, &str); 3] = [
        ("ip", &mut first.ipv4, "IPv4 address"),
        ("ip6", &mut first.ipv6, "IPv6 address"),
        ("mac-address", &mut first.mac, "MAC address"),
    ];
    for (flag, slot, name) in addresses {
        if let Some(value) = flags.non_empty(flag) {
            if !slot.is_empty() {
                return conflict(flag, name);
            }
            *slot = value;
        }
    }
    let link_local = flags.list("link-local-ip");
    if !link_local.is_empty() {
        if !first.link_local.is_empty() {
            return conflict("link-local-ip", "link-local IP addresses");
        }
        first.link_local = link_local;
    }
    Ok(())
}

fn settings(net: &Attachment) -> EndpointSettings {
    let some = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
    let addresses = !(net.ipv4.is_empty() && net.ipv6.is_empty() && net.link_local.is_empty());
    EndpointSettings {
        ipam_config: addresses.then(|| EndpointIpamConfig {
            ipv4_address: net.ipv4.clone(),
            ipv6_address: net.ipv6.clone(),
            link_local_ips: some(&net.link_local),
        }),
        links: some(&net.links),
        aliases: some(&net.aliases),
        mac_address: net.mac.clone(),
        driver_opts: (!net.driver_opts.is_empty()).then(|| net.driver_opts.clone()),
        gw_priority: net.gw_priority,
        ..EndpointSettings::default()
    }
}

/// Whether a mode is a network that a user made.
fn is_user_defined(mode: &str) -> bool {
    !matches!(mode, "" | "default" | "bridge" | "host" | "none") && !mode.starts_with("container:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read() {
        assert_eq!(parse("host").unwrap().target, "host");
        let net = parse("name=n,alias=a,alias=b,ip=1.2.3.4,driver-opt=k=v,gw-priority=3").unwrap();
        assert_eq!((net.target.as_str(), net.aliases.len(), net.gw_priority), ("n", 2, 3));
        assert_eq!(net.driver_opts["k"], "v");
        for (text, want) in [
            ("foo=bar", "invalid field key foo"),
            ("alias=x", "network name/id is not specified"),
            ("name=x,ip", "invalid field ip"),
            ("name=x,gw-priority=y", "invalid gw-priority (y): invalid syntax"),
        ] {
            assert_eq!(parse(text).unwrap_err(), want);
        }
    }
}
