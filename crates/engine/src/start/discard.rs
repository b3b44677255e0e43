//! Removing all that a container has on disk.

use crate::{
    core::Core,
    error::{Error, Result},
    record::{ContainerRecord, MountOrigin, Volumes},
};
use brig_core::failpoint;
use std::io;

/// Removes a container's writable layer, its folder, and with [`Volumes::Remove`] its anonymous volumes. May be
/// called again after a failure or a crash: what is gone already is no error.
pub(crate) fn discard(core: &Core, record: &ContainerRecord, volumes: Volumes) -> Result<()> {
    failpoint::hit("engine.before_discard")?;
    core.store.snapshot_remove(&record.id.to_string())?;
    failpoint::hit("engine.after_snapshot_removed")?;
    let dir = core.config.paths.container(&record.id);
    match std::fs::remove_dir_all(&dir) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(Error::file("unable to remove filesystem:", dir, e)),
    }
    if volumes == Volumes::Remove {
        let anonymous = record.mounts.iter().filter(|m| m.origin == MountOrigin::Anonymous);
        for volume in anonymous {
            crate::volumes::remove_unused(core, &volume.point.name, Some(&record.id))?;
        }
    }
    failpoint::hit("engine.after_discard")?;
    Ok(())
}
