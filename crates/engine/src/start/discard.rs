//! Removing all that a container has on disk.

use crate::{
    core::Core,
    error::{Error, Result},
    record::{CONTAINER_KIND, ContainerRecord, MountOrigin, Volumes},
};
use brig_core::{HasKind, Id, atomic::Durability, failpoint};
use brig_store::{Batch, Orphans};

/// Removes a container's folder: out of the way at once, from the disk in the background.
pub(crate) fn remove_container_dir(core: &Core, id: &Id) -> Result<()> {
    let dir = core.config.paths.container(id);
    core.store.discard(&dir).map_err(|e| Error::from(e).context("unable to remove filesystem"))
}

/// Gives the space of what a container wrote back, so that there is room to write down that it is gone. Files that are
/// removed only are not enough: the shim may still be unmounting their overlay, and holds the log.
pub(super) fn empty(core: &Core, id: &Id) -> Result<()> {
    core.store.snapshot_empty(&id.to_string())?;
    Ok(core.store.empty(&core.config.paths.container(id))?)
}

/// Removes a container's writable layer, its folder, with [`Volumes::Remove`] its anonymous volumes, and at last its
/// record. May be called again after a failure or a crash: what is gone already is no error.
pub(crate) fn discard(core: &Core, record: &ContainerRecord, volumes: Volumes) -> Result<()> {
    let key = record.id.to_string();
    failpoint::hit("engine.before_discard")?;
    if core.store.is_nearly_full()? {
        empty(core, &record.id)?;
    }
    core.store.snapshot_put_aside(&key)?;
    failpoint::hit("engine.after_snapshot_removed")?;
    remove_container_dir(core, &record.id)?;
    if volumes == Volumes::Remove {
        let anonymous = record.mounts.iter().filter(|m| m.origin == MountOrigin::Anonymous);
        for volume in anonymous {
            crate::volumes::remove_unused(core, &volume.point.name, Some(&record.id))?;
        }
    }
    failpoint::hit("engine.after_discard")?;
    failpoint::hit("engine.before_forget")?;
    // A record that a power cut brings back is one without a snapshot: it is in Removing, and goes again.
    let orphans = match forget(core, &key) {
        Err(error) if error.is_disk_full() => {
            // What was put aside is what fills the disk, perhaps: it is gone first then.
            core.store.settle();
            forget(core, &key)?
        }
        forgotten => forgotten?,
    };
    if let Err(error) = orphans.discard() {
        // The container itself is gone.
        let kind = error.kind();
        tracing::error!(container = key, ?kind, %error, "layers of its image; the next start removes them");
    }
    Ok(())
}

fn forget(core: &Core, key: &str) -> Result<Orphans, brig_store::Error> {
    let mut batch = Batch::new();
    batch.delete(CONTAINER_KIND, key).forget(key);
    core.store.records().commit(batch, Durability::Process)
}
