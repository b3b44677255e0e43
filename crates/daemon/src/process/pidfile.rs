//! The file that tells the daemon's pid to scripts.

use brig_core::atomic::{self, Durability};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The file; removed when this is dropped, if it is still this daemon's.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
}

/// Why the file can't be written.
#[derive(Debug, thiserror::Error)]
pub enum PidFileError {
    /// It names a process that lives.
    #[error("process with PID {pid} is still running: delete {} if that is no brig daemon", path.display())]
    Running {
        /// The process.
        pid: u32,
        /// The file.
        path: PathBuf,
    },
    /// The file can't be used.
    #[error("pid file {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl PidFile {
    /// Writes this process' pid. A file that a killed daemon left is replaced.
    ///
    /// # Errors
    /// When the file names another living process, or can't be written.
    pub fn create(path: &Path) -> Result<Self, PidFileError> {
        let failed = |source| PidFileError::File { path: path.to_owned(), source };
        if let Some(pid) = read(path).map_err(failed)?
            && pid != std::process::id()
            && lives(pid)
        {
            return Err(PidFileError::Running { pid, path: path.to_owned() });
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        let line = format!("{}\n", std::process::id());
        atomic::write(path, line.as_bytes(), 0o644, Durability::Process).map_err(failed)?;
        Ok(Self { path: path.to_owned() })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if matches!(read(&self.path), Ok(Some(pid)) if pid == std::process::id())
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "removing the pid file failed");
        }
    }
}

fn read(path: &Path) -> io::Result<Option<u32>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.trim().parse().ok()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Whether a process lives and is a brig: a pid may have been given to something else since.
fn lives(pid: u32) -> bool {
    let own = fs::read_to_string("/proc/self/comm").unwrap_or_default();
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm == own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/brig.pid");
        let file = PidFile::create(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn one_of_a_dead_daemon_is_replaced_and_one_of_another_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("brig.pid");
        for stale in ["", "x", "4294967295"] {
            fs::write(&path, stale).unwrap();
            drop(PidFile::create(&path).unwrap());
        }
        let file = PidFile::create(&path).unwrap();
        fs::write(&path, "1\n").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");
    }

    #[test]
    #[ignore = "only a process for the test below to find alive"]
    fn waits_for_the_end_of_its_input() {
        io::copy(&mut io::stdin(), &mut io::sink()).unwrap();
    }

    #[test]
    fn a_living_daemon_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("brig.pid");
        let name = "process::pidfile::tests::waits_for_the_end_of_its_input";
        let mut other = std::process::Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--ignored"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // Its first words: from then on it surely has its own name.
        io::Read::read_exact(other.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        fs::write(&path, other.id().to_string()).unwrap();
        let refused = PidFile::create(&path).unwrap_err();
        assert!(matches!(refused, PidFileError::Running { pid, .. } if pid == other.id()));
        drop(other.stdin.take());
        other.wait().unwrap();
        PidFile::create(&path).unwrap();
    }
}
