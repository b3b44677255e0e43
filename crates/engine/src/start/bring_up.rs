//! A start, from the sandbox's record to the first process running.

use super::{failure, files, modes, network, prepare, tear_down};
use crate::{
    actor::{Membership, PendingAttach, timestamp},
    core::Core,
    error::{Error, Result},
    machine::Input,
    record::{ContainerRecord, SandboxRecord},
    shim_link::{ShimLink, Told},
};
use brig_core::{RootFs, failpoint};
use brig_logs::LogConfig;
use brig_shim::{
    client,
    protocol::{ConsoleSize, PROTOCOL_VERSION, Reply, Request, ShimConfig, ShimState, Target},
    zygote::{ShimFds, Spawned},
};
use std::{
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::PathBuf,
    sync::Arc,
};
use tokio::sync::watch;
use tracing::{Instrument, info_span};

/// What a run holds.
#[derive(Debug)]
pub(crate) struct Live {
    /// The connection to its shim.
    pub(crate) link: ShimLink,
    /// What the shim tells.
    pub(crate) told: watch::Receiver<Told>,
    /// The sandbox it is in; `None` in the host's network.
    pub(crate) sandbox: Option<SandboxRecord>,
    /// The report of the out-of-memory killer was taken.
    pub(crate) oom_seen: bool,
}

/// What is known before anything is made.
struct Plan {
    config: ShimConfig,
    joins: modes::Joins,
    sandbox: Option<SandboxRecord>,
}

/// Starts a container; on failure, everything that was taken has been given back.
pub(crate) async fn bring_up(
    core: &Arc<Core>,
    record: &ContainerRecord,
    attaches: Vec<PendingAttach>,
) -> Result<(Live, Input)> {
    let span = info_span!("start", container = %record.id.short());
    bring_up_in(core, record, attaches).instrument(span).await
}

async fn bring_up_in(
    core: &Arc<Core>,
    record: &ContainerRecord,
    attaches: Vec<PendingAttach>,
) -> Result<(Live, Input)> {
    core.check_open()?;
    let (for_plan, for_namespace) = (record.clone(), record.clone());
    let planned = core.blocking(move |core| info_span!("plan").in_scope(|| plan(core, &for_plan)));
    let made =
        core.blocking(move |core| info_span!("netns").in_scope(|| network::namespace(core, &for_namespace)));
    let (planned, namespace) = tokio::join!(planned, made);
    let (mut plan, namespace) = match (planned, namespace) {
        (Ok(plan), Ok(namespace)) => (plan, namespace),
        (Ok(plan), Err(error)) => {
            give_back(core, record, plan.sandbox).await;
            return Err(error);
        }
        (Err(error), _) => return Err(error),
    };
    let sandbox = plan.sandbox.take();
    let own = sandbox.clone().filter(|sandbox| sandbox.owner == record.id);
    match make(core, record, plan, namespace, sandbox, attaches).await {
        Ok(up) => Ok(up),
        Err(error) => {
            give_back(core, record, own).await;
            Err(error)
        }
    }
}

/// Everything that can be refused is refused here; addresses are taken, and the sandbox's record is written.
fn plan(core: &Core, record: &ContainerRecord) -> Result<Plan> {
    crate::reconcile::clear(core, record);
    let (namespaces, joins) = modes::open(core, record)?;
    let sandbox = network::allocate(core, record).map_err(network_error)?;
    let own = sandbox.as_ref().filter(|sandbox| sandbox.owner == record.id);
    let planned = (|| {
        if let Some(sandbox) = own {
            failpoint::hit("engine.before_sandbox")?;
            core.put_sandbox(sandbox)?;
            failpoint::hit("engine.after_sandbox")?;
        }
        let rootfs = core.store.snapshot_mount(&record.id.to_string())?;
        failpoint::hit("engine.after_snapshot")?;
        let paths = files::container_files(core, record, sandbox.as_ref())?;
        let spec = prepare::spec_of(core, record, &rootfs, namespaces, &paths)?;
        shim_config(core, record, spec, rootfs)
    })();
    match planned {
        Ok(config) => Ok(Plan { config, joins, sandbox }),
        Err(error) => {
            if let Some(sandbox) = own {
                tear_down::release_sandbox(core, sandbox);
            }
            Err(error)
        }
    }
}

/// Docker's words before what a network says.
fn network_error(error: Error) -> Error {
    error.context("failed to set up container networking")
}

fn shim_config(
    core: &Core,
    record: &ContainerRecord,
    spec: oci_spec::runtime::Spec,
    mut rootfs: RootFs,
) -> Result<ShimConfig> {
    if let RootFs::Overlay { volatile, .. } = &mut rootfs {
        // It goes with the container, at the next start of the daemon if the machine crashes.
        *volatile = record.host_config.auto_remove;
    }
    let size = record.host_config.console_size;
    Ok(ShimConfig {
        id: record.id,
        dir: core.config.paths.shim(&record.id),
        spec: Box::new(spec),
        rootfs,
        terminal: record.config.tty,
        console_size: (size != [0, 0]).then(|| console_size(size[0], size[1])),
        open_stdin: record.config.open_stdin,
        stdin_once: record.config.stdin_once,
        init: record.host_config.init.unwrap_or(core.config.init),
        log: log_config(core, record)?,
    })
}

/// A size as clients send it, as terminals have it.
pub(crate) fn console_size(rows: u32, cols: u32) -> ConsoleSize {
    let fit = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
    ConsoleSize { rows: fit(rows), cols: fit(cols) }
}

/// Where a container's log is, when its driver writes a file.
pub(crate) fn log_path(core: &Core, record: &ContainerRecord) -> Result<Option<PathBuf>> {
    let config = log_config(core, record)?;
    Ok((config.driver != brig_logs::Driver::None).then_some(config.path))
}

/// How a container's log is kept.
pub(crate) fn log_config(core: &Core, record: &ContainerRecord) -> Result<LogConfig> {
    let log = &record.host_config.log_config;
    let path = core.config.paths.container(&record.id).join(format!("{}-json.log", record.id));
    let options = log.config.clone().unwrap_or_default();
    Ok(LogConfig::from_docker(&log.driver, &options, path)?)
}

/// Makes the container in its shim and its interfaces in its namespace, at once; then lets it go.
async fn make(
    core: &Arc<Core>,
    record: &ContainerRecord,
    plan: Plan,
    namespace: Option<OwnedFd>,
    sandbox: Option<SandboxRecord>,
    attaches: Vec<PendingAttach>,
) -> Result<(Live, Input)> {
    let mut joins = plan.joins;
    if let Some(namespace) = &namespace {
        joins.push(network::join(namespace)?);
    }
    let config = plan.config;
    let spawn = core.blocking(move |core| {
        info_span!("shim").in_scope(|| {
            failpoint::hit("engine.before_shim")?;
            let spawned = core.zygote.spawn_shim(&config, ShimFds { joins });
            let spawned = spawned.map_err(|e| match e {
                brig_shim::Error::Refused(refused) => failure::of_start(refused),
                other => other.into(),
            })?;
            Ok(spawned)
        })
    });
    let for_attach = record.clone();
    let own = sandbox.as_ref().is_some_and(|sandbox| sandbox.owner == record.id);
    let attach = core.blocking(move |core| {
        info_span!("network").in_scope(|| match (sandbox, namespace) {
            (Some(sandbox), Some(namespace)) if own => {
                network::attach(core, &for_attach, sandbox, &namespace).map(Some).map_err(network_error)
            }
            (sandbox, _) => Ok(sandbox),
        })
    });
    let (spawned, attached) = tokio::join!(spawn, attach);
    let (spawned, sandbox) = match (spawned, attached) {
        (Ok(spawned), Ok(sandbox)) => (spawned, sandbox),
        (Ok(spawned), Err(error)) => {
            tear_down::kill_created(core, record, spawned).await;
            return Err(error);
        }
        (Err(error), _) => return Err(error),
    };
    if let Err(failed) = failpoint::hit("engine.after_shim") {
        tear_down::kill_created(core, record, spawned).await;
        return Err(failed.into());
    }
    release(core, record, spawned, sandbox, attaches).await
}

/// Connects those who wait for the container's streams, then lets its first process go.
async fn release(
    core: &Arc<Core>,
    record: &ContainerRecord,
    spawned: Spawned,
    sandbox: Option<SandboxRecord>,
    attaches: Vec<PendingAttach>,
) -> Result<(Live, Input)> {
    let Spawned { control, state, warnings } = spawned;
    for warning in warnings {
        tracing::warn!(container = %record.id, warning, "left out");
    }
    let live = live(core, record, control, sandbox)?;
    let started = async {
        connect(core, record, attaches).await?;
        failpoint::hit("engine.before_start")?;
        let reply = live.link.ask(Request::Start).await?;
        failpoint::hit("engine.after_start")?;
        match reply {
            Ok(Reply::Started { pid, at }) => {
                Ok(Input::Started { pid, start_time: state.start_time, at: timestamp(at) })
            }
            Ok(_) => Err(Error::System("the shim answered a start with something else".to_owned())),
            Err(refused) => Err(failure::of_start(refused)),
        }
    };
    match started.instrument(info_span!("release")).await {
        Ok(started) => {
            tear_down::tell_networks(core, record, live.sandbox.as_ref(), "connect");
            network::tell_owner(core, record, live.sandbox.as_ref(), Membership::Joined);
            Ok((live, started))
        }
        Err(error) => {
            tear_down::end_shim(core, record, &live).await;
            Err(error)
        }
    }
}

fn live(
    core: &Arc<Core>,
    record: &ContainerRecord,
    control: UnixStream,
    sandbox: Option<SandboxRecord>,
) -> Result<Live> {
    let dir = core.config.paths.shim(&record.id);
    let execs = core.execs.clone();
    let weak = Arc::downgrade(core);
    let on_exec_exit = Arc::new(move |id, code| {
        if let Some(core) = weak.upgrade() {
            execs.ended(&core, id, code);
        }
    });
    let link = ShimLink::new(dir, control, record.id, on_exec_exit)
        .map_err(|e| Error::System(format!("connection to the shim of {}: {e}", record.id)))?;
    let told = link.told();
    Ok(Live { link, told, sandbox, oom_seen: false })
}

/// Takes over a shim that an earlier daemon started.
pub(crate) async fn adopt(
    core: &Arc<Core>,
    record: &ContainerRecord,
    state: &ShimState,
    control: UnixStream,
    sandbox: Option<SandboxRecord>,
) -> Result<Live> {
    let mut live = live(core, record, control, sandbox)?;
    live.oom_seen = record.state.run().is_some_and(|run| run.oom_killed);
    // A connection is told of events from its first request on.
    live.link.call(Request::Hello { protocol: PROTOCOL_VERSION }).await?;
    core.execs.adopt(record, &state.execs);
    Ok(live)
}

/// Attaches those who have waited, before the first byte is written.
async fn connect(core: &Arc<Core>, record: &ContainerRecord, attaches: Vec<PendingAttach>) -> Result<()> {
    let waiting: Vec<PendingAttach> = attaches.into_iter().filter(|a| !a.connect.is_closed()).collect();
    if waiting.is_empty() {
        return Ok(());
    }
    let dir = core.config.paths.shim(&record.id);
    let connected = core
        .blocking(move |_| {
            let connect = |pending: PendingAttach| {
                let s = pending.streams;
                let stream = client::attach(&dir, Target::Init, s.stdin, s.stdout, s.stderr)?;
                stream.set_nonblocking(true).map_err(|e| Error::System(format!("attach: {e}")))?;
                Ok((pending.connect, stream))
            };
            waiting.into_iter().map(connect).collect::<Result<Vec<_>>>()
        })
        .await?;
    for (client, stream) in connected {
        let stream =
            tokio::net::UnixStream::from_std(stream).map_err(|e| Error::System(format!("attach: {e}")))?;
        // A client that went away meanwhile closes its stream by that.
        let _ = client.send(stream);
    }
    Ok(())
}

/// Gives back what a start that failed had taken. A shim undoes what it made, unless it was killed itself.
async fn give_back(core: &Arc<Core>, record: &ContainerRecord, sandbox: Option<SandboxRecord>) {
    crate::reconcile::kill_remains(core, record).await;
    let id = record.id;
    let done = core.blocking(move |core| {
        if let Some(sandbox) = sandbox.filter(|sandbox| sandbox.owner == id) {
            tear_down::release_sandbox(core, &sandbox);
        }
        tear_down::remove_shim_dir(core, &id);
        Ok(())
    });
    if let Err(error) = done.await {
        tracing::error!(container = %id, %error, "after a start that failed");
    }
}
