//! Removing networks.

use super::{containers, create::tell, is_default};
use crate::{
    containers::until,
    core::Core,
    engine::Engine,
    error::{Error, Result},
    filters::Filters,
    record::NETWORK_KIND,
    system::events::About,
};
use brig_api::{NetworksPruneResponse, Time};
use brig_core::{atomic::Durability, failpoint};
use brig_net::NetworkRecord;
use std::{collections::BTreeMap, sync::Arc};

impl Engine {
    /// Removes a network that no container is on.
    ///
    /// # Errors
    /// When there is none, it is always there, or a container is on it.
    pub async fn network_remove(&self, name: &str) -> Result<()> {
        let record = self.core().networks.resolve(name)?;
        self.core().blocking(move |core| remove(core, &record)).await
    }

    /// Removes all networks that users made and no container is on.
    ///
    /// # Errors
    /// When a filter is unknown.
    pub async fn networks_prune(&self, filters: &Filters) -> Result<NetworksPruneResponse> {
        filters.validate(&["label", "label!", "until"])?;
        let until = until(filters)?;
        let filters = filters.clone();
        let removed = self.core().blocking(move |core| {
            let mut removed = Vec::new();
            for record in core.networks.all() {
                let old = |until| Time::parse(&record.created).is_ok_and(|made| made.0 < until);
                let labels = Some(&record.labels);
                let chosen = !is_default(&record)
                    && filters.labels("label", labels)
                    && (!filters.contains("label!") || !filters.labels("label!", labels))
                    && until.is_none_or(old)
                    && containers(core, &record.id).is_empty();
                if !chosen {
                    continue;
                }
                match remove(core, &record) {
                    Ok(()) => removed.push(record.name.clone()),
                    // Somebody joined it, or removed it, meanwhile.
                    Err(error) => tracing::info!(network = record.name, %error, "not pruned"),
                }
            }
            Ok(removed)
        });
        let removed = removed.await?;
        let attributes = BTreeMap::from([("reclaimed".to_owned(), "0".to_owned())]);
        self.core().events.tell(About::Network, "prune", "", attributes);
        Ok(NetworksPruneResponse { networks_deleted: (!removed.is_empty()).then_some(removed) })
    }
}

fn remove(core: &Core, record: &Arc<NetworkRecord>) -> Result<()> {
    if is_default(record) {
        let words = format!("{} is a pre-defined network and cannot be removed", record.name);
        return Err(Error::Forbidden(words));
    }
    let _changing = core.networks.change();
    if core.networks.get(&record.id).is_none() {
        return Err(Error::NoSuchNetwork(record.name.clone()));
    }
    // From here on no start finds it; one that has found it already has its address.
    core.networks.remove(&record.id);
    let removed = remove_hidden(core, record);
    if removed.is_err() {
        core.networks.add(NetworkRecord::clone(record));
    }
    removed?;
    tell(core, record, "destroy");
    Ok(())
}

fn remove_hidden(core: &Core, record: &NetworkRecord) -> Result<()> {
    failpoint::hit("engine.before_network_removal")?;
    // The kernel's part first: after a crash in between the record is there, and all is made again.
    core.net.remove_network(&record.id)?;
    failpoint::hit("engine.after_network_removal")?;
    core.store.records().delete(NETWORK_KIND, &record.id.to_string(), Durability::Power)?;
    Ok(())
}
