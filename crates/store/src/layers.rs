//! Layers in the database: registered, leased, released.
//!
//! A layer lives as long as an image, a snapshot, a layer above it or a lease needs it. Leases exist in memory only:
//! after a crash nothing is under way any more. Whoever changes what is alive holds the database's write lock.

use crate::db::Transaction;
use crate::{
    Inner,
    error::{At, Error, Result},
    layer::{
        self,
        root::Below,
        unpack::{self, Unpacked},
    },
    layout::Staging,
};
use brig_core::{Digest, atomic::Durability};
use rusqlite::{OptionalExtension, params};
use std::{
    collections::HashMap,
    io::Read,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// Chains that are in use by operations under way, with how many use each.
#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<HashMap<String, usize>>);

impl Leases {
    fn add(&self, chain: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(chain.to_owned()).or_default() += 1;
    }

    fn remove(&self, chain: &str) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = map.get_mut(chain) {
            *count -= 1;
            if *count == 0 {
                map.remove(chain);
            }
        }
    }

    fn holds(&self, chain: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(chain)
    }
}

/// Keeps layers alive while an image is being made. Dropping it removes those that no image has come to need.
#[derive(Debug)]
pub(crate) struct Lease<'a> {
    inner: &'a Inner,
    held: Vec<String>,
}

/// A layer that was removed from the database; its folders are still to go.
#[derive(Debug)]
pub(crate) struct Released {
    pub(crate) chain: Digest,
    dir: u64,
    /// The folder of the init layer on top of it, if it had one.
    init: Option<u64>,
}

impl Released {
    /// The numbers of the folders that are to go.
    pub(crate) fn dirs(self) -> impl Iterator<Item = u64> {
        std::iter::once(self.dir).chain(self.init)
    }
}

impl<'a> Lease<'a> {
    pub(crate) fn new(inner: &'a Inner) -> Self {
        Self { inner, held: Vec::new() }
    }

    /// Holds a layer if it is there.
    pub(crate) fn hold(&mut self, chain: &Digest) -> Result<bool> {
        let chain = chain.to_string();
        let there = self.inner.hold_layer(&chain)?;
        if there {
            self.held.push(chain);
        }
        Ok(there)
    }

    /// Unpacks a layer (uncompressed) on top of `parent`, which this lease holds, and holds it. Answers its digest.
    ///
    /// With `expected`, another digest is an error.
    pub(crate) fn unpack(
        &mut self,
        parent: Option<&Digest>,
        archive: impl Read,
        expected: Option<&Digest>,
    ) -> Result<Digest> {
        let inner = self.inner;
        let below = inner.layers_below(parent)?;
        let staged = inner.stage_layer(archive, Below::Known(below.clone()), expected)?;
        let diff = staged.unpacked.diff;
        self.held.push(inner.publish_layer(parent, &below, staged)?);
        brig_core::failpoint::hit("store.layer.recorded")?;
        Ok(diff)
    }

    /// A lease that takes over what is held already.
    pub(crate) fn of(inner: &'a Inner, held: Vec<String>) -> Self {
        Self { inner, held }
    }
}

/// A layer that is unpacked, but not in its place.
#[derive(Debug)]
pub(crate) struct StagedLayer {
    staging: Staging,
    unpacked: Unpacked,
}

impl Inner {
    /// The folders of the layers under a new one on top of `parent`, as unpacking needs them.
    pub(crate) fn layers_below(&self, parent: Option<&Digest>) -> Result<Vec<PathBuf>> {
        let parent = parent.map(ToString::to_string);
        let below = self.db.read(|tx| self.layer_folders(tx, parent.as_deref()))?;
        if below.len() >= MAX_DEPTH {
            return Err(Error::Invalid("max depth exceeded".to_owned()));
        }
        Ok(self.backend.shown(below))
    }

    /// Unpacks a layer (uncompressed) aside.
    pub(crate) fn stage_layer(
        &self,
        archive: impl Read,
        below: Below,
        expected: Option<&Digest>,
    ) -> Result<StagedLayer> {
        let staging = self.layout.stage()?;
        // Searchable for ids that a container's user maps to.
        set_mode(staging.path(), 0o711)?;
        let unpacked = unpack::unpack(archive, &staging, below)?;
        if let Some(expected) = expected.filter(|d| **d != unpacked.diff) {
            return Err(Error::DigestMismatch {
                what: "layer".to_owned(),
                expected: *expected,
                actual: unpacked.diff,
            });
        }
        Ok(StagedLayer { staging, unpacked })
    }

    /// Puts a layer into its place on top of `parent` and holds it; answers its chain id, for a lease.
    pub(crate) fn publish_layer(
        &self,
        parent: Option<&Digest>,
        below: &[PathBuf],
        staged: StagedLayer,
    ) -> Result<String> {
        let StagedLayer { staging, unpacked } = staged;
        self.backend
            .finish_layer(staging.path(), &unpacked, below.first().map(AsRef::as_ref))
            .at("finish the layer in", staging.path())?;
        brig_core::failpoint::hit("store.layer.publish")?;
        let chain = layer::chain_id(parent, &unpacked.diff).to_string();
        let number = self.next_dir();
        let dir = self.snapshot_dir(number);
        let mut staging = Some(staging);
        let mut lock = self.db.lock();
        let committed = lock.write(Durability::Process, |tx| {
            // Somebody else may have been faster.
            if !tx.prepare_cached("SELECT 1 FROM layers WHERE chain = ?1")?.exists([&chain])? {
                if let Some(staging) = staging.take() {
                    staging.publish(&dir)?;
                }
                brig_core::failpoint::hit("store.layer.record")?;
                tx.prepare_cached(
                    "INSERT INTO layers (chain, diff, parent, dir, size, tar_size) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![
                    chain,
                    unpacked.diff.to_string(),
                    parent.map(ToString::to_string),
                    number,
                    unpacked.size,
                    unpacked.tar_size
                ])?;
            }
            Ok(())
        });
        match committed {
            Ok(()) => {
                self.leases.add(&chain);
                drop(lock);
                Ok(chain)
            }
            Err(e) => {
                drop(lock);
                self.discard_logged(&dir);
                Err(e)
            }
        }
    }

    /// Holds a layer if it is there.
    pub(crate) fn hold_layer(&self, chain: &str) -> Result<bool> {
        let mut lock = self.db.lock();
        lock.write(Durability::Process, |tx| {
            let there = tx.prepare_cached("SELECT 1 FROM layers WHERE chain = ?1")?.exists([chain])?;
            if there {
                self.leases.add(chain);
            }
            Ok(there)
        })
    }
}

/// overlayfs joins at most 500 layers, and one is the init layer.
const MAX_DEPTH: usize = 499;

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut lock = self.inner.db.lock();
        for chain in &self.held {
            self.inner.leases.remove(chain);
        }
        // Topmost first, so that each goes after what stands on it.
        let released = lock.write(Durability::Process, |tx| {
            let mut released = Vec::new();
            for chain in self.held.iter().rev() {
                released.extend(self.inner.release_chain(tx, Some(chain))?);
            }
            Ok(released)
        });
        drop(lock);
        match released {
            Ok(released) => {
                for dir in released.into_iter().flat_map(Released::dirs) {
                    self.inner.discard_logged(&self.inner.snapshot_dir(dir));
                }
            }
            Err(error) => tracing::warn!(%error, "could not release layers; the next start does"),
        }
    }
}

impl Inner {
    /// Removes a layer, and those below it, as far as nothing needs them. To be called in a write transaction; the
    /// folders are to be discarded after its commit.
    pub(crate) fn release_chain(&self, tx: &Transaction<'_>, chain: Option<&str>) -> Result<Vec<Released>> {
        let mut released = Vec::new();
        let mut next = chain.map(str::to_owned);
        while let Some(chain) = next.take() {
            if self.leases.holds(&chain) {
                break;
            }
            let mut needed = tx.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM layers WHERE parent = ?1)
                     OR EXISTS (SELECT 1 FROM images WHERE chain = ?1)
                     OR EXISTS (SELECT 1 FROM snapshots WHERE chain = ?1)",
            )?;
            if needed.query_row([&chain], |row| row.get(0))? {
                break;
            }
            let mut delete = tx.prepare_cached("DELETE FROM init_layers WHERE chain = ?1 RETURNING dir")?;
            let init = delete.query_row([&chain], |row| row.get(0)).optional()?;
            let mut delete =
                tx.prepare_cached("DELETE FROM layers WHERE chain = ?1 RETURNING dir, parent")?;
            let row: Option<(u64, Option<String>)> =
                delete.query_row([&chain], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            let Some((dir, parent)) = row else { break };
            released.push(Released { chain: crate::db::digest(&chain)?, dir, init });
            next = parent;
        }
        Ok(released)
    }

    /// Removes a folder; when that fails, the next start does it.
    pub(crate) fn discard_logged(&self, dir: &Path) {
        if let Err(error) = self.layout.discard(dir) {
            tracing::warn!(%error, "could not remove a folder; the next start does");
        }
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).at("chmod", path)
}
