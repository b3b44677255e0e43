//! What a caller says about a container beside its OCI spec.

use crate::cgroup::Cgroup;
use crate::cgroup::systemd::Scope;
use crate::hooks::HookedContainer;
use crate::seccomp::Program;
use brig_core::RootFs;
use oci_spec::runtime::{Linux, LinuxNamespaceType, Process, Spec};
use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// Where a process' standard streams go.
#[derive(Debug)]
pub enum Stdio {
    /// To these descriptors, whatever they are; they are closed in the caller once the process has them.
    Pipes {
        /// Becomes descriptor 0.
        stdin: OwnedFd,
        /// Becomes descriptor 1.
        stdout: OwnedFd,
        /// Becomes descriptor 2.
        stderr: OwnedFd,
    },
    /// To a terminal that is made in the container's own devpts; its master is handed back.
    Terminal,
}

/// Size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConsoleSize {
    /// Lines.
    pub rows: u16,
    /// Characters a line.
    pub columns: u16,
}

/// Which cgroup a container's processes live in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CgroupOptions {
    /// The caller's own; nothing is made or limited.
    Inherit,
    /// A new one of this name below each hierarchy's root (`/brig/<id>`), with the limits of
    /// `linux.resources`. Removed again when creating the container fails.
    New(PathBuf),
    /// The same where the caller may make one, and none where not: limits that were asked for are an error then.
    IfAllowed(PathBuf),
    /// One of a scope that systemd makes, with the limits of `linux.resources`.
    Scope(Scope),
}

/// Who is process 1 of the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InitProcess {
    /// The container's program itself.
    #[default]
    Program,
    /// A small init that stays brig's forked process: it forks and executes the program, forwards signals to it,
    /// reaps orphans, and exits as the program did (128+n for signal n). Docker's `--init`.
    Reaper,
}

/// What only a runtime's command line asks for; the default is what a container of an engine gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Departures {
    /// So many of the caller's descriptors from 3 on are the program's, too (`--preserve-fds`).
    pub preserve_fds: u16,
    /// The caller's session keyring is the program's, too (`--no-new-keyring`): a way to keys of the host.
    pub keep_keyring: bool,
    /// The root is moved over the old one rather than exchanged with it (`--no-pivot`), for a host whose root is a
    /// ramfs, which can't be pivoted away from. The host's mounts stay below it, out of reach by path only.
    pub no_pivot: bool,
    /// The caller has no rights over the machine (`--rootless`): it is nobody there, or root of a user namespace.
    pub rootless: bool,
    /// Somebody takes the descriptor that the seccomp filter's notifications come from; without, a filter that has
    /// such answers is refused.
    pub takes_listener: bool,
    /// A container that is paused is joined, too: the process waits in it until that is resumed (`--ignore-paused`).
    pub into_paused: bool,
    /// While it waits for its start, the container's first process ends by the signals that end a program.
    pub mortal_before_start: bool,
    /// The spec may leave its process out: the container is made then, and can't be started.
    pub may_lack_process: bool,
}

/// A network namespace that is still being made when the container's first process begins its work. Waited for by the
/// calling process once that is under way; an error undoes the container.
pub struct NetworkLater<'a>(pub Box<dyn FnOnce() -> io::Result<OwnedFd> + 'a>);

impl fmt::Debug for NetworkLater<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NetworkLater")
    }
}

/// Everything that [`crate::create`] needs.
#[derive(Debug)]
pub struct CreateOptions<'a> {
    /// The OCI spec. `root.path` is not looked at (`rootfs` says it), `root.readonly` is.
    pub spec: &'a Spec,
    /// What the root file system is made of.
    pub rootfs: &'a RootFs,
    /// Standard streams. Must be [`Stdio::Terminal`] exactly when `process.terminal` is set.
    pub stdio: Stdio,
    /// Namespaces to join; one given here wins over what the spec says of its type.
    pub join: Vec<(LinuxNamespaceType, OwnedFd)>,
    /// A network namespace to join that is not there yet, instead of one in `join`.
    pub network_later: Option<NetworkLater<'a>>,
    /// The seccomp filter, compiled already; it wins over the rules of the spec.
    pub seccomp: Option<Program>,
    /// The cgroup.
    pub cgroup: CgroupOptions,
    /// Who is process 1.
    pub init: InitProcess,
    /// First size of the terminal; `process.consoleSize` of the spec when not given.
    pub console_size: Option<ConsoleSize>,
    /// What is done otherwise than usual.
    pub departures: Departures,
    /// What the spec's hooks are told of the container; without it a spec with hooks is refused.
    pub hooks: Option<&'a HookedContainer>,
}

/// The running container that [`crate::exec`] enters.
#[derive(Debug, Clone, Copy)]
pub struct ExecTarget<'a> {
    /// Process 1 of the container, as the caller's pid namespace numbers it.
    pub pid: i32,
    /// A pidfd of it. The namespaces are taken from this, never from a number that may have been reused.
    pub pidfd: BorrowedFd<'a>,
}

/// Everything that [`crate::exec`] needs.
#[derive(Debug)]
pub struct ExecOptions<'a> {
    /// The container to enter.
    pub target: ExecTarget<'a>,
    /// What to run: arguments, environment, user, capabilities, working folder, limits.
    pub process: &'a Process,
    /// Standard streams. Must be [`Stdio::Terminal`] exactly when `process.terminal` is set.
    pub stdio: Stdio,
    /// First size of the terminal; `process.consoleSize` when not given.
    pub console_size: Option<ConsoleSize>,
    /// The container's filter, as [`crate::Running`] holds it, or one compiled anew.
    pub seccomp: Option<&'a Program>,
    /// The container's cgroup; without one the process stays in the caller's.
    pub cgroup: Option<&'a Cgroup>,
    /// What is done otherwise than usual; a root is not exchanged here.
    pub departures: Departures,
    /// The container's part of its OCI spec, which says which namespaces it has; without it, it has those of an
    /// engine's containers: no user and no time namespace of its own.
    pub linux: Option<&'a Linux>,
}
