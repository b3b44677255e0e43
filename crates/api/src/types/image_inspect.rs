//! `GET /images/{name}/json`.

use super::{
    Empty,
    container_config::{ContainerConfig, HealthConfig},
    container_inspect::DriverData,
    image::ImageManifestSummary,
    is_default,
    platform::OciDescriptor,
    port::PortSet,
    str_slice::StrSlice,
    time::Time,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything about an image (`ImageInspect`). Before 1.50 its config was that of a container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase", bound(deserialize = "C: Deserialize<'de> + Default"))]
pub struct ImageInspect<C = ImageConfig> {
    /// `sha256:` and 64 hex digits.
    pub id: String,
    /// `name:tag`; never `null`.
    pub repo_tags: Vec<String>,
    /// `name@digest`; never `null`.
    pub repo_digests: Vec<String>,
    /// The image that it was built on, on this machine.
    pub parent: String,
    /// The message of its commit or import.
    pub comment: String,
    /// When it was made; absent when the image does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    /// Left out since 1.45: the container that it was committed from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Left out since 1.45: that container's config.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_config: Option<ContainerConfig>,
    /// The version of the engine that made it.
    pub docker_version: String,
    /// Who made it.
    pub author: String,
    /// The config that containers take over.
    pub config: Option<C>,
    /// Such as `amd64`.
    pub architecture: String,
    /// Such as `v7`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub variant: String,
    /// Such as `linux`.
    pub os: String,
    /// Windows only.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub os_version: String,
    /// Bytes of all layers.
    pub size: i64,
    /// Left out since 1.44: the same as `size`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub virtual_size: Option<i64>,
    /// The storage driver's data.
    pub graph_driver: DriverData,
    /// Its layers.
    #[serde(rename = "RootFS")]
    pub root_fs: RootFsInfo,
    /// What this machine knows of it.
    pub metadata: ImageMetadata,
    /// Its index or manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descriptor: Option<OciDescriptor>,
    /// Its manifests, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifests: Option<Vec<ImageManifestSummary>>,
}

impl ImageInspect {
    /// The same with the config of a container, whose further fields are empty.
    #[must_use]
    pub fn with_container_config(self) -> ImageInspect<ContainerConfig> {
        ImageInspect {
            id: self.id,
            repo_tags: self.repo_tags,
            repo_digests: self.repo_digests,
            parent: self.parent,
            comment: self.comment,
            created: self.created,
            container: self.container,
            container_config: self.container_config,
            docker_version: self.docker_version,
            author: self.author,
            config: self.config.map(ContainerConfig::from),
            architecture: self.architecture,
            variant: self.variant,
            os: self.os,
            os_version: self.os_version,
            size: self.size,
            virtual_size: self.virtual_size,
            graph_driver: self.graph_driver,
            root_fs: self.root_fs,
            metadata: self.metadata,
            descriptor: self.descriptor,
            manifests: self.manifests,
        }
    }
}

impl From<ImageConfig> for ContainerConfig {
    fn from(config: ImageConfig) -> Self {
        Self {
            user: config.user,
            exposed_ports: config.exposed_ports,
            env: config.env,
            entrypoint: config.entrypoint,
            cmd: config.cmd,
            volumes: config.volumes,
            working_dir: config.working_dir,
            labels: config.labels,
            stop_signal: config.stop_signal,
            args_escaped: config.args_escaped,
            healthcheck: config.healthcheck,
            on_build: config.on_build,
            shell: config.shell,
            ..Self::default()
        }
    }
}

/// The layers of an image (`RootFS`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct RootFsInfo {
    /// `layers`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// Digests of the uncompressed layers, lowest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<String>>,
}

/// What this machine knows of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ImageMetadata {
    /// When it last got a tag; zero for never.
    pub last_tag_time: Time,
}

/// The config that containers take over from their image (`ImageConfig`). Since 1.50 it has no
/// fields of containers; before, those were written too, empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ImageConfig {
    /// `user[:group]`.
    pub user: String,
    /// Exposed ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposed_ports: Option<PortSet>,
    /// `NAME=value`.
    pub env: Option<Vec<String>>,
    /// The entry point.
    pub entrypoint: Option<StrSlice>,
    /// The command, or the arguments of the entry point.
    pub cmd: Option<StrSlice>,
    /// Paths that are to be anonymous volumes.
    pub volumes: Option<BTreeMap<String, Empty>>,
    /// The working folder.
    pub working_dir: String,
    /// Labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// The signal that asks a container to stop.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    /// Windows only.
    #[serde(skip_serializing_if = "is_default")]
    pub args_escaped: bool,
    /// How to check that a container is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<HealthConfig>,
    /// Triggers for images built on this one.
    pub on_build: Option<Vec<String>>,
    /// The shell of shell-form instructions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<StrSlice>,
}
