//! Networks, ports and names.

use super::Words;
use crate::format::short_id;
use brig_api::{ContainerConfig, ContainerInspectResponse, EndpointSettings};

pub(super) fn flags(words: &mut Words, container: &ContainerInspectResponse, image: &ContainerConfig) {
    let (config, host) = (&container.config, &container.host_config);
    let all = &container.network_settings.networks;
    let mode = host.network_mode.as_str();
    let mode = if mode == "default" { "bridge" } else { mode };
    // The one of the mode is first: others may come in any order.
    let first = all.get(mode).map(|endpoint| (mode, endpoint));
    let others =
        all.iter().map(|(name, endpoint)| (name.as_str(), endpoint)).filter(|(name, _)| *name != mode);
    if first.is_none() && !matches!(mode, "" | "bridge") {
        words.flag("network", mode);
    }
    for (name, endpoint) in first.into_iter().chain(others) {
        let text = network(name, endpoint, container);
        if text != "bridge" || all.len() > 1 {
            words.flag("network", text);
        }
    }
    words.each("link", host.links.iter().flatten().map(|link| named(link)));
    let bound = |port: &str| host.port_bindings.as_ref().is_some_and(|all| all.contains_key(port));
    let of_image = |port: &str| image.exposed_ports.as_ref().is_some_and(|all| all.contains_key(port));
    let exposed = config.exposed_ports.iter().flatten().map(|(port, _)| port.as_str());
    words.each("expose", exposed.filter(|port| !bound(port) && !of_image(port)).map(short));
    for (port, bindings) in host.port_bindings.iter().flatten() {
        for binding in bindings.iter().flatten() {
            let ip = match binding.host_ip.as_str() {
                ip if ip.contains(':') => format!("[{ip}]:"),
                "" => String::new(),
                ip => format!("{ip}:"),
            };
            let from = match (ip.is_empty(), binding.host_port.as_str()) {
                (true, "" | "0") => String::new(),
                (false, "" | "0") => format!("{ip}:"),
                (_, from) => format!("{ip}{from}:"),
            };
            words.flag("publish", format!("{from}{}", short(port)));
        }
    }
    words.on("publish-all", host.publish_all_ports);
    words.each("dns", host.dns.iter().flatten());
    words.each("dns-option", host.dns_options.iter().flatten());
    words.each("dns-search", host.dns_search.iter().flatten());
    words.each("add-host", host.extra_hosts.iter().flatten());
    words.flag("mac-address", config.mac_address.as_str());
}

/// `80/tcp` is `80`.
fn short(port: &str) -> &str {
    port.strip_suffix("/tcp").unwrap_or(port)
}

/// `/target:/own/alias` is `target:alias`.
fn named(link: &str) -> String {
    match link.split_once(':') {
        Some((target, alias)) if link.starts_with('/') => {
            format!("{}:{}", target.trim_start_matches('/'), alias.rsplit('/').next().unwrap_or(alias))
        }
        _ => link.to_owned(),
    }
}

/// A network as `--network` takes it.
fn network(name: &str, endpoint: &EndpointSettings, container: &ContainerInspectResponse) -> String {
    let mut fields = Vec::new();
    // The container's short id is an alias that it always has.
    let aliases = endpoint.aliases.iter().flatten().filter(|alias| alias.as_str() != short_id(&container.id));
    fields.extend(aliases.map(|alias| format!("alias={alias}")));
    if let Some(ipam) = &endpoint.ipam_config {
        for (field, address) in [("ip", &ipam.ipv4_address), ("ip6", &ipam.ipv6_address)] {
            if !address.is_empty() {
                fields.push(format!("{field}={address}"));
            }
        }
        fields.extend(ipam.link_local_ips.iter().flatten().map(|ip| format!("link-local-ip={ip}")));
    }
    fields.extend(
        endpoint.driver_opts.iter().flatten().map(|(key, value)| format!("driver-opt={key}={value}")),
    );
    if endpoint.gw_priority != 0 {
        fields.push(format!("gw-priority={}", endpoint.gw_priority));
    }
    if fields.is_empty() { name.to_owned() } else { format!("name={name},{}", fields.join(",")) }
}
