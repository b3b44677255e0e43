//! Giving back what a run held. Each part is tried whatever became of the others.

use super::{Live, cgroup_of, discard, endpoints::tell_network, network};
use crate::reconcile::see_off;
use crate::system::events::About;
use crate::{
    actor::Membership,
    core::Core,
    error::{Error, Result},
    record::{CONTAINER_KIND, ContainerRecord, SANDBOX_KIND, SandboxRecord},
    volumes,
};
use brig_core::{Id, atomic::Durability, failpoint};
use brig_shim::{
    client::Control,
    protocol::{Request, Target},
};
use brig_store::{Batch, remove_path};
use std::collections::BTreeMap;
use std::{io, sync::Arc, time::Duration};

/// How long a killed shim has to go. It has nothing to wait for but the kernel.
const SHIM_ENDS: Duration = Duration::from_secs(10);

/// Gives back what a run held that has ended. Of one that ended while there was no daemon, only the shim's folder
/// is left: its network was not rebuilt.
pub(crate) async fn tear_down(core: &Arc<Core>, record: &ContainerRecord, live: Option<Live>) {
    let id = record.id;
    let (link, sandbox) = live.map_or((None, None), |live| (Some(live.link), live.sandbox));
    tell_networks(core, record, sandbox.as_ref(), "disconnect");
    tell_volumes(core, record, Use::Ends);
    network::tell_owner(core, record, sandbox.as_ref(), Membership::Left);
    let sandbox = sandbox.filter(|sandbox| sandbox.owner == id);
    let released = volumes::has_mounted(record).then(|| record.clone());
    let done = core.blocking(move |core| {
        failpoint::hit("engine.before_tear_down")?;
        if let Some(released) = &released {
            volumes::release(core, released);
        }
        if let Some(sandbox) = &sandbox {
            release_sandbox(core, sandbox);
        }
        Ok(())
    });
    // The shim tells of the end before it removes the cgroup, which the next run is to make anew.
    let gone = async {
        if let Some(link) = link
            && tokio::time::timeout(SHIM_ENDS, link.closed()).await.is_err()
        {
            tracing::error!(container = %id, "the shim does not end");
        }
    };
    let (done, ()) = tokio::join!(done, gone);
    let cgroup = cgroup_of(core, record);
    let left = core.blocking(move |core| {
        see_off(&core.config.paths.shim(&id), &cgroup);
        remove_shim_dir(core, &id);
        failpoint::hit("engine.after_tear_down")?;
        Ok(())
    });
    if let Err(error) = done.and(left.await) {
        tracing::error!(container = %id, %error, "tear down");
    }
}

/// Gives back what a run held that has ended, and removes the container with it. Its records are what it lives by: when
/// they are gone, in one step, so is it. A crash before that finds the end that the shim has written down, and begins
/// again; what is on disk is removed behind, and a crash leaves it to the next start, which removes what no record names.
pub(crate) async fn erase(core: &Arc<Core>, record: &ContainerRecord, live: Option<Live>) -> Result<()> {
    let id = record.id;
    let sandbox = live.and_then(|live| live.sandbox);
    tell_networks(core, record, sandbox.as_ref(), "disconnect");
    tell_volumes(core, record, Use::Ends);
    network::tell_owner(core, record, sandbox.as_ref(), Membership::Left);
    let sandbox = sandbox.filter(|sandbox| sandbox.owner == id);
    failpoint::hit("engine.before_erase")?;
    if volumes::has_mounted(record) {
        let record = record.clone();
        core.blocking(move |core| {
            volumes::release(core, &record);
            Ok(())
        })
        .await?;
    }
    let forget = {
        let sandbox = sandbox.as_ref().map(|sandbox| sandbox.id.to_string());
        move |core: &Core| {
            let mut batch = Batch::new();
            batch.delete(CONTAINER_KIND, &id.to_string()).forget(&id.to_string());
            if let Some(sandbox) = &sandbox {
                batch.delete(SANDBOX_KIND, sandbox);
            }
            core.store.records().commit(batch, Durability::Process)
        }
    };
    match sandbox {
        // Whoever is told that the container is gone may want its ports: this takes a while.
        Some(sandbox) if network::publishes(&sandbox) => {
            core.blocking(move |core| {
                network::release(core, &sandbox);
                Ok(())
            })
            .await?;
        }
        Some(sandbox) => network::release(core, &sandbox),
        None => {}
    }
    let orphans = match forget(core) {
        Err(error) if error.is_disk_full() => {
            // Files first then: they are what fills the disk, perhaps.
            core.blocking(move |core| {
                discard::empty(core, &id)?;
                core.store.snapshot_put_aside(&id.to_string())?;
                discard::remove_container_dir(core, &id)?;
                core.store.settle();
                Ok(forget(core)?)
            })
            .await?
        }
        forgotten => forgotten?,
    };
    failpoint::hit("engine.after_erase")?;
    let (folder, shim) = (core.config.paths.container(&id), core.config.paths.shim(&id));
    let cgroup = cgroup_of(core, record);
    core.store.later(move || {
        see_off(&shim, &cgroup);
        let removed = orphans.remove().map_err(Error::from);
        let removed = removed.and(remove_path(&folder).map_err(|e| Error::file("remove", folder, e)));
        if let Err(error) = removed.and(remove_path(&shim).map_err(|e| Error::file("remove", shim, e))) {
            tracing::error!(container = %id, %error, "the next start of the daemon removes it");
        }
    });
    Ok(())
}

/// Gives a sandbox's addresses and ports back and forgets it.
pub(super) fn release_sandbox(core: &Core, sandbox: &SandboxRecord) {
    network::release(core, sandbox);
    if let Err(error) = core.delete_sandbox(&sandbox.id) {
        tracing::error!(container = %sandbox.owner, %error, "the sandbox's record could not be removed");
    }
}

/// Removes a shim's folder.
pub(crate) fn remove_shim_dir(core: &Core, id: &Id) {
    let dir = core.config.paths.shim(id);
    match std::fs::remove_dir_all(&dir) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::error!(container = %id, %error, "the shim's folder could not be removed"),
    }
}

/// Kills a container whose start failed on the way, unless it has undone itself, and waits until its shim is gone.
pub(super) fn end_shim(core: &Core, record: &ContainerRecord, mut control: Control) {
    let ended = (|| {
        control
            .stream()
            .set_read_timeout(Some(SHIM_ENDS))
            .map_err(|e| brig_shim::Error::Protocol(e.into()))?;
        // A shim whose start failed is gone already, or about to go.
        let _ = control.call(Request::Signal { target: Target::Init, signal: 9, all: true });
        while control.next_event()?.is_some() {}
        Ok::<(), brig_shim::Error>(())
    })();
    if let Err(error) = ended {
        tracing::error!(container = %record.id, %error, "the shim does not end; its container's cgroup is killed");
        crate::reconcile::kill_now(core, record);
    }
}

/// What a container does with its volumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// They are mounted in it.
    Begins,
    /// No more.
    Ends,
}

/// Tells that a container uses its volumes, or no more.
pub(super) fn tell_volumes(core: &Core, record: &ContainerRecord, what: Use) {
    let volumes = record.mounts.iter().filter(|mount| !mount.point.name.is_empty());
    for point in volumes.map(|mount| &mount.point) {
        let mut attributes = BTreeMap::from([
            ("container".to_owned(), record.id.to_string()),
            ("driver".to_owned(), point.driver.clone()),
        ]);
        let action = match what {
            Use::Begins => {
                attributes.insert("destination".to_owned(), point.destination.clone());
                attributes.insert("propagation".to_owned(), point.propagation.clone());
                attributes.insert("read/write".to_owned(), point.rw.to_string());
                "mount"
            }
            Use::Ends => "unmount",
        };
        core.events.tell(About::Volume, action, point.name.clone(), attributes);
    }
}

/// Tells that a container is on its networks, or no more.
pub(super) fn tell_networks(
    core: &Core,
    record: &ContainerRecord,
    sandbox: Option<&SandboxRecord>,
    action: &'static str,
) {
    let Some(sandbox) = sandbox.filter(|sandbox| sandbox.owner == record.id) else { return };
    for endpoint in sandbox.endpoints.values() {
        // It can't be gone: it is in use.
        if let Some(network) = core.networks.get(&endpoint.network) {
            tell_network(core, record, &network, action);
        }
    }
}
