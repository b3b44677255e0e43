//! Killing and removing what belongs to nobody any more.

use super::{
    judge::lost,
    probe::{self, Probe},
};
use crate::{
    actor::timestamp,
    core::Core,
    error::{Error, Result},
    machine::Input,
    record::ContainerRecord,
    start::{self, Live},
    volumes,
};
use brig_core::Id;
use brig_runtime::cgroup::Cgroup;
use brig_shim::protocol::ShimState;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::{fs, io, os::fd::OwnedFd, path::Path, sync::Arc, time::Duration};

/// How long killed processes have to go.
const PROCESSES_END: Duration = Duration::from_secs(10);

/// What happened to a container whose shim hung up without a word.
pub(crate) async fn after_lost_shim(core: &Arc<Core>, record: &ContainerRecord, live: &Live) -> Input {
    let dir = live.link.dir().to_path_buf();
    let probed = core.blocking(move |_| Ok(probe::one(&dir))).await;
    match probed {
        Ok(Probe::Exited { exit, .. }) => {
            // It may not have come to removing the cgroup.
            kill_remains(core, record).await;
            Input::Exited {
                code: exit.code,
                oom_killed: exit.oom_killed,
                error: exit.error.unwrap_or_default(),
                at: timestamp(exit.exited_at),
            }
        }
        _ => {
            tracing::error!(container = %record.id, "its supervisor died; what is left of it is killed");
            kill_remains(core, record).await;
            lost("its supervisor died")
        }
    }
}

/// Kills what is left of a container: its shim, and everything in its cgroup. Keeps the shim's folder, whose
/// content may not have been written down yet.
pub(crate) async fn kill_remains(core: &Arc<Core>, record: &ContainerRecord) {
    let (id, record) = (record.id, record.clone());
    let killed = core.blocking(move |core| {
        kill_now(core, &record);
        Ok(())
    });
    if let Err(error) = killed.await {
        tracing::error!(container = %id, %error, "could not be killed");
    }
}

/// The same, blocking.
pub(crate) fn kill_now(core: &Core, record: &ContainerRecord) {
    kill(&core.config.paths.shim(&record.id), &start::cgroup_of(core, record));
}

/// Waits for a shim that is about to end, and removes what it left: one that is killed after it has told of its container's
/// end may not have come to the cgroup. Its folder is what the next daemon would find it by, and goes after this.
pub(crate) fn see_off(dir: &Path, cgroup: &str) {
    let ended = read_state(dir).map_or(Ok(()), |state| match open_shim(&state)? {
        Some(shim) => await_end(&shim),
        None => Ok(()),
    });
    match ended {
        Ok(()) => remove_group(cgroup),
        Err(error) => {
            tracing::error!(shim = %dir.display(), %error, "does not end and is killed");
            kill(dir, cgroup);
        }
    }
}

/// Clears the way for a start and takes the container's turn, a lock on its folder: each shim holds it from before it is
/// forked until it has ended and undone what it had to. A shim that an earlier daemon asked for as it died belongs to
/// nobody, and may be making its container, or undoing it, while we begin.
pub(crate) fn take_turn(core: &Core, record: &ContainerRecord) -> Result<OwnedFd> {
    let folder = core.config.paths.container(&record.id);
    let failed = |e: rustix::io::Errno| Error::file("lock", &folder, e.into());
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let turn = rustix::fs::open(&folder, flags, Mode::empty()).map_err(failed)?;
    let free = match flock(&turn, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => true,
        Err(rustix::io::Errno::WOULDBLOCK) => false,
        Err(e) => return Err(failed(e)),
    };
    let dir = core.config.paths.shim(&record.id);
    if dir.exists() {
        tracing::warn!(container = %record.id, "what an earlier start left is removed");
        // Waits for one that is still making its container, so that it can be killed by its state.
        let found = probe::one(&dir);
        kill(&dir, &start::cgroup_of(core, record));
        drop(found);
    }
    if !free {
        // It was killed, is undoing itself for want of a daemon, or was about to end anyway.
        await_turn(&turn, &folder, PROCESSES_END)?;
    }
    start::remove_shim_dir(core, &record.id);
    Ok(turn)
}

/// Takes a lock that somebody holds who is about to end.
fn await_turn(turn: &OwnedFd, folder: &Path, limit: Duration) -> Result<()> {
    let (done, ended) = std::sync::mpsc::sync_channel(1);
    // The same open file: the lock that a thread given up on gets in the end goes with this descriptor.
    let same = turn.try_clone().map_err(|e| Error::file("lock", folder, e))?;
    let wait = move || {
        let taken = loop {
            match flock(&same, FlockOperation::LockExclusive) {
                Err(rustix::io::Errno::INTR) => {}
                taken => break taken,
            }
        };
        // Nobody listens any more to one that came too late.
        let _ = done.send(taken);
    };
    let thread = std::thread::Builder::new().name("turn".into()).spawn(wait);
    thread.map_err(|e| Error::file("lock", folder, e))?;
    match ended.recv_timeout(limit) {
        Ok(taken) => taken.map_err(|e| Error::file("lock", folder, e.into())),
        Err(_) => Err(Error::file(
            "lock, which an earlier supervisor still holds,",
            folder,
            io::ErrorKind::TimedOut.into(),
        )),
    }
}

/// A shim's folder without a container: kills what lives there and removes it.
pub(super) async fn without_record(core: &Arc<Core>, id: Id, probe: Probe) {
    tracing::warn!(container = %id, "a supervisor without a container is removed");
    let state = match probe {
        Probe::Live { state, .. } => Some(state),
        Probe::Exited { state, .. } | Probe::Dead { state } => state,
        Probe::Nothing => None,
    };
    let cgroup = state.and_then(|state| state.cgroup);
    let done = core.blocking(move |core| {
        let dir = core.config.paths.shim(&id);
        let own = format!("/{}/{id}", core.config.cgroup_parent.trim_matches('/'));
        kill(&dir, cgroup.as_deref().unwrap_or(&own));
        start::remove_shim_dir(core, &id);
        Ok(())
    });
    if let Err(error) = done.await {
        tracing::error!(container = %id, %error, "could not be removed");
    }
}

/// Kills the shim of a folder, then all processes of a cgroup, and removes that.
fn kill(dir: &Path, cgroup: &str) {
    if let Some(state) = read_state(dir)
        && let Err(error) = kill_shim(&state)
    {
        tracing::error!(shim = %dir.display(), %error, "could not be killed");
    }
    remove_group(cgroup);
}

/// Kills all processes of a cgroup and removes it; nothing happens when there is none.
fn remove_group(cgroup: &str) {
    let Ok(group) = Cgroup::open(Path::new(cgroup)) else { return };
    let done = group.kill_all().and_then(|()| group.wait_empty(PROCESSES_END)).and_then(|()| group.remove());
    if let Err(error) = done {
        tracing::error!(cgroup, %error, "could not be emptied");
    }
}

fn read_state(dir: &Path) -> Option<ShimState> {
    let bytes = fs::read(dir.join(brig_shim::protocol::STATE_NAME)).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// A shim's process, if it is still that one.
fn open_shim(state: &ShimState) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = Pid::from_raw(state.shim_pid) else { return Ok(None) };
    // The descriptor first, the check then: it can't come to mean another process.
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(fd) => Ok(Some(fd).filter(|_| start::same_process(state.shim_pid, state.shim_start_time))),
        Err(rustix::io::Errno::SRCH) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

fn kill_shim(state: &ShimState) -> io::Result<()> {
    let Some(fd) = open_shim(state)? else { return Ok(()) };
    match pidfd_send_signal(&fd, Signal::KILL) {
        // What it was doing to the cgroup is done then.
        Ok(()) => await_end(&fd),
        Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

fn await_end(process: &OwnedFd) -> io::Result<()> {
    let limit = Timespec { tv_sec: PROCESSES_END.as_secs().cast_signed(), tv_nsec: 0 };
    match poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&limit)) {
        Ok(0) => Err(io::ErrorKind::TimedOut.into()),
        Ok(_) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Removes snapshots, folders and volumes without a record.
pub(super) fn storage(core: &Core) -> Result<()> {
    let known = |key: &str| Id::parse(key).is_some_and(|id| core.registry.get(&id).is_some());
    let unreadable = core.store.records().list::<serde_json::Value>(crate::record::CONTAINER_KIND)?;
    let recorded = |key: &str| unreadable.iter().any(|(k, _)| k == key);
    for key in core.store.snapshot_list()? {
        if !known(&key) && !recorded(&key) {
            tracing::warn!(snapshot = key, "a snapshot without a container is removed");
            core.store.snapshot_remove(&key)?;
        }
    }
    let dir = core.config.paths.containers();
    match fs::read_dir(&dir) {
        Ok(entries) => {
            for entry in entries {
                let entry = entry.map_err(|e| Error::file("read folder", &dir, e))?;
                let name = entry.file_name();
                let Some(key) = name.to_str() else { continue };
                if Id::parse(key).is_some() && !known(key) && !recorded(key) {
                    fs::remove_dir_all(entry.path())
                        .map_err(|e| Error::file("remove folder", entry.path(), e))?;
                }
            }
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(Error::file("read folder", dir, e)),
    }
    volumes::sweep(core)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path) -> OwnedFd {
        rustix::fs::open(dir, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap()
    }

    #[test]
    fn a_turn_that_nobody_ends_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let (holder, next) = (open(dir.path()), open(dir.path()));
        flock(&holder, FlockOperation::LockExclusive).unwrap();
        let error = await_turn(&next, dir.path(), Duration::from_millis(10)).unwrap_err().to_string();
        assert!(error.contains(&*dir.path().to_string_lossy()), "{error}");
        drop((next, holder));
        // What was given up on lets go of the lock by itself.
        await_turn(&open(dir.path()), dir.path(), PROCESSES_END).unwrap();
    }
}
