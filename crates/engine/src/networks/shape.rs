//! Networks as the API shows them.

use crate::core::Core;
use brig_api::{ConfigReference, Ipam, IpamConfig, Network, NetworkContainer, Time};
use brig_core::Id;
use brig_net::NetworkRecord;
use std::collections::BTreeMap;

/// The running containers on a network, by id.
pub(super) fn containers(core: &Core, network: &Id) -> BTreeMap<String, NetworkContainer> {
    let mut out = BTreeMap::new();
    for handle in core.registry.all() {
        let snapshot = handle.snapshot();
        let Some(sandbox) = snapshot.sandbox.as_ref().filter(|s| s.owner == snapshot.record.id) else {
            continue;
        };
        for endpoint in sandbox.endpoints.values().filter(|e| e.network == *network) {
            let shown = NetworkContainer {
                name: snapshot.record.name.clone(),
                endpoint_id: endpoint.id.to_string(),
                mac_address: endpoint.mac.shown(),
                ipv4_address: endpoint.ipv4.map(|ip| ip.to_string()).unwrap_or_default(),
                ipv6_address: endpoint.ipv6.map(|ip| ip.to_string()).unwrap_or_default(),
            };
            out.insert(snapshot.record.id.to_string(), shown);
        }
    }
    out
}

/// The driver's options; those of the default bridge are told in full, as Docker does.
fn options(record: &NetworkRecord) -> BTreeMap<String, String> {
    let mut options = record.options.clone();
    if record.name == "bridge" {
        let prefix = "com.docker.network";
        for (name, value) in [
            ("bridge.default_bridge", "true".to_owned()),
            ("bridge.enable_icc", record.icc.to_string()),
            ("bridge.enable_ip_masquerade", record.masquerade.to_string()),
            ("bridge.host_binding_ipv4", "0.0.0.0".to_owned()),
            ("bridge.name", record.bridge.clone()),
            ("driver.mtu", record.mtu.unwrap_or(1500).to_string()),
        ] {
            options.entry(format!("{prefix}.{name}")).or_insert(value);
        }
    }
    options
}

/// A network with its containers.
pub(super) fn shape(record: &NetworkRecord, containers: BTreeMap<String, NetworkContainer>) -> Network {
    let config = record.pools.iter().map(|pool| IpamConfig {
        subnet: pool.subnet.to_string(),
        ip_range: pool.range.map(|r| r.to_string()).unwrap_or_default(),
        gateway: pool.gateway.map(|ip| ip.to_string()).unwrap_or_default(),
        auxiliary_addresses: (!pool.reserved.is_empty())
            .then(|| pool.reserved.iter().map(|(name, ip)| (name.clone(), ip.to_string())).collect()),
    });
    let config: Vec<IpamConfig> = config.collect();
    Network {
        name: record.name.clone(),
        id: record.id.to_string(),
        created: Time::parse(&record.created).unwrap_or_default(),
        scope: "local".to_owned(),
        driver: record.driver.name().to_owned(),
        enable_ipv4: true,
        enable_ipv6: record.ipv6,
        ipam: Ipam {
            driver: "default".to_owned(),
            options: record.ipam_options.clone(),
            config: record.driver.has_endpoints().then_some(config),
        },
        internal: record.internal,
        attachable: record.attachable,
        ingress: false,
        config_from: ConfigReference::default(),
        config_only: false,
        containers,
        options: options(record),
        labels: record.labels.clone(),
        peers: None,
    }
}
