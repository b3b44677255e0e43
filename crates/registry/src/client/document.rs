//! Manifests and indexes, as they come.

use crate::error::{Error, Result};
use brig_core::Digest;
use brig_store::{
    Platform,
    manifest::{self, Index, Manifest},
};
use bytes::Bytes;
use serde::Deserialize;

/// A verified manifest or index.
#[derive(Debug, Clone)]
pub struct Document {
    /// Its exact bytes.
    pub bytes: Bytes,
    /// What the registry, or the document itself, says it is.
    pub media_type: String,
    /// The digest of the bytes.
    pub digest: Digest,
}

/// What a document is.
#[derive(Debug)]
pub enum Content {
    /// One image.
    Manifest(Manifest),
    /// Images for several machines.
    Index(Index),
}

/// What is asked for, the best first.
pub(super) const ACCEPTED: [&str; 4] =
    [manifest::MANIFEST, manifest::INDEX, manifest::DOCKER_MANIFEST, manifest::DOCKER_LIST];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    #[serde(default)]
    schema_version: u32,
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    manifests: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    layers: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    fs_layers: Option<serde::de::IgnoredAny>,
}

impl Document {
    /// Reads what it is. A document that could be both is neither.
    ///
    /// # Errors
    /// [`Error::Unsupported`], [`Error::BadAnswer`].
    pub fn content(&self) -> Result<Content> {
        let bad = |e: serde_json::Error| Error::BadAnswer(format!("{}: {e}", self.digest));
        let shape: Shape = serde_json::from_slice(&self.bytes).map_err(bad)?;
        if shape.fs_layers.is_some() || shape.schema_version == 1 {
            return Err(Error::Unsupported(
                "[DEPRECATION NOTICE] Docker Image Format v1 and Docker Image manifest version 2, schema 1 are not \
                 supported: have the image pushed again by a newer Docker"
                    .to_owned(),
            ));
        }
        if shape.manifests.is_some() && shape.layers.is_some() {
            return Err(Error::BadAnswer(format!("{}: both a manifest and an index", self.digest)));
        }
        if !shape.media_type.is_empty() && shape.media_type != self.media_type {
            return Err(Error::BadAnswer(format!(
                "{}: mediaType in manifest should be {:?} not {:?}",
                self.digest, self.media_type, shape.media_type
            )));
        }
        match self.media_type.as_str() {
            manifest::INDEX | manifest::DOCKER_LIST => {
                Ok(Content::Index(serde_json::from_slice(&self.bytes).map_err(bad)?))
            }
            manifest::MANIFEST | manifest::DOCKER_MANIFEST => {
                Ok(Content::Manifest(serde_json::from_slice(&self.bytes).map_err(bad)?))
            }
            other => Err(Error::Unsupported(format!(
                "unsupported manifest media type and no default available: {other}"
            ))),
        }
    }

    /// What it is by its own word, for registries that don't say.
    pub(super) fn own_media_type(bytes: &[u8]) -> String {
        let Ok(shape) = serde_json::from_slice::<Shape>(bytes) else { return String::new() };
        match shape {
            Shape { media_type, .. } if !media_type.is_empty() => media_type,
            Shape { manifests: Some(_), .. } => manifest::INDEX.to_owned(),
            _ => manifest::MANIFEST.to_owned(),
        }
    }
}

/// A platform as users write it: `linux/arm64/v8`.
#[must_use]
pub fn platform_text(platform: &Platform) -> String {
    let mut text = format!("{}/{}", platform.os, platform.architecture);
    if !platform.variant.is_empty() {
        text.push('/');
        text.push_str(&platform.variant);
    }
    text
}
