//! An image on its way out, layer by layer: nothing of it can be removed meanwhile.

use crate::{
    Store,
    error::{Error, Result},
    image::Image,
    layer,
    layers::Lease,
    save,
};
use brig_core::{Digest, Reference, atomic::Durability};
use rusqlite::params;
use std::io::Write;

/// An image whose layers are held.
#[derive(Debug)]
pub struct Outgoing {
    store: Store,
    image: Image,
    held: Vec<String>,
}

/// A layer as registries have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Digest of its compressed bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// What they are.
    pub media_type: String,
}

impl Store {
    /// Holds the image with this id.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`].
    pub fn outgoing(&self, id: &Digest) -> Result<Outgoing> {
        let image = self.image_get(id)?;
        let mut held = Vec::new();
        if let Some(chain) = &image.chain {
            let chain = chain.to_string();
            if !self.inner.hold_layer(&chain)? {
                return Err(Error::NoSuchImage(id.to_string()));
            }
            held.push(chain);
        }
        Ok(Outgoing { store: self.clone(), image, held })
    }

    /// The tags of a repository with the images that they name, sorted.
    ///
    /// # Errors
    /// What the database says.
    pub fn tags_of(&self, repository: &Reference) -> Result<Vec<(Reference, Digest)>> {
        self.inner.db.read(|tx| save::tags_of(tx, repository))
    }

    /// Repositories at a registry that have been seen with one of these layers: those may hold its compressed form.
    ///
    /// # Errors
    /// What the database says.
    pub fn repositories_with(&self, domain: &str, diff: &Digest) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for image in self.image_list()? {
            if !image.layers().contains(diff) {
                continue;
            }
            let there =
                image.repo_digests.iter().filter(|r| r.domain() == domain).map(|r| r.path().to_owned());
            found.extend(there);
        }
        found.sort();
        found.dedup();
        Ok(found)
    }
}

impl Outgoing {
    /// The image.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The manifest that it came with, if it came with one.
    ///
    /// # Errors
    /// [`Error::Damaged`], or what the file system says.
    pub fn manifest(&self) -> Result<Option<Vec<u8>>> {
        self.image.manifest.map(|digest| self.store.inner.read_document(&digest)).transpose()
    }

    /// The compressed forms of a layer that have been seen.
    ///
    /// # Errors
    /// What the database says.
    pub fn forms(&self, number: usize) -> Result<Vec<Form>> {
        let diff = self.image.layers()[number].to_string();
        self.store.inner.db.read(|tx| {
            let mut query = tx.prepare_cached(
                "SELECT digest, size, media_type FROM layer_blobs WHERE diff = ?1 ORDER BY digest",
            )?;
            let rows = query.query_map([&diff], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, u64>(1)?, row.get::<_, String>(2)?))
            })?;
            rows.map(|row| {
                let (digest, size, media_type) = row?;
                Ok(Form { digest: crate::db::digest(&digest)?, size, media_type })
            })
            .collect()
        })
    }

    /// A layer was seen in this form.
    ///
    /// # Errors
    /// What the database says.
    pub fn remember(&self, number: usize, form: &Form) -> Result<()> {
        let diff = self.image.layers()[number].to_string();
        self.store.inner.db.write(Durability::Process, |tx| {
            tx.prepare_cached(
                "INSERT INTO layer_blobs (digest, diff, size, media_type) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (digest) DO NOTHING",
            )?
            .execute(params![form.digest.to_string(), diff, form.size, form.media_type])?;
            Ok(())
        })
    }

    /// The length of a layer's uncompressed archive.
    ///
    /// # Errors
    /// [`Error::Damaged`] when there is no such layer.
    pub fn tar_size(&self, number: usize) -> Result<u64> {
        Ok(self.place(number)?.1)
    }

    /// Writes a layer's uncompressed archive, byte for byte as it came.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it does not come out as it went in; [`Error::Output`].
    pub fn write_layer(&self, number: usize, out: &mut dyn Write) -> Result<()> {
        let (dir, _) = self.place(number)?;
        save::write_layer(&self.image.layers()[number].hex(), &dir, out)
    }

    fn place(&self, number: usize) -> Result<(std::path::PathBuf, u64)> {
        let chain = layer::chain_of(&self.image.layers()[..=number])
            .ok_or_else(|| Error::Invalid("the image has no such layer".to_owned()))?;
        self.store.inner.db.read(|tx| self.store.inner.layer_of(tx, &chain))
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        drop(Lease::of(&self.store.inner, std::mem::take(&mut self.held)));
    }
}
