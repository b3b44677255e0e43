//! Giving back what a run held. Each part is tried whatever became of the others.

use super::{Live, network};
use crate::{
    actor::Membership,
    core::Core,
    record::{ContainerRecord, SandboxRecord},
    system::events::About,
};
use brig_core::{Id, failpoint};
use brig_shim::{
    client::Control,
    protocol::{Request, Target},
    zygote::Spawned,
};
use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

/// How long a killed shim has to go. It has nothing to wait for but the kernel.
const SHIM_ENDS: Duration = Duration::from_secs(10);

/// Gives back what a run held that has ended. Of one that ended while there was no daemon, only the shim's folder
/// is left: its network was not rebuilt.
pub(crate) async fn tear_down(core: &Arc<Core>, record: &ContainerRecord, live: Option<Live>) {
    let id = record.id;
    let (link, sandbox) = live.map_or((None, None), |live| (Some(live.link), live.sandbox));
    tell_networks(core, record, sandbox.as_ref(), "disconnect");
    network::tell_owner(core, record, sandbox.as_ref(), Membership::Left);
    let sandbox = sandbox.filter(|sandbox| sandbox.owner == id);
    let done = core.blocking(move |core| {
        failpoint::hit("engine.before_tear_down")?;
        if let Some(sandbox) = &sandbox {
            release_sandbox(core, sandbox);
        }
        remove_shim_dir(core, &id);
        failpoint::hit("engine.after_tear_down")?;
        Ok(())
    });
    // The shim tells of the end before it removes the cgroup, which the next run is to make anew.
    let gone = async {
        if let Some(link) = link
            && tokio::time::timeout(SHIM_ENDS, link.closed()).await.is_err()
        {
            tracing::error!(container = %id, "the shim does not end; its container's cgroup is killed");
            crate::reconcile::kill_remains(core, record).await;
        }
    };
    let (done, ()) = tokio::join!(done, gone);
    if let Err(error) = done {
        tracing::error!(container = %id, %error, "tear down");
    }
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

/// Kills a container that was created and not released yet, and waits until its shim is gone.
pub(super) async fn kill_created(core: &Arc<Core>, record: &ContainerRecord, spawned: Spawned) {
    let id = record.id;
    let done = core.blocking(move |_| {
        let mut control = Control::new(spawned.control);
        let limit = control.stream().set_read_timeout(Some(SHIM_ENDS));
        let killed = control.call(Request::Signal { target: Target::Init, signal: 9, all: true });
        if let Err(error) = killed.and(limit.map_err(|e| brig_shim::Error::Protocol(e.into()))) {
            tracing::error!(container = %id, %error, "a container that was not started could not be killed");
            return Ok(());
        }
        // Until the shim hangs up.
        while let Ok(Some(_)) = control.next_event() {}
        Ok(())
    });
    if let Err(error) = done.await {
        tracing::error!(container = %id, %error, "a container that was not started could not be killed");
    }
}

/// Kills a container whose start failed on the way, unless it has undone itself, and waits until its shim is gone.
pub(super) async fn end_shim(core: &Arc<Core>, record: &ContainerRecord, live: &Live) {
    let ended = async {
        // A shim whose start failed is gone already, or about to go.
        let _ = live.link.call(Request::Signal { target: Target::Init, signal: 9, all: true }).await;
        live.link.closed().await;
    };
    if tokio::time::timeout(SHIM_ENDS, ended).await.is_err() {
        tracing::error!(container = %record.id, "the shim does not end; its container's cgroup is killed");
        crate::reconcile::kill_remains(core, record).await;
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
    for (name, endpoint) in &sandbox.endpoints {
        let driver = core.networks.get(&endpoint.network).map_or("bridge", |n| n.driver.name());
        let attributes = BTreeMap::from([
            ("container".to_owned(), record.id.to_string()),
            ("name".to_owned(), name.clone()),
            ("type".to_owned(), driver.to_owned()),
        ]);
        core.events.tell(About::Network, action, endpoint.network.to_string(), attributes);
    }
}
