//! Making a container: what `create` and `run` have in common.

use super::{Context, id, kill, listener, terminal};
use crate::args::{Flag, Parsed};
use crate::bundle;
use crate::devices;
use crate::error::Error;
use crate::records::{Entry, Lock, Record};
use crate::status;
use brig_core::RootFs;
use brig_core::atomic::{self, Durability};
use brig_runtime::cgroup::systemd::{Owner, Scope};
use brig_runtime::cgroup::{Cgroup, CgroupError};
use brig_runtime::hooks::{self, HookedContainer, Moment};
use brig_runtime::{CgroupOptions, CreateOptions, Created, Departures, InitProcess, Stdio, own_binary};
use oci_spec::runtime::{Process, Spec};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::thread::{CpuSet, sched_setaffinity};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

pub(super) const BUNDLE: Flag =
    Flag::value("bundle", "DIR", "the bundle: folder of config.json (default the current one)").or("b");
pub(super) const CONSOLE_SOCKET: Flag =
    Flag::value("console-socket", "PATH", "unix socket that is sent the master of the container's terminal");
pub(super) const PIDFD_SOCKET: Flag =
    Flag::value("pidfd-socket", "PATH", "unix socket that is sent a pidfd of the first process");
pub(super) const PID_FILE: Flag = Flag::value("pid-file", "FILE", "write the process' number there");
pub(super) const NO_PIVOT: Flag =
    Flag::switch("no-pivot", "move the root instead of pivot_root, on a host whose root is a ramfs");
pub(super) const NO_NEW_KEYRING: Flag =
    Flag::switch("no-new-keyring", "give the container the caller's session keyring");
pub(super) const PRESERVE_FDS: Flag =
    Flag::value("preserve-fds", "N", "give N descriptors from 3 on to the container (default 0)");

/// A container that is made and waits.
pub(super) struct Made {
    pub(super) spec: Spec,
    pub(super) entry: Entry,
    pub(super) lock: Lock,
    pub(super) record: Record,
    pub(super) created: Created,
}

/// Whether the command stays until the container ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stay {
    /// It ends first: a terminal has to go to somebody else.
    Leaves,
    /// It stays and relays the terminal.
    Stays,
}

/// Makes the container of a bundle. On failure nothing is left.
pub(super) fn make(context: &Context<'_>, own: &Parsed, stay: Stay) -> Result<Made, Error> {
    leave_host_binary(context);
    run_on_all_processors(context);
    let bundle = match own.text("bundle").filter(|b| !b.is_empty()) {
        Some(dir) => PathBuf::from(dir),
        None => PathBuf::from("."),
    };
    let bundle = bundle.canonicalize().map_err(Error::file("open bundle", &bundle))?;
    let mut spec = bundle::load(&bundle, &mut |warning| context.log.warn(&warning))?;
    devices::allow_defaults(&mut spec);
    let rootfs = bundle::rootfs(&bundle, &spec)?;
    listener::check(&spec)?;
    let terminal = wants_terminal(spec.process().as_ref());
    terminal::check(own, terminal, stay)?;
    let departures = departures(context, own)?;
    let cgroup = cgroup_of(context, &spec, id(own), departures.rootless)?;
    let (entry, lock) = context.records().make(id(own))?;
    let made = (|| {
        entry.write_spec(&spec)?;
        let mut created = brig_runtime::create(CreateOptions {
            spec: &spec,
            rootfs: &RootFs::Directory { path: rootfs.clone() },
            stdio: stdio(terminal)?,
            join: Vec::new(),
            network_later: None,
            seccomp: None,
            cgroup: cgroup.clone(),
            init: InitProcess::Program,
            console_size: None,
            departures,
            hooks: Some(&hooked(&entry, &bundle, &spec)),
        })?;
        created.warnings().iter().for_each(|warning| context.log.warn(warning));
        // One that stays keeps the terminal: `check` has seen to it that there is no socket then.
        let socket = own.text("console-socket").filter(|_| stay == Stay::Leaves);
        if let Some((socket, master)) = socket.and_then(|socket| Some((socket, created.terminal()?))) {
            terminal::send(Path::new(socket), &master, "/dev/ptmx")?;
        }
        if let Some(socket) = own.text("pidfd-socket").filter(|s| !s.is_empty()) {
            terminal::send(Path::new(socket), created.pidfd(), "pidfd")?;
        }
        let record = record(&entry, &created, &bundle, &rootfs)?;
        entry.write_record(&record)?;
        Ok((record, created))
    })();
    match made {
        Ok((record, created)) => Ok(Made { spec, entry, lock, record, created }),
        Err(error) => {
            entry.remove()?;
            Err(error)
        }
    }
}

/// What hooks are told of a container.
pub(super) fn hooked(entry: &Entry, bundle: &Path, spec: &Spec) -> HookedContainer {
    HookedContainer {
        version: bundle::NEWEST.into(),
        id: entry.id().to_owned(),
        bundle: bundle.to_owned(),
        annotations: spec.annotations().clone().unwrap_or_default(),
    }
}

/// Runs the hooks that come after the start. A failure ends the container, as with runc and as the specification wants
/// since its version 1.3; what is left of it is for `delete`.
pub(super) fn run_poststart_hooks(
    entry: &Entry,
    bundle: &Path,
    spec: &Spec,
    pid: i32,
    pidfd: &OwnedFd,
) -> Result<(), Error> {
    let Some(hooks) = spec.hooks() else { return Ok(()) };
    let failed = match hooks::run(hooks, Moment::Poststart, &hooked(entry, bundle, spec), pid) {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    match kill::send(pidfd, libc::SIGKILL) {
        // Ended by itself meanwhile.
        Ok(()) | Err(Error::State(_)) => Err(failed.into()),
        Err(error) => Err(error),
    }
}

/// Runs hooks that come after what they are about: their failure is noted and changes nothing (OCI runtime
/// specification, lifecycle).
pub(super) fn run_late_hooks(
    context: &Context<'_>,
    moment: Moment,
    entry: &Entry,
    bundle: &Path,
    spec: &Spec,
    pid: i32,
) {
    let Some(hooks) = spec.hooks() else { return };
    if let Err(error) = hooks::run(hooks, moment, &hooked(entry, bundle, spec), pid) {
        context.log.warn(&error.to_string());
    }
}

pub(super) fn wants_terminal(process: Option<&Process>) -> bool {
    process.and_then(Process::terminal).unwrap_or(false)
}

/// Executes this program again from a read-only mount, so that the container's root can't reach the host's file
/// through `/proc/1/exe` (CVE-2019-5736).
pub(super) fn leave_host_binary(context: &Context<'_>) {
    if own_binary::is_read_only().unwrap_or(false) {
        return;
    }
    // Without rights over mounts the container's root is not the host's either, and can't write its file.
    let error = own_binary::execute_again();
    context.log.debug(&format!("the binary stays where it is: {error}"));
}

/// Forgets which processors the caller may run on: that is not the container's, which has those of its cgroup.
pub(super) fn run_on_all_processors(context: &Context<'_>) {
    let mut all = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|processor| all.set(processor));
    if let Err(error) = sched_setaffinity(None, &all) {
        context.log.debug(&format!("the container runs on the caller's processors: {error}"));
    }
}

/// What the flags change about the process.
pub(super) fn departures(context: &Context<'_>, own: &Parsed) -> Result<Departures, Error> {
    let preserve_fds = own.number::<u16>("preserve-fds").map_err(Error::Usage)?.unwrap_or(0);
    for number in 3..3 + i32::from(preserve_fds) {
        if std::fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_err() {
            return Err(Error::Usage(format!(
                "please check that the preserved file descriptor {number} (of {preserve_fds}) is present"
            )));
        }
    }
    Ok(Departures {
        preserve_fds,
        keep_keyring: own.is_set("no-new-keyring"),
        no_pivot: own.is_set("no-pivot"),
        rootless: context.is_rootless()?,
        takes_listener: true,
        into_paused: own.is_set("ignore-paused"),
        mortal_before_start: true,
        may_lack_process: true,
    })
}

/// The caller's own streams.
pub(super) fn stdio(terminal: bool) -> Result<Stdio, Error> {
    if terminal {
        return Ok(Stdio::Terminal);
    }
    let failed = Error::system("duplicate standard streams");
    let all = (|| {
        Ok((
            fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?,
            fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?,
            fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3)?,
        ))
    })();
    let (stdin, stdout, stderr) = all.map_err(failed)?;
    Ok(Stdio::Pipes { stdin, stdout, stderr })
}

/// Writes the process' number for whoever supervises it.
pub(super) fn write_pid_file(own: &Parsed, pid: i32) -> Result<(), Error> {
    let Some(path) = own.text("pid-file").filter(|p| !p.is_empty()).map(Path::new) else { return Ok(()) };
    atomic::write(path, pid.to_string().as_bytes(), 0o644, Durability::Process)
        .map_err(Error::file("write pid file", path))
}

pub(super) fn cgroup_of(
    context: &Context<'_>,
    spec: &Spec,
    id: &str,
    rootless: bool,
) -> Result<CgroupOptions, Error> {
    if context.global.is_set("systemd-cgroup") {
        return Ok(CgroupOptions::Scope(scope_of(spec, id, rootless)?));
    }
    let given = spec.linux().as_ref().and_then(|l| l.cgroups_path().clone());
    Ok(match given.filter(|path| !path.as_os_str().is_empty()) {
        Some(path) => CgroupOptions::New(path),
        None if rootless => CgroupOptions::IfAllowed(super::rootless::cgroup_of(id)),
        None => CgroupOptions::New(id.into()),
    })
}

/// The scope of a container whose cgroup systemd makes.
pub(super) fn scope_of(spec: &Spec, id: &str, rootless: bool) -> Result<Scope, Error> {
    let given = spec.linux().as_ref().and_then(|linux| linux.cgroups_path().as_deref());
    let given = given.map(Path::to_string_lossy).unwrap_or_default();
    let owner = if rootless { Owner::User } else { Owner::System };
    let scope = Scope::new(&given, ("brig", id), spec.annotations().as_ref(), owner);
    Ok(scope.map_err(CgroupError::from)?)
}

fn record(entry: &Entry, created: &Created, bundle: &Path, rootfs: &Path) -> Result<Record, Error> {
    let gone = || Error::State("the container's first process has ended".into());
    Ok(Record {
        id: entry.id().to_owned(),
        pid: created.pid(),
        start_time: status::birth(created.pid())?.ok_or_else(gone)?,
        created: jiff::Timestamp::now().to_string(),
        bundle: bundle.to_owned(),
        rootfs: rootfs.to_owned(),
        cgroup: created.cgroup().map(|cgroup| Path::new("/").join(cgroup.path())),
        cgroup_identity: created.cgroup().map_or(Ok(Vec::new()), Cgroup::identity)?,
        unit: created.cgroup().and_then(Cgroup::unit).cloned(),
        owner: rustix::process::getuid().as_raw(),
    })
}
