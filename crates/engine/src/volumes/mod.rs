//! Volumes: folders that outlive containers. One is `<data root>/volumes/<name>/_data` and a record.

mod archive;
mod claims;
mod fill;
mod mounted;
mod options;
mod parse;
mod prune;
mod resolve;
pub(crate) mod subpath;

pub(crate) use claims::{Claim, Claims};
pub(crate) use fill::fill;
pub(crate) use mounted::{Mounted, adopt, has_mounted, mount, release, using, using_mount};
pub(crate) use resolve::{no_source, resolve, take_back};

use crate::{
    core::Core,
    engine::Engine,
    error::{Error, Result},
    filters::Filters,
    record::VOLUME_KIND,
    system::events::About,
};
use brig_api::{Volume, VolumeCreateRequest, VolumeListResponse};
use brig_core::{Id, atomic::Durability};
use brig_store::Batch;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fs, io, path::PathBuf};

/// The label that an anonymous volume has.
const ANONYMOUS: &str = "com.docker.volume.anonymous";

/// What brig remembers of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VolumeRecord {
    /// Its name, also its key.
    pub(crate) name: String,
    /// `local`.
    pub(crate) driver: String,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// Its labels.
    pub(crate) labels: Option<BTreeMap<String, String>>,
    /// The driver's options.
    pub(crate) options: Option<BTreeMap<String, String>>,
}

/// A volume's content.
pub(crate) fn folder(core: &Core, name: &str) -> PathBuf {
    core.config.paths.volumes().join(name).join("_data")
}

/// The volume of that name.
fn find(core: &Core, name: &str) -> Result<Option<VolumeRecord>> {
    Ok(core.store.records().get::<VolumeRecord>(VOLUME_KIND, name)?)
}

/// Makes a volume's folder. Its record is the caller's to write: a folder without one is swept at the next start.
fn prepare(
    core: &Core,
    name: &str,
    labels: Option<BTreeMap<String, String>>,
    options: Option<BTreeMap<String, String>>,
    anonymous: bool,
) -> Result<VolumeRecord> {
    let labels = if anonymous {
        let mut labels = labels.unwrap_or_default();
        labels.insert(ANONYMOUS.to_owned(), String::new());
        Some(labels)
    } else {
        labels
    };
    let record = VolumeRecord {
        name: name.to_owned(),
        driver: "local".to_owned(),
        created: Timestamp::now(),
        labels,
        options,
    };
    let folder = folder(core, name);
    fs::create_dir_all(&folder).map_err(|e| Error::file("make folder", &folder, e))?;
    Ok(record)
}

/// Adds new volumes to what is written with their container.
pub(crate) fn record(batch: &mut Batch, made: &[VolumeRecord]) -> Result<()> {
    for volume in made {
        batch.put(VOLUME_KIND, &volume.name, volume)?;
    }
    Ok(())
}

/// Tells of new volumes.
pub(crate) fn tell_made(core: &Core, made: &[VolumeRecord]) {
    for volume in made {
        let attributes = BTreeMap::from([("driver".to_owned(), volume.driver.clone())]);
        core.events.tell(About::Volume, "create", volume.name.as_str(), attributes);
    }
}

/// Removes a volume's folder, unless it has a record.
fn remove_unrecorded(core: &Core, name: &str) -> Result<()> {
    if find(core, name)?.is_some() { Ok(()) } else { remove_folder(core, name) }
}

/// Removes a volume unless a container other than `leaving` mounts it.
pub(crate) fn remove_unused(core: &Core, name: &str, leaving: Option<&Id>) -> Result<()> {
    // A container that is being made may be about to take it over.
    let Some(_alone) = core.volume_claims.alone(name) else { return Ok(()) };
    let users = users(core, name);
    if users.iter().any(|user| Some(user) != leaving) {
        return Ok(());
    }
    remove(core, name)
}

/// The containers that mount a volume.
pub(crate) fn users(core: &Core, name: &str) -> Vec<Id> {
    let mounts = |handle: &crate::actor::Handle| {
        handle.snapshot().record.mounts.iter().any(|m| m.point.kind == "volume" && m.point.name == name)
    };
    core.registry.all().iter().filter(|h| mounts(h)).map(crate::actor::Handle::id).collect()
}

fn remove(core: &Core, name: &str) -> Result<()> {
    // The record first: a folder without a record is swept at the next start.
    core.store.records().delete(VOLUME_KIND, name, Durability::Power)?;
    remove_folder(core, name)?;
    let attributes = BTreeMap::from([("driver".to_owned(), "local".to_owned())]);
    core.events.tell(About::Volume, "destroy", name, attributes);
    Ok(())
}

/// Bytes of a volume that is a folder of its own.
pub(crate) fn size(core: &Core, name: &str) -> Result<u64> {
    let folder = folder(core, name);
    Ok(brig_store::usage(&folder).map_err(|e| Error::file("count", folder, e))?.bytes)
}

/// Removes a volume's folder; what is mounted there is not the volume's to remove.
fn remove_folder(core: &Core, name: &str) -> Result<()> {
    let dir = core.config.paths.volumes().join(name);
    let content = dir.join("_data");
    options::unmount(&content).map_err(|e| Error::file("unmount", content, e))?;
    brig_store::remove_path(&dir).map_err(|e| Error::file("remove folder", dir, e))
}

/// Removes folders of volumes without a record, which a crash left.
pub(crate) fn sweep(core: &Core) -> Result<()> {
    let dir = core.config.paths.volumes();
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::file("read folder", dir, e)),
    };
    for entry in entries {
        let entry = entry.map_err(|e| Error::file("read folder", &dir, e))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        match find(core, &name)? {
            Some(volume) => mounted::sweep(core, &volume),
            None => {
                tracing::warn!(volume = name, "a volume without a record is removed");
                remove_folder(core, &name)?;
            }
        }
    }
    Ok(())
}

fn shape(core: &Core, record: VolumeRecord) -> Volume {
    Volume {
        created_at: record.created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        driver: record.driver,
        labels: record.labels,
        mountpoint: folder(core, &record.name).to_string_lossy().into_owned(),
        name: record.name,
        options: record.options,
        scope: "local".to_owned(),
        status: None,
        usage_data: None,
    }
}

/// All volumes, by name.
pub(crate) fn all(core: &Core) -> Result<Vec<Volume>> {
    let mut list = Vec::new();
    for (key, record) in core.store.records().list::<VolumeRecord>(VOLUME_KIND)? {
        match record {
            Ok(record) => list.push(shape(core, record)),
            Err(error) => tracing::error!(volume = key, %error, "the record can't be read"),
        }
    }
    Ok(list)
}

impl Engine {
    /// The volumes that pass.
    ///
    /// # Errors
    /// When a filter is unknown.
    pub async fn volume_list(&self, filters: &Filters) -> Result<VolumeListResponse> {
        filters.validate(&["dangling", "driver", "label", "name"])?;
        let dangling = filters.flag("dangling")?;
        let core = self.core();
        let mut volumes = all(core)?;
        volumes.retain(|volume| {
            filters.matches("name", &volume.name)
                && filters.exact("driver", &volume.driver)
                && filters.labels("label", volume.labels.as_ref())
                && dangling.is_none_or(|wanted| wanted == users(core, &volume.name).is_empty())
        });
        Ok(VolumeListResponse { volumes, warnings: None })
    }

    /// Everything about a volume.
    ///
    /// # Errors
    /// When there is no such volume.
    pub async fn volume_inspect(&self, name: &str) -> Result<Volume> {
        let core = self.core();
        match core.store.records().get::<VolumeRecord>(VOLUME_KIND, name)? {
            Some(record) => Ok(shape(core, record)),
            None => Err(Error::NoSuchVolume(name.to_owned())),
        }
    }

    /// Makes a volume, or answers the one of that name.
    ///
    /// # Errors
    /// When the driver is not `local` or the name is none.
    pub async fn volume_create(&self, request: VolumeCreateRequest) -> Result<Volume> {
        if !matches!(request.driver.as_str(), "" | "local") {
            let VolumeCreateRequest { name, driver, .. } = request;
            return Err(Error::NoSuchPlugin(format!(
                "create {name}: error looking up volume plugin {driver}: plugin {driver:?} not found"
            )));
        }
        let anonymous = request.name.is_empty();
        let name = if anonymous { Id::random().to_string() } else { request.name };
        let refused = |e: String| Error::Invalid(format!("create {name}: {e}"));
        parse::volume_name(&name).map_err(refused)?;
        let options = request.driver_opts.filter(|options| !options.is_empty());
        options.as_ref().map_or(Ok(()), options::check).map_err(refused)?;
        self.core()
            .blocking(move |core| {
                if let Some(record) = find(core, &name)? {
                    return Ok(shape(core, record));
                }
                let _alone = core.volume_claims.alone_at_last(&name);
                if let Some(record) = find(core, &name)? {
                    return Ok(shape(core, record));
                }
                let made = [prepare(core, &name, request.labels, options, anonymous)?];
                let mut batch = Batch::new();
                record(&mut batch, &made)?;
                core.store.records().batch(batch, Durability::Power)?;
                tell_made(core, &made);
                let [volume] = made;
                Ok(shape(core, volume))
            })
            .await
    }

    /// Removes a volume.
    ///
    /// # Errors
    /// When there is no such volume, or a container uses it.
    pub async fn volume_remove(&self, name: &str, force: bool) -> Result<()> {
        let name = name.to_owned();
        self.core()
            .blocking(move |core| {
                if find(core, &name)?.is_none() {
                    return if force { Ok(()) } else { Err(Error::NoSuchVolume(name)) };
                }
                let in_use = |users: Vec<Id>| {
                    let ids: Vec<String> = users.iter().map(ToString::to_string).collect();
                    Err(Error::Conflict(format!("remove {name}: volume is in use - [{}]", ids.join(", "))))
                };
                // Nobody may come to use it between the look and the removal.
                let Some(_alone) = core.volume_claims.alone(&name) else { return in_use(Vec::new()) };
                match users(core, &name) {
                    users if users.is_empty() => remove(core, &name),
                    users => in_use(users),
                }
            })
            .await
    }
}
