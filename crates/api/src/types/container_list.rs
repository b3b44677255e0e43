//! `GET /containers/json`.

use super::{endpoint::EndpointSettings, is_default, mount::MountPoint, platform::OciDescriptor, port::Port};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One container of the list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ContainerSummary {
    /// The id, 64 hex digits.
    pub id: String,
    /// `/` and its name; more for legacy links. Never `null`.
    pub names: Vec<String>,
    /// The image as the user named it, or its id when that name now means another one.
    pub image: String,
    /// The image's id.
    #[serde(rename = "ImageID")]
    pub image_id: String,
    /// The manifest it was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_manifest_descriptor: Option<OciDescriptor>,
    /// Program and arguments, with those quoted that need it.
    pub command: String,
    /// Unix seconds.
    pub created: i64,
    /// Its ports; never `null`.
    pub ports: Vec<Port>,
    /// Bytes of the writable layer, when asked for.
    #[serde(skip_serializing_if = "is_default")]
    pub size_rw: i64,
    /// Bytes of all layers, when asked for.
    #[serde(skip_serializing_if = "is_default")]
    pub size_root_fs: i64,
    /// Its labels; never `null`.
    pub labels: BTreeMap<String, String>,
    /// `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`.
    pub state: String,
    /// The same for people, such as `Up 2 hours`.
    pub status: String,
    /// A part of the host config.
    pub host_config: SummaryHostConfig,
    /// Its networks.
    pub network_settings: SummaryNetworkSettings,
    /// Its mounts; never `null`.
    pub mounts: Vec<MountPoint>,
}

/// The part of the host config that the list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct SummaryHostConfig {
    /// The network mode.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub network_mode: String,
    /// The annotations (since 1.46).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// The networks that the list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct SummaryNetworkSettings {
    /// Endpoints by their network's name.
    pub networks: BTreeMap<String, EndpointSettings>,
}
