//! Networks: those that are always there, by name and id; as the API sees them.

use crate::{
    core::Core,
    engine::Engine,
    error::{Error, Result},
    filters::Filters,
    record::NETWORK_KIND,
};
use brig_api::{ConfigReference, Ipam, IpamConfig, Network, NetworkContainer, Time};
use brig_core::{Id, atomic::Durability};
use brig_net::{Driver, Net, NetworkRecord};
use brig_store::Store;
use jiff::Timestamp;
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

const KNOWN_FILTERS: [&str; 7] = ["dangling", "driver", "id", "label", "name", "scope", "type"];

/// The networks of the daemon.
#[derive(Debug, Default)]
pub(crate) struct Networks {
    records: RwLock<Vec<Arc<NetworkRecord>>>,
}

impl Networks {
    /// Reads the stored networks, and makes those that are always there.
    pub(crate) fn open(store: &Store, net: &Net) -> Result<Self> {
        let mut stored = Vec::new();
        for (key, record) in store.records().list::<NetworkRecord>(NETWORK_KIND)? {
            match record {
                Ok(record) => stored.push(record),
                Err(error) => tracing::error!(network = key, %error, "the record can't be read"),
            }
        }
        let mut defaults = net.default_networks(&stored)?;
        for record in &mut defaults {
            if record.created.is_empty() {
                record.created = Time(Timestamp::now()).to_string();
            }
        }
        for record in &defaults {
            if !stored.contains(record) {
                store.records().put(NETWORK_KIND, &record.id.to_string(), record, Durability::Process)?;
            }
        }
        let own: Vec<NetworkRecord> = stored
            .into_iter()
            .filter(|s| defaults.iter().all(|d| d.id != s.id && d.name != s.name))
            .collect();
        let records = defaults.into_iter().chain(own).map(Arc::new).collect();
        Ok(Self { records: RwLock::new(records) })
    }

    /// All networks.
    pub(crate) fn all(&self) -> Vec<Arc<NetworkRecord>> {
        self.records.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The network that `name` means: an id, else a name, else a prefix of one id.
    pub(crate) fn resolve(&self, name: &str) -> Result<Arc<NetworkRecord>> {
        let all = self.all();
        let exact = |n: &&Arc<NetworkRecord>| n.id.to_string() == name;
        if let Some(found) = all.iter().find(exact).or_else(|| all.iter().find(|n| n.name == name)) {
            return Ok(found.clone());
        }
        let mut fits = all.iter().filter(|n| !name.is_empty() && n.id.to_string().starts_with(name));
        match (fits.next(), fits.next()) {
            (Some(found), None) => Ok(found.clone()),
            (Some(_), Some(_)) => {
                Err(Error::Invalid(format!("network {name} is ambiguous (2 matches found on name)")))
            }
            (None, _) => Err(Error::NoSuchNetwork(name.to_owned())),
        }
    }

    /// The network with this id.
    pub(crate) fn get(&self, id: &Id) -> Option<Arc<NetworkRecord>> {
        self.all().into_iter().find(|n| n.id == *id)
    }
}

impl Engine {
    /// The networks that pass.
    ///
    /// # Errors
    /// When a filter is unknown.
    pub async fn network_list(&self, filters: &Filters) -> Result<Vec<Network>> {
        filters.validate(&KNOWN_FILTERS)?;
        let dangling = filters.flag("dangling").map_err(|_| {
            let yes_or_no = r#"must be "true" (or "1"), or "false" (or "0")"#;
            Error::Invalid(format!("invalid value for filter 'dangling', {yes_or_no}"))
        })?;
        if let Some(kind) = filters.get("type").find(|kind| !matches!(*kind, "builtin" | "custom")) {
            return Err(Error::Invalid(format!("invalid filter: 'type'='{kind}'")));
        }
        let core = self.core();
        let in_use = |id: &Id| !containers(core, id).is_empty();
        let mut list = Vec::new();
        for record in core.networks.all() {
            let kind = if is_default(&record) { "builtin" } else { "custom" };
            let passes = filters.matches("name", &record.name)
                && filters.matches("id", &record.id.to_string())
                && filters.exact("driver", record.driver.name())
                && filters.exact("scope", "local")
                && filters.exact("type", kind)
                && filters.labels("label", Some(&record.labels))
                && dangling.is_none_or(|wanted| wanted == (!is_default(&record) && !in_use(&record.id)));
            if passes {
                list.push(shape(&record, BTreeMap::new()));
            }
        }
        Ok(list)
    }

    /// Everything about a network.
    ///
    /// # Errors
    /// When there is no such network.
    pub async fn network_inspect(&self, name: &str) -> Result<Network> {
        let record = self.core().networks.resolve(name)?;
        Ok(shape(&record, containers(self.core(), &record.id)))
    }
}

fn is_default(record: &NetworkRecord) -> bool {
    matches!(record.name.as_str(), "bridge" | "host" | "none")
}

/// The running containers on a network, by id.
fn containers(core: &Core, network: &Id) -> BTreeMap<String, NetworkContainer> {
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
                mac_address: endpoint.mac.to_string(),
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

fn shape(record: &NetworkRecord, containers: BTreeMap<String, NetworkContainer>) -> Network {
    let config = record.pools.iter().map(|pool| IpamConfig {
        subnet: pool.subnet.to_string(),
        ip_range: pool.range.map(|r| r.to_string()).unwrap_or_default(),
        gateway: pool.gateway.to_string(),
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
            options: None,
            config: (record.driver == Driver::Bridge).then_some(config),
        },
        internal: record.internal,
        attachable: false,
        ingress: false,
        config_from: ConfigReference::default(),
        config_only: false,
        containers,
        options: options(record),
        labels: record.labels.clone(),
        peers: None,
    }
}
