//! docker-archive: `manifest.json` lists configurations, names and layers of the images.

use super::{Found, FoundLayer, archive, archive::Archive};
use crate::{
    error::{Error, Result},
    image::record,
};
use brig_core::{Digest, Reference};
use serde::Deserialize;

pub(super) const MANIFEST: &str = "manifest.json";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
    #[serde(default)]
    parent: Option<Digest>,
}

/// The images of the archive.
pub(super) fn images(archive: &Archive, manifest: &[u8]) -> Result<Vec<Found>> {
    let items: Option<Vec<Item>> = serde_json::from_slice(manifest)
        .map_err(|e| Error::BadArchive(format!("failed to decode {MANIFEST}: {e}")))?;
    let items = items.ok_or_else(|| {
        Error::BadArchive("invalid manifest, manifest cannot be null (but can be [])".to_owned())
    })?;
    let mut found = Vec::new();
    for item in items {
        found.push(image(archive, item)?);
    }
    let ids: Vec<Digest> = found.iter().map(|f| f.id).collect();
    for image in &mut found {
        // A parent outside of the archive means nothing here.
        image.parent = image.parent.filter(|p| *p != image.id && ids.contains(p));
    }
    Ok(found)
}

fn image(archive: &Archive, item: Item) -> Result<Found> {
    let file = verified(archive, &item.config)?;
    let config_json = archive.document(file)?;
    let config = record::parse_config(&config_json)?;
    if !matches!(config.os.as_str(), "" | "linux") {
        return Err(Error::BadArchive(format!("cannot load {} image on linux", config.os)));
    }
    let layers = item.layers.unwrap_or_default();
    let diffs = &config.rootfs.diff_ids;
    if layers.len() != diffs.len() {
        return Err(Error::BadArchive(format!(
            "invalid manifest, layers length mismatch: expected {}, got {}",
            layers.len(),
            diffs.len()
        )));
    }
    let layers = layers
        .iter()
        .zip(diffs)
        .map(|(name, diff)| {
            Ok(FoundLayer { diff: *diff, file: verified(archive, name)?.clone(), media_type: None })
        })
        .collect::<Result<_>>()?;
    let references = item
        .repo_tags
        .unwrap_or_default()
        .iter()
        .map(|tag| {
            let reference: Reference = tag.parse()?;
            match (reference.tag(), reference.digest()) {
                (Some(_), None) => Ok(reference),
                _ => Err(Error::BadArchive(format!("invalid tag {tag:?}"))),
            }
        })
        .collect::<Result<_>>()?;
    Ok(Found {
        id: file.digest,
        config_json,
        manifest: None,
        index: None,
        parent: item.parent,
        references,
        layers,
    })
}

/// A file whose name says its digest has that digest.
fn verified<'a>(archive: &'a Archive, name: &str) -> Result<&'a archive::Spooled> {
    let file = archive.need(name)?;
    if let Some(digest) =
        name.strip_prefix("blobs/sha256/").and_then(|hex| format!("sha256:{hex}").parse().ok())
    {
        archive::check(&format!("blob {digest}"), &digest, &file.digest)?;
    }
    Ok(file)
}
