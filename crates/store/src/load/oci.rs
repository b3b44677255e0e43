//! OCI image layout: `index.json` leads to manifests, directly or through nested indexes.

use super::{Found, FoundLayer, archive::Archive};
use crate::{
    error::{Error, Result},
    image::{
        Platform,
        manifest::{self, Descriptor, Index, Manifest},
        record,
    },
};
use brig_core::{Digest, Reference};

pub(super) const INDEX: &str = "index.json";
pub(super) const LAYOUT: &str = "oci-layout";
/// How deep indexes may be nested.
const DEPTH_MAX: usize = 8;

/// The images of the layout: of each name, those that run on this machine, or all when none does.
pub(super) fn images(archive: &Archive, index: &[u8]) -> Result<Vec<Found>> {
    let index: Index = document(INDEX, index)?;
    let host = Platform::host();
    let entries: Vec<_> =
        index.manifests.iter().filter(|d| !d.is_attestation()).map(|d| (d, name_of(d))).collect();
    let runs = |d: &Descriptor| d.platform.as_ref().is_none_or(|p| manifest::runs_on(p, &host));
    let mut found: Vec<Found> = Vec::new();
    for (descriptor, name) in &entries {
        let better = entries.iter().any(|(other, n)| n == name && runs(other));
        if !runs(descriptor) && better {
            continue;
        }
        let Some(image) = image(archive, descriptor, None, DEPTH_MAX)? else { continue };
        // Each name of an image has an entry of its own.
        match found.iter_mut().find(|f| f.id == image.id) {
            Some(same) => same.references.extend(name.clone()),
            None => found.push(Found { references: name.clone().into_iter().collect(), ..image }),
        }
    }
    Ok(found)
}

/// The image behind a descriptor; `None` for what is no image.
fn image(
    archive: &Archive,
    descriptor: &Descriptor,
    index: Option<&[u8]>,
    depth: usize,
) -> Result<Option<Found>> {
    let what = descriptor.digest.to_string();
    if depth == 0 {
        return Err(Error::BadArchive(format!("{what}: indexes are nested too deeply")));
    }
    if !descriptor.is_index() && !descriptor.is_manifest() {
        return Ok(None);
    }
    let bytes = archive.document(archive.blob(&descriptor.digest, Some(descriptor.size))?)?;
    if descriptor.is_index() {
        let nested: Index = document(&what, &bytes)?;
        let chosen = choose(&nested, &descriptor.digest)?;
        return image(archive, chosen, Some(&bytes), depth - 1);
    }
    let parsed: Manifest = document(&what, &bytes)?;
    if !parsed.config.is_config() {
        return Ok(None);
    }
    let config_json = archive.document(archive.blob(&parsed.config.digest, Some(parsed.config.size))?)?;
    let config = record::parse_config(&config_json)?;
    if !matches!(config.os.as_str(), "" | "linux") {
        return Err(Error::BadArchive(format!("cannot load {} image on linux", config.os)));
    }
    let diffs = &config.rootfs.diff_ids;
    if diffs.len() != parsed.layers.len() {
        return Err(Error::BadArchive(format!(
            "{what}: layers length mismatch: expected {}, got {}",
            diffs.len(),
            parsed.layers.len()
        )));
    }
    let layers = parsed
        .layers
        .iter()
        .zip(diffs)
        .map(|(layer, diff)| {
            let file = archive.blob(&layer.digest, Some(layer.size))?.clone();
            Ok(FoundLayer { diff: *diff, file, media_type: Some(layer.media_type.clone()) })
        })
        .collect::<Result<_>>()?;
    Ok(Some(Found {
        id: parsed.config.digest,
        config_json,
        manifest: Some(bytes),
        index: index.map(<[u8]>::to_vec),
        parent: None,
        references: Vec::new(),
        layers,
    }))
}

/// The entry of an index for this machine.
fn choose<'a>(index: &'a Index, digest: &Digest) -> Result<&'a Descriptor> {
    let host = Platform::host();
    manifest::best(index, &host).ok_or_else(|| {
        Error::BadArchive(format!("index {digest} has no image for {}/{}", host.os, host.architecture))
    })
}

/// The name of an entry: containerd's annotation, or OCI's when it holds more than a tag.
fn name_of(descriptor: &Descriptor) -> Option<Reference> {
    let parse = |text: &String| text.parse::<Reference>().ok().filter(|r| r.digest().is_none());
    let full = descriptor.annotations.get(manifest::NAME_ANNOTATION).and_then(parse);
    let short = || {
        descriptor
            .annotations
            .get(manifest::REF_ANNOTATION)
            .filter(|t| t.contains([':', '/']))
            .and_then(parse)
    };
    full.or_else(short).map(Reference::with_default_tag)
}

fn document<T: serde::de::DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| Error::BadArchive(format!("failed to decode {what}: {e}")))
}
