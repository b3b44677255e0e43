//! Manifests and indexes, OCI's and Docker's (which differ in their media types only).

use super::Platform;
use brig_core::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// containerd's annotation with an image's full name.
pub(crate) const NAME_ANNOTATION: &str = "io.containerd.image.name";
/// OCI's annotation with a tag, or with whatever the writer holds for a name.
pub(crate) const REF_ANNOTATION: &str = "org.opencontainers.image.ref.name";
/// Marks what is about an image and no image.
const ATTESTATION_ANNOTATION: &str = "vnd.docker.reference.type";

/// A pointer to content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<Platform>,
}

impl Descriptor {
    pub(crate) fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self { media_type: media_type.to_owned(), digest, size, annotations: BTreeMap::new(), platform: None }
    }

    pub(crate) fn is_index(&self) -> bool {
        matches!(self.media_type.as_str(), INDEX | DOCKER_LIST)
    }

    pub(crate) fn is_manifest(&self) -> bool {
        matches!(self.media_type.as_str(), MANIFEST | DOCKER_MANIFEST | "")
    }

    pub(crate) fn is_config(&self) -> bool {
        matches!(self.media_type.as_str(), CONFIG | DOCKER_CONFIG)
    }

    /// Whether it is an image for a machine at all.
    pub(crate) fn is_attestation(&self) -> bool {
        self.annotations.contains_key(ATTESTATION_ANNOTATION)
            || self.platform.as_ref().is_some_and(|p| p.os == "unknown" || p.architecture == "unknown")
    }
}

/// An image manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) schema_version: u32,
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) config: Descriptor,
    #[serde(default)]
    pub(crate) layers: Vec<Descriptor>,
}

/// An index of manifests, by platform or by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Index {
    pub(crate) schema_version: u32,
    #[serde(default)]
    pub(crate) media_type: String,
    #[serde(default)]
    pub(crate) manifests: Vec<Descriptor>,
}

/// Whether a machine can run an image: same system and processor, and a variant that is not above the machine's.
pub(crate) fn runs_on(image: &Platform, host: &Platform) -> bool {
    let level = |variant: &str| variant.trim_start_matches('v').parse::<u32>().unwrap_or(0);
    image.os == host.os
        && image.architecture == host.architecture
        && (host.architecture == "amd64" && level(&image.variant) <= 1
            || host.architecture != "amd64" && level(&image.variant) <= level(&host.variant))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_match_downwards() {
        let p = |architecture: &str, variant: &str| Platform {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.to_owned(),
        };
        assert!(runs_on(&p("amd64", ""), &p("amd64", "")));
        assert!(runs_on(&p("amd64", "v1"), &p("amd64", "")));
        assert!(!runs_on(&p("amd64", "v3"), &p("amd64", "")));
        assert!(runs_on(&p("arm64", ""), &p("arm64", "v8")));
        assert!(runs_on(&p("arm", "v6"), &p("arm", "v7")));
        assert!(!runs_on(&p("arm", "v7"), &p("arm", "v6")));
        assert!(!runs_on(&p("arm64", ""), &p("amd64", "")));
    }
}
