//! The engine and its machine: info, version, disk usage, events.

pub(crate) mod events;
mod info;

use crate::{
    containers,
    engine::Engine,
    error::Result,
    images,
    options::{DfOptions, EventsOptions},
    streams::EventStream,
    volumes,
};
use brig_api::{SystemDf, SystemInfo, SystemVersion, VolumeUsageData};

impl Engine {
    /// The engine and its machine.
    ///
    /// # Errors
    /// When the records can't be read.
    pub async fn system_info(&self) -> Result<SystemInfo> {
        self.core().blocking(|core| info::info(core)).await
    }

    /// What answers, and its versions.
    #[must_use]
    pub fn system_version(&self) -> SystemVersion {
        info::version(self.config())
    }

    /// What takes space on the disk.
    ///
    /// # Errors
    /// When the records can't be read.
    pub async fn system_df(&self, options: DfOptions) -> Result<SystemDf> {
        self.core()
            .blocking(move |core| {
                let handles = core.registry.all();
                let mut df = SystemDf::default();
                let whole = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
                if options.build_cache {
                    df.build_cache = Some(Vec::new());
                }
                if options.images {
                    let all = core.store.image_list()?;
                    let sharing = core.store.image_sharing()?;
                    df.layers_size = whole(sharing.total);
                    let count = |id| handles.iter().filter(|h| h.snapshot().record.image == Some(id)).count();
                    let shown = all.iter().map(|image| {
                        let mut shown = images::summary(image);
                        shown.containers = i64::try_from(count(image.id)).unwrap_or(i64::MAX);
                        shown.shared_size = sharing.shared.get(&image.id).copied().map_or(0, whole);
                        shown
                    });
                    df.images = Some(shown.collect());
                }
                if options.containers {
                    let mut list = Vec::with_capacity(handles.len());
                    for handle in &handles {
                        let snapshot = handle.snapshot();
                        let mut shown = containers::summary(core, &snapshot);
                        // One that is being removed has no size any more.
                        let sizes = containers::sizes(core, &snapshot.record).unwrap_or_default();
                        (shown.size_rw, shown.size_root_fs) = sizes;
                        list.push(shown);
                    }
                    df.containers = Some(list);
                }
                if options.volumes {
                    let mut list = volumes::all(core)?;
                    // As in Docker: what is mounted for the others is elsewhere, and may be large and slow.
                    list.retain(|volume| {
                        volume.driver == "local" && volume.options.as_ref().is_none_or(|o| o.is_empty())
                    });
                    for volume in &mut list {
                        let users = volumes::users(core, &volume.name).len();
                        // One that goes away meanwhile is not counted.
                        let size = volumes::size(core, &volume.name).map_or(-1, whole);
                        volume.usage_data =
                            Some(VolumeUsageData { ref_count: i64::try_from(users).unwrap_or(-1), size });
                    }
                    df.volumes = Some(list);
                }
                Ok(df)
            })
            .await
    }

    /// Events, remembered ones first.
    ///
    /// # Errors
    /// When a filter is unknown.
    pub async fn events(&self, options: EventsOptions) -> Result<EventStream> {
        self.core().events.listen(options)
    }
}
