//! Volumes: folders that outlive containers. One is `<data root>/volumes/<name>/_data` and a record.

mod archive;
mod claims;
mod fill;
mod mounted;
mod options;
mod parse;
mod plugin;
mod prune;
mod resolve;
pub(crate) mod subpath;

pub(crate) use claims::{Claim, Claims};
pub(crate) use fill::fill;
pub(crate) use mounted::{Mounted, adopt, has_mounted, mount, place, release, using, using_mount};
use plugin::Plugin;
pub(crate) use plugin::{Plugins, met as plugins_met};
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
use brig_core::{HasKind, Id, Kind, atomic::Durability};
use brig_store::Batch;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fs, io, path::PathBuf};

/// The label that an anonymous volume has.
const ANONYMOUS: &str = "com.docker.volume.anonymous";

/// The driver that brig is itself.
const LOCAL: &str = "local";

/// What brig remembers of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VolumeRecord {
    /// Its name, also its key.
    pub(crate) name: String,
    /// `local`, or the name of a plugin.
    pub(crate) driver: String,
    /// Whether it is the same on all hosts, as its plugin says; empty for one of this host.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) scope: String,
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

/// How a volume is wanted.
#[derive(Debug, Default)]
struct Wish<'a> {
    /// Its driver; empty for brig.
    driver: &'a str,
    labels: Option<BTreeMap<String, String>>,
    options: Option<BTreeMap<String, String>>,
    anonymous: bool,
}

/// Makes a volume's folder, or has its driver make it. Its record is the caller's to write: a folder without one is swept
/// at the next start.
fn prepare(core: &Core, name: &str, wish: Wish<'_>) -> Result<VolumeRecord> {
    let Wish { driver, labels, options, anonymous } = wish;
    let labels = if anonymous {
        let mut labels = labels.unwrap_or_default();
        labels.insert(ANONYMOUS.to_owned(), String::new());
        Some(labels)
    } else {
        labels
    };
    let driver = if driver.is_empty() { LOCAL } else { driver };
    let mut record = VolumeRecord {
        name: name.to_owned(),
        driver: driver.to_owned(),
        scope: String::new(),
        created: Timestamp::now(),
        labels,
        options,
    };
    if driver != LOCAL {
        let context = || format!("create {name}");
        let plugin = Plugin::find(core, driver).map_err(|e| e.context(context()))?;
        let created = plugin.create(name, record.options.as_ref());
        created.map_err(|e| Error::System(e).context(context()))?;
        record.scope = plugin.scope();
        return Ok(record);
    }
    if let Some(options) = &record.options {
        options::check(options).map_err(|e| Error::Invalid(format!("create {name}: {e}")))?;
    }
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

/// Removes a volume that was prepared, unless it has a record.
fn remove_unrecorded(core: &Core, volume: &VolumeRecord) -> Result<()> {
    if find(core, &volume.name)?.is_some() {
        return Ok(());
    }
    if volume.driver == LOCAL { remove_folder(core, &volume.name) } else { remove_from_plugin(core, volume) }
}

fn remove_from_plugin(core: &Core, volume: &VolumeRecord) -> Result<()> {
    let context = || format!("remove {}", volume.name);
    let plugin = Plugin::find(core, &volume.driver).map_err(|e| e.context(context()))?;
    plugin.remove(&volume.name).map_err(|e| Error::System(e).context(context()))
}

/// Removes a volume unless a container other than `leaving` mounts it.
pub(crate) fn remove_unused(core: &Core, name: &str, leaving: Option<&Id>) -> Result<()> {
    // A container that is being made may be about to take it over.
    let Some(_alone) = core.volume_claims.alone(name) else { return Ok(()) };
    let users = users(core, name);
    if users.iter().any(|user| Some(user) != leaving) {
        return Ok(());
    }
    remove(core, name, false)
}

/// The containers that mount a volume.
pub(crate) fn users(core: &Core, name: &str) -> Vec<Id> {
    let mounts = |handle: &crate::actor::Handle| {
        handle.snapshot().record.mounts.iter().any(|m| m.point.kind == "volume" && m.point.name == name)
    };
    core.registry.all().iter().filter(|h| mounts(h)).map(crate::actor::Handle::id).collect()
}

fn remove(core: &Core, name: &str, force: bool) -> Result<()> {
    let Some(volume) = find(core, name)? else { return Ok(()) };
    // A plugin that does not remove it keeps it; of a folder the record goes first: without one it is swept at the next
    // start.
    if volume.driver != LOCAL {
        match remove_from_plugin(core, &volume) {
            Err(error) if force => tracing::warn!(volume = name, %error, "is forgotten all the same"),
            removed => removed?,
        }
    }
    core.store.records().delete(VOLUME_KIND, name, Durability::Power)?;
    if volume.driver == LOCAL {
        remove_folder(core, name)?;
    }
    let attributes = BTreeMap::from([("driver".to_owned(), volume.driver)]);
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
        match find(core, &name) {
            Ok(Some(volume)) => mounted::sweep(core, &volume),
            Ok(None) => {
                tracing::warn!(volume = name, "a volume without a record is removed");
                remove_folder(core, &name)?;
            }
            // Kept as it is, as a container's: the other volumes are not to suffer from it.
            Err(error) if error.kind() == Kind::DataLoss => {
                tracing::error!(volume = name, %error, "the record can't be read");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn shape(core: &Core, record: VolumeRecord) -> Volume {
    // A plugin tells of its own when it is asked.
    let is_local = record.driver == LOCAL;
    let mountpoint =
        if is_local { folder(core, &record.name).to_string_lossy().into_owned() } else { String::new() };
    Volume {
        created_at: record.created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        driver: record.driver,
        labels: record.labels,
        mountpoint,
        name: record.name,
        options: record.options,
        scope: if record.scope.is_empty() { LOCAL.to_owned() } else { record.scope },
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

/// A volume with what its plugin tells of it.
fn told_by_plugin(core: &Core, record: VolumeRecord) -> Result<Volume> {
    let (name, driver) = (record.name.clone(), record.driver.clone());
    let mut volume = shape(core, record);
    let told = Plugin::find(core, &driver).and_then(|plugin| plugin.get(&name).map_err(Error::System));
    let told = told.map_err(|e| e.context(format!("get {name}")))?;
    volume.mountpoint = told.mountpoint;
    volume.status = told.status;
    if !told.created_at.is_empty() {
        volume.created_at = told.created_at;
    }
    Ok(volume)
}

/// All volumes: those that brig knows, then those that plugins have besides; and which plugins don't tell.
fn all_of_all_drivers(core: &Core) -> Result<(Vec<Volume>, Vec<String>)> {
    let (mut volumes, mut warnings) = (all(core)?, Vec::new());
    let mut drivers = plugins_met(core);
    drivers.extend(volumes.iter().map(|v| v.driver.clone()).filter(|driver| driver != LOCAL));
    for driver in drivers {
        match Plugin::find_soon(core, &driver).map_err(|e| e.to_string()).and_then(|plugin| plugin.list()) {
            Err(error) => warnings.push(format!("error listing volumes of driver {driver}: {error}")),
            Ok(told) => {
                for told in told {
                    match volumes.iter_mut().find(|known| known.name == told.name) {
                        Some(known) if known.driver == driver => known.mountpoint = told.mountpoint,
                        Some(_) => {}
                        None => volumes.push(Volume {
                            name: told.name,
                            driver: driver.clone(),
                            mountpoint: told.mountpoint,
                            created_at: told.created_at,
                            scope: LOCAL.to_owned(),
                            ..Volume::default()
                        }),
                    }
                }
            }
        }
    }
    Ok((volumes, warnings))
}

impl Engine {
    /// The volumes that pass.
    ///
    /// # Errors
    /// When a filter is unknown.
    pub async fn volume_list(&self, filters: &Filters) -> Result<VolumeListResponse> {
        filters.validate(&["dangling", "driver", "label", "name"])?;
        let dangling = filters.flag("dangling")?;
        let (mut volumes, warnings) = self.core().blocking(|core| all_of_all_drivers(core)).await?;
        let core = self.core();
        volumes.retain(|volume| {
            filters.matches("name", &volume.name)
                && filters.exact("driver", &volume.driver)
                && filters.labels("label", volume.labels.as_ref())
                && dangling.is_none_or(|wanted| wanted == users(core, &volume.name).is_empty())
        });
        Ok(VolumeListResponse { volumes, warnings: (!warnings.is_empty()).then_some(warnings) })
    }

    /// Everything about a volume.
    ///
    /// # Errors
    /// When there is no such volume.
    pub async fn volume_inspect(&self, name: &str) -> Result<Volume> {
        let record = find(self.core(), name)?.ok_or_else(|| Error::NoSuchVolume(name.to_owned()))?;
        if record.driver == LOCAL {
            return Ok(shape(self.core(), record));
        }
        self.core().blocking(move |core| told_by_plugin(core, record)).await
    }

    /// Makes a volume, or answers the one of that name.
    ///
    /// # Errors
    /// When the driver is not `local` or the name is none.
    pub async fn volume_create(&self, request: VolumeCreateRequest) -> Result<Volume> {
        let anonymous = request.name.is_empty();
        let name = if anonymous { Id::random().to_string() } else { request.name };
        let refused = |e: String| Error::Invalid(format!("create {name}: {e}"));
        parse::volume_name(&name).map_err(refused)?;
        let options = request.driver_opts.filter(|options| !options.is_empty());
        self.core()
            .blocking(move |core| {
                let there = || match find(core, &name)? {
                    Some(record) if !request.driver.is_empty() && record.driver != request.driver => {
                        let words = format!("create {name}: conflict: volume name must be unique");
                        Err(Error::Conflict(words))
                    }
                    found => Ok(found.map(|record| shape(core, record))),
                };
                if let Some(volume) = there()? {
                    return Ok(volume);
                }
                let _alone = core.volume_claims.alone_at_last(&name);
                if let Some(volume) = there()? {
                    return Ok(volume);
                }
                let wish = Wish { driver: &request.driver, labels: request.labels, options, anonymous };
                let made = [prepare(core, &name, wish)?];
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
                    users if users.is_empty() => remove(core, &name, force),
                    users => in_use(users),
                }
            })
            .await
    }
}
