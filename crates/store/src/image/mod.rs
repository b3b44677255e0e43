//! Images: records, names, removal, history.

pub mod config;
pub mod manifest;
mod operations;
pub(crate) mod record;
mod remove;
pub(crate) mod resolve;
mod sharing;

pub use sharing::Sharing;

use brig_core::{Digest, Reference};
use config::ImageConfig;
use jiff::Timestamp;
use std::sync::Arc;

/// An operating system and CPU, in Go's names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Platform {
    /// `amd64`, `arm64`, …
    pub architecture: String,
    /// `linux`
    pub os: String,
    /// `v7`, `v8`, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

/// A stored image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Digest of the configuration: the image's id.
    pub id: Digest,
    /// The view of the configuration.
    pub config: Arc<ImageConfig>,
    /// The configuration's exact bytes, whose digest is `id`.
    pub config_json: Arc<[u8]>,
    /// Tags that name it (`repository:tag`), sorted.
    pub references: Vec<Reference>,
    /// Digest references that name it (`repository@digest`), sorted.
    pub repo_digests: Vec<Reference>,
    /// Sum of the layers' file sizes in bytes, shared layers included.
    pub size: u64,
    /// The configuration's creation time.
    pub created: Option<Timestamp>,
    /// Chain id of the topmost layer; `None` for an image without layers.
    pub chain: Option<Digest>,
    /// What it runs on.
    pub platform: Platform,
    /// The image that it was built on, where a local builder knows it.
    pub parent: Option<Digest>,
    /// Digest of its manifest, when it came with one.
    pub manifest: Option<Digest>,
    /// Digest of the index that led to the manifest, when there was one.
    pub index: Option<Digest>,
    /// When it last got a tag.
    pub last_tagged: Option<Timestamp>,
}

impl Image {
    /// Digests of the uncompressed layers, bottom first.
    #[must_use]
    pub fn layers(&self) -> &[Digest] {
        &self.config.rootfs.diff_ids
    }

    /// No reference leads to it.
    #[must_use]
    pub fn is_dangling(&self) -> bool {
        self.references.is_empty() && self.repo_digests.is_empty()
    }
}

/// A line of `docker history`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryLine {
    /// The image made by this step, where it is known; shown as `<missing>` otherwise.
    pub id: Option<Digest>,
    /// When.
    pub created: Option<Timestamp>,
    /// The instruction.
    pub created_by: String,
    /// Tags of that image.
    pub tags: Vec<Reference>,
    /// Bytes that the step's layer added.
    pub size: u64,
    /// A remark.
    pub comment: String,
}

/// How an image may be removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoveOptions {
    /// Soft conflicts (tags, stopped containers) do not stop it.
    pub force: bool,
    /// Parents that nothing uses any more stay (`--no-prune`).
    pub no_prune: bool,
}

/// A container that uses an image, as removal must know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUser {
    /// The container.
    pub container: brig_core::Id,
    /// The image that it was made from.
    pub image: Digest,
    /// Whether it runs.
    pub activity: Activity,
}

/// Whether a container that uses an image runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// It runs (or is paused): the image can't be removed.
    Running,
    /// It does not run: force removes the image.
    Stopped,
}

/// One line of the answer to a removal, in Docker's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// A reference was removed.
    Untagged {
        /// The reference, shown by [`Reference::familiar`].
        reference: Reference,
        /// The image that it named.
        image: Digest,
    },
    /// The image was deleted.
    Image(Digest),
    /// A layer that nothing else uses was deleted.
    Layer {
        /// Its chain id.
        chain: Digest,
    },
}
