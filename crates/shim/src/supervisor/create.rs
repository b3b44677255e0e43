//! From a configuration to a created container.

use super::{
    INIT, Phase, Shim,
    container::{Container, Owners, failed, runtime_failure},
    poller::{Poller, Role, Watched},
    process::{Life, Process},
    records::Records,
    stdio::{self, Ends},
};
use crate::protocol::{self, ConsoleSize, Failure, Reply, ShimConfig};
use brig_logs::Writer;
use brig_runtime::hooks::HookedContainer;
use brig_runtime::{CgroupOptions, CreateOptions, InitProcess, NetworkLater, Stdio, cgroup::Cgroup};
use oci_spec::runtime::{LinuxNamespaceType, Spec};
use rustix::{
    event::epoll::EventFlags,
    fs::{Mode, OFlags},
};
use std::{
    collections::BTreeMap,
    io,
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
};

type Joins = Vec<(LinuxNamespaceType, OwnedFd)>;

impl Shim {
    /// Makes the container. On failure nothing is left.
    pub(super) fn create(
        config: ShimConfig,
        joins: Joins,
        control: &UnixStream,
    ) -> Result<(Self, Reply), Failure> {
        let records = Records::open(config.id, config.dir.clone())
            .map_err(|e| failed(&format!("shim folder {}", config.dir.display()), e))?;
        Self::create_recorded(&records, &config, joins, control)
            .map_err(|failure| {
                records.remove();
                Failure { exec_exit_code: failure.exec_exit_code.or(Some(125)), ..failure }
            })
            .map(|(parts, reply)| (parts.into_shim(records), reply))
    }

    fn create_recorded(
        records: &Records,
        config: &ShimConfig,
        joins: Joins,
        control: &UnixStream,
    ) -> Result<(Parts, Reply), Failure> {
        // First of all: who comes meanwhile sees that there is a shim, and waits for its answer.
        let mut listener = Watched::new(records.listen().map_err(|e| failed("listen on shim socket", e))?);
        let owners = owners(&config.spec);
        let own_pid_namespace = owns_pid_namespace(&config.spec, &joins);
        let (stdio, ends) = streams(config, &owners).map_err(|e| failed("make standard streams", e))?;
        let cgroup_path = config.spec.linux().as_ref().and_then(|l| l.cgroups_path().clone());
        let hooked = hooked(config, records).map_err(|e| failed("write the configuration for hooks", e))?;
        let making = brig_runtime::begin(CreateOptions {
            spec: &config.spec,
            rootfs: &config.rootfs,
            stdio,
            join: joins,
            network_later: config
                .network_later
                .then(|| NetworkLater(Box::new(|| protocol::receive_descriptor(control)))),
            seccomp: config.seccomp.clone(),
            cgroup: cgroup_path.clone().map_or(CgroupOptions::Inherit, CgroupOptions::New),
            init: if config.init { InitProcess::Reaper } else { InitProcess::Program },
            console_size: config.console_size.map(console_size),
            departures: brig_runtime::Departures::default(),
            hooks: hooked.as_ref(),
        })
        .map_err(|e| runtime_failure(&e))?;
        // From here on, dropping `making` undoes it. What does not need the container's root file system is done
        // while the container's process builds it.
        let pid = making.pid();
        let duplicate = || making.pidfd().try_clone_to_owned().map_err(|e| failed("duplicate pidfd", e));
        let (pidfd, watched_pidfd) = (duplicate()?, Watched::new(duplicate()?));
        let mut poller = Poller::new().map_err(|e| failed("epoll", e))?;
        let log = Writer::open(&config.log).map_err(|e| failed("open log", e))?;
        let mut memory = making.cgroup().and_then(Cgroup::oom_watch).map(Watched::new);
        let state = records
            .state(pid, cgroup_path.map(|p| p.to_string_lossy().into_owned()))
            .map_err(|e| failed("look at the container's process", e))?;
        poller
            .must_watch(&mut listener, Role::Listener, EventFlags::IN)
            .map_err(|e| failed("watch shim socket", e))?;
        records.write_state(&state).map_err(|e| failed("write state", e))?;
        let mut created = making.finish().map_err(|e| runtime_failure(&e))?;
        let ends = match created.terminal() {
            Some(master) => stdio::terminal(master).map_err(|e| failed("take over terminal", e))?,
            None => ends,
        };
        let reply = Reply::State { state: Box::new(state.clone()), warnings: created.warnings().to_vec() };
        // Where that is not allowed, the end takes longer, nothing else.
        let held = |name: &str, flags| {
            rustix::fs::open(format!("/proc/{pid}/{name}"), flags | OFlags::CLOEXEC, Mode::empty()).ok()
        };
        let (root, mounts) = (held("root", OFlags::PATH), held("ns/mnt", OFlags::RDONLY));
        let mut process = Process {
            exec: None,
            terminal: config.terminal,
            has_input: config.open_stdin,
            input_ends_with_client: config.stdin_once,
            ends,
            life: Life::Alive { pid, pidfd: watched_pidfd },
            drain_until: None,
            held_back: false,
        };
        process.watch(INIT, &mut poller).map_err(|e| failed("watch the container's process", e))?;
        if let Some(memory) = &mut memory {
            // Without it, kills are still counted at the end.
            poller.watch(memory, Role::Memory, EventFlags::IN);
        }
        let container = Container {
            state,
            created: Some(created),
            seccomp: None,
            pidfd,
            owners,
            own_pid_namespace,
            running_cgroup: None,
            _root: root,
            mounts,
            memory,
            oom_kills: 0,
        };
        Ok((Parts { poller, log, listener, process, container }, reply))
    }
}

/// What a shim is made of.
struct Parts {
    poller: Poller,
    log: Writer,
    listener: Watched<UnixListener>,
    process: Process,
    container: Container,
}

impl Parts {
    fn into_shim(self, records: Records) -> Shim {
        let Self { poller, log, listener, process, container } = self;
        Shim {
            poller,
            records,
            listener,
            container,
            processes: BTreeMap::from([(INIT, process)]),
            next_process: INIT + 1,
            finished: Vec::new(),
            clients: BTreeMap::new(),
            next_client: 0,
            log,
            log_failing: false,
            not_started: None,
            state_unwritten: false,
            buffer: Vec::new(),
            phase: Phase::Serving,
            fat: true,
        }
    }
}

fn streams(config: &ShimConfig, owners: &Owners) -> io::Result<(Stdio, Ends)> {
    if config.terminal {
        return Ok((Stdio::Terminal, Ends::Unmade));
    }
    let uid = config.spec.process().as_ref().map_or(0, |p| p.user().uid());
    stdio::pipes(config.open_stdin, owners.on_host(uid))
}

pub(super) fn console_size(size: ConsoleSize) -> brig_runtime::ConsoleSize {
    brig_runtime::ConsoleSize { rows: size.rows, columns: size.cols }
}

/// What hooks are told, where there are some: they find the configuration in the shim's folder.
fn hooked(config: &ShimConfig, records: &Records) -> io::Result<Option<HookedContainer>> {
    if config.spec.hooks().is_none() {
        return Ok(None);
    }
    records.write_spec(&config.spec)?;
    Ok(Some(HookedContainer {
        version: config.spec.version().clone(),
        id: config.id.to_string(),
        bundle: config.dir.clone(),
        annotations: config.spec.annotations().clone().unwrap_or_default(),
    }))
}

/// Whether the container's first process is process 1 of a namespace that nobody made before.
fn owns_pid_namespace(spec: &Spec, joins: &Joins) -> bool {
    let namespaces = spec.linux().as_ref().and_then(|l| l.namespaces().as_deref()).unwrap_or_default();
    let is_pid = |kind: LinuxNamespaceType| kind == LinuxNamespaceType::Pid;
    namespaces.iter().any(|n| is_pid(n.typ()) && n.path().is_none())
        && !joins.iter().any(|(kind, _)| is_pid(*kind))
}

fn owners(spec: &Spec) -> Owners {
    let mappings = spec.linux().as_ref().and_then(|l| l.uid_mappings().as_deref()).unwrap_or_default();
    Owners(mappings.iter().map(|m| (m.container_id(), m.host_id(), m.size())).collect())
}
