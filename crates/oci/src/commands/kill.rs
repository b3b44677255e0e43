//! `kill`.

use super::{Command, Context, id};
use crate::args::{Flag, Parsed};
use crate::error::Error;
use crate::status::{Container, Status};
use oci_spec::runtime::{LinuxNamespace, LinuxNamespaceType, Spec};
use rustix::process::{Signal, pidfd_send_signal};
use std::os::fd::OwnedFd;

pub(super) const KILL: Command = Command {
    name: "kill",
    about: "Send a signal to a container's first process (default SIGTERM)",
    operands: "CONTAINER [SIGNAL]",
    count: 1..=2,
    flags: &[Flag::switch("all", "to all its processes").or("a")],
    examples: "  brig oci kill web\n  brig oci kill web KILL",
    failure: 1,
    run,
};

fn run(context: &Context<'_>, own: &Parsed) -> Result<u8, Error> {
    let entry = context.records().find(id(own))?;
    let name = own.operands.get(1).map_or("SIGTERM", String::as_str);
    // 0 sends nothing and asks whether it is there.
    let number = match name {
        "0" => 0,
        name => {
            brig_core::signal::parse(name).ok_or_else(|| Error::Usage(format!("unknown signal {name:?}")))?
        }
    };
    let container = Container::look(&entry)?;
    if own.is_set("all") {
        // Processes may be left although the first has ended, when the container has no pid namespace of its own.
        if let Some(cgroup) = container.cgroup().filter(|_| number != 0) {
            cgroup.signal_all(signal(number)?)?;
        }
        return Ok(0);
    }
    if number == libc::SIGKILL && !has_own_pids(&entry.spec()?) {
        // The end of the first process takes nobody along then; and others may be left without it.
        match container.cgroup() {
            Some(cgroup) if !cgroup.pids()?.is_empty() => return Ok(cgroup.kill_all().map(|()| 0)?),
            _ => {}
        }
    }
    match &container.pidfd {
        // The lock is another's while a `start` is under way.
        Some(pidfd) if container.status == Status::Created && ends_a_program(number) => {
            match entry.try_lock()? {
                Some(_lock) if Container::look(&entry)?.status == Status::Created => {
                    send(pidfd, libc::SIGKILL).map(|()| 0)
                }
                _ => send(pidfd, number).map(|()| 0),
            }
        }
        Some(pidfd) => send(pidfd, number).map(|()| 0),
        None => Err(Error::State("container not running".into())),
    }
}

/// Whether a signal ends a process that does nothing about it. One that waits for `start` never does, and to the first
/// one of a pid namespace the kernel delivers none but SIGKILL then.
fn ends_a_program(number: i32) -> bool {
    use libc::{SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH};
    let others = [SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH];
    number != 0 && !others.contains(&number)
}

/// Whether the end of its first process is the end of all.
fn has_own_pids(spec: &Spec) -> bool {
    let all = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_ref());
    let is_new = |n: &LinuxNamespace| n.typ() == LinuxNamespaceType::Pid && n.path().is_none();
    all.is_some_and(|all| all.iter().any(is_new))
}

fn signal(number: i32) -> Result<Signal, Error> {
    // SAFETY: real-time signals are not sent to this program's own handlers, which is what the name is reserved for.
    let real_time = |n| unsafe { Signal::from_raw_unchecked(n) };
    match number {
        0 => Err(Error::Usage("signal 0 can't be sent to all processes".into())),
        n => Ok(Signal::from_named_raw(n).unwrap_or_else(|| real_time(n))),
    }
}

/// Sends a signal to a container's first process.
pub(super) fn send(pidfd: &OwnedFd, number: i32) -> Result<(), Error> {
    if number == 0 {
        return Ok(());
    }
    match pidfd_send_signal(pidfd, signal(number)?) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::SRCH) => Err(Error::State("container not running".into())),
        Err(e) => Err(Error::system("signal the container")(e)),
    }
}
