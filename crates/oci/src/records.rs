//! What is kept of a container between two calls: a folder below `--root`, named by its id.
//!
//! - `config.json`: the bundle's, as it was at `create`; later changes in the bundle have no effect (OCI runtime
//!   specification, lifecycle).
//! - `state.json`: the process and when it was made. Written last, at once: a folder without it is of a `create`
//!   that is under way or was killed.
//! - `start.sock`: where the container's first process waits for `start`; gone once that came.
//!
//! Whoever changes something holds a lock on the folder, so that `start`, `kill` and `delete` see whole states.

use crate::args::Parsed;
use crate::bundle;
use crate::commands::rootless;
use crate::error::Error;
use brig_core::atomic::{self, Durability};
use brig_runtime::cgroup::systemd::Unit;
use oci_spec::runtime::Spec;
use rustix::fs::{FlockOperation, Mode, OFlags};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where containers are kept when `--root` does not say.
const DEFAULT_ROOT: &str = "/run/brig/oci";

/// What is known of a container's process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The container's id.
    pub(crate) id: String,
    /// Process 1, as the host numbers it.
    pub(crate) pid: i32,
    /// When that was born, in clock ticks since the machine's start: with the number it names one process.
    pub(crate) start_time: u64,
    /// When the container was made, RFC 3339 with nanoseconds.
    pub(crate) created: String,
    /// The bundle.
    pub(crate) bundle: PathBuf,
    /// The root file system.
    pub(crate) rootfs: PathBuf,
    /// The container's cgroup, if it has one of its own.
    pub(crate) cgroup: Option<PathBuf>,
    /// What tells that from one that another container made at the same path when this one had ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) cgroup_identity: Vec<u64>,
    /// The scope that the cgroup is of, with systemd's driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unit: Option<Unit>,
    /// Who made it.
    pub(crate) owner: u32,
}

/// The folder of all containers.
#[derive(Debug)]
pub(crate) struct Records {
    root: PathBuf,
    /// Whether `--root` says it.
    named: bool,
}

/// The folder of one container.
#[derive(Debug)]
pub(crate) struct Entry {
    id: String,
    dir: PathBuf,
}

/// While this lives nobody else changes the container.
#[derive(Debug)]
pub(crate) struct Lock {
    _folder: OwnedFd,
}

impl Records {
    /// As `--root` says.
    pub(crate) fn new(global: &Parsed) -> Self {
        let default = || rootless::default_root(DEFAULT_ROOT);
        let given = global.text("root").filter(|root| !root.is_empty());
        Self { named: given.is_some(), root: given.map_or_else(default, PathBuf::from) }
    }

    /// Makes a container's folder, locked.
    ///
    /// # Errors
    /// A bad id, or one that is taken. What a killed `create` left over is not: it is replaced.
    pub(crate) fn make(&self, id: &str) -> Result<(Entry, Lock), Error> {
        let entry = self.entry(id)?;
        self.make_root().map_err(|e| refused("make", &self.root, e))?;
        match rustix::fs::mkdir(&entry.dir, Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(e) => return Err(refused("make", &entry.dir, e.into())),
        }
        // Whoever has the lock makes the container, whoever has made the folder.
        let lock = match entry.try_lock() {
            Ok(Some(lock)) => lock,
            // Held, or just removed: by who makes or deletes one of this id.
            Ok(None) | Err(Error::NotThere) => return Err(Error::Exists),
            Err(error) => return Err(error),
        };
        if entry.state_path().exists() {
            return Err(Error::Exists);
        }
        entry.clear()?;
        Ok((entry, lock))
    }

    /// Refuses a folder that the user named and that is not there: a slip of theirs. The usual one comes into being
    /// with the first container.
    pub(crate) fn check_root(&self) -> Result<(), Error> {
        match self.named {
            true => std::fs::metadata(&self.root).map(drop).map_err(Error::file("open", &self.root)),
            false => Ok(()),
        }
    }

    fn make_root(&self) -> std::io::Result<()> {
        if rustix::process::geteuid().is_root() || self.root.is_dir() {
            return std::fs::create_dir_all(&self.root);
        }
        // Nobody else's business; and sticky, which keeps those away who clean up what was not used for long.
        std::fs::create_dir_all(&self.root)?;
        std::fs::set_permissions(&self.root, std::fs::Permissions::from_mode(0o1700))
    }

    /// The folder of a container that is there.
    pub(crate) fn find(&self, id: &str) -> Result<Entry, Error> {
        let entry = self.entry(id)?;
        match entry.dir.symlink_metadata() {
            Ok(_) => Ok(entry),
            Err(e) if e.kind() == ErrorKind::NotFound => Err(Error::NotThere),
            Err(e) => Err(Error::file("look for", &entry.dir)(e)),
        }
    }

    /// All containers, by id.
    pub(crate) fn list(&self) -> Result<Vec<Entry>, Error> {
        let folders = match std::fs::read_dir(&self.root) {
            Ok(folders) => folders,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Error::file("list", &self.root)(e)),
        };
        let mut ids = Vec::new();
        for folder in folders {
            let name = folder.map_err(Error::file("list", &self.root))?.file_name();
            ids.extend(name.into_string().ok().filter(|name| is_id(name)));
        }
        ids.sort();
        ids.iter().map(|id| self.entry(id)).collect()
    }

    fn entry(&self, id: &str) -> Result<Entry, Error> {
        if !is_id(id) {
            return Err(Error::BadId);
        }
        Ok(Entry { id: id.to_owned(), dir: self.root.join(id) })
    }
}

fn refused(step: &'static str, dir: &Path, error: std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::PermissionDenied => Error::Usage(format!(
            "{step} {}: {}: containers' states are kept there; without root, set XDG_RUNTIME_DIR or --root to a folder \
             of your own",
            dir.display(),
            brig_runtime::Errno::from(error)
        )),
        _ => Error::file(step, dir)(error),
    }
}

/// runc's rule: letters, digits, `_+-.`, and no way out of the folder.
fn is_id(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+-.".contains(c);
    !text.is_empty() && text.len() <= 255 && text != "." && text != ".." && text.chars().all(allowed)
}

impl Entry {
    /// The container's id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    fn state_path(&self) -> PathBuf {
        self.dir.join("state.json")
    }

    fn config_path(&self) -> PathBuf {
        self.dir.join("config.json")
    }

    /// Where the container's first process waits for `start`.
    pub(crate) fn start_socket(&self) -> PathBuf {
        self.dir.join("start.sock")
    }

    /// Waits until nobody else changes the container.
    ///
    /// # Errors
    /// [`Error::NotThere`] while it is still being made, which may take as long as a hook does.
    pub(crate) fn lock(&self) -> Result<Lock, Error> {
        if let Some(lock) = self.try_lock()? {
            return Ok(lock);
        }
        if !self.state_path().exists() {
            return Err(Error::NotThere);
        }
        let folder = self.open()?;
        rustix::fs::flock(&folder, FlockOperation::LockExclusive)
            .map_err(|e| Error::file("lock", &self.dir)(e.into()))?;
        self.locked(folder)
    }

    /// The lock, unless somebody else has it.
    ///
    /// # Errors
    /// [`Error::NotThere`] when the container went meanwhile.
    pub(crate) fn try_lock(&self) -> Result<Option<Lock>, Error> {
        let folder = self.open()?;
        match rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => self.locked(folder).map(Some),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(e) => Err(Error::file("lock", &self.dir)(e.into())),
        }
    }

    /// A lock is one on the container only while the folder is still that of its id: it may have been removed, and
    /// made anew by somebody who has locked that one.
    fn locked(&self, folder: OwnedFd) -> Result<Lock, Error> {
        let failed = |e: rustix::io::Errno| Error::file("stat", &self.dir)(e.into());
        let own = rustix::fs::fstat(&folder).map_err(failed)?;
        match rustix::fs::lstat(&self.dir) {
            Ok(now) if (now.st_dev, now.st_ino) == (own.st_dev, own.st_ino) => Ok(Lock { _folder: folder }),
            Ok(_) | Err(rustix::io::Errno::NOENT) => Err(Error::NotThere),
            Err(e) => Err(failed(e)),
        }
    }

    fn open(&self) -> Result<OwnedFd, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::open(&self.dir, flags, Mode::empty()).map_err(|e| match e {
            rustix::io::Errno::NOENT => Error::NotThere,
            e => refused("open", &self.dir, e.into()),
        })
    }

    /// Keeps the spec.
    pub(crate) fn write_spec(&self, spec: &Spec) -> Result<(), Error> {
        self.write(&self.config_path(), spec)
    }

    /// The spec, as it was at `create`.
    pub(crate) fn spec(&self) -> Result<Spec, Error> {
        let path = self.config_path();
        bundle::parse(&path, File::open(&path).map_err(Error::file("open", &path))?)
    }

    /// Keeps what is known of the process. From here on the container is there.
    pub(crate) fn write_record(&self, record: &Record) -> Result<(), Error> {
        self.write(&self.state_path(), record)
    }

    /// What is known of the process.
    ///
    /// # Errors
    /// [`Error::NotThere`] while the container is still being made, and when making it was cut short.
    pub(crate) fn record(&self) -> Result<Record, Error> {
        let path = self.state_path();
        match File::open(&path) {
            Ok(file) => bundle::parse(&path, file),
            Err(e) if e.kind() == ErrorKind::NotFound => Err(Error::NotThere),
            Err(e) => Err(Error::file("open", &path)(e)),
        }
    }

    fn write(&self, path: &Path, value: &impl Serialize) -> Result<(), Error> {
        let json = serde_json::to_vec(value)
            .map_err(|e| Error::Json { path: path.to_owned(), reason: e.to_string() })?;
        // Below /run: it need not outlive the machine.
        atomic::write(path, &json, 0o600, Durability::Process).map_err(Error::file("write", path))
    }

    /// Removes what a killed `create` has left in the folder.
    fn clear(&self) -> Result<(), Error> {
        let failed = Error::file("clear", &self.dir);
        let list = match std::fs::read_dir(&self.dir) {
            Ok(list) => list,
            Err(e) => return Err(failed(e)),
        };
        for left in list {
            let path = match left {
                Ok(left) => left.path(),
                Err(e) => return Err(failed(e)),
            };
            std::fs::remove_file(&path).map_err(Error::file("remove", path))?;
        }
        Ok(())
    }

    /// Removes the folder.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        match std::fs::remove_dir_all(&self.dir) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::file("remove", &self.dir)(e)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(dir: &Path) -> Records {
        Records { root: dir.join("oci"), named: true }
    }

    fn record(id: &str) -> Record {
        Record {
            id: id.into(),
            pid: 1,
            start_time: 2,
            created: "2026-01-01T00:00:00Z".into(),
            bundle: "/b".into(),
            rootfs: "/b/rootfs".into(),
            cgroup: None,
            cgroup_identity: Vec::new(),
            unit: None,
            owner: 0,
        }
    }

    #[test]
    fn ids() {
        for good in ["a", "A-b_c+d.e", "..a", "0"] {
            assert!(is_id(good), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "/a", "a b", "ä", "a\n", &"x".repeat(256)] {
            assert!(!is_id(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_container_is_there_once_its_record_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let records = records(dir.path());
        assert!(records.list().unwrap().is_empty());
        assert!(matches!(records.find("a"), Err(Error::NotThere)));
        let (entry, lock) = records.make("a").unwrap();
        assert!(matches!(entry.record(), Err(Error::NotThere)));
        assert!(matches!(records.make("a"), Err(Error::Exists)), "under way");
        entry.write_record(&record("a")).unwrap();
        drop(lock);
        assert!(matches!(records.make("a"), Err(Error::Exists)));
        assert_eq!(records.find("a").unwrap().record().unwrap(), record("a"));
        assert_eq!(records.list().unwrap().len(), 1);
        entry.remove().unwrap();
        assert!(matches!(records.find("a"), Err(Error::NotThere)));
        assert!(matches!(entry.lock(), Err(Error::NotThere)));
    }

    #[test]
    fn what_a_killed_create_left_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let records = records(dir.path());
        let (entry, lock) = records.make("a").unwrap();
        std::fs::write(entry.config_path(), "half").unwrap();
        drop(lock);
        let (entry, _lock) = records.make("a").unwrap();
        assert!(!entry.config_path().exists());
    }

    #[test]
    fn a_lock_on_a_folder_that_was_removed_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let records = records(dir.path());
        let (entry, lock) = records.make("a").unwrap();
        // Another call has the folder open, and comes to lock it only when it was made anew.
        let folder = entry.open().unwrap();
        entry.remove().unwrap();
        drop(lock);
        assert!(matches!(entry.locked(folder), Err(Error::NotThere)));
        let (entry, lock) = records.make("a").unwrap();
        let folder = entry.open().unwrap();
        entry.remove().unwrap();
        drop(lock);
        let (entry, _lock) = records.make("a").unwrap();
        assert!(matches!(entry.locked(folder), Err(Error::NotThere)));
    }

    #[test]
    fn a_half_written_record_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let (entry, _lock) = records(dir.path()).make("a").unwrap();
        std::fs::write(entry.state_path(), "{\"id\":\"a\",").unwrap();
        let error = entry.record().unwrap_err().to_string();
        assert!(error.contains("a/state.json") && error.contains("EOF"), "{error}");
    }
}
