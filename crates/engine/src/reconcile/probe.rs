//! Looking at a shim's folder: whether a shim lives there, and what it knows.

use crate::{core::Core, error::Result, start};
use brig_core::Id;
use brig_shim::{
    client::Control,
    protocol::{EXIT_NAME, ExitRecord, PROTOCOL_VERSION, Reply, Request, SOCKET_NAME, STATE_NAME, ShimState},
};
use std::{collections::BTreeMap, fs, io, os::unix::net::UnixStream, path::Path, sync::Arc, time::Duration};
use tokio::task::JoinSet;

/// How long a shim has to answer. It answers in microseconds unless it is stopped.
const ANSWERS: Duration = Duration::from_secs(5);

/// What was found in a shim's folder.
#[derive(Debug)]
pub(crate) enum Probe {
    /// No folder, or nothing in it.
    Nothing,
    /// A shim that answers.
    Live {
        /// What it knows.
        state: Box<ShimState>,
        /// A connection to it.
        control: UnixStream,
    },
    /// It wrote down how its container ended.
    Exited {
        /// How.
        exit: ExitRecord,
        /// What it knew before.
        state: Option<Box<ShimState>>,
    },
    /// It is gone, or does not answer, without having written anything down.
    Dead {
        /// What it knew.
        state: Option<Box<ShimState>>,
    },
}

/// Looks at all shims' folders at once.
pub(crate) async fn all(core: &Arc<Core>) -> Result<BTreeMap<Id, Probe>> {
    let dir = core.config.paths.shims();
    let mut found = BTreeMap::new();
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(e) => return Err(crate::error::Error::file("read folder", dir, e)),
    };
    let mut probes = JoinSet::new();
    for entry in entries {
        let entry = entry.map_err(|e| crate::error::Error::file("read folder", &dir, e))?;
        let Some(id) = entry.file_name().to_str().and_then(Id::parse) else { continue };
        let path = entry.path();
        probes.spawn_blocking(move || (id, one(&path)));
    }
    while let Some(done) = probes.join_next().await {
        match done {
            Ok((id, probe)) => {
                found.insert(id, probe);
            }
            Err(error) => tracing::error!(%error, "looking at a shim"),
        }
    }
    Ok(found)
}

/// Looks at one shim's folder.
pub(crate) fn one(dir: &Path) -> Probe {
    let state: Option<Box<ShimState>> = read(&dir.join(STATE_NAME)).map(Box::new);
    let may_live = match &state {
        Some(known) => same_boot(known) && start::same_process(known.shim_pid, known.shim_start_time),
        // One that is still making its container listens already, and answers when that is done.
        None => dir.join(SOCKET_NAME).exists(),
    };
    if may_live {
        match ask(dir) {
            Ok((state, control)) => return Probe::Live { state: Box::new(state), control },
            // It may have ended between the two looks; else it is of no use to anybody.
            Err(error) => tracing::debug!(shim = %dir.display(), %error, "does not answer"),
        }
    }
    // Read last: a shim that was about to end has written it by now.
    match read::<ExitRecord>(&dir.join(EXIT_NAME)) {
        Some(exit) => Probe::Exited { exit, state },
        None if state.is_none() && !dir.exists() => Probe::Nothing,
        None => Probe::Dead { state },
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::error!(path = %path.display(), %error, "can't be read");
            return None;
        }
    };
    match serde_json::from_slice(&bytes) {
        Ok(value) => Some(value),
        Err(error) => {
            tracing::error!(path = %path.display(), %error, "is damaged");
            None
        }
    }
}

/// Whether the machine has not been started anew since.
fn same_boot(state: &ShimState) -> bool {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").is_ok_and(|id| id.trim() == state.boot_id.trim())
}

fn ask(dir: &Path) -> Result<(ShimState, UnixStream), brig_shim::Error> {
    let stream = brig_shim::client::connect(dir)?;
    let limited =
        stream.set_read_timeout(Some(ANSWERS)).and_then(|()| stream.set_write_timeout(Some(ANSWERS)));
    limited.map_err(|source| brig_shim::Error::System { step: "set a timeout", source })?;
    let mut control = Control::new(stream);
    match control.call(Request::Hello { protocol: PROTOCOL_VERSION })? {
        Reply::Hello { protocol } if protocol.abs_diff(PROTOCOL_VERSION) <= 1 => {}
        _ => return Err(brig_shim::Error::UnexpectedReply("hello")),
    }
    let Reply::State { state, .. } = control.call(Request::State)? else {
        return Err(brig_shim::Error::UnexpectedReply("state"));
    };
    drop(control);
    // A fresh connection for the engine: nothing of this conversation is left in it.
    let stream = brig_shim::client::connect(dir)?;
    Ok((*state, stream))
}
