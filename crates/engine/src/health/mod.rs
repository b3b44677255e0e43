//! Health checks: one task for each container that runs and is checked. It sleeps until the next check is due.

mod native;
mod probe;

use crate::{
    actor::{Handle, Until},
    core::Core,
    machine::{Input, Probe, health},
    record::ContainerRecord,
};
use brig_core::{Digest, Id};
use brig_shim::protocol::{Request, Target};
use jiff::Timestamp;
use std::sync::Arc;
use tokio::sync::oneshot;

/// How many checks a line of daemons may have begun without a result, for the last of them to know them all.
const UNKNOWN_CHECKS: u64 = 64;

/// The checks of one run of a container. Dropped, they end, and with them the program that is checking.
#[derive(Debug)]
pub(crate) struct Monitor {
    /// Closes when this is dropped.
    _stop: oneshot::Sender<()>,
}

/// How a container is checked; `None` when it is not.
pub(crate) fn probe_of(record: &ContainerRecord) -> Option<Probe> {
    let config = record.config.healthcheck.as_ref()?;
    Probe::of(config, record.config.shell.as_ref().map(|shell| shell.as_slice()))
}

impl Monitor {
    /// Begins to check a container that runs.
    pub(crate) fn start(core: &Arc<Core>, handle: Handle, probe: Probe) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let core = core.clone();
        tokio::spawn(async move {
            if let Err(error) = watch(&core, &handle, &probe, &mut stopped).await {
                // It is gone, or the daemon ends.
                tracing::debug!(container = %handle.id(), %error, "no more health checks");
            }
        });
        Self { _stop: stop }
    }
}

async fn watch(
    core: &Arc<Core>,
    handle: &Handle,
    probe: &Probe,
    stopped: &mut oneshot::Receiver<()>,
) -> crate::Result<()> {
    let snapshot = handle.snapshot();
    let Some(run) = snapshot.record.state.run().cloned() else { return Ok(()) };
    let of_run = snapshot.record.runs;
    let mut number = end_orphans(core, &snapshot.record, &snapshot.link).await;
    drop(snapshot);
    loop {
        let snapshot = handle.snapshot();
        let record = &snapshot.record;
        let (Some(config), Some(known)) = (&record.config.healthcheck, &record.health) else { return Ok(()) };
        let pause = health::pause(config, known, run.started_at, Timestamp::now());
        tokio::select! {
            // Both an answer and an end of the other side mean it.
            _ = &mut *stopped => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
        let id = id_of(record, number);
        let checked = probe::run(core, handle, probe, id, health::timeout(config));
        let checking = tokio::select! {
            _ = &mut *stopped => None,
            result = checked => Some(result),
        };
        let Some(result) = checking else {
            if let Some(link) = &snapshot.link {
                kill(link, id).await;
            }
            return Ok(());
        };
        let input = Input::Checked { run: of_run, number, result: Arc::new(result) };
        handle.act(input, Until::Done).await?;
        number += 1;
    }
}

/// Ends what an earlier daemon's checks left running. Answers the number of the next check.
async fn end_orphans(
    core: &Core,
    record: &ContainerRecord,
    link: &Option<crate::shim_link::ShimLink>,
) -> u64 {
    let done = record.health.as_ref().map_or(0, |health| health.checks);
    let mut next = done + 1;
    for number in done + 1..=done + UNKNOWN_CHECKS {
        let id = id_of(record, number);
        if core.execs.get(&id.to_string()).is_ok() {
            next = number + 1;
            if let Some(link) = link {
                kill(link, id).await;
            }
        }
    }
    next
}

async fn kill(link: &crate::shim_link::ShimLink, exec: Id) {
    let signal = Request::Signal { target: Target::Exec(exec), signal: 9, all: false };
    if let Err(error) = link.call(signal).await {
        // It ended by itself, or with the container.
        tracing::debug!(%exec, %error, "a health check's process");
    }
}

/// The exec of a run's check: known from the record alone.
fn id_of(record: &ContainerRecord, number: u64) -> Id {
    let text = format!("health {} {} {number}", record.id, record.runs);
    // A digest's hexadecimal form is an id's.
    Id::parse(&Digest::of(text.as_bytes()).hex()).unwrap_or_else(Id::random)
}
