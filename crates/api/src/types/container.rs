//! Making, waiting for and reading processes of containers.

use super::{container_config::ContainerConfig, endpoint::NetworkingConfig, host_config::HostConfig};
use serde::{Deserialize, Serialize};

/// `POST /containers/create`. On the wire the fields of the config are those of the request itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContainerCreateRequest {
    /// What does not depend on the host.
    pub config: ContainerConfig,
    /// What depends on the host.
    pub host_config: Option<HostConfig>,
    /// The networks.
    pub networking_config: Option<NetworkingConfig>,
}

impl Serialize for ContainerCreateRequest {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Wire<'a> {
            #[serde(flatten)]
            config: &'a ContainerConfig,
            #[serde(skip_serializing_if = "Option::is_none")]
            host_config: &'a Option<HostConfig>,
            #[serde(skip_serializing_if = "Option::is_none")]
            networking_config: &'a Option<NetworkingConfig>,
        }
        Wire {
            config: &self.config,
            host_config: &self.host_config,
            networking_config: &self.networking_config,
        }
        .serialize(s)
    }
}

impl<'de> Deserialize<'de> for ContainerCreateRequest {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default, rename = "CreateRequest", rename_all = "PascalCase")]
        struct Rest {
            host_config: Option<HostConfig>,
            networking_config: Option<NetworkingConfig>,
        }
        // Not `flatten`, which would hide the names of the fields from the reader, so that keys in
        // another case were lost: the same text is read once for each part.
        let raw = Box::<serde_json::value::RawValue>::deserialize(d)?;
        let text = raw.get().as_bytes();
        let rest: Rest = crate::json::from_slice(text).map_err(serde::de::Error::custom)?;
        Ok(Self {
            config: crate::json::from_slice(text).map_err(serde::de::Error::custom)?,
            host_config: rest.host_config,
            networking_config: rest.networking_config,
        })
    }
}

/// The answer to a creation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ContainerCreateResponse {
    /// The container's id.
    pub id: String,
    /// What was left out or looks wrong; never `null`.
    pub warnings: Vec<String>,
}

/// The answer to a wait.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ContainerWaitResponse {
    /// Why the wait failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ContainerWaitExitError>,
    /// The container's exit code.
    pub status_code: i64,
}

/// Why a wait failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ContainerWaitExitError {
    /// The reason.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// `ps` of a container's processes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ContainerTopResponse {
    /// A line a process, a cell a title.
    pub processes: Option<Vec<Vec<String>>>,
    /// The columns' titles.
    pub titles: Option<Vec<String>>,
}

/// A path that differs from the image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct FilesystemChange {
    /// The path in the container.
    pub path: String,
    /// 0 modified, 1 added, 2 deleted.
    pub kind: u8,
}

/// The answer to `POST /containers/prune`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ContainersPruneResponse {
    /// Ids of the removed containers.
    pub containers_deleted: Option<Vec<String>>,
    /// Bytes.
    pub space_reclaimed: u64,
}
