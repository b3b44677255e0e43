//! Making a container, as seen from the parent.

use crate::cgroup::{Cgroup, CgroupError, Entrance, Hierarchies, Starting};
use crate::channel::{self, Channel, LastWords, Order, Report};
use crate::child;
use crate::clone::{self, BornIn, Child, Side, Undumpable};
use crate::error::{Errno, Error};
use crate::gateway;
use crate::hooks::{self, HookedContainer, Moment};
use crate::idmapped;
use crate::listener::{self, Listening};
use crate::net_devices::{self, Given};
use crate::options::{CgroupOptions, CreateOptions, ExecTarget, NetworkLater};
use crate::parked::Parked;
use crate::plan::Plan;
use crate::plan::idmap::IdKind;
use crate::plan::namespaces::check_type;
use crate::seccomp::Program;
use brig_core::failpoint;
use oci_spec::runtime::{Hooks, LinuxNamespaceType, LinuxResources, Spec};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// A container that is made and waits for [`Created::start`]. Dropping it kills and undoes it.
#[derive(Debug)]
pub struct Created {
    // Before the cgroup, which can be removed only when its processes are gone.
    child: Child,
    cgroup: Group,
    channel: Channel,
    words: LastWords,
    path: String,
    terminal: Option<OwnedFd>,
    warnings: Vec<String>,
    seccomp: Option<Program>,
}

/// A container whose program was executed.
#[derive(Debug)]
pub struct Running {
    /// Process 1, as the caller's pid namespace numbers it. It is a child of the caller, who reaps it.
    pub pid: i32,
    /// A pidfd of it, close-on-exec.
    pub pidfd: OwnedFd,
    /// The container's cgroup, when one was made. The caller removes it after the container's end.
    pub cgroup: Option<Cgroup>,
    /// The container's compiled seccomp filter, for [`crate::exec`].
    pub seccomp: Option<Program>,
}

fn at_failpoint(error: failpoint::FailpointError) -> Error {
    Error::step(error.to_string(), Errno(libc::EINTR))
}

/// The cgroup of a container in the making; removed when dropped.
#[derive(Debug)]
struct Group {
    made: Option<(Cgroup, Arc<Hierarchies>)>,
    /// The scope that is yet to be started around the process.
    starting: Option<Starting>,
    /// Whether the container can do without.
    optional: bool,
}

impl Group {
    /// Makes as much of it as has to be there before the clone.
    fn begin(options: &CgroupOptions, warnings: &mut Vec<String>) -> Result<Self, Error> {
        let (path, optional) = match options {
            CgroupOptions::Inherit => return Ok(Self { made: None, starting: None, optional: true }),
            CgroupOptions::Scope(scope) => {
                let machine = Hierarchies::get();
                let (cgroup, starting) = Cgroup::begin_scope(&machine, scope)?;
                return Ok(Self { made: Some((cgroup, machine)), starting: Some(starting), optional: false });
            }
            CgroupOptions::New(path) => (path, false),
            CgroupOptions::IfAllowed(path) => (path, true),
        };
        let machine = Hierarchies::get();
        let mut unsaid = Vec::new();
        let cgroup = Cgroup::begin(&machine, path, if optional { &mut unsaid } else { warnings })?;
        Ok(Self { made: Some((cgroup, machine)), starting: None, optional })
    }

    /// Makes the rest, with all limits, and answers what the child enters it by.
    fn complete(&mut self, spec: &Spec, pid: i32, warnings: &mut Vec<String>) -> Result<Entrance, Error> {
        let Some((cgroup, machine)) = &mut self.made else { return Ok(Entrance::none()) };
        let resources = spec.linux().as_ref().and_then(|linux| linux.resources().as_ref());
        if let Some(starting) = self.starting.take() {
            cgroup.complete_scope(machine, starting, pid, resources, warnings)?;
            return Ok(cgroup.entrance_of(machine)?);
        }
        if !self.optional {
            cgroup.complete(machine, resources, warnings)?;
            return Ok(cgroup.entrance_of(machine)?);
        }
        // That a hierarchy can't be used is nothing to warn of here.
        match cgroup.complete(machine, resources, &mut Vec::new()) {
            Err(CgroupError::None) if resources.is_some_and(has_limits) => Err(Error::Cgroup(
                "linux.resources has limits, and no cgroup can be made to put them into force: this user has none \
                 delegated (with systemd on cgroup v2: start from `systemd-run --user --scope --property=Delegate=yes`), \
                 or leave the limits out"
                    .into(),
            )),
            Err(CgroupError::None) => {
                self.made = None;
                Ok(Entrance::none())
            }
            other => {
                other?;
                Ok(cgroup.entrance_of(machine)?)
            }
        }
    }

    /// Clones, into the cgroup where there is one that takes it (version 2).
    fn clone(&self, plan: &Plan) -> Result<Side, Error> {
        let unified = self.made.as_ref().and_then(|(cgroup, _)| cgroup.unified());
        if plan.namespaces.need_gateway() {
            return gateway::clone(plan, unified);
        }
        let pid = plan.namespaces.joined(LinuxNamespaceType::Pid);
        let born = pid.map(|fd| BornIn::enter(fd.as_fd())).transpose()?;
        let side = clone::clone(plan.namespaces.clone_flags(), unified)?;
        if matches!(side, Side::Child) {
            // It stays where it was born.
            std::mem::forget(born);
        }
        Ok(side)
    }
}

/// Whether there is anything to put into force but rules for devices, which are guarded by file modes, too.
fn has_limits(resources: &LinuxResources) -> bool {
    let mut others = resources.clone();
    others.set_devices(None);
    others != LinuxResources::default()
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some((cgroup, _)) = self.made.take() {
            // This undoes a failure, which is what the caller hears of. Other processes than the dead child can be
            // in there only where the pid namespace is another container's.
            let _ = cgroup.kill_all();
            let _ = cgroup.remove();
        }
    }
}

/// Makes a container up to the point just before its program is executed.
///
/// The calling process must have one thread and must not reap the child by itself before this returns.
///
/// # Errors
/// Everything that can fail, from a malformed spec to a program that is not there; all is undone then.
pub fn create(options: CreateOptions<'_>) -> Result<Created, Error> {
    begin(options)?.finish()
}

/// A container whose first process is at work on its root file system. Dropping it kills and undoes it.
#[derive(Debug)]
pub struct Making {
    // As in `Created`.
    child: Child,
    cgroup: Group,
    channel: Channel,
    words: LastWords,
    warnings: Vec<String>,
    seccomp: Option<Program>,
    hooks: Option<(Hooks, HookedContainer)>,
    given: Option<Given>,
}

/// Begins to make a container, as [`create`] does: its process is there, its cgroups and limits are. What the caller
/// does before [`Making::finish`] is done while that process builds the container's root file system.
///
/// # Errors
/// As [`create`].
pub fn begin(options: CreateOptions<'_>) -> Result<Making, Error> {
    let CreateOptions {
        spec,
        rootfs,
        stdio,
        join,
        network_later,
        seccomp,
        cgroup: cgroup_options,
        init,
        console_size,
        departures,
        hooks,
    } = options;
    let mut plan = Plan::new(spec, join, network_later.is_some(), seccomp, &stdio, console_size, departures)?;
    if hooks.is_none() && plan.hooks.as_ref().is_some_and(|hooks| *hooks != Hooks::default()) {
        return Err(Error::Unsupported("hooks".into()));
    }
    if let Some(ids) =
        plan.namespaces.ids.as_ref().filter(|_| plan.namespaces.is_new(LinuxNamespaceType::User))
    {
        stdio.give_pipes_to(ids.check(IdKind::User, plan.process.uid, "process.user.uid")?)?;
    }
    plan.idmapped = idmapped::prepare(&plan)?;
    let mut warnings = Vec::new();
    let mut cgroup = Group::begin(&cgroup_options, &mut warnings)?;
    let words = LastWords::new()?;
    let (ours, theirs) = channel::pair()?;
    let cloned = {
        let _opaque = Undumpable::begin();
        match cgroup.clone(&plan)? {
            Side::Parent(child) => child,
            Side::Child => {
                let child = child::Child {
                    plan: &plan,
                    rootfs,
                    stdio: &stdio,
                    init,
                    cgroup: cgroup.made.as_ref().map(|(cgroup, machine)| (&**machine, cgroup.path())),
                    channel: &theirs,
                    words: &words,
                    hooks,
                };
                child::run(&theirs, || child.become_container())
            }
        }
    };
    drop((theirs, stdio));
    failpoint::hit("runtime.cloned").map_err(at_failpoint)?;
    // The child waits for these before it needs them, and has something to do until then.
    let mut network = None;
    if let Some(NetworkLater(wait)) = network_later {
        let made = wait().map_err(|e| Error::step("wait for the network namespace", e))?;
        check_type(LinuxNamespaceType::Network, &made)?;
        ours.order(Order::Network, Some(made.as_fd()));
        network = Some(made);
    }
    let given = match std::mem::take(&mut plan.net_devices) {
        none if none.is_empty() => None,
        devices => {
            let joined = network.or_else(|| plan.namespaces.take_joined(LinuxNamespaceType::Network));
            let namespace = joined.map_or_else(|| net_devices::namespace_of(cloned.pid()), Ok)?;
            Some(net_devices::give(devices, namespace)?)
        }
    };
    let entrance = cgroup.complete(spec, cloned.pid(), &mut warnings)?;
    failpoint::hit("runtime.cgroup").map_err(at_failpoint)?;
    let settled = plan.process.oom_score_adj.map_or(Ok(None), |adj| set_oom_score_adj(cloned.pid(), adj));
    match settled.and_then(|warning| ours.go_on(&entrance).map(|()| warning)) {
        Ok(warning) => warnings.extend(warning),
        Err(error) => return Err(cause(error, &cloned, &ours)),
    }
    let seccomp = plan.process.seccomp.take();
    let hooks = plan.hooks.take().zip(hooks.cloned());
    Ok(Making { child: cloned, cgroup, channel: ours, words, warnings, seccomp, hooks, given })
}

impl Making {
    /// Process 1, as the caller's pid namespace numbers it.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.child.pid()
    }

    /// A pidfd of process 1.
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.child.pidfd()
    }

    /// The container's cgroup, when one was made.
    #[must_use]
    pub fn cgroup(&self) -> Option<&Cgroup> {
        self.cgroup.made.as_ref().map(|(cgroup, _)| cgroup)
    }

    /// Waits until all is made.
    ///
    /// # Errors
    /// As [`create`].
    pub fn finish(self) -> Result<Created, Error> {
        let Self { child, cgroup, channel, words, mut warnings, seccomp, hooks, given } = self;
        let run_hooks = &mut || {
            let Some((hooks, container)) = &hooks else { return Ok(()) };
            hooks::run(hooks, Moment::Prestart, container, child.pid())?;
            hooks::run(hooks, Moment::CreateRuntime, container, child.pid())
        };
        match await_ready(&channel, &mut warnings, run_hooks) {
            Ok((Some(path), terminal)) => {
                if let Some(given) = given {
                    given.keep();
                }
                Ok(Created { child, cgroup, channel, words, path, terminal, warnings, seccomp })
            }
            Ok((None, _)) => Err(Error::Died { step: "its creation".into(), how: child.reap() }),
            Err(error) => {
                // Before the cgroup, which can be removed only when its processes are gone.
                drop(child);
                Err(error)
            }
        }
    }
}

/// Why nothing can be done to a child: what it said itself when it is dead, else `error`.
pub(crate) fn cause(error: Error, child: &Child, channel: &Channel) -> Error {
    match clone::has_ended(child.pidfd()) {
        true => await_ready(channel, &mut Vec::new(), &mut || Ok(())).err().unwrap_or(error),
        false => error,
    }
}

/// Reads reports until the child is ready (its path), or gone (`None`). Calls `built` when its root is built.
pub(crate) fn await_ready(
    channel: &Channel,
    warnings: &mut Vec<String>,
    built: &mut dyn FnMut() -> Result<(), Error>,
) -> Result<(Option<String>, Option<OwnedFd>), Error> {
    let mut terminal = None;
    loop {
        match channel.await_report()? {
            None => return Ok((None, None)),
            Some((Report::Warning(warning), _)) => warnings.push(warning),
            Some((Report::Terminal, fd)) => terminal = fd,
            // The gateway's, which is done by now.
            Some((Report::Apart | Report::Born(_) | Report::Listening(_), _)) => {}
            Some((Report::Built, _)) => {
                built()?;
                channel.order(Order::HooksDone, None);
            }
            Some((Report::Ready(path), _)) => return Ok((Some(path), terminal)),
            Some((Report::Failed(error), _)) => return Err(error),
        }
    }
}

/// Writes how readily a process is killed for want of memory, through the host's own procfs.
pub(crate) fn set_oom_score_adj(pid: i32, adj: i32) -> Result<Option<String>, Error> {
    let pid = pid.to_string();
    match write_oom_score_adj(&pid, adj) {
        Err(error) if matches!(error.errno(), Some(Errno(libc::EACCES | libc::EPERM))) => {
            let now = std::fs::read_to_string(oom_score_adj_of(&pid)).unwrap_or_default();
            let wanted = adj.to_string();
            Ok((now.trim() != wanted).then(|| {
                format!(
                    "oom_score_adj {wanted} can't be set without the right to lower it; {} is in force",
                    now.trim()
                )
            }))
        }
        other => other.map(|()| None),
    }
}

/// The same for a process by its name below `/proc`, as a plain attempt.
pub(crate) fn write_oom_score_adj(pid: &str, adj: i32) -> Result<(), Error> {
    let path = oom_score_adj_of(pid);
    std::fs::write(&path, adj.to_string()).map_err(|e| Error::path("write", path, e))
}

fn oom_score_adj_of(pid: &str) -> String {
    format!("/proc/{pid}/oom_score_adj")
}

impl Created {
    /// Process 1, as the caller's pid namespace numbers it.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.child.pid()
    }

    /// A pidfd of process 1.
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.child.pidfd()
    }

    /// The terminal's master, once.
    pub fn terminal(&mut self) -> Option<OwnedFd> {
        self.terminal.take()
    }

    /// What was left out because the kernel or the caller's rights give less, one sentence each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The container's cgroup, when one was made.
    #[must_use]
    pub fn cgroup(&self) -> Option<&Cgroup> {
        self.cgroup.made.as_ref().map(|(cgroup, _)| cgroup)
    }

    /// Hands the container over to whoever connects to `listener`; the rest of [`Created::park`].
    pub(crate) fn hand_over(self, listener: OwnedFd) -> Parked {
        let Self { child, mut cgroup, channel, seccomp, .. } = self;
        channel.order(Order::Park, Some(listener.as_fd()));
        // It lives on without a parent; its group, too.
        cgroup.made.take();
        Parked { pid: child.pid(), pidfd: child.release(), seccomp }
    }

    /// Lets the container's program go.
    ///
    /// # Errors
    /// [`Error::Exec`] when the program can't be executed, [`Error::Seccomp`] when its filter is refused; the
    /// container is undone then.
    pub fn start(self) -> Result<Running, Error> {
        self.start_with(&mut listener::nobody)
    }

    /// The same; `listening` takes what the seccomp filter's notifications come from, where it has any.
    ///
    /// # Errors
    /// As [`Self::start`], and what `listening` fails with.
    pub fn start_with(self, listening: Listening<'_>) -> Result<Running, Error> {
        failpoint::hit("runtime.start").map_err(at_failpoint)?;
        let Self { child, mut cgroup, channel, words, path, seccomp, .. } = self;
        channel.order(Order::Start, None);
        let pid = child.pid();
        let pidfd = await_executed(&channel, &words, &path, child, listening)?;
        Ok(Running { pid, pidfd, cgroup: cgroup.made.take().map(|(cgroup, _)| cgroup), seccomp })
    }
}

/// Waits until the child has executed `path`.
pub(crate) fn await_executed(
    channel: &Channel,
    words: &LastWords,
    path: &str,
    child: Child,
    listening: Listening<'_>,
) -> Result<OwnedFd, Error> {
    loop {
        match channel.await_report()? {
            Some((Report::Failed(error), _)) => return Err(error),
            Some((Report::Listening(number), _)) => {
                let process = ExecTarget { pid: child.pid(), pidfd: child.pidfd() };
                listener::take(process, number, &mut *listening, channel)?;
            }
            Some(_) => {}
            None => break,
        }
    }
    match words.verdict(path)? {
        true => Ok(child.release()),
        false => Err(Error::Died { step: "its start".into(), how: child.reap() }),
    }
}
