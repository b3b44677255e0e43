//! After a start of the daemon: what still runs is taken over, what ended is written down, what a crash left half
//! done is finished or undone, and nothing else of brig's is left on the machine.
//!
//! The database says what was intended, the shims' folders what is so. Nothing is removed before what it says has
//! been written to the database, so that a crash in here loses nothing either.

mod judge;
mod probe;
mod sweep;

pub(crate) use sweep::{after_lost_shim, kill_now, kill_remains, see_off, take_turn};

use crate::{
    actor::{Actor, Handle, Message},
    core::Core,
    error::{Error, Result},
    machine::Input,
    record::{CONTAINER_KIND, ContainerRecord, SANDBOX_KIND, SandboxRecord},
    start, volumes,
};
use brig_core::{Id, failpoint};
use brig_net::{Endpoint, NetworkRecord, process::LiveNames};
use judge::{Fate, judge};
use probe::Probe;
use std::{collections::BTreeMap, sync::Arc};

/// Does it all. Afterwards every container has its actor.
pub(crate) async fn reconcile(core: &Arc<Core>) -> Result<()> {
    let (containers, sandboxes) = core.blocking(|core| Ok((containers(core)?, sandboxes(core)?))).await?;
    let mut probes = probe::all(core).await?;
    let mut plans = Vec::new();
    let mut live_endpoints: Vec<Endpoint> = Vec::new();
    let mut kept: Vec<Id> = Vec::new();
    for record in containers {
        let probe = probes.remove(&record.id).unwrap_or(Probe::Nothing);
        let fate = judge(&record.state, probe);
        let sandbox = record.sandbox.and_then(|id| sandboxes.get(&id)).cloned().or_else(|| {
            // The daemon died between the sandbox's record and the container's.
            sandboxes.values().find(|s| s.owner == record.id).cloned()
        });
        if let (Fate::Adopt { .. }, Some(sandbox)) = (&fate, &sandbox) {
            kept.push(sandbox.id);
            if sandbox.owner == record.id {
                live_endpoints.extend(sandbox.endpoints.values().cloned());
            }
        }
        plans.push((record, fate, sandbox));
    }
    for (id, probe) in probes {
        sweep::without_record(core, id, probe).await;
    }
    failpoint::hit("engine.reconcile_before_network")?;
    let stale: Vec<Id> = sandboxes.keys().filter(|id| !kept.contains(id)).copied().collect();
    let named = plans.iter().filter_map(|(record, fate, sandbox)| match (fate, sandbox) {
        (Fate::Adopt { state, .. }, Some(sandbox)) if sandbox.owner == record.id => {
            Some((record, sandbox, state.pid))
        }
        _ => None,
    });
    let named = named.collect::<Vec<_>>();
    let names = start::live_names(core, &named);
    rebuild_network(core, live_endpoints, names, stale).await?;
    start::reopen_ways(
        core,
        &named.iter().map(|(record, sandbox, _)| (*record, *sandbox)).collect::<Vec<_>>(),
    );
    failpoint::hit("engine.reconcile_after_network")?;
    // All names first: a container that is started again may need another by name.
    for (record, ..) in &plans {
        if let Err(error) = core.registry.reserve(record.id, Some(&record.name)) {
            tracing::error!(container = %record.id, %error, "its name is not free");
        }
    }
    // Those that run before those that are started: the latter may join the former's namespaces.
    plans.sort_by_key(|(_, fate, _)| !matches!(fate, Fate::Adopt { .. }));
    let mut idle = Vec::new();
    for (record, fate, sandbox) in plans {
        idle.extend(settle(core, record, fate, sandbox).await);
    }
    core.blocking(|core| sweep::storage(core)).await?;
    for handle in idle {
        // Starts and removals go on while the daemon begins to serve.
        handle.send(Message::Report(Input::Boot)).await?;
    }
    Ok(())
}

fn containers(core: &Core) -> Result<Vec<ContainerRecord>> {
    let mut records = Vec::new();
    for (key, record) in core.store.records().list::<ContainerRecord>(CONTAINER_KIND)? {
        match record {
            Ok(record) => records.push(record),
            // Kept as it is: a newer brig may read it.
            Err(error) => tracing::error!(container = key, %error, "the record can't be read"),
        }
    }
    Ok(records)
}

fn sandboxes(core: &Core) -> Result<BTreeMap<Id, SandboxRecord>> {
    let mut records = BTreeMap::new();
    for (key, record) in core.store.records().list::<SandboxRecord>(SANDBOX_KIND)? {
        match record {
            Ok(record) => {
                records.insert(record.id, record);
            }
            Err(error) => tracing::error!(sandbox = key, %error, "the record can't be read"),
        }
    }
    Ok(records)
}

async fn rebuild_network(
    core: &Arc<Core>,
    live: Vec<Endpoint>,
    names: LiveNames,
    stale: Vec<Id>,
) -> Result<()> {
    core.blocking(move |core| {
        let networks: Vec<NetworkRecord> = core.networks.all().iter().map(|n| (**n).clone()).collect();
        for warning in core.net.rebuild(&networks, &live, names)? {
            tracing::warn!(warning, "network");
        }
        for id in stale {
            core.delete_sandbox(&id)?;
        }
        Ok(())
    })
    .await
}

/// What becomes of a container whose shim did not answer when it was to be taken over.
async fn not_taken_over(core: &Arc<Core>, record: &ContainerRecord, error: &Error) -> Fate {
    let dir = core.config.paths.shim(&record.id);
    // It may have ended just now, and written down how.
    if let Ok(found @ Probe::Exited { .. }) = core.blocking(move |_| Ok(probe::one(&dir))).await {
        return judge(&record.state, found);
    }
    tracing::error!(container = %record.id, %error, "could not be taken over and is killed");
    Fate::Kill { inputs: vec![judge::lost("brig could not take the container over")] }
}

/// Takes away what is left of a container that is not taken over. Answers what has happened to it.
async fn clear(core: &Arc<Core>, record: &ContainerRecord, fate: Fate) -> Vec<Input> {
    let id = record.id;
    match fate {
        Fate::Idle => Vec::new(),
        Fate::Ended { inputs } => {
            // Its shim may not have come to removing the cgroup, or be at it.
            kill_remains(core, record).await;
            inputs
        }
        Fate::Kill { inputs } | Fate::Adopt { inputs, .. } => {
            tracing::warn!(container = %id, state = record.state.status().as_str(), "what is left of it is killed");
            kill_remains(core, record).await;
            if !inputs.iter().any(|input| matches!(input, Input::Exited { .. })) {
                // No end is to be written down, and so no tear-down follows that removes it.
                let removed = core.blocking(move |core| {
                    start::remove_shim_dir(core, &id);
                    Ok(())
                });
                if let Err(error) = removed.await {
                    tracing::error!(container = %id, %error, "its supervisor's folder could not be removed");
                }
            }
            inputs
        }
    }
}

/// Gives a container its actor, with what has happened to it meanwhile. Answers it if it has no process.
async fn settle(
    core: &Arc<Core>,
    record: ContainerRecord,
    fate: Fate,
    sandbox: Option<SandboxRecord>,
) -> Option<Handle> {
    let (live, inputs) = match fate {
        Fate::Adopt { state, control, inputs } => {
            match start::adopt(core, &record, &state, control, sandbox).await {
                Ok(live) => {
                    tracing::info!(container = %record.id, pid = state.pid, "taken over");
                    (Some(live), inputs)
                }
                Err(error) => {
                    let fate = not_taken_over(core, &record, &error).await;
                    (None, clear(core, &record, fate).await)
                }
            }
        }
        fate => {
            if record.state.run().is_some() {
                // It ended while nobody looked: its volumes are given back with the rest.
                volumes::adopt(core, &record);
            }
            (None, clear(core, &record, fate).await)
        }
    };
    let idle = live.is_none();
    let (handle, settled) = Actor::spawn_with(core, record, live, inputs);
    // It fails when the actor has ended: the container was to be removed, and is.
    let _ = settled.await;
    idle.then_some(handle).filter(|handle| core.registry.get(&handle.id()).is_some())
}
