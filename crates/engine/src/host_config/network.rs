//! Names, ports and what excludes what on a network.

use super::{ConfigError, Machine};
use brig_api::{ContainerConfig, HostConfig};
use std::net::IpAddr;

fn is_empty<T>(list: &Option<Vec<T>>) -> bool {
    list.as_ref().is_none_or(Vec::is_empty)
}

/// Options that exclude each other. Docker tells these when it reads the request.
pub(super) fn check_conflicts(config: &ContainerConfig, host: &HostConfig) -> Result<(), ConfigError> {
    let mode = host.network_mode.as_str();
    let (of_host, of_container) = (mode == "host", mode == "container" || mode.starts_with("container:"));
    if of_container && mode.strip_prefix("container:").is_none_or(str::is_empty) {
        return Err(ConfigError::new("invalid network mode: invalid container format container:<name|id>"));
    }
    let ports = host.port_bindings.as_ref().is_some_and(|ports| !ports.is_empty());
    let exposed = config.exposed_ports.as_ref().is_some_and(|ports| !ports.is_empty());
    let refused = [
        (of_container && !config.hostname.is_empty(), "conflicting options: hostname and the network mode"),
        (
            of_container && !is_empty(&host.links),
            "conflicting options: container type network can't be used with links. This would result in undefined \
             behavior",
        ),
        (of_container && !is_empty(&host.dns), "conflicting options: dns and the network mode"),
        (
            of_container && !is_empty(&host.extra_hosts),
            "conflicting options: custom host-to-IP mapping and the network mode",
        ),
        (
            (of_container || of_host) && !config.mac_address.is_empty(),
            "conflicting options: mac-address and the network mode",
        ),
        (
            of_container && (ports || host.publish_all_ports),
            "conflicting options: port publishing and the container type network mode",
        ),
        (of_container && exposed, "conflicting options: port exposing and the container type network mode"),
        (
            host.uts_mode == "host" && !config.hostname.is_empty(),
            "conflicting options: hostname and the UTS mode",
        ),
        (
            of_host && !is_empty(&host.links),
            "conflicting options: host type networking can't be used with links. This would result in undefined \
             behavior",
        ),
    ];
    match refused.into_iter().find(|(refused, _)| *refused) {
        Some((_, words)) => Err(ConfigError::new(words)),
        None => Ok(()),
    }
}

/// Name and address of an extra host: "name:ip" or "name=ip", where an IPv6 address, which has colons itself, may be in
/// brackets.
pub(crate) fn extra_host(line: &str) -> Option<(&str, &str)> {
    let (name, address) = line.split_once('=').or_else(|| line.split_once(':'))?;
    let bare = address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    Some((name, bare.unwrap_or(address))).filter(|(name, _)| !name.is_empty())
}

/// What gets a line of its own in the container's `hosts`, `hostname` or `resolv.conf` has no other line in it. Docker
/// lets such texts through; what it says of malformed ones is said here.
fn check_lines(config: &ContainerConfig, host: &HostConfig) -> Result<(), ConfigError> {
    let broken = |text: &&String| text.chars().any(char::is_control);
    let mut names = [&config.hostname, &config.domainname].into_iter();
    if let Some(name) = names.find(broken) {
        return Err(ConfigError::new(format!("invalid hostname format: {name:?}")));
    }
    if let Some(domain) = host.dns_search.iter().flatten().find(broken) {
        return Err(ConfigError::new(format!("{domain:?} is not a valid domain")));
    }
    if let Some(option) = host.dns_options.iter().flatten().find(broken) {
        return Err(ConfigError::new(format!("invalid DNS option: {option:?}")));
    }
    match host.extra_hosts.iter().flatten().find(broken) {
        Some(line) => Err(ConfigError::new(format!("bad format for add-host: {line:?}"))),
        None => Ok(()),
    }
}

/// `--hostname`, `--add-host`, `--dns` and the like.
pub(super) fn check_names(config: &ContainerConfig, host: &HostConfig) -> Result<(), ConfigError> {
    check_lines(config, host)?;
    for line in host.extra_hosts.iter().flatten() {
        let Some((_, address)) = extra_host(line) else {
            return Err(ConfigError::new(format!("bad format for add-host: {line:?}")));
        };
        if address != "host-gateway" && address.parse::<IpAddr>().is_err() {
            return Err(ConfigError::new(format!("invalid IP address in add-host: {address:?}")));
        }
    }
    for address in host.dns.iter().flatten() {
        if address.parse::<IpAddr>().is_err() {
            return Err(ConfigError::new(format!("bad nameserver address: invalid IP address: {address}")));
        }
    }
    Ok(())
}

/// Exposed and published ports.
pub(super) fn check_ports(config: &ContainerConfig, host: &HostConfig) -> Result<(), ConfigError> {
    let invalid = |text: &str| ConfigError::new(format!("invalid port specification: {text:?}"));
    for port in config.exposed_ports.iter().flatten().map(|(port, _)| port) {
        let (number, protocol) = split_protocol(port);
        if range(number).is_none() || !is_protocol(protocol) {
            return Err(invalid(port));
        }
    }
    for (port, bindings) in host.port_bindings.iter().flatten() {
        let (number, protocol) = split_protocol(port);
        if number.parse::<u16>().is_err() || !is_protocol(protocol) {
            return Err(invalid(number));
        }
        for binding in bindings.iter().flatten() {
            let (number, _) = split_protocol(&binding.host_port);
            if !number.is_empty() && range(number).is_none() {
                return Err(invalid(&binding.host_port));
            }
            if !binding.host_ip.is_empty() && binding.host_ip.parse::<IpAddr>().is_err() {
                return Err(ConfigError::new(format!("invalid IP address: {}", binding.host_ip)));
            }
        }
    }
    Ok(())
}

fn split_protocol(port: &str) -> (&str, &str) {
    port.split_once('/').unwrap_or((port, "tcp"))
}

fn is_protocol(protocol: &str) -> bool {
    ["tcp", "udp", "sctp"].iter().any(|known| protocol.eq_ignore_ascii_case(known))
}

/// A port, or a range of them.
fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

pub(super) fn warn(host: &HostConfig, machine: &Machine, warnings: &mut Vec<String>) {
    let mode = host.network_mode.as_str();
    if !machine.ipv4_forwarding && !matches!(mode, "host" | "none") {
        warnings.push("IPv4 forwarding is disabled. Networking will not work.".to_owned());
    }
    if mode == "host" && host.port_bindings.as_ref().is_some_and(|ports| !ports.is_empty()) {
        warnings.push("Published ports are discarded when using host network mode".to_owned());
    }
}
