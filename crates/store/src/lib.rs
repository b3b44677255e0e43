//! Metadata database, content-addressed blobs, snapshots, references and garbage collection.
//!
//! # On disk
//! Under the data root:
//! - `brig.db`: the metadata database (SQLite, WAL). It holds intent; folders and files follow it.
//! - `blobs/sha256/HEX`: documents by their digest: image configurations, manifests, indexes.
//! - `snapshots/N/`: layers (`fs` the files, `record` what else their archive had, `kept` what the archive itself
//!   replaced), the mount points of an image's containers (`fs`), and writable snapshots (`fs`, and `work` for overlay). Numbers, to keep mount options short.
//! - `ingest/`: everything under way. Emptied at start.
//! - `partial/HEX`: what is there of blobs whose download was broken off, for the next try.
//!
//! # What lives, and the lock
//! Roots are image rows, snapshot rows and leases. A layer lives while a root or a layer above it needs it; a document
//! while an image row names it. All deciding about life and death happens in a write transaction, and there is one
//! writing connection behind a mutex: that mutex is the store's lock. Files are moved into place before the row that
//! names them is committed, and removed after the row is gone, so a crash leaves orphans and never dangling rows;
//! [`Store::open`] removes the orphans. Documents, whose names can come back, are moved and removed with the lock held;
//! folders have numbers that never come back while a store is open and need none. Removed snapshots are moved to
//! `ingest/` at once and deleted by a thread of the store.
//!
//! An operation that builds an image holds its layers by a lease, in memory: concurrent imports, loads and removals
//! may meet in any order, and what a failed one has unpacked goes when its lease does.
//!
//! # What a power cut may take
//! Image rows, tags and removals are synced, after the layers' files are. Snapshots and the engine's records are synced
//! only where [`Durability::Power`] is asked for.

pub mod archive;
mod blob;
mod changes;
mod commit;
mod compression;
mod db;
mod error;
pub mod image;
mod import;
mod incoming;
mod instructions;
mod layer;
mod layers;
mod layout;
mod load;
mod outgoing;
mod partial;
mod reaper;
mod records;
mod repair;
mod save;
pub mod snapshot;
mod tar;
mod tree;

pub use changes::{Change, ChangeKind};
pub use commit::CommitOptions;
pub use error::{Error, Result};
pub use image::manifest;
pub use image::{
    Activity, HistoryLine, Image, ImageUser, Platform, RemoveOptions, Removed, Sharing,
    config::{ContainerConfig, Empty, Healthcheck, HistoryEntry, ImageConfig, RootFsConfig},
};
pub use import::ImportOptions;
pub use incoming::{Arrived, Incoming};
pub use load::{Loaded, Progress};
pub use outgoing::{Form, Outgoing};
pub use partial::Partial;
pub use records::{Batch, Records};
pub use snapshot::{Backend, NewSnapshot, Orphans, Usage};
pub use tree::{copy_folder, remove_path, usage};

use crate::error::At;
use brig_core::{StatePaths, atomic::Durability};
use rusqlite::OptionalExtension;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

/// How to open a store.
#[derive(Debug, Clone, Copy)]
pub struct StoreOptions {
    /// How layers are kept; fixed at the first opening of a data root.
    pub backend: Backend,
    /// What image records and removals must survive. [`Durability::Process`] spares tests the syncing.
    pub durability: Durability,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { backend: Backend::Auto, durability: Durability::Power }
    }
}

/// All images, layers, snapshots and records of a data root. Cheap to clone; blocking; may be used from any thread.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) db: db::Db,
    pub(crate) layout: layout::Layout,
    pub(crate) backend: Box<dyn snapshot::Snapshotter>,
    pub(crate) leases: layers::Leases,
    pub(crate) durability: Durability,
    /// Held while an init layer is made.
    pub(crate) init_maker: Mutex<()>,
    /// The next folder's number.
    pub(crate) next_dir: AtomicU64,
    repairs: Vec<String>,
}

impl Inner {
    /// A number for a folder that no other has had since the store was opened.
    pub(crate) fn next_dir(&self) -> u64 {
        self.next_dir.fetch_add(1, Ordering::Relaxed)
    }

    /// Has the database's WAL folded back when that is due.
    pub(crate) fn keep_wal_short(&self) {
        if self.db.checkpoint_due() {
            let (path, sync) = self.db.place();
            self.layout.later(Box::new(move || {
                if let Err(error) = db::Db::checkpoint(&path, sync) {
                    tracing::warn!(%error, "the database's log could not be folded back; it is tried again");
                }
            }));
        }
    }
}

impl Store {
    /// Opens the store of a data root, making it at first, and repairs what a crash left (see [`Store::repairs`]).
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::DatabaseCorrupt`], [`Error::DatabaseLost`], [`Error::DatabaseTooNew`], [`Error::OtherBackend`], or what the
    /// file system says.
    pub fn open(paths: &StatePaths, options: StoreOptions) -> Result<Self> {
        let layout = layout::Layout::open(paths)?;
        layout::check_database(paths)?;
        let db = db::Db::open(&layout.database, options.durability == Durability::Power)?;
        layout.empty_ingest()?;
        let recorded: Option<String> = db.read(|tx| {
            let mut query = tx.prepare("SELECT value FROM meta WHERE key = 'backend'")?;
            Ok(query.query_row([], |row| row.get(0)).optional()?)
        })?;
        let backend = snapshot::choose(&layout, options.backend, recorded.as_deref())?;
        if recorded.is_none() {
            db.write(options.durability, |tx| {
                tx.execute("INSERT INTO meta (key, value) VALUES ('backend', ?1)", [backend.name()])?;
                Ok(())
            })?;
        }
        let mut inner = Inner {
            db,
            layout,
            backend,
            leases: layers::Leases::default(),
            durability: options.durability,
            init_maker: Mutex::new(()),
            next_dir: AtomicU64::new(1),
            repairs: Vec::new(),
        };
        inner.repairs = inner.repair()?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What opening had to repair, one sentence each, for the log: orphans that were removed, records whose folder is
    /// gone.
    #[must_use]
    pub fn repairs(&self) -> &[String] {
        &self.inner.repairs
    }

    /// The backend's name, as `docker info` shows the storage driver.
    #[must_use]
    pub fn backend(&self) -> &'static str {
        self.inner.backend.name()
    }

    /// Whether there is so little room on the disk that not even the database can be sure of its own.
    ///
    /// # Errors
    /// What the file system says.
    pub fn is_nearly_full(&self) -> Result<bool> {
        const LITTLE: u64 = 32 << 20;
        let root = &self.inner.layout.snapshots;
        let room = rustix::fs::statvfs(root).at("look at the file system of", root)?;
        Ok(room.f_bavail.saturating_mul(room.f_frsize) < LITTLE)
    }

    /// Gives the space of all files in a folder back, although something may still hold them, before it is
    /// [discarded](Store::discard); nothing happens when there is none.
    ///
    /// # Errors
    /// What the file system says.
    pub fn empty(&self, folder: &std::path::Path) -> Result<()> {
        tree::empty_files(folder).at("empty", folder)
    }

    /// Moves a folder out of the way, to be removed in the background; nothing happens when there is none. One that
    /// lies on another file system than the store is removed at once.
    ///
    /// # Errors
    /// What the file system says.
    pub fn discard(&self, folder: &std::path::Path) -> Result<()> {
        self.inner.layout.discard_foreign(folder)
    }

    /// Does something in the background, in turn with the removal of what was discarded. It says itself what fails.
    pub fn later(&self, work: impl FnOnce() + Send + 'static) {
        self.inner.layout.later(Box::new(work));
    }

    /// Waits until the folders of removed snapshots are gone from the disk, which happens in the background, and until
    /// all that was to be done [later](Store::later) is done.
    pub fn settle(&self) {
        self.inner.layout.settle();
    }

    /// The engine's documents.
    #[must_use]
    pub fn records(&self) -> Records {
        Records::new(self.clone())
    }
}
