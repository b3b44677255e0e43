//! `delete`.

use super::{Command, Context, id, kill, make};
use crate::args::{Flag, Parsed};
use crate::error::Error;
use crate::records::Entry;
use crate::status::{Container, Status};
use brig_runtime::cgroup::{Cgroup, CgroupError};
use brig_runtime::hooks::Moment;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::OwnedFd;
use std::time::Duration;

pub(super) const DELETE: Command = Command {
    name: "delete",
    about: "Remove what is left of a container that has stopped, or was never started",
    operands: "CONTAINER",
    count: 1..=1,
    flags: &[Flag::switch("force", "kill it first when it runs; no error when it is not there").or("f")],
    examples: "  brig oci delete web\n  brig oci delete --force web",
    failure: 1,
    run,
};

/// How long a killed container may take to end: its processes may be in the middle of a system call.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

fn run(context: &Context<'_>, own: &Parsed) -> Result<u8, Error> {
    let force = own.is_set("force");
    let entry = match context.records().find(id(own)) {
        Err(Error::NotThere) if force => return Ok(0),
        other => other?,
    };
    let _lock = entry.lock()?;
    let container = match Container::look(&entry) {
        // A `create` that was killed half way; the lock says that none is under way.
        Err(Error::NotThere) => {
            entry.remove()?;
            return if force { Ok(0) } else { Err(Error::NotThere) };
        }
        // Nothing can be known of its process any more but that it has to go.
        Err(Error::Json { .. }) if force => return forget(context, &entry).map(|()| 0),
        other => other?,
    };
    match container.status {
        Status::Stopped => {}
        Status::Created => end(&container)?,
        Status::Running | Status::Paused if force => end(&container)?,
        status => {
            return Err(Error::State(format!(
                "cannot delete container {} that is not stopped: {status}",
                entry.id()
            )));
        }
    }
    remove(context, &entry, &container)?;
    Ok(0)
}

/// Kills a container and waits for its end.
fn end(container: &Container) -> Result<(), Error> {
    let Some(pidfd) = &container.pidfd else { return Ok(()) };
    match kill::send(pidfd, libc::SIGKILL) {
        Ok(()) | Err(Error::State(_)) => {}
        Err(error) => return Err(error),
    }
    if let Some(cgroup) = container.cgroup() {
        // A frozen process takes its death only when thawed.
        cgroup.kill_all()?;
        let _ = cgroup.thaw();
    }
    if ended_within(pidfd, PATIENCE)? {
        return Ok(());
    }
    Err(Error::State("container init still running".into()))
}

/// Waits for a process to end.
pub(super) fn ended_within(pidfd: &OwnedFd, patience: Duration) -> Result<bool, Error> {
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    let patience = Timespec::try_from(patience).ok();
    loop {
        match poll(&mut fds, patience.as_ref()) {
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(Error::system("wait for the container's end")(e)),
            Ok(n) => return Ok(n > 0),
        }
    }
}

/// Removes what is left of a container without processes.
pub(super) fn remove(context: &Context<'_>, entry: &Entry, container: &Container) -> Result<(), Error> {
    let spec = entry.spec()?;
    if let Some(cgroup) = container.cgroup() {
        empty(&cgroup)?;
        cgroup.remove()?;
    } else if let Some(unit) = &container.record.unit {
        // Its scope went with its last process, unless systemd keeps it as failed. One that runs is another's by now.
        unit.forget().map_err(CgroupError::from)?;
    }
    entry.remove()?;
    make::run_late_hooks(context, Moment::Poststop, entry, &container.record.bundle, &spec, 0);
    Ok(())
}

/// Removes a container whose record can't be read; its processes are found by its group.
fn forget(context: &Context<'_>, entry: &Entry) -> Result<(), Error> {
    if context.global.is_set("systemd-cgroup")
        && let Ok(spec) = entry.spec()
    {
        let scope = make::scope_of(&spec, entry.id(), context.is_rootless()?)?;
        if let Ok(cgroup) = Cgroup::open_scope(&scope) {
            empty(&cgroup)?;
            cgroup.remove()?;
        }
        return entry.remove();
    }
    let given = entry.spec().ok().and_then(|spec| spec.linux().as_ref()?.cgroups_path().clone());
    let path = given.filter(|path| !path.as_os_str().is_empty()).unwrap_or_else(|| entry.id().into());
    // One that is not there, or was never made, holds nothing.
    if let Ok(cgroup) = Cgroup::open(&path) {
        empty(&cgroup)?;
        cgroup.remove()?;
    }
    entry.remove()
}

/// Ends what outlived the first process, which happens only without a pid namespace of its own.
fn empty(cgroup: &Cgroup) -> Result<(), Error> {
    if cgroup.pids()?.is_empty() {
        return Ok(());
    }
    cgroup.kill_all()?;
    Ok(cgroup.wait_empty(PATIENCE)?)
}
