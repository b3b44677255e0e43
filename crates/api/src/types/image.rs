//! Lists, history and removal of images.

use super::platform::{OciDescriptor, OciPlatform};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One image of the list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ImageSummary {
    /// Containers made from it; -1 when not counted.
    pub containers: i64,
    /// Unix seconds.
    pub created: i64,
    /// `sha256:` and 64 hex digits.
    pub id: String,
    /// Its labels; `null` for none.
    pub labels: Option<BTreeMap<String, String>>,
    /// The image that it was built on, on this machine.
    pub parent_id: String,
    /// Its index or manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descriptor: Option<OciDescriptor>,
    /// Its manifests, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifests: Option<Vec<ImageManifestSummary>>,
    /// `name@digest`; never `null`.
    pub repo_digests: Vec<String>,
    /// `name:tag`; never `null`.
    pub repo_tags: Vec<String>,
    /// Bytes shared with other images; -1 when not counted.
    pub shared_size: i64,
    /// Bytes of all layers.
    pub size: i64,
    /// Deprecated and left out since 1.44: the same as `size`.
    #[serde(skip_serializing_if = "super::is_default")]
    pub virtual_size: i64,
}

/// One manifest of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ImageManifestSummary {
    /// The manifest's digest.
    #[serde(rename = "ID")]
    pub id: String,
    /// The manifest itself.
    pub descriptor: OciDescriptor,
    /// Whether its content is on this machine.
    pub available: bool,
    /// Its bytes.
    pub size: ManifestSize,
    /// `image`, `attestation` or `unknown`.
    pub kind: String,
    /// For `image`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_data: Option<ManifestImageData>,
    /// For `attestation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attestation_data: Option<ManifestAttestationData>,
}

/// Bytes of a manifest's content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ManifestSize {
    /// All of it.
    pub total: i64,
    /// The blobs.
    pub content: i64,
}

/// The image of a manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ManifestImageData {
    /// What it runs on.
    pub platform: OciPlatform,
    /// Containers made from it.
    pub containers: Vec<String>,
    /// Its unpacked bytes.
    pub size: UnpackedSize,
}

/// Unpacked bytes of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct UnpackedSize {
    /// Bytes.
    pub unpacked: i64,
}

/// What an attestation is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ManifestAttestationData {
    /// The digest of the image's manifest.
    #[serde(rename = "For")]
    pub subject: String,
}

/// One step of an image's history (`GET /images/{name}/history`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct HistoryResponseItem {
    /// A comment.
    pub comment: String,
    /// Unix seconds.
    pub created: i64,
    /// The instruction.
    pub created_by: String,
    /// The image's id for the last step, `<missing>` for others.
    pub id: String,
    /// Bytes that it added.
    pub size: i64,
    /// Tags on this step; `null` for none.
    pub tags: Option<Vec<String>>,
}

/// One effect of a removal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ImageDeleteResponseItem {
    /// The id of a removed image or layer.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub deleted: String,
    /// The removed reference.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub untagged: String,
}

/// The answer to `POST /images/prune`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ImagesPruneResponse {
    /// What was removed.
    pub images_deleted: Option<Vec<ImageDeleteResponseItem>>,
    /// Bytes.
    pub space_reclaimed: u64,
}

/// One hit of `GET /images/search`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageSearchResponseItem {
    /// Stars.
    pub star_count: i64,
    /// Curated.
    pub is_official: bool,
    /// The repository.
    pub name: String,
    /// Deprecated: always false.
    pub is_automated: bool,
    /// What it is for.
    pub description: String,
}
