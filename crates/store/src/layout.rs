//! The store's folders and its staging area.

use crate::{
    error::{At, Error, Result},
    reaper::Reaper,
    tree,
};
use brig_core::StatePaths;
use rustix::fs::{FlockOperation, Mode, OFlags};
use std::{
    fs::{DirBuilder, File},
    os::{fd::OwnedFd, unix::fs::DirBuilderExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Folders under the data root.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) blobs: PathBuf,
    pub(crate) snapshots: PathBuf,
    pub(crate) database: PathBuf,
    /// Made when it is needed.
    pub(crate) partial: PathBuf,
    ingest: Arc<Ingest>,
    reaper: Reaper,
}

/// The staging area; its open folder carries the lock that makes this process the store's only one.
#[derive(Debug)]
struct Ingest {
    path: PathBuf,
    fd: OwnedFd,
    next: AtomicU64,
}

/// Refuses a data root that has lost its database: to a new one, everything in it is an orphan, to be removed.
pub(crate) fn check_database(paths: &StatePaths) -> Result<()> {
    let database = paths.database();
    match std::fs::metadata(&database) {
        Ok(found) if found.len() > 0 => return Ok(()),
        Ok(_) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(e).at("look at", database),
    }
    for folder in [paths.volumes(), paths.containers(), paths.snapshots()] {
        let is_folder = |name: &std::ffi::OsString| folder.join(name).is_dir();
        match names(&folder) {
            Ok(there) if there.iter().any(is_folder) => return Err(Error::DatabaseLost { database, folder }),
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
            there => drop(there?),
        }
    }
    Ok(())
}

impl Layout {
    /// Makes the folders and takes the lock.
    pub(crate) fn open(paths: &StatePaths) -> Result<Self> {
        let blobs = paths.blobs().join("sha256");
        // Searchable for ids that a container's user maps to, readable by the owner only.
        make(paths.data_root(), 0o711)?;
        make(&blobs, 0o700)?;
        make(&paths.snapshots(), 0o711)?;
        make(&paths.ingest(), 0o700)?;
        let fd = open_dir(&paths.ingest())?;
        match rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(Error::InUse(paths.data_root().to_owned())),
            Err(e) => return Err(e).at("lock", paths.ingest()),
        }
        let ingest = Arc::new(Ingest { path: paths.ingest(), fd, next: AtomicU64::new(0) });
        Ok(Self {
            blobs,
            snapshots: paths.snapshots(),
            database: paths.database(),
            partial: paths.partial(),
            ingest,
            reaper: Reaper::default(),
        })
    }

    /// Removes whatever an earlier process left in the staging area.
    pub(crate) fn empty_ingest(&self) -> Result<()> {
        for name in names(&self.ingest.path)? {
            tree::remove(&self.ingest.fd, &name).at("remove", self.ingest.path.join(&name))?;
        }
        Ok(())
    }

    /// A fresh folder in the staging area, removed with all in it when it is dropped.
    pub(crate) fn stage(&self) -> Result<Staging> {
        let staging = self.unmade();
        DirBuilder::new().mode(0o700).create(&staging.path).at("make", &staging.path)?;
        Ok(staging)
    }

    /// A fresh file in the staging area, removed when it is dropped.
    pub(crate) fn stage_file(&self) -> Result<(Staging, File)> {
        let staging = self.unmade();
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&staging.path)
            .at("make", &staging.path)?;
        Ok((staging, file))
    }

    /// Moves a folder out of the way and removes it; what a crash leaves of it goes at the next start.
    pub(crate) fn discard(&self, path: &Path) -> Result<()> {
        if let Some(staging) = self.move_away(path)? {
            brig_core::failpoint::hit("store.discard")?;
            staging.remove().at("remove", path)?;
        }
        Ok(())
    }

    /// The same, but the caller does not wait for the removal: it can take milliseconds a folder.
    pub(crate) fn discard_later(&self, path: &Path) -> Result<()> {
        if let Some(staging) = self.move_away(path)? {
            self.reaper.take(staging);
        }
        Ok(())
    }

    /// The same for a folder that may lie on another file system than the store: that one is removed at once.
    pub(crate) fn discard_foreign(&self, path: &Path) -> Result<()> {
        match self.move_away(path) {
            Ok(staging) => {
                staging.into_iter().for_each(|staging| self.reaper.take(staging));
                Ok(())
            }
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::CrossesDevices => {
                tree::remove_path(path).at("remove", path)
            }
            Err(e) => Err(e),
        }
    }

    /// Does something on the thread that removes what was discarded.
    pub(crate) fn later(&self, work: crate::reaper::Work) {
        self.reaper.later(work);
    }

    /// Waits until all that was discarded so far is removed.
    pub(crate) fn settle(&self) {
        self.reaper.settle();
    }

    /// `None` when nothing is there.
    fn move_away(&self, path: &Path) -> Result<Option<Staging>> {
        let staging = self.unmade();
        match std::fs::rename(path, &staging.path) {
            Ok(()) => Ok(Some(staging)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e).at("move away", path),
        }
    }

    fn unmade(&self) -> Staging {
        let n = self.ingest.next.fetch_add(1, Ordering::Relaxed);
        let name = n.to_string();
        Staging { path: self.ingest.path.join(&name), name, ingest: Arc::clone(&self.ingest) }
    }
}

/// A file or folder in the staging area.
#[derive(Debug)]
pub(crate) struct Staging {
    path: PathBuf,
    name: String,
    ingest: Arc<Ingest>,
}

impl Staging {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves it to its final place; nothing is left to remove then.
    pub(crate) fn publish(self, target: &Path) -> Result<()> {
        std::fs::rename(&self.path, target).at("move into place", target)
    }

    fn remove(&self) -> std::io::Result<()> {
        tree::remove(&self.ingest.fd, self.name.as_ref())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            tracing::warn!(path = %self.path.display(), %error, "could not remove a staged file; the next start does");
        }
    }
}

/// Opens a folder.
pub(crate) fn open_dir(path: &Path) -> Result<OwnedFd> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .at("open", path)
}

/// The names in a folder.
pub(crate) fn names(path: &Path) -> Result<Vec<std::ffi::OsString>> {
    std::fs::read_dir(path).at("read", path)?.map(|entry| Ok(entry.at("read", path)?.file_name())).collect()
}

fn make(path: &Path, mode: u32) -> Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(path).at("make", path)
}
