//! The store's operations on images: list, resolve, tag, remove, history.

use super::{
    HistoryLine, Image, ImageUser, RemoveOptions, Removed, record,
    remove::{self, Catalog, Step},
    resolve,
};
use crate::db::Transaction;
use crate::{
    Inner, Store, db,
    error::{Error, Result},
    layer,
    layers::Released,
};
use brig_core::{Digest, Reference, atomic::Durability};
use rusqlite::OptionalExtension;

impl Store {
    /// All images, newest first.
    ///
    /// # Errors
    /// What the database or a damaged configuration says.
    pub fn image_list(&self) -> Result<Vec<Image>> {
        let mut images = self.inner.db.read(|tx| self.inner.read_images(tx))?;
        images.sort_by(|a, b| b.created.cmp(&a.created).then(a.id.cmp(&b.id)));
        Ok(images)
    }

    /// The image that `name` means: a reference (tag `latest` when it has none), an id, or a prefix of one.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`]; [`Error::Reference`] when the text can be neither reference nor id.
    pub fn image_resolve(&self, name: &str) -> Result<Image> {
        self.inner.read_steadily(|tx| {
            let id = resolve::resolve(tx, name)?;
            self.inner.read_image(tx, &id)?.ok_or_else(|| Error::NoSuchImage(name.to_owned()))
        })
    }

    /// The image with this id.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`].
    pub fn image_get(&self, id: &Digest) -> Result<Image> {
        self.inner
            .db
            .read(|tx| self.inner.read_image(tx, id)?.ok_or_else(|| Error::NoSuchImage(id.to_string())))
    }

    /// Images that were built on this one.
    ///
    /// # Errors
    /// What the database says.
    pub fn image_children(&self, id: &Digest) -> Result<Vec<Digest>> {
        self.inner.db.read(|tx| {
            let mut query = tx.prepare_cached("SELECT id FROM images WHERE parent = ?1 ORDER BY id")?;
            let rows = query.query_map([id.to_string()], |row| row.get::<_, String>(0))?;
            rows.map(|id| db::digest(&id?)).collect()
        })
    }

    /// Lets `target` (tag `latest` when it has none) name the image that `source` means; answers the image's id.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`]; [`Error::Invalid`] when `target` has a digest.
    pub fn image_tag(&self, source: &str, target: &Reference) -> Result<Digest> {
        if target.digest().is_some() {
            return Err(Error::Invalid("refusing to create a tag with a digest reference".to_owned()));
        }
        let target = target.clone().with_default_tag();
        if target.familiar_name() == "sha256" {
            return Err(Error::Invalid(
                "refusing to create an ambiguous tag using digest algorithm as name".to_owned(),
            ));
        }
        self.inner.db.write(Durability::Power, |tx| {
            let id = resolve::resolve(tx, source)?;
            record::set_reference(tx, &target, &id)?;
            Ok(id)
        })
    }

    /// Lets a digest reference name an image: a registry has it under that digest.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`].
    pub fn image_known_as(&self, id: &Digest, reference: &Reference) -> Result<()> {
        self.inner.db.write(Durability::Power, |tx| {
            if !resolve::exists(tx, id)? {
                return Err(Error::NoSuchImage(id.to_string()));
            }
            record::set_reference(tx, reference, id)?;
            Ok(())
        })
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
        let inner = &self.inner;
        let mut lock = inner.db.lock();
        let (removed, layers, blobs) = lock.write(Durability::Power, |tx| {
            let image = resolve::resolve(tx, name)?;
            let steps = remove::plan(&catalog(tx)?, name, image, options, users)?;
            let (mut removed, mut layers, mut blobs) = (Vec::new(), Vec::new(), Vec::new());
            for step in steps {
                match step {
                    Step::Untag { reference, image } => {
                        tx.prepare_cached("DELETE FROM image_references WHERE name = ?1")?
                            .execute([reference.to_string()])?;
                        removed.push(Removed::Untagged { reference, image });
                    }
                    Step::Delete(id) => {
                        removed.push(Removed::Image(id));
                        let (released, documents) = inner.delete_image(tx, &id)?;
                        removed.extend(released.iter().map(|l| Removed::Layer { chain: l.chain }));
                        layers.extend(released);
                        blobs.extend(documents);
                    }
                }
            }
            Ok((removed, layers, blobs))
        })?;
        brig_core::failpoint::hit("store.image.discard")?;
        // Under the lock: an image that comes with the same documents must find them there or put them there.
        for digest in blobs {
            inner.remove_blob(&digest)?;
        }
        drop(lock);
        for dir in layers.into_iter().flat_map(Released::dirs) {
            inner.layout.discard(&inner.snapshot_dir(dir))?;
        }
        Ok(removed)
    }

    /// How the image came about, newest step first.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`]; [`Error::Damaged`] when the history has more layers than the image.
    pub fn image_history(&self, name: &str) -> Result<Vec<HistoryLine>> {
        self.inner.read_steadily(|tx| {
            let id = resolve::resolve(tx, name)?;
            let image = self.inner.read_image(tx, &id)?.ok_or_else(|| Error::NoSuchImage(name.to_owned()))?;
            let mut lines = history_lines(tx, &image)?;
            let mut next = Some(image);
            for line in &mut lines {
                let Some(image) = next else { break };
                line.id = Some(image.id);
                line.tags = image.references;
                next = image.parent.map(|p| self.inner.read_image(tx, &p)).transpose()?.flatten();
            }
            Ok(lines)
        })
    }
}

fn history_lines(tx: &Transaction<'_>, image: &Image) -> Result<Vec<HistoryLine>> {
    let mut diffs = image.layers().iter();
    let mut chain = None;
    let mut lines = Vec::new();
    for entry in &image.config.history {
        let mut size = 0;
        if !entry.empty_layer {
            let diff = diffs.next().ok_or_else(|| Error::Damaged {
                what: format!("image {}", image.id),
                reason: "too many non-empty layers in History section".to_owned(),
            })?;
            let id = layer::chain_id(chain.as_ref(), diff);
            size = tx
                .prepare_cached("SELECT size FROM layers WHERE chain = ?1")?
                .query_row([id.to_string()], |row| row.get(0))
                .optional()?
                .unwrap_or(0);
            chain = Some(id);
        }
        lines.push(HistoryLine {
            id: None,
            created: entry.created.as_deref().and_then(|t| t.parse().ok()),
            created_by: entry.created_by.clone(),
            tags: Vec::new(),
            size,
            comment: entry.comment.clone(),
        });
    }
    lines.reverse();
    Ok(lines)
}

fn catalog(tx: &Transaction<'_>) -> Result<Catalog> {
    let mut catalog = Catalog::default();
    let mut query = tx.prepare_cached("SELECT name, image FROM image_references")?;
    for row in query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))? {
        let (name, image) = row?;
        let reference = record::reference_of(&name)?;
        catalog.references.insert(name, (reference, db::digest(&image)?));
    }
    let mut query = tx.prepare_cached("SELECT id, parent FROM images")?;
    for row in query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?)))? {
        let (id, parent) = row?;
        catalog.parents.insert(db::digest(&id)?, parent.as_deref().map(db::digest).transpose()?);
    }
    Ok(catalog)
}

impl Inner {
    /// Reads images without waiting for writers; when a document vanishes between its row and its file, once more
    /// with the lock held, which tells a removed image from a damaged store.
    pub(crate) fn read_steadily<T>(&self, read: impl Fn(&Transaction<'_>) -> Result<T>) -> Result<T> {
        match self.db.read(&read) {
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                self.db.write(Durability::Process, read)
            }
            result => result,
        }
    }

    /// Deletes an image's row, and the layers and documents that nothing else needs.
    fn delete_image(&self, tx: &Transaction<'_>, id: &Digest) -> Result<(Vec<Released>, Vec<Digest>)> {
        let mut delete =
            tx.prepare_cached("DELETE FROM images WHERE id = ?1 RETURNING chain, manifest, index_digest")?;
        let (chain, manifest, index): (Option<String>, Option<String>, Option<String>) =
            delete.query_row([id.to_string()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let mut documents = vec![*id];
        for text in [manifest, index].into_iter().flatten() {
            let mut needed =
                tx.prepare_cached("SELECT 1 FROM images WHERE manifest = ?1 OR index_digest = ?1")?;
            if !needed.exists([&text])? {
                documents.push(db::digest(&text)?);
            }
        }
        let released = self.release_chain(tx, chain.as_deref())?;
        tx.execute("DELETE FROM layer_blobs WHERE diff NOT IN (SELECT diff FROM layers)", [])?;
        Ok((released, documents))
    }
}
