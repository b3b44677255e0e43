//! Metadata database, content-addressed blobs, snapshots, references and garbage collection.

mod db;
mod error;
pub mod image;
mod records;
pub mod snapshot;
mod transfer;

pub use error::{Error, Result};
pub use image::{
    Activity, HistoryLine, Image, ImageUser, Platform, RemoveOptions, Removed,
    config::{ContainerConfig, Empty, Healthcheck, HistoryEntry, ImageConfig, RootFsConfig},
};
pub use records::{Batch, Records};
pub use snapshot::{Backend, Usage};
pub use transfer::{ImportOptions, Loaded, Progress};

use brig_core::{Digest, Reference, RootFs, StatePaths, atomic::Durability};
use std::{
    io::{Read, Write},
    sync::Arc,
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
    #[allow(dead_code)]
    pub(crate) paths: StatePaths,
}

fn not_yet<T>(what: &str) -> Result<T> {
    Err(Error::Invalid(format!("{what} comes with the next commit")))
}

impl Store {
    /// Opens the store of a data root, making it at first, and repairs what a crash left: half-made layers and
    /// snapshots are removed, records whose folder is gone are reported in [`Store::repairs`].
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::DatabaseCorrupt`], [`Error::DatabaseTooNew`], [`Error::OtherBackend`], or what the
    /// file system says.
    pub fn open(paths: &StatePaths, options: StoreOptions) -> Result<Self> {
        use error::At as _;
        std::fs::create_dir_all(paths.data_root()).at("make the data root", paths.data_root())?;
        let db = db::Db::open(&paths.database(), options.durability == Durability::Power)?;
        Ok(Self { inner: Arc::new(Inner { db, paths: paths.clone() }) })
    }

    /// What opening had to repair, one sentence each, for the log.
    #[must_use]
    pub fn repairs(&self) -> &[String] {
        &[]
    }

    /// The engine's documents.
    #[must_use]
    pub fn records(&self) -> Records {
        Records::new(self.clone())
    }

    /// All images, newest first.
    ///
    /// # Errors
    /// What the database or a damaged configuration says.
    pub fn image_list(&self) -> Result<Vec<Image>> {
        not_yet("image_list")
    }

    /// The image that `name` means: a reference (tag `latest` when it has none), an id, or a prefix of one.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`]; [`Error::Reference`] when the text can be neither reference nor id.
    pub fn image_resolve(&self, name: &str) -> Result<Image> {
        not_yet(name)
    }

    /// The image with this id.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`].
    pub fn image_get(&self, id: &Digest) -> Result<Image> {
        not_yet(&id.to_string())
    }

    /// Lets `target` (tag `latest` when it has none) name the image that `source` means; answers the image's id.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`]; [`Error::Invalid`] when `target` has a digest.
    pub fn image_tag(&self, source: &str, target: &Reference) -> Result<Digest> {
        let _ = target;
        not_yet(source)
    }

    /// Removes a reference, and the image with its layers when that was the last one, or an image by its id, by
    /// Docker's rules. `users` are all containers.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`]; [`Error::Conflict`] in Docker's words, nothing removed then.
    pub fn image_remove(
        &self,
        name: &str,
        options: RemoveOptions,
        users: &[ImageUser],
    ) -> Result<Vec<Removed>> {
        let _ = (options, users);
        not_yet(name)
    }

    /// How the image came about, newest step first.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`].
    pub fn image_history(&self, name: &str) -> Result<Vec<HistoryLine>> {
        not_yet(name)
    }

    /// Makes an image of one layer from a root file system's tar stream (plain, gzip or zstd); answers its id.
    ///
    /// # Errors
    /// [`Error::BadLayer`], [`Error::Input`], [`Error::Invalid`] for a bad change; nothing stays behind then.
    pub fn import(&self, archive: &mut dyn Read, options: &ImportOptions) -> Result<Digest> {
        let _ = (archive, options);
        not_yet("import")
    }

    /// Loads all images of an archive made by `docker save` or of an OCI layout (plain, gzip or zstd).
    ///
    /// # Errors
    /// [`Error::BadArchive`], [`Error::DigestMismatch`], [`Error::BadLayer`], [`Error::Input`]; nothing of the archive stays
    /// behind then.
    pub fn load(&self, archive: &mut dyn Read, progress: &mut dyn FnMut(Progress)) -> Result<Vec<Loaded>> {
        let _ = (archive, progress);
        not_yet("load")
    }

    /// Writes images into one tar stream that is a `docker save` archive and an OCI layout at once. The bytes depend
    /// on the images and `names` alone.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`], [`Error::Output`].
    pub fn save(&self, names: &[&str], out: &mut dyn Write) -> Result<()> {
        let _ = (names, out);
        not_yet("save")
    }

    /// Makes a writable snapshot on top of an image (of nothing with `None`). Not synced: it is the hot path.
    ///
    /// # Errors
    /// [`Error::SnapshotExists`], [`Error::NoSuchImage`].
    pub fn snapshot_prepare(&self, key: &str, image: Option<&Digest>) -> Result<()> {
        let _ = image;
        not_yet(key)
    }

    /// How to mount a snapshot.
    ///
    /// # Errors
    /// [`Error::NoSuchSnapshot`].
    pub fn snapshot_mount(&self, key: &str) -> Result<RootFs> {
        not_yet(key)
    }

    /// Removes a snapshot and what it alone kept alive; nothing happens when there is none.
    ///
    /// # Errors
    /// What the database or the file system says.
    pub fn snapshot_remove(&self, key: &str) -> Result<()> {
        not_yet(key)
    }

    /// What a snapshot's writable layer holds.
    ///
    /// # Errors
    /// [`Error::NoSuchSnapshot`].
    pub fn snapshot_usage(&self, key: &str) -> Result<Usage> {
        not_yet(key)
    }

    /// Keys of all writable snapshots, for the engine to compare with its containers.
    ///
    /// # Errors
    /// What the database says.
    pub fn snapshot_list(&self) -> Result<Vec<String>> {
        not_yet("snapshot_list")
    }
}
