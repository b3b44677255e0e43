//! Images in the database: made, read.

use super::{Image, Platform, config::ImageConfig};
use crate::db::Transaction;
use crate::{
    Inner,
    blob::StagedBlob,
    db,
    error::{At, Error, Result},
    layer,
    layers::Lease,
};
use brig_core::{Digest, Reference, atomic::Durability};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

/// A compressed form of a layer.
#[derive(Debug, Clone)]
pub(crate) struct LayerBlob {
    pub(crate) digest: Digest,
    pub(crate) diff: Digest,
    pub(crate) size: u64,
    pub(crate) media_type: String,
}

/// An image about to be recorded. Its layers are held by a lease.
#[derive(Debug, Default)]
pub(crate) struct NewImage {
    pub(crate) config_json: Vec<u8>,
    pub(crate) manifest: Option<Vec<u8>>,
    pub(crate) index: Option<Vec<u8>>,
    pub(crate) parent: Option<Digest>,
    pub(crate) references: Vec<Reference>,
    pub(crate) layer_blobs: Vec<LayerBlob>,
}

/// A tag that led to another image before.
pub(crate) type Moved = (Reference, Digest);

struct Staged {
    image: NewImage,
    config: ImageConfig,
    id: Digest,
    manifest: Option<Digest>,
    index: Option<Digest>,
}

impl Inner {
    /// Records images, all or none; answers the tags that led to other images before.
    pub(crate) fn commit_images(&self, lease: &Lease<'_>, images: Vec<NewImage>) -> Result<Vec<Moved>> {
        let mut blobs = Vec::new();
        let mut staged = Vec::new();
        for image in images {
            let config = parse_config(&image.config_json)?;
            let mut stage = |bytes: &[u8]| {
                let blob = self.stage_blob(&mut &*bytes)?;
                let digest = blob.digest;
                blobs.push(blob);
                Ok::<_, Error>(digest)
            };
            let id = stage(&image.config_json)?;
            let manifest = image.manifest.as_deref().map(&mut stage).transpose()?;
            let index = image.index.as_deref().map(&mut stage).transpose()?;
            staged.push(Staged { image, config, id, manifest, index });
        }
        if self.durability == Durability::Power {
            // The files of the layers, before anything says that they are there.
            let snapshots = crate::layout::open_dir(&self.layout.snapshots)?;
            rustix::fs::syncfs(snapshots).at("sync", &self.layout.snapshots)?;
        }
        brig_core::failpoint::hit("store.image.publish")?;
        self.record_images(lease, staged, blobs)
    }

    /// The one step that makes images visible. `_lease` shows that their layers can't go meanwhile.
    fn record_images(
        &self,
        _lease: &Lease<'_>,
        staged: Vec<Staged>,
        blobs: Vec<StagedBlob>,
    ) -> Result<Vec<Moved>> {
        let mut lock = self.db.lock();
        let mut published = Vec::new();
        let result = lock.write(Durability::Power, |tx| {
            for blob in blobs {
                let digest = blob.digest;
                if self.publish_blob(blob)? {
                    published.push(digest);
                }
            }
            brig_core::failpoint::hit("store.image.record")?;
            let mut moved = Vec::new();
            for image in &staged {
                insert_image(tx, image)?;
                for reference in &image.image.references {
                    moved.extend(set_reference(tx, reference, &image.id)?);
                }
            }
            Ok(moved)
        });
        if result.is_err() {
            // Still under the lock: nobody can have come to need them.
            for digest in &published {
                if let Err(error) = self.remove_blob(digest) {
                    tracing::warn!(%error, "could not remove a blob; the next start does");
                }
            }
        }
        result
    }

    /// The image with this id.
    pub(crate) fn read_image(&self, tx: &Transaction<'_>, id: &Digest) -> Result<Option<Image>> {
        let mut query = tx.prepare_cached(
            "SELECT id, chain, parent, manifest, index_digest, last_tagged FROM images WHERE id = ?1",
        )?;
        let row = query.query_row([id.to_string()], ImageRow::read).optional()?;
        row.map(|row| self.image_of(tx, row)).transpose()
    }

    /// All images that can be read, in no order.
    pub(crate) fn read_images(&self, tx: &Transaction<'_>) -> Result<Vec<Image>> {
        let mut query =
            tx.prepare_cached("SELECT id, chain, parent, manifest, index_digest, last_tagged FROM images")?;
        let rows: Vec<ImageRow> = query.query_map([], ImageRow::read)?.collect::<rusqlite::Result<_>>()?;
        let mut images = Vec::new();
        for row in rows {
            let id = row.id.clone();
            match self.image_of(tx, row) {
                Ok(image) => images.push(image),
                // One damaged image must not hide the others; whoever names it gets the error.
                Err(error @ (Error::Damaged { .. } | Error::Io { .. } | Error::BadArchive(_))) => {
                    tracing::warn!(image = %id, %error, "left a damaged image out of the list");
                }
                Err(e) => return Err(e),
            }
        }
        Ok(images)
    }

    fn image_of(&self, tx: &Transaction<'_>, row: ImageRow) -> Result<Image> {
        let id = db::digest(&row.id)?;
        let config_json = self.read_document(&id)?;
        let config = parse_config(&config_json)?;
        let (repo_digests, references) =
            references_of(tx, &id)?.into_iter().partition(|r: &Reference| r.digest().is_some());
        let optional = |text: Option<String>| text.as_deref().map(db::digest).transpose();
        Ok(Image {
            id,
            size: chain_size(tx, row.chain.as_deref())?,
            references,
            repo_digests,
            created: config.created.as_deref().and_then(|t| t.parse().ok()),
            chain: optional(row.chain)?,
            platform: platform_of(&config),
            parent: optional(row.parent)?,
            manifest: optional(row.manifest)?,
            index: optional(row.index_digest)?,
            last_tagged: row.last_tagged.as_deref().and_then(|t| t.parse().ok()),
            config: config.into(),
            config_json: config_json.into(),
        })
    }
}

struct ImageRow {
    id: String,
    chain: Option<String>,
    parent: Option<String>,
    manifest: Option<String>,
    index_digest: Option<String>,
    last_tagged: Option<String>,
}

impl ImageRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            chain: row.get(1)?,
            parent: row.get(2)?,
            manifest: row.get(3)?,
            index_digest: row.get(4)?,
            last_tagged: row.get(5)?,
        })
    }
}

/// Reads a configuration's JSON.
pub(crate) fn parse_config(json: &[u8]) -> Result<ImageConfig> {
    serde_json::from_slice(json).map_err(|e| Error::BadArchive(format!("invalid image configuration: {e}")))
}

fn platform_of(config: &ImageConfig) -> Platform {
    Platform {
        architecture: config.architecture.clone(),
        os: if config.os.is_empty() { "linux".to_owned() } else { config.os.clone() },
        variant: config.variant.clone(),
    }
}

fn insert_image(tx: &Transaction<'_>, staged: &Staged) -> Result<()> {
    let platform = platform_of(&staged.config);
    let chain = layer::chain_of(&staged.config.rootfs.diff_ids);
    let text = |digest: Option<Digest>| digest.map(|d| d.to_string());
    // An image that is there already keeps what this archive does not say.
    tx.prepare_cached(
        "INSERT INTO images (id, chain, parent, manifest, index_digest, os, architecture, variant)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (id) DO UPDATE SET
             parent = coalesce(excluded.parent, parent),
             manifest = coalesce(excluded.manifest, manifest),
             index_digest = coalesce(excluded.index_digest, index_digest)",
    )?
    .execute(params![
        staged.id.to_string(),
        text(chain),
        text(staged.image.parent),
        text(staged.manifest),
        text(staged.index),
        platform.os,
        platform.architecture,
        platform.variant
    ])?;
    for blob in &staged.image.layer_blobs {
        tx.prepare_cached(
            "INSERT INTO layer_blobs (digest, diff, size, media_type) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (digest) DO NOTHING",
        )?
        .execute(params![
            blob.digest.to_string(),
            blob.diff.to_string(),
            blob.size,
            blob.media_type
        ])?;
    }
    Ok(())
}

/// Lets a reference name an image; answers what it named before, if that was another one.
pub(crate) fn set_reference(
    tx: &Transaction<'_>,
    reference: &Reference,
    image: &Digest,
) -> Result<Option<Moved>> {
    let name = reference.to_string();
    let before = lookup(tx, reference)?;
    tx.prepare_cached(
        "INSERT INTO image_references (name, image) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET image = excluded.image",
    )?
    .execute(params![name, image.to_string()])?;
    tx.prepare_cached("UPDATE images SET last_tagged = ?2 WHERE id = ?1")?
        .execute(params![image.to_string(), Timestamp::now().to_string()])?;
    Ok(before.filter(|id| id != image).map(|id| (reference.clone(), id)))
}

/// What a full reference names.
pub(crate) fn lookup(tx: &Transaction<'_>, reference: &Reference) -> Result<Option<Digest>> {
    let mut query = tx.prepare_cached("SELECT image FROM image_references WHERE name = ?1")?;
    let text: Option<String> = query.query_row([reference.to_string()], |row| row.get(0)).optional()?;
    text.as_deref().map(db::digest).transpose()
}

/// All references to an image, sorted.
pub(crate) fn references_of(tx: &Transaction<'_>, id: &Digest) -> Result<Vec<Reference>> {
    let mut query = tx.prepare_cached("SELECT name FROM image_references WHERE image = ?1 ORDER BY name")?;
    let rows = query.query_map([id.to_string()], |row| row.get::<_, String>(0))?;
    rows.map(|name| reference_of(&name?)).collect()
}

/// A reference as the database has it.
pub(crate) fn reference_of(name: &str) -> Result<Reference> {
    name.parse().map_err(|e: brig_core::reference::ReferenceError| Error::Damaged {
        what: format!("reference {name:?} in the metadata database"),
        reason: e.to_string(),
    })
}

fn chain_size(tx: &Transaction<'_>, chain: Option<&str>) -> Result<u64> {
    let mut query = tx.prepare_cached(
        "WITH RECURSIVE up(parent, size) AS (
             SELECT parent, size FROM layers WHERE chain = ?1
             UNION ALL
             SELECT l.parent, l.size FROM layers l JOIN up ON l.chain = up.parent
         ) SELECT coalesce(sum(size), 0) FROM up",
    )?;
    Ok(query.query_row([chain], |row| row.get(0))?)
}
