//! `POST /volumes/prune`.

use super::{ANONYMOUS, VolumeRecord};
use crate::{
    core::Core, engine::Engine, error::Result, filters::Filters, record::VOLUME_KIND, system::events::About,
};
use brig_api::VolumesPruneResponse;
use std::sync::Arc;

impl Engine {
    /// Removes the volumes that no container has: anonymous ones, or with `all` every one.
    ///
    /// # Errors
    /// When a filter is unknown.
    pub async fn volumes_prune(&self, filters: &Filters) -> Result<VolumesPruneResponse> {
        filters.validate(&["all", "label", "label!"])?;
        let all = filters.flag("all")?.unwrap_or(false);
        let filters = filters.clone();
        self.core().blocking(move |core| prune(core, &filters, all)).await
    }
}

fn prune(core: &Arc<Core>, filters: &Filters, all: bool) -> Result<VolumesPruneResponse> {
    let mut deleted = Vec::new();
    let mut reclaimed: u64 = 0;
    for (key, record) in core.store.records().list::<VolumeRecord>(VOLUME_KIND)? {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                tracing::error!(volume = key, %error, "the record can't be read: not pruned");
                continue;
            }
        };
        let labels = record.labels.as_ref();
        let passes = record.driver == super::LOCAL
            && (all || labels.is_some_and(|labels| labels.contains_key(ANONYMOUS)))
            && filters.labels("label", labels)
            && (!filters.contains("label!") || !filters.labels("label!", labels));
        if !passes {
            continue;
        }
        // Nobody may come to use it between the look and the removal.
        let Some(_alone) = core.volume_claims.alone(&record.name) else { continue };
        if !super::users(core, &record.name).is_empty() {
            continue;
        }
        let bytes = super::size(core, &record.name).unwrap_or(0);
        match super::remove(core, &record.name, false) {
            Ok(()) => {
                deleted.push(record.name);
                reclaimed = reclaimed.saturating_add(bytes);
            }
            Err(error) => tracing::warn!(volume = record.name, %error, "could not be pruned"),
        }
    }
    core.tell_pruned(About::Volume, reclaimed);
    Ok(VolumesPruneResponse {
        volumes_deleted: (!deleted.is_empty()).then_some(deleted),
        space_reclaimed: reclaimed,
    })
}
