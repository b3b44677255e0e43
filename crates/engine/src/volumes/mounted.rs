//! Volumes that are mounted on the host while somebody uses them, as Docker does: all who use one see the same.
//!
//! The mounts are the kernel's and outlive the daemon. Who uses them follows from the containers' records and their
//! shims, so that nothing of it is written down: the next daemon registers the containers that it takes over, and
//! unmounts what none of them uses.

use super::{VolumeRecord, options::Backing, options::is_mounted};
use crate::{
    core::Core,
    error::{Error, Result},
    record::{ContainerRecord, MountRecord},
};
use brig_core::Id;
use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Who uses which mounted volume.
#[derive(Debug, Default)]
pub(crate) struct Mounted(Mutex<HashMap<String, Arc<Mutex<Users>>>>);

/// Who uses one volume: containers by their ids, others by ids of their own.
type Users = BTreeSet<Id>;

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
    is_mounted(mount.driver_options.as_ref())
}

/// A volume in use by something that is no container. Drop it where blocking is allowed.
#[derive(Debug)]
pub(crate) struct Using<'a> {
    core: &'a Core,
    name: String,
    user: Id,
    /// Where its files are.
    pub(crate) folder: PathBuf,
}

impl Drop for Using<'_> {
    fn drop(&mut self) {
        end(self.core, &self.name, &self.user);
    }
}

/// Has a volume mounted as long as the answer lives.
pub(crate) fn using<'a>(core: &'a Core, volume: &VolumeRecord) -> Result<Using<'a>> {
    let user = Id::random();
    let folder = begin(core, &volume.name, volume.options.as_ref(), user)?;
    Ok(Using { core, name: volume.name.clone(), user, folder })
}

/// The same for a volume of a container that does not run.
pub(crate) fn using_mount<'a>(core: &'a Core, mount: &MountRecord) -> Result<Option<Using<'a>>> {
    if !is_for_users(mount) {
        return Ok(None);
    }
    let user = Id::random();
    let name = mount.point.name.clone();
    let folder = begin(core, &name, mount.driver_options.as_ref(), user)?;
    Ok(Some(Using { core, name, user, folder }))
}

fn begin(
    core: &Core,
    name: &str,
    options: Option<&std::collections::BTreeMap<String, String>>,
    user: Id,
) -> Result<PathBuf> {
    let folder = super::folder(core, name);
    let Some(backing) = Backing::of(options) else { return Ok(folder) };
    let users = core.mounted.of(name);
    let mut users = users.lock().unwrap_or_else(PoisonError::into_inner);
    // One that somebody else has unmounted meanwhile is mounted again.
    if !is_mount_point(&folder) {
        let failed = |why| {
            let context = format!("error while mounting volume '{}'", folder.display());
            Error::System(why).context(context)
        };
        backing.resolved().and_then(|backing| backing.mount(&folder)).map_err(failed)?;
    }
    users.insert(user);
    Ok(folder)
}

fn end(core: &Core, name: &str, user: &Id) {
    let users = core.mounted.of(name);
    let mut locked = users.lock().unwrap_or_else(PoisonError::into_inner);
    locked.remove(user);
    if locked.is_empty() {
        let folder = super::folder(core, name);
        if let Err(error) = super::options::unmount(&folder) {
            tracing::error!(volume = name, %error, "could not be unmounted");
        }
        drop(locked);
        drop(users);
        core.mounted.forget(name);
    }
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
        if let Err(error) = begin(core, &mount.point.name, mount.driver_options.as_ref(), record.id) {
            release(core, record);
            return Err(error);
        }
    }
    Ok(())
}

/// Says that a container that runs, taken over from an earlier daemon, uses its volumes.
pub(crate) fn adopt(core: &Core, record: &ContainerRecord) {
    for mount in record.mounts.iter().filter(|mount| is_for_users(mount)) {
        core.mounted.of(&mount.point.name).lock().unwrap_or_else(PoisonError::into_inner).insert(record.id);
    }
}

/// Says that a container uses its volumes no more.
pub(crate) fn release(core: &Core, record: &ContainerRecord) {
    for mount in record.mounts.iter().filter(|mount| is_for_users(mount)) {
        end(core, &mount.point.name, &record.id);
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
        match super::options::unmount(&super::folder(core, &volume.name)) {
            Ok(true) => tracing::warn!(volume = volume.name, "was mounted for nobody"),
            Ok(false) => {}
            Err(error) => tracing::error!(volume = volume.name, %error, "could not be unmounted"),
        }
    }
    drop(users);
    core.mounted.forget(&volume.name);
}
