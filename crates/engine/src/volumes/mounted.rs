//! Volumes that are mounted on the host while somebody uses them, as Docker does: all who use one see the same.
//!
//! The mounts are the kernel's and outlive the daemon. Who uses them follows from the containers' records and their
//! shims, so that nothing of it is written down: the next daemon registers the containers that it takes over, and
//! unmounts what none of them uses.

use super::{
    LOCAL, VolumeRecord,
    options::{self, Backing, is_mounted},
    plugin::Plugin,
};
use crate::{
    core::Core,
    error::{Error, Result},
    record::{ContainerRecord, MountRecord},
};
use brig_core::Id;
use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Who uses which mounted volume.
#[derive(Debug, Default)]
pub(crate) struct Mounted(Mutex<HashMap<String, Arc<Mutex<Users>>>>);

/// Who uses one volume, containers by their ids, others by ids of their own; and where each has it.
type Users = BTreeMap<Id, PathBuf>;

/// A volume as its driver knows it.
#[derive(Debug, Clone, Copy)]
struct Known<'a> {
    name: &'a str,
    driver: &'a str,
    options: Option<&'a BTreeMap<String, String>>,
}

impl<'a> Known<'a> {
    fn of(volume: &'a VolumeRecord) -> Self {
        Self { name: &volume.name, driver: &volume.driver, options: volume.options.as_ref() }
    }

    fn of_mount(mount: &'a MountRecord) -> Self {
        let point = &mount.point;
        Self { name: &point.name, driver: &point.driver, options: mount.driver_options.as_ref() }
    }
}

impl Mounted {
    /// The users of a volume, to be locked while it is mounted or unmounted: nobody else waits for a slow server.
    fn of(&self, name: &str) -> Arc<Mutex<Users>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default().clone()
    }

    /// Forgets a volume, if nobody uses it.
    fn forget(&self, name: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever holds it beside us is about to use it.
        let is_idle = |users: &Arc<Mutex<Users>>| {
            Arc::strong_count(users) == 1 && users.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
        };
        if all.get(name).is_some_and(is_idle) {
            all.remove(name);
        }
    }
}

/// Whether a volume is mounted for its users; the others are folders that are always there.
fn is_for_users(mount: &MountRecord) -> bool {
    mount.point.kind == "volume" && (mount.point.driver != LOCAL || is_mounted(mount.driver_options.as_ref()))
}

/// A volume in use by something that is no container. Drop it where blocking is allowed.
#[derive(Debug)]
pub(crate) struct Using<'a> {
    core: &'a Core,
    name: String,
    driver: String,
    user: Id,
    /// Where its files are.
    pub(crate) folder: PathBuf,
}

impl Drop for Using<'_> {
    fn drop(&mut self) {
        end(self.core, &self.name, &self.driver, &self.user);
    }
}

/// Has a volume mounted as long as the answer lives.
pub(crate) fn using<'a>(core: &'a Core, volume: &VolumeRecord) -> Result<Using<'a>> {
    use_known(core, Known::of(volume))
}

/// The same for a volume of a container that does not run.
pub(crate) fn using_mount<'a>(core: &'a Core, mount: &MountRecord) -> Result<Option<Using<'a>>> {
    is_for_users(mount).then(|| use_known(core, Known::of_mount(mount))).transpose()
}

fn use_known<'a>(core: &'a Core, volume: Known<'_>) -> Result<Using<'a>> {
    let user = Id::random();
    let folder = begin(core, volume, user)?;
    Ok(Using { core, name: volume.name.to_owned(), driver: volume.driver.to_owned(), user, folder })
}

fn begin(core: &Core, volume: Known<'_>, user: Id) -> Result<PathBuf> {
    let folder = super::folder(core, volume.name);
    let failed = |why| {
        let context = format!("error while mounting volume '{}'", folder.display());
        Error::System(why).context(context)
    };
    let users = core.mounted.of(volume.name);
    if volume.driver != LOCAL {
        let plugin = Plugin::find(core, volume.driver)?;
        let mut users = users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mounted) = users.get(&user).filter(|path| !path.as_os_str().is_empty()) {
            return Ok(mounted.clone());
        }
        let mounted = plugin.mount(volume.name, &user.to_string()).map_err(failed)?;
        users.insert(user, mounted.clone());
        return Ok(mounted);
    }
    let Some(backing) = Backing::of(volume.options) else { return Ok(folder) };
    let mut users = users.lock().unwrap_or_else(PoisonError::into_inner);
    // One that somebody else has unmounted meanwhile is mounted again.
    if !is_mount_point(&folder) {
        backing.resolved().and_then(|backing| backing.mount(&folder)).map_err(failed)?;
    }
    users.insert(user, folder.clone());
    Ok(folder)
}

fn end(core: &Core, name: &str, driver: &str, user: &Id) {
    let users = core.mounted.of(name);
    let mut locked = users.lock().unwrap_or_else(PoisonError::into_inner);
    let used = locked.remove(user).is_some();
    let ended = if driver != LOCAL {
        // One who never had it has nothing to give back.
        let unmount = |plugin: Plugin| plugin.unmount(name, &user.to_string()).map_err(Error::System);
        if used { Plugin::find(core, driver).and_then(unmount) } else { Ok(()) }
    } else if locked.is_empty() {
        let folder = super::folder(core, name);
        options::unmount(&folder).map(drop).map_err(|e| Error::file("unmount", folder, e))
    } else {
        Ok(())
    };
    if let Err(error) = ended {
        tracing::error!(volume = name, %error, "could not be unmounted");
    }
    drop(locked);
    drop(users);
    core.mounted.forget(name);
}

/// Where a container that is being started has one of its mounts from.
pub(crate) fn place(core: &Core, record: &ContainerRecord, mount: &MountRecord) -> PathBuf {
    let source = || PathBuf::from(&mount.point.source);
    if !is_for_users(mount) {
        return source();
    }
    let users = core.mounted.of(&mount.point.name);
    let users = users.lock().unwrap_or_else(PoisonError::into_inner);
    users.get(&record.id).filter(|path| !path.as_os_str().is_empty()).cloned().unwrap_or_else(source)
}

/// Whether something is mounted exactly there.
fn is_mount_point(folder: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    let found = statx(CWD, folder, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty());
    found.is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Mounts the volumes of a container that is being started. On failure none of them is used by it.
pub(crate) fn mount(core: &Core, record: &ContainerRecord) -> Result<()> {
    for mount in record.mounts.iter().filter(|mount| is_for_users(mount)) {
        if let Err(error) = begin(core, Known::of_mount(mount), record.id) {
            release(core, record);
            return Err(error);
        }
    }
    Ok(())
}

/// Says that a container that runs, taken over from an earlier daemon, uses its volumes.
pub(crate) fn adopt(core: &Core, record: &ContainerRecord) {
    for mount in record.mounts.iter().filter(|mount| is_for_users(mount)) {
        let users = core.mounted.of(&mount.point.name);
        users
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(record.id, PathBuf::from(&mount.point.source));
    }
}

/// Says that a container uses its volumes no more.
pub(crate) fn release(core: &Core, record: &ContainerRecord) {
    for mount in record.mounts.iter().filter(|mount| is_for_users(mount)) {
        end(core, &mount.point.name, &mount.point.driver, &record.id);
    }
}

/// Whether a container has volumes to release.
pub(crate) fn has_mounted(record: &ContainerRecord) -> bool {
    record.mounts.iter().any(is_for_users)
}

/// Unmounts what no container uses; a crash left it.
pub(super) fn sweep(core: &Core, volume: &VolumeRecord) {
    if !is_mounted(volume.options.as_ref()) {
        return;
    }
    let users = core.mounted.of(&volume.name);
    if users.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
        match options::unmount(&super::folder(core, &volume.name)) {
            Ok(true) => tracing::warn!(volume = volume.name, "was mounted for nobody"),
            Ok(false) => {}
            Err(error) => tracing::error!(volume = volume.name, %error, "could not be unmounted"),
        }
    }
    drop(users);
    core.mounted.forget(&volume.name);
}
