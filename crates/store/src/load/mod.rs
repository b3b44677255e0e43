//! `docker load`: images from archives.
//!
//! The archive is spooled first (what it holds is said at its end); then all layers are unpacked under one lease; then
//! all images are recorded in one step. A failure anywhere leaves nothing of it.

mod archive;
mod docker;
mod oci;

use crate::{
    Store, compression,
    error::{Error, Result},
    image::record::{LayerBlob, NewImage, parse_config},
    layer,
    layers::Lease,
};
use archive::{Archive, Spooled};
use brig_core::{Digest, Reference};
use std::{
    collections::HashMap,
    io::{self, Read},
};

/// One image that was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loaded {
    /// `Loaded image: NAME`
    Named {
        /// The name.
        reference: Reference,
        /// The image.
        id: Digest,
        /// The image that had this name before, now without it.
        replaced: Option<Digest>,
    },
    /// `Loaded image ID: sha256:…`, an image without a name in the archive.
    Unnamed {
        /// The image.
        id: Digest,
    },
}

/// How a load goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A layer's bytes come in.
    Layer {
        /// Digest of the layer's uncompressed content.
        layer: Digest,
        /// Bytes of the layer read so far.
        current: u64,
        /// All bytes of the layer as stored in the archive.
        total: u64,
    },
    /// A layer is in place.
    LayerDone {
        /// The layer, as above.
        layer: Digest,
    },
}

/// An image found in an archive.
#[derive(Debug)]
struct Found {
    id: Digest,
    config_json: Vec<u8>,
    manifest: Option<Vec<u8>>,
    index: Option<Vec<u8>>,
    parent: Option<Digest>,
    references: Vec<Reference>,
    layers: Vec<FoundLayer>,
}

#[derive(Debug)]
struct FoundLayer {
    diff: Digest,
    file: Spooled,
    /// As the manifest has it; docker-archives do not say.
    media_type: Option<String>,
}

impl Store {
    /// Loads all images of an archive made by `docker save` or of an OCI layout (plain, gzip or zstd).
    ///
    /// # Errors
    /// [`Error::BadArchive`], [`Error::DigestMismatch`], [`Error::BadLayer`], [`Error::Input`]; nothing of the archive stays
    /// behind then.
    pub fn load(&self, archive: &mut dyn Read, progress: &mut dyn FnMut(Progress)) -> Result<Vec<Loaded>> {
        let archive = Archive::spool(&self.inner, archive)?;
        let found = find(&archive)?;
        check_parents(&found)?;
        let mut lease = Lease::new(&self.inner);
        for image in &found {
            load_layers(&mut lease, &archive, image, progress)?;
        }
        drop(archive);
        let mut loaded = Vec::new();
        for image in &found {
            if image.references.is_empty() {
                loaded.push(Loaded::Unnamed { id: image.id });
            }
            for reference in &image.references {
                loaded.push(Loaded::Named { reference: reference.clone(), id: image.id, replaced: None });
            }
        }
        let moved = self.inner.commit_images(&lease, found.into_iter().map(new_image).collect())?;
        let mut moved: HashMap<Reference, Digest> = moved.into_iter().collect();
        for image in &mut loaded {
            if let Loaded::Named { reference, replaced, .. } = image {
                *replaced = moved.remove(reference);
            }
        }
        Ok(loaded)
    }
}

/// Docker reads `manifest.json` wherever it is; the OCI side of such an archive adds the manifests.
fn find(archive: &Archive) -> Result<Vec<Found>> {
    let index = match (archive.get(oci::LAYOUT)?, archive.get(oci::INDEX)?) {
        (Some(_), Some(index)) => Some(archive.document(index)?),
        _ => None,
    };
    let Some(manifest) = archive.get(docker::MANIFEST)? else {
        let index = index.ok_or_else(|| {
            Error::BadArchive(format!("does not contain a {} or an {}", docker::MANIFEST, oci::INDEX))
        })?;
        return oci::images(archive, &index);
    };
    let mut found = docker::images(archive, &archive.document(manifest)?)?;
    if let Some(index) = index {
        match oci::images(archive, &index) {
            Ok(images) => {
                for image in images {
                    if let Some(same) = found.iter_mut().find(|f| f.id == image.id) {
                        (same.manifest, same.index) = (image.manifest, image.index);
                    }
                }
            }
            Err(error) => {
                tracing::debug!(%error, "the archive's index.json is of no use; its manifest.json is")
            }
        }
    }
    Ok(found)
}

fn new_image(found: Found) -> NewImage {
    let layer_blobs = found
        .layers
        .into_iter()
        .filter_map(|layer| {
            let media_type = layer.media_type?;
            Some(LayerBlob { digest: layer.file.digest, diff: layer.diff, size: layer.file.size, media_type })
        })
        .collect();
    NewImage {
        config_json: found.config_json,
        manifest: found.manifest,
        index: found.index,
        parent: found.parent,
        references: found.references,
        layer_blobs,
    }
}

fn load_layers(
    lease: &mut Lease<'_>,
    archive: &Archive,
    image: &Found,
    progress: &mut dyn FnMut(Progress),
) -> Result<()> {
    let mut parent = None;
    for (number, layer) in image.layers.iter().enumerate() {
        let chain = layer::chain_id(parent.as_ref(), &layer.diff);
        if !lease.hold(&chain)? {
            let file = archive.open(&layer.file)?;
            let input =
                Counted { file, layer: layer.diff, current: 0, told: 0, total: layer.file.size, progress };
            let named = |e| match e {
                Error::DigestMismatch { expected, actual, .. } => {
                    let what = format!("layer {number} of image {}", image.id);
                    Error::DigestMismatch { what, expected, actual }
                }
                e => e,
            };
            let input = compression::decompress(input)?;
            lease.unpack(parent.as_ref(), input, Some(&layer.diff)).map_err(named)?;
        }
        progress(Progress::LayerDone { layer: layer.diff });
        parent = Some(chain);
    }
    Ok(())
}

/// A parent's history is its child's but for the last step.
fn check_parents(found: &[Found]) -> Result<()> {
    for image in found {
        let Some(parent) = image.parent.and_then(|p| found.iter().find(|f| f.id == p)) else { continue };
        let (child, of_parent) =
            (parse_config(&image.config_json)?.history, parse_config(&parent.config_json)?.history);
        let none = child.is_empty() && of_parent.is_empty();
        if !none && (child.len() != of_parent.len() + 1 || !child.starts_with(&of_parent)) {
            return Err(Error::BadArchive(format!(
                "image {} is not a valid parent for {}",
                parent.id, image.id
            )));
        }
    }
    Ok(())
}

/// Tells how far a layer has been read.
struct Counted<'a> {
    file: std::fs::File,
    layer: Digest,
    current: u64,
    told: u64,
    total: u64,
    progress: &'a mut dyn FnMut(Progress),
}

/// Bytes between two reports.
const REPORT: u64 = 512 << 10;

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.current += n as u64;
        if self.current - self.told >= REPORT || (n == 0 && self.told != self.current) {
            self.told = self.current;
            (self.progress)(Progress::Layer { layer: self.layer, current: self.current, total: self.total });
        }
        Ok(n)
    }
}
