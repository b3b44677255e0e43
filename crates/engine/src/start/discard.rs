//! Removing all that a container has on disk.

use crate::{
    core::Core,
    error::{Error, Result},
    record::{ContainerRecord, MountOrigin, Volumes},
};
use brig_core::{Id, failpoint};
use std::io;

/// Removes a container's folder.
pub(crate) fn remove_container_dir(core: &Core, id: &Id) -> Result<()> {
    let dir = core.config.paths.container(id);
    match std::fs::remove_dir_all(&dir) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Error::file("unable to remove filesystem:", dir, e)),
    }
}

/// Removes a container's writable layer, its folder, and with [`Volumes::Remove`] its anonymous volumes. May be
/// called again after a failure or a crash: what is gone already is no error.
pub(crate) fn discard(core: &Core, record: &ContainerRecord, volumes: Volumes) -> Result<()> {
    failpoint::hit("engine.before_discard")?;
    core.store.snapshot_remove(&record.id.to_string())?;
    failpoint::hit("engine.after_snapshot_removed")?;
    remove_container_dir(core, &record.id)?;
    if volumes == Volumes::Remove {
        let anonymous = record.mounts.iter().filter(|m| m.origin == MountOrigin::Anonymous);
        for volume in anonymous {
            crate::volumes::remove_unused(core, &volume.point.name, Some(&record.id))?;
        }
    }
    failpoint::hit("engine.after_discard")?;
    Ok(())
}
