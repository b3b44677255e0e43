//! Running a further process in a container: it joins all namespaces and the cgroup of the first one.

use crate::cgroup::{Cgroup, Entrance};
use crate::channel::{self, Channel, LastWords, Report};
use crate::child::{connect, own_root, run};
use crate::clone::{self, BornIn, Side, Undumpable, has_ended, set_namespace};
use crate::create::{await_executed, await_ready, cause, set_oom_score_adj};
use crate::descriptors;
use crate::error::{Errno, Error};
use crate::gateway;
use crate::listener::{self, Listening};
use crate::options::{Departures, ExecOptions, ExecTarget, InitProcess, Stdio};
use crate::plan::namespaces::flag;
use crate::plan::process::ProcessPlan;
use crate::process::{self, Executable};
use crate::procfs::ProcHandle;
use crate::terminal::Terminal;
use oci_spec::runtime::Linux;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A process that runs in a container beside its first one.
#[derive(Debug)]
pub struct Execed {
    /// Its number in the caller's pid namespace. It is a child of the caller, who must reap it: until then not even
    /// the end of the container's process 1 is complete, and waiting for that would wait forever.
    pub pid: i32,
    /// A pidfd of it, close-on-exec.
    pub pidfd: OwnedFd,
    /// The terminal's master, when it has one.
    pub terminal: Option<OwnedFd>,
    /// What was left out because the kernel or the caller's rights give less, one sentence each.
    pub warnings: Vec<String>,
}

/// Runs a process in a running container: joins all namespaces and the cgroup of its first process.
///
/// The calling process must have one thread and must not reap the child by itself before this returns.
///
/// # Errors
/// [`Error::NotRunning`] when the container is gone, [`Error::Paused`] when it is frozen, [`Error::Exec`] when the program can't be executed, and
/// whatever step fails; nothing is left then.
pub fn exec(options: ExecOptions<'_>) -> Result<Execed, Error> {
    exec_with(options, &mut listener::nobody)
}

/// The same; `listening` takes what the seccomp filter's notifications come from, where it has any.
///
/// # Errors
/// As [`exec`], and what `listening` fails with.
pub fn exec_with(options: ExecOptions<'_>, listening: Listening<'_>) -> Result<Execed, Error> {
    let ExecOptions { target, process, stdio, console_size, seccomp, cgroup, departures, linux } = options;
    let mut plan = ProcessPlan::new(process, linux, &stdio, console_size, seccomp.cloned(), departures)?;
    let joins = joins(linux, departures);
    let by_gateway = joins & libc::CLONE_NEWUSER != 0;
    plan.in_user_namespace |= by_gateway;
    if !departures.into_paused && cgroup.is_some_and(Cgroup::is_frozen) {
        return Err(Error::Paused(target.pid));
    }
    let words = LastWords::new()?;
    let (ours, theirs) = channel::pair()?;
    let mut unified = cgroup.and_then(Cgroup::unified);
    let of_systemd = cgroup.is_some_and(|cgroup| cgroup.unit().is_some());
    let child = {
        let _opaque = Undumpable::begin();
        let _born = match by_gateway {
            true => None,
            false => Some(BornIn::enter(target.pidfd).map_err(|e| or_gone(e, target))?),
        };
        let clone = |unified| match by_gateway {
            true => gateway::clone_into(target.pidfd, joins, &plan, unified),
            false => clone::clone(0, unified),
        };
        let side = match clone(unified) {
            // A group that takes no process of its own any more: the child is put where process 1 went.
            // And one that the caller may not put a process into, but systemd.
            Err(e)
                if unified.is_some()
                    && e.errno().is_some_and(|e| {
                        REFUSED.contains(&e.0) || of_systemd && [libc::EACCES, libc::EPERM].contains(&e.0)
                    }) =>
            {
                unified = None;
                clone(None)
            }
            side => side,
        };
        match side.map_err(|e| or_gone(e, target))? {
            Side::Parent(child) => child,
            Side::Child => {
                let joins = if by_gateway { 0 } else { joins };
                let (process, stdio, channel, words) = (&plan, &stdio, &theirs, &words);
                let joiner = Joiner { target, joins, process, stdio, channel, words };
                run(&theirs, || joiner.become_process())
            }
        }
    };
    drop((theirs, stdio));
    let mut warnings = Vec::new();
    let settled = cgroup
        .filter(|_| unified.is_none())
        .map_or(Ok(()), |cgroup| cgroup.add_exec_pid(child.pid(), target.pid).map_err(Error::from))
        .and_then(|()| plan.oom_score_adj.map_or(Ok(None), |adj| set_oom_score_adj(child.pid(), adj)))
        .and_then(|warning| {
            warnings.extend(warning);
            ours.go_on(&cgroup.map_or_else(|| Ok(Entrance::none()), Cgroup::entrance)?)
        });
    if let Err(error) = settled {
        return Err(or_gone(cause(error, &child, &ours), target));
    }
    let (path, terminal) =
        await_ready(&ours, &mut warnings, &mut || Ok(())).map_err(|e| or_gone(e, target))?;
    let Some(path) = path else {
        return match has_ended(target.pidfd) {
            // The end of process 1 takes every process of its pid namespace along.
            true => Err(Error::NotRunning(target.pid)),
            false => Err(Error::Died { step: "its creation".into(), how: child.reap() }),
        };
    };
    let pid = child.pid();
    let pidfd = await_executed(&ours, &words, &path, child, listening)?;
    Ok(Execed { pid, pidfd, terminal, warnings })
}

/// What the kernel refuses a clone into a version 2 group with that has handed its controllers down, and one into a
/// group that is gone.
const REFUSED: [i32; 3] = [libc::EBUSY, libc::EOPNOTSUPP, libc::ENODEV];

/// A failure to enter a container that is gone is that it is gone.
fn or_gone(error: Error, target: ExecTarget<'_>) -> Error {
    match error.errno() {
        Some(Errno(libc::ESRCH)) => Error::NotRunning(target.pid),
        _ if has_ended(target.pidfd) => Error::NotRunning(target.pid),
        _ => error,
    }
}

/// All that the child works from; a copy of the parent's memory.
struct Joiner<'a> {
    target: ExecTarget<'a>,
    /// The namespaces that it was not born in.
    joins: i32,
    process: &'a ProcessPlan,
    stdio: &'a Stdio,
    channel: &'a Channel,
    words: &'a LastWords,
}

/// All namespaces that a container may have of its own, but user and time; pid is where the child was born.
const NAMESPACES: i32 =
    libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWCGROUP;

/// What is joined. Where there are no rights over the machine, only what is the container's: nobody may join what
/// they are in already but have no rights over.
fn joins(linux: Option<&Linux>, departures: Departures) -> i32 {
    let listed = linux.and_then(|l| l.namespaces().as_ref()).into_iter().flatten();
    let listed = listed.fold(0, |all, namespace| all | flag(namespace.typ()));
    match listed & libc::CLONE_NEWUSER != 0 {
        true => listed,
        false if departures.rootless => listed & (NAMESPACES | libc::CLONE_NEWTIME),
        false => NAMESPACES | listed & libc::CLONE_NEWTIME,
    }
}

impl Joiner<'_> {
    /// Becomes a process of the container and executes the program. Returns only on failure.
    fn become_process(&self) -> Error {
        match self.prepare() {
            Err(error) => error,
            Ok(executable) => match self.channel.report(&Report::Ready(executable.path().to_owned()), None) {
                Err(error) => error,
                Ok(()) => executable.execute(InitProcess::Program, self.words, self.channel),
            },
        }
    }

    fn prepare(&self) -> Result<Executable<'_>, Error> {
        process::reset_signals();
        let mut keep: Vec<BorrowedFd<'_>> = vec![self.target.pidfd, self.channel.as_fd()];
        keep.extend(self.stdio.fds());
        descriptors::close_all_but(&keep, self.process.departures.preserve_fds)?;
        // All at once: there is no moment in which it is half inside.
        match self.joins {
            0 => process::become_owner([(0, 0), (self.process.uid, self.process.gid)])?,
            joins => set_namespace(self.target.pidfd, joins)
                .map_err(|e| Error::step("join the container's namespaces", e))?,
        }
        let root = own_root()?;
        rustix::process::setsid().map_err(|e| Error::step("make a session", e))?;
        process::new_session_keyring(self.process.departures)?;
        let terminal = match self.process.terminal {
            true => Some(Terminal::open(&root, self.process.console_size)?),
            false => None,
        };
        connect(self.channel, self.stdio, terminal)?;
        let warn = &mut |warning| {
            // A parent that is gone is noticed below.
            let _ = self.channel.report(&Report::Warning(warning), None);
        };
        // Nothing of the user's runs outside the container's limits.
        let Some(entrance) = self.channel.await_go_on()? else { process::exit(1) };
        let affinity = &self.process.affinity;
        if let Some(processors) = &affinity.initial {
            process::set_affinity(processors, "initial")?;
        }
        entrance.enter()?;
        if let Some(processors) = &affinity.last {
            process::set_affinity(processors, "final")?;
        }
        process::prepare(self.process, &root, &ProcHandle::new, warn)
    }
}
