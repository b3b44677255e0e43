//! Networks: those that are always there and those that users make, by name and id.

mod connect;
mod create;
mod ipam;
mod remove;
mod shape;

pub(crate) use connect::check_endpoint;

use crate::{
    engine::Engine,
    error::{Error, Result},
    filters::Filters,
    record::NETWORK_KIND,
};
use brig_api::{Network, Time};
use brig_core::{Id, atomic::Durability};
use brig_net::{Net, NetworkRecord};
use brig_store::Store;
use jiff::Timestamp;
use shape::{containers, shape};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

const KNOWN_FILTERS: [&str; 7] = ["dangling", "driver", "id", "label", "name", "scope", "type"];

/// The networks of the daemon.
#[derive(Debug, Default)]
pub(crate) struct Networks {
    records: RwLock<Vec<Arc<NetworkRecord>>>,
    /// Held while one is made or removed, so that names and subnets are looked at and taken in one step.
    changing: Mutex<()>,
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
        Ok(Self { records: RwLock::new(records), changing: Mutex::new(()) })
    }

    /// Keeps others from making or removing networks.
    fn change(&self) -> MutexGuard<'_, ()> {
        // It guards nothing that a panic could leave half changed.
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, record: NetworkRecord) {
        self.records.write().unwrap_or_else(PoisonError::into_inner).push(Arc::new(record));
    }

    fn remove(&self, id: &Id) {
        self.records.write().unwrap_or_else(PoisonError::into_inner).retain(|n| n.id != *id);
    }

    /// All networks.
    pub(crate) fn all(&self) -> Vec<Arc<NetworkRecord>> {
        self.records.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The network that has this id, else this name.
    pub(crate) fn exact(&self, name: &str) -> Option<Arc<NetworkRecord>> {
        let all = self.all();
        let found = all.iter().find(|n| n.id.to_string() == name);
        found.or_else(|| all.iter().find(|n| n.name == name)).cloned()
    }

    /// The network that `name` means: an id, else a name, else a prefix of one id.
    pub(crate) fn resolve(&self, name: &str) -> Result<Arc<NetworkRecord>> {
        if let Some(found) = self.exact(name) {
            return Ok(found);
        }
        let all = self.all();
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

/// Whether a user has made a network, in which containers have names and choose addresses.
pub(crate) fn is_user_defined(record: &NetworkRecord) -> bool {
    !is_default(record)
}

fn is_default(record: &NetworkRecord) -> bool {
    matches!(record.name.as_str(), "bridge" | "host" | "none")
}
