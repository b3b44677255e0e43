//! Writable snapshots and unpacked layers, kept by one of two backends.

mod init;
mod native;
mod overlay;

use crate::db::Transaction;
use crate::{
    Batch, Inner, Store,
    error::{At, Error, Result},
    layer::unpack::Unpacked,
    layers::Released,
    layout::Layout,
    tree,
};
use brig_core::{Digest, RootFs, atomic::Durability};
use rusqlite::{OptionalExtension, params};
use std::{
    io,
    path::{Path, PathBuf},
};

pub(crate) use native::Native;
pub(crate) use overlay::Overlay;

/// How layers are kept on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backend {
    /// Overlay where the kernel can mount one over the data root, native copies elsewhere.
    #[default]
    Auto,
    /// One folder a layer, joined by overlayfs.
    Overlay,
    /// One whole file tree a layer (reflinked from its parent where the file system can).
    Native,
}

/// What a folder holds on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bytes in regular files, hard links counted once.
    pub bytes: u64,
    /// Files, folders and other nodes, hard links counted once.
    pub inodes: u64,
}

/// A way to keep layers and writable snapshots as folders. Each is a folder of its own with the files in `fs`.
pub(crate) trait Snapshotter: Send + Sync + std::fmt::Debug {
    /// The name under which a data root remembers its backend.
    fn name(&self) -> &'static str;

    /// Turns a freshly unpacked layer (`dir/fs`, whiteouts in overlay's form) into what this backend keeps.
    /// `parent` is the `fs` of the layer below.
    fn finish_layer(&self, dir: &Path, unpacked: &Unpacked, parent: Option<&Path>) -> io::Result<()>;

    /// Of a stack of layers (their `fs`, topmost first), those that together show the whole tree.
    fn shown(&self, layers: Vec<PathBuf>) -> Vec<PathBuf>;

    /// Whether the mount points of containers are in a layer of their own, the topmost of those that a snapshot is on.
    /// Otherwise they are made in each snapshot.
    fn has_init_layers(&self) -> bool;

    /// Fills the empty folder `dir` with a writable snapshot on top of `layers` (their `fs`, topmost first).
    fn prepare(&self, dir: &Path, layers: &[PathBuf]) -> io::Result<()>;

    /// How to mount it.
    fn mount(&self, dir: &Path, layers: Vec<PathBuf>) -> RootFs;

    /// What has been written to it.
    fn usage(&self, dir: &Path, layers: &[PathBuf]) -> io::Result<Usage>;
}

/// The backend of a data root: the one that it was made with, the one asked for, or what works here.
pub(crate) fn choose(
    layout: &Layout,
    wanted: Backend,
    recorded: Option<&str>,
) -> Result<Box<dyn Snapshotter>> {
    let other = |wanted: &str, found: &str| Error::OtherBackend {
        path: layout.snapshots.clone(),
        found: found.to_owned(),
        wanted: wanted.to_owned(),
    };
    match (wanted, recorded) {
        (Backend::Overlay | Backend::Auto, Some(Overlay::NAME)) => Ok(Box::new(Overlay)),
        (Backend::Native | Backend::Auto, Some(Native::NAME)) => Ok(Box::new(Native)),
        (Backend::Overlay, Some(found)) => Err(other(Overlay::NAME, found)),
        (Backend::Native, Some(found)) => Err(other(Native::NAME, found)),
        (Backend::Auto, Some(found)) => Err(other("overlay or native", found)),
        (Backend::Overlay, None) => Ok(Box::new(Overlay)),
        (Backend::Native, None) => Ok(Box::new(Native)),
        (Backend::Auto, None) => {
            let trial = layout.stage()?;
            match overlay::probe(trial.path()) {
                Ok(()) => Ok(Box::new(Overlay)),
                Err(error) => {
                    tracing::warn!(%error, "overlay does not work over the data root: layers are kept as native copies");
                    Ok(Box::new(Native))
                }
            }
        }
    }
}

/// A writable snapshot that nothing has been written down of yet: its folder goes when this is dropped.
#[derive(Debug)]
pub struct NewSnapshot {
    store: Store,
    key: String,
    image: Option<Digest>,
    chain: Option<String>,
    number: u64,
    layers: Vec<PathBuf>,
    kept: bool,
}

impl NewSnapshot {
    /// How to mount it.
    #[must_use]
    pub fn mount(&self) -> RootFs {
        let inner = &self.store.inner;
        inner.backend.mount(&inner.snapshot_dir(self.number), self.layers.clone())
    }

    pub(crate) fn insert(&self, tx: &Transaction<'_>) -> Result<()> {
        // The image may have gone, and its layers with it, since they were looked up.
        if let Some(chain) = &self.chain
            && !tx.prepare_cached("SELECT 1 FROM layers WHERE chain = ?1")?.exists([chain])?
        {
            let image = self.image.map(|image| image.to_string());
            return Err(Error::NoSuchImage(image.unwrap_or_default()));
        }
        let inserted = tx
            .prepare_cached(
                "INSERT INTO snapshots (key, chain, dir) VALUES (?1, ?2, ?3) ON CONFLICT (key) DO NOTHING",
            )?
            .execute(params![self.key, self.chain, self.number])?;
        if inserted == 0 { Err(Error::SnapshotExists(self.key.clone())) } else { Ok(()) }
    }

    /// It has been written down: it stays.
    pub(crate) fn kept(&mut self) {
        self.kept = true;
    }
}

impl Drop for NewSnapshot {
    fn drop(&mut self) {
        if !self.kept {
            let inner = &self.store.inner;
            inner.discard_logged(&inner.snapshot_dir(self.number));
        }
    }
}

/// Folders that are written down no more. Where nobody discards them, the next opening of the store does.
#[derive(Debug)]
#[must_use]
pub struct Orphans {
    pub(crate) store: Store,
    pub(crate) numbers: Vec<u64>,
}

impl Orphans {
    /// Moves them away, to be removed in the background.
    ///
    /// # Errors
    /// What the file system says.
    pub fn discard(self) -> Result<()> {
        let inner = &self.store.inner;
        if !self.numbers.is_empty() {
            brig_core::failpoint::hit("store.snapshot.discard")?;
        }
        self.numbers.iter().try_for_each(|number| inner.layout.discard_later(&inner.snapshot_dir(*number)))
    }

    /// Removes them, which takes its time.
    ///
    /// # Errors
    /// What the file system says of the first that stays; the others go all the same.
    pub fn remove(self) -> Result<()> {
        let inner = &self.store.inner;
        let remove = |number: &u64| {
            let dir = inner.snapshot_dir(*number);
            crate::tree::remove_path(&dir).at("remove", dir)
        };
        self.numbers.iter().map(remove).fold(Ok(()), Result::and)
    }
}

/// Removes a snapshot's row and those of layers that it alone kept alive; answers the numbers of their folders.
pub(crate) fn forget(inner: &Inner, tx: &Transaction<'_>, key: &str) -> Result<Vec<u64>> {
    let mut query = tx.prepare_cached("DELETE FROM snapshots WHERE key = ?1 RETURNING dir, chain")?;
    let row: Option<(u64, Option<String>)> =
        query.query_row([key], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((dir, chain)) = row else { return Ok(Vec::new()) };
    let mut dirs = vec![dir];
    dirs.extend(inner.release_chain(tx, chain.as_deref())?.into_iter().flat_map(Released::dirs));
    Ok(dirs)
}

impl Inner {
    /// The folder of a layer or snapshot.
    pub(crate) fn snapshot_dir(&self, number: u64) -> PathBuf {
        self.layout.snapshots.join(number.to_string())
    }

    /// `fs` folders of a chain, topmost first.
    pub(crate) fn layer_folders(&self, tx: &Transaction<'_>, chain: Option<&str>) -> Result<Vec<PathBuf>> {
        let Some(chain) = chain else { return Ok(Vec::new()) };
        let mut query = tx.prepare_cached(
            "WITH RECURSIVE up(chain, parent, dir, depth) AS (
                 SELECT chain, parent, dir, 0 FROM layers WHERE chain = ?1
                 UNION ALL
                 SELECT l.chain, l.parent, l.dir, up.depth + 1 FROM layers l JOIN up ON l.chain = up.parent
             ) SELECT dir FROM up ORDER BY depth",
        )?;
        let rows = query.query_map([chain], |row| row.get::<_, u64>(0))?;
        rows.map(|dir| Ok(self.snapshot_dir(dir?).join("fs"))).collect()
    }

    pub(crate) fn snapshot_row(&self, tx: &Transaction<'_>, key: &str) -> Result<(PathBuf, Vec<PathBuf>)> {
        let mut query = tx.prepare_cached("SELECT dir, chain FROM snapshots WHERE key = ?1")?;
        let row: Option<(u64, Option<String>)> =
            query.query_row([key], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let (dir, chain) = row.ok_or_else(|| Error::NoSuchSnapshot(key.to_owned()))?;
        let mut layers = self.layer_folders(tx, chain.as_deref())?;
        if let Some(init) = self.init_layer(tx, chain.as_deref())? {
            layers.insert(0, init);
        }
        Ok((self.snapshot_dir(dir), layers))
    }
}

impl Store {
    /// Makes the folder of a writable snapshot on top of an image (of nothing with `None`); [`Batch::keep`] writes down
    /// that it is there. Not synced: it is the hot path.
    ///
    /// # Errors
    /// [`Error::SnapshotExists`], [`Error::NoSuchImage`].
    pub fn snapshot_make(&self, key: &str, image: Option<&Digest>) -> Result<NewSnapshot> {
        let inner = &self.inner;
        let (chain, mut layers, init) = inner.db.read(|tx| {
            let mut taken = tx.prepare_cached("SELECT 1 FROM snapshots WHERE key = ?1")?;
            if taken.exists([key])? {
                return Err(Error::SnapshotExists(key.to_owned()));
            }
            let Some(image) = image else { return Ok((None, Vec::new(), None)) };
            let mut query = tx.prepare_cached("SELECT chain FROM images WHERE id = ?1")?;
            let chain: Option<Option<String>> =
                query.query_row([image.to_string()], |row| row.get(0)).optional()?;
            let chain = chain.ok_or_else(|| Error::NoSuchImage(image.to_string()))?;
            let layers = inner.layer_folders(tx, chain.as_deref())?;
            let init = inner.init_layer(tx, chain.as_deref())?;
            Ok((chain, layers, init))
        })?;
        let gone = || Error::NoSuchImage(image.map(ToString::to_string).unwrap_or_default());
        if let Some(chain) = chain.as_deref().filter(|_| inner.backend.has_init_layers()) {
            let init = match init {
                Some(init) => init,
                None => inner.make_init_layer(chain)?.ok_or_else(gone)?,
            };
            layers.insert(0, init);
        }
        let number = inner.next_dir();
        let dir = inner.snapshot_dir(number);
        let image = image.copied();
        let made = NewSnapshot {
            store: self.clone(),
            key: key.to_owned(),
            image,
            chain,
            number,
            layers,
            kept: false,
        };
        std::fs::create_dir(&dir).at("make", &dir)?;
        inner.backend.prepare(&dir, &made.layers).at("prepare", &dir)?;
        brig_core::failpoint::hit("store.snapshot.record")?;
        Ok(made)
    }

    /// Makes a writable snapshot and writes it down.
    ///
    /// # Errors
    /// [`Error::SnapshotExists`], [`Error::NoSuchImage`].
    pub fn snapshot_prepare(&self, key: &str, image: Option<&Digest>) -> Result<()> {
        let mut batch = Batch::new();
        batch.keep(self.snapshot_make(key, image)?);
        self.records().batch(batch, Durability::Process)
    }

    /// The folders of an image's layers, topmost first; none when there is no such image.
    ///
    /// # Errors
    /// What the database says.
    pub fn image_folders(&self, image: &Digest) -> Result<Vec<PathBuf>> {
        self.inner.db.read(|tx| {
            let mut query = tx.prepare_cached("SELECT chain FROM images WHERE id = ?1")?;
            let chain: Option<Option<String>> =
                query.query_row([image.to_string()], |row| row.get(0)).optional()?;
            self.inner.layer_folders(tx, chain.flatten().as_deref())
        })
    }

    /// How to mount a snapshot.
    ///
    /// # Errors
    /// [`Error::NoSuchSnapshot`].
    pub fn snapshot_mount(&self, key: &str) -> Result<RootFs> {
        let (dir, layers) = self.inner.db.read(|tx| self.inner.snapshot_row(tx, key))?;
        Ok(self.inner.backend.mount(&dir, layers))
    }

    /// Removes a snapshot and the layers that it alone kept alive; nothing happens when there is none. Its folder is
    /// moved away at once and removed in the background (see [`Store::settle`]).
    ///
    /// # Errors
    /// What the database or the file system says.
    pub fn snapshot_remove(&self, key: &str) -> Result<()> {
        let mut batch = Batch::new();
        batch.forget(key);
        self.records().commit(batch, Durability::Process)?.discard()
    }

    /// Gives the space of what has been written to a snapshot back, although something may still hold its files: the
    /// snapshot is of no use after that but to be removed. Nothing happens when there is none.
    ///
    /// # Errors
    /// What the database or the file system says.
    pub fn snapshot_empty(&self, key: &str) -> Result<()> {
        match self.snapshot_dir_of(key)? {
            Some(dir) => tree::empty_files(&dir).at("empty", dir),
            None => Ok(()),
        }
    }

    fn snapshot_dir_of(&self, key: &str) -> Result<Option<PathBuf>> {
        let dir: Option<u64> = self.inner.db.read(|tx| {
            let mut query = tx.prepare_cached("SELECT dir FROM snapshots WHERE key = ?1")?;
            Ok(query.query_row([key], |row| row.get(0)).optional()?)
        })?;
        Ok(dir.map(|dir| self.inner.snapshot_dir(dir)))
    }

    /// Moves a snapshot's folder away, to be removed in the background; that it is gone, [`Batch::forget`] writes down.
    /// Nothing happens when there is none.
    ///
    /// # Errors
    /// What the database or the file system says.
    pub fn snapshot_put_aside(&self, key: &str) -> Result<()> {
        let dir = self.snapshot_dir_of(key)?;
        brig_core::failpoint::hit("store.snapshot.discard")?;
        match dir {
            Some(dir) => self.inner.layout.discard_later(&dir),
            None => Ok(()),
        }
    }

    /// What has been written to a snapshot.
    ///
    /// # Errors
    /// [`Error::NoSuchSnapshot`], or what the file system says.
    pub fn snapshot_usage(&self, key: &str) -> Result<Usage> {
        let (dir, layers) = self.inner.db.read(|tx| self.inner.snapshot_row(tx, key))?;
        self.inner.backend.usage(&dir, &layers).at("count", &dir)
    }

    /// Keys of all writable snapshots, for the engine to compare with its containers.
    ///
    /// # Errors
    /// What the database says.
    pub fn snapshot_list(&self) -> Result<Vec<String>> {
        self.inner.db.read(|tx| {
            let mut query = tx.prepare_cached("SELECT key FROM snapshots ORDER BY key")?;
            let rows = query.query_map([], |row| row.get(0))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }
}
