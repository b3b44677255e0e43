//! What was sent: a place in the log, in a file beside it.

use brig_core::atomic::{self, Durability};
use brig_logs::Cursor;
use std::{
    io,
    path::{Path, PathBuf},
};

/// Where it is written down.
pub(super) fn path(container: &Path) -> PathBuf {
    container.join("log-sent.json")
}

/// What was written down; `None` before anything was sent.
pub(super) fn read(path: &Path) -> io::Result<Option<Cursor>> {
    match std::fs::read(path) {
        // One that can't be read sends lines twice, which is better than never.
        Ok(text) => Ok(serde_json::from_slice(&text).ok()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Writes it down.
pub(super) fn write(path: &Path, cursor: &Cursor) -> io::Result<()> {
    let text = serde_json::to_vec(cursor)?;
    match atomic::write(path, &text, 0o600, Durability::Process) {
        // The container was removed: there is nothing more to send.
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
