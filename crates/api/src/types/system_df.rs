//! `GET /system/df`.

use super::{container_list::ContainerSummary, image::ImageSummary, volume::Volume};
use serde::{Deserialize, Serialize};

/// What takes space on the disk.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct SystemDf {
    /// Bytes of all layers.
    pub layers_size: i64,
    /// Images; `null` when not asked for.
    pub images: Option<Vec<ImageSummary>>,
    /// Containers with their sizes; `null` when not asked for.
    pub containers: Option<Vec<ContainerSummary>>,
    /// Volumes; `null` when not asked for.
    pub volumes: Option<Vec<Volume>>,
    /// The build cache; `null` when not asked for.
    pub build_cache: Option<Vec<serde_json::Value>>,
}

/// `POST /build/prune`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct BuildPruneResponse {
    /// Ids of the removed entries.
    pub caches_deleted: Option<Vec<String>>,
    /// Bytes.
    pub space_reclaimed: u64,
}
