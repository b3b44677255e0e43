//! One daemon a data root: a lock on a file in it, which the kernel lets go of however the daemon ends.

use brig_core::StatePaths;
use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

/// Holds the lock as long as it lives.
#[derive(Debug)]
pub struct DataRootLock {
    _file: File,
}

/// Why the data root can't be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another daemon has it.
    #[error(
        "data root {} is in use by another brig daemon{}: stop that one, or give this one another --data-root",
        data_root.display(),
        holder.as_ref().map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    Taken {
        /// The data root.
        data_root: PathBuf,
        /// The other daemon's pid, when it could be read.
        holder: Option<String>,
    },
    /// The file can't be used.
    #[error("lock {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl DataRootLock {
    /// Takes the lock, without waiting.
    ///
    /// # Errors
    /// When another daemon has it, or the file can't be made.
    pub fn take(paths: &StatePaths) -> Result<Self, LockError> {
        let path = paths.lock();
        let failed = |source| LockError::File { path: path.clone(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut text = String::new();
                // Only for the message: the lock itself has said all that counts.
                let _ = file.read_to_string(&mut text);
                let holder = Some(text.trim().to_owned()).filter(|pid| pid.parse::<u32>().is_ok());
                return Err(LockError::Taken { data_root: paths.data_root().to_owned(), holder });
            }
            Err(errno) => return Err(failed(errno.into())),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(failed)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_is_told_who_has_the_data_root() {
        let dir = tempfile::tempdir().unwrap();
        let paths = StatePaths::new(dir.path(), "/nowhere");
        let first = DataRootLock::take(&paths).unwrap();
        let message = DataRootLock::take(&paths).unwrap_err().to_string();
        assert!(message.contains(&format!("(pid {})", std::process::id())), "{message}");
        assert!(message.contains(dir.path().to_str().unwrap()), "{message}");
        drop(first);
        DataRootLock::take(&paths).unwrap();
    }

    #[test]
    fn a_data_root_that_is_not_there() {
        let paths = StatePaths::new("/nonexistent", "/nowhere");
        assert!(matches!(DataRootLock::take(&paths), Err(LockError::File { .. })));
    }
}
