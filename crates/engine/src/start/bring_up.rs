//! A start, from the sandbox's record to the first process running.

use super::{
    endpoints::network_error,
    failure, files, links,
    log::log_config,
    modes,
    network::{self, Network},
    prepare,
    tear_down::{self, Use},
};
use crate::{
    actor::{Membership, PendingAttach, Streams, timestamp},
    core::Core,
    error::{Error, Result},
    machine::Input,
    record::{CONTAINER_KIND, ContainerRecord, SANDBOX_KIND, SandboxRecord},
    shim_link::{ShimLink, Told},
    spec::{Built, Compiled, SpecNamespaces},
    volumes,
};
use brig_core::{RootFs, atomic::Durability, failpoint};
use brig_shim::{
    client::{Attaching, Control},
    protocol::{ConsoleSize, Event, PROTOCOL_VERSION, Reply, Request, ShimConfig, ShimState, Target},
    zygote::{Asked, Beginning, ShimFds, Spawned, WithoutNetwork},
};
use brig_store::Batch;
use std::{
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{oneshot, watch};
use tracing::info_span;

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
    sandbox: Option<SandboxRecord>,
}

/// Starts a container; on failure, everything that was taken has been given back. Blocking, and all on the calling
/// thread: handing steps to other threads takes longer than most steps do, and what is slow goes on elsewhere by
/// itself, in the zygote and the shim.
pub(crate) fn bring_up(
    core: &Arc<Core>,
    record: &ContainerRecord,
    attaches: Vec<PendingAttach>,
) -> Result<(Live, Input)> {
    let _span = info_span!("start", container = %record.id.short()).entered();
    core.check_open()?;
    let turn = crate::reconcile::take_turn(core, record)?;
    let (namespaces, mut joins) = modes::open(core, record)?;
    let network = network::choose(core, record)?;
    if let Network::Joined(namespace) = &network {
        joins.push(network::join(namespace)?);
    }
    // The zygote forks meanwhile. A shim that is told nothing ends by itself.
    failpoint::hit("engine.before_shim")?;
    let asked = core.zygote.ask_shim(ShimFds { joins, turn: Some(turn) })?;
    let Plan { config, sandbox } = info_span!("plan").in_scope(|| plan(core, record, namespaces))?;
    let own = sandbox.clone().filter(|sandbox| sandbox.owner == record.id);
    let made = connect(attaches).and_then(|(attaching, attached)| {
        let (beginning, namespace) = begin(core, asked, config, network, attached)?;
        make(core, record, beginning, namespace, sandbox, attaching)
    });
    if made.is_err() {
        give_back(core, record, own.as_ref());
    }
    made
}

/// Tells the shim what to make; where that has a network namespace of its own, makes this while the shim begins.
fn begin<'a>(
    core: &Core,
    asked: Asked<'a>,
    config: ShimConfig,
    network: Network,
    attached: Vec<OwnedFd>,
) -> Result<(Beginning<'a>, Option<OwnedFd>)> {
    match network {
        Network::Host => Ok((asked.create(config, attached)?, None)),
        Network::Joined(namespace) => Ok((asked.create(config, attached)?, Some(namespace))),
        Network::New => {
            let mut waiting = Some(asked.create_before_network(config, attached)?);
            let mut beginning = None;
            let give = |copy| beginning = waiting.take().map(|waiting| waiting.network(copy));
            let made = info_span!("netns").in_scope(|| network::new_namespace(core, give));
            match (made, beginning, waiting) {
                (Ok(namespace), Some(beginning), _) => Ok((beginning, Some(namespace))),
                (made, beginning, waiting) => {
                    beginning.into_iter().for_each(Beginning::abandon);
                    waiting.into_iter().for_each(WithoutNetwork::abandon);
                    made.and(Err(Error::System("the network namespace was given to nobody".to_owned())))
                }
            }
        }
    }
}

/// Everything that can be refused is refused here; addresses are taken, and the records are written.
fn plan(core: &Core, record: &ContainerRecord, namespaces: SpecNamespaces) -> Result<Plan> {
    let sandbox = network::allocate(core, record).map_err(network_error)?;
    let own = sandbox.as_ref().filter(|sandbox| sandbox.owner == record.id);
    let planned = (|| {
        write_down(core, record, own)?;
        let rootfs = core.store.snapshot_mount(&record.id.to_string())?;
        failpoint::hit("engine.after_snapshot")?;
        let paths = files::container_files(core, record, sandbox.as_ref())?;
        volumes::mount(core, record)?;
        let spec =
            prepare::spec_of(core, record, &rootfs, namespaces, &paths, &links::environment(core, record)?)?;
        shim_config(core, record, spec, rootfs)
    })();
    match planned {
        Ok(config) => Ok(Plan { config, sandbox }),
        Err(error) => {
            volumes::release(core, record);
            if let Some(sandbox) = own {
                tear_down::release_sandbox(core, sandbox);
            }
            Err(error)
        }
    }
}

/// Writes down that the container is being started, and where.
fn write_down(core: &Core, record: &ContainerRecord, own: Option<&SandboxRecord>) -> Result<()> {
    failpoint::hit("engine.before_record_starting")?;
    failpoint::hit("engine.before_sandbox")?;
    let mut batch = Batch::new();
    batch.put(CONTAINER_KIND, &record.id.to_string(), record)?;
    if let Some(sandbox) = own {
        batch.put(SANDBOX_KIND, &sandbox.id.to_string(), sandbox)?;
    }
    core.store.records().batch(batch, Durability::Process)?;
    failpoint::hit("engine.after_record_starting")?;
    failpoint::hit("engine.after_sandbox")?;
    Ok(())
}

fn shim_config(
    core: &Core,
    record: &ContainerRecord,
    Built { mut spec, filter }: Built,
    mut rootfs: RootFs,
) -> Result<ShimConfig> {
    let seccomp = match core.programs.get(filter)? {
        Compiled::Nothing => None,
        Compiled::Program(program) => Some(program),
        Compiled::Refused(rules) => {
            spec.linux_mut().get_or_insert_default().set_seccomp(Some(*rules));
            None
        }
    };
    if let RootFs::Overlay { volatile, .. } = &mut rootfs {
        // It goes with the container, at the next start of the daemon if the machine crashes.
        *volatile = record.host_config.auto_remove;
    }
    let size = record.host_config.console_size;
    Ok(ShimConfig {
        id: record.id,
        dir: core.config.paths.shim(&record.id),
        spec: Box::new(spec),
        seccomp,
        rootfs,
        terminal: record.config.tty,
        console_size: (size != [0, 0]).then(|| console_size(size[0], size[1])),
        open_stdin: record.config.open_stdin,
        stdin_once: record.config.stdin_once,
        init: record.host_config.init.unwrap_or(core.config.init),
        network_later: false,
        attached: 0,
        log: log_config(core, record)?,
    })
}

/// A size as clients send it, as terminals have it.
pub(crate) fn console_size(rows: u32, cols: u32) -> ConsoleSize {
    let fit = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
    ConsoleSize { rows: fit(rows), cols: fit(cols) }
}

/// While the shim makes the container, makes the interfaces in its namespace; then lets it go.
fn make(
    core: &Arc<Core>,
    record: &ContainerRecord,
    mut beginning: Beginning<'_>,
    namespace: Option<OwnedFd>,
    sandbox: Option<SandboxRecord>,
    attaching: Vec<PendingConnection>,
) -> Result<(Live, Input)> {
    let attached = info_span!("network").in_scope(|| match (sandbox, &namespace) {
        (Some(sandbox), Some(namespace)) if sandbox.owner == record.id => {
            network::attach(core, record, sandbox, namespace).map(Some).map_err(network_error)
        }
        (sandbox, _) => Ok(sandbox),
    });
    let asked = attached.and_then(|sandbox| {
        failpoint::hit("engine.before_start")?;
        beginning.start()?;
        Ok(sandbox)
    });
    let spawned = info_span!("shim").in_scope(|| beginning.finish()).map_err(start_error)?;
    let Spawned { control, state, warnings } = spawned;
    let mut control = Control::new(control);
    for warning in warnings {
        tracing::warn!(container = %record.id, warning, "left out");
    }
    let started = asked.and_then(|sandbox| {
        failpoint::hit("engine.after_shim")?;
        hand_over(attaching)?;
        let started = info_span!("release").in_scope(|| released(core, record, &mut control, &state))?;
        Ok((sandbox, started))
    });
    match started {
        Ok((sandbox, started)) => {
            let (control, events) = control.into_parts();
            // Where this fails, the container is killed by its cgroup.
            let live = live(core, record, control, events, sandbox)?;
            tear_down::tell_networks(core, record, live.sandbox.as_ref(), "connect");
            tear_down::tell_volumes(core, record, Use::Begins);
            network::tell_owner(core, record, live.sandbox.as_ref(), Membership::Joined);
            Ok((live, started))
        }
        Err(error) => {
            tear_down::end_shim(core, record, control);
            Err(error)
        }
    }
}

/// Waits until a container's first process is let go.
fn released(
    core: &Core,
    record: &ContainerRecord,
    control: &mut Control,
    state: &ShimState,
) -> Result<Input> {
    let reply = control.started();
    failpoint::hit("engine.after_start")?;
    match reply {
        Ok(Reply::Started { pid, at }) => {
            Ok(Input::Started { pid, start_time: state.start_time, at: timestamp(at) })
        }
        Ok(_) => Err(Error::System("the shim answered a start with something else".to_owned())),
        Err(brig_shim::Error::Closed) => Err(Error::ShimGone(core.config.paths.shim(&record.id))),
        Err(error) => Err(start_error(error)),
    }
}

/// Docker's words for what a shim refuses.
fn start_error(error: brig_shim::Error) -> Error {
    match error {
        brig_shim::Error::Refused(refused) => failure::of_start(refused),
        other => other.into(),
    }
}

fn live(
    core: &Arc<Core>,
    record: &ContainerRecord,
    control: UnixStream,
    events: impl IntoIterator<Item = Event>,
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
    let link = ShimLink::new(dir, control, record.id, on_exec_exit, events)
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
    let mut live = live(core, record, control, [], sandbox)?;
    volumes::adopt(core, record);
    live.oom_seen = record.state.run().is_some_and(|run| run.oom_killed);
    // A connection is told of events from its first request on. One that ended just now may have left its socket to a
    // process that it was making, where nobody ever answers.
    let hello = live.link.call(Request::Hello { protocol: PROTOCOL_VERSION });
    match tokio::time::timeout(SHIM_ANSWERS, hello).await {
        Ok(answer) => drop(answer?),
        Err(_) => return Err(Error::System("its supervisor does not answer".to_owned())),
    }
    core.execs.adopt(record, &state.execs);
    Ok(live)
}

/// How long a shim has to answer a daemon that takes it over.
const SHIM_ANSWERS: Duration = Duration::from_secs(5);

/// Who waits for a connection that the shim is asked to attach.
type PendingConnection = (oneshot::Sender<tokio::net::UnixStream>, Attaching);

/// Connections for those who wait to be attached, before the first byte is written; and the shim's ends of them.
fn connect(attaches: Vec<PendingAttach>) -> Result<(Vec<PendingConnection>, Vec<OwnedFd>)> {
    let waiting = attaches.into_iter().filter(|pending| !pending.connect.is_closed());
    let connected = waiting.map(|PendingAttach { streams, connect }| {
        let Streams { stdin, stdout, stderr } = streams;
        let (ours, theirs) = UnixStream::pair().map_err(attach_error)?;
        Ok(((connect, Attaching::begin(ours, Target::Init, stdin, stdout, stderr)?), theirs.into()))
    });
    connected.collect()
}

/// Gives those who wait their connections, which the shim has answered by now.
fn hand_over(attaching: Vec<PendingConnection>) -> Result<()> {
    for (connect, attaching) in attaching {
        let stream = attaching.finish()?;
        stream.set_nonblocking(true).map_err(attach_error)?;
        let stream = tokio::net::UnixStream::from_std(stream).map_err(attach_error)?;
        // A client that went away meanwhile closes its stream by that.
        let _ = connect.send(stream);
    }
    Ok(())
}

fn attach_error(error: std::io::Error) -> Error {
    Error::System(format!("attach: {error}"))
}

/// Gives back what a start that failed had taken. A shim undoes what it made, unless it was killed itself.
fn give_back(core: &Core, record: &ContainerRecord, sandbox: Option<&SandboxRecord>) {
    crate::reconcile::kill_now(core, record);
    volumes::release(core, record);
    if let Some(sandbox) = sandbox {
        tear_down::release_sandbox(core, sandbox);
    }
    tear_down::remove_shim_dir(core, &record.id);
}
