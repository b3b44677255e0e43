//! Manifests and indexes, OCI's and Docker's (which differ in their media types only).

use super::Platform;
use brig_core::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Media type of an OCI index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Media type of an OCI manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an OCI image configuration.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Media type of an uncompressed OCI layer.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// Media type of Docker's index.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Media type of Docker's manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Media type of Docker's image configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// Media type of Docker's layer, compressed with gzip.
pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// containerd's annotation with an image's full name.
pub(crate) const NAME_ANNOTATION: &str = "io.containerd.image.name";
/// OCI's annotation with a tag, or with whatever the writer holds for a name.
pub(crate) const REF_ANNOTATION: &str = "org.opencontainers.image.ref.name";
/// Marks what is about an image and no image.
const ATTESTATION_ANNOTATION: &str = "vnd.docker.reference.type";

/// A pointer to content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    #[serde(default)]
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Remarks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Where else it is found (foreign layers).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// What it runs on, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

impl Descriptor {
    /// A descriptor without annotations.
    #[must_use]
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            annotations: BTreeMap::new(),
            urls: Vec::new(),
            platform: None,
        }
    }

    /// Whether it is an index.
    #[must_use]
    pub fn is_index(&self) -> bool {
        matches!(self.media_type.as_str(), INDEX | DOCKER_LIST)
    }

    /// Whether it is a manifest, as far as its type says.
    #[must_use]
    pub fn is_manifest(&self) -> bool {
        matches!(self.media_type.as_str(), MANIFEST | DOCKER_MANIFEST | "")
    }

    /// Whether it is the configuration of an image.
    #[must_use]
    pub fn is_config(&self) -> bool {
        matches!(self.media_type.as_str(), CONFIG | DOCKER_CONFIG)
    }

    /// Whether it is an image for a machine at all.
    #[must_use]
    pub fn is_attestation(&self) -> bool {
        self.annotations.contains_key(ATTESTATION_ANNOTATION)
            || self.platform.as_ref().is_some_and(|p| p.os == "unknown" || p.architecture == "unknown")
    }
}

/// An image manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// What it is.
    #[serde(default)]
    pub media_type: String,
    /// The image's configuration.
    pub config: Descriptor,
    /// The layers, bottom first.
    #[serde(default)]
    pub layers: Vec<Descriptor>,
}

/// An index of manifests, by platform or by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// What it is.
    #[serde(default)]
    pub media_type: String,
    /// What it lists.
    #[serde(default)]
    pub manifests: Vec<Descriptor>,
}

/// Whether a machine can run an image: same system and processor, and a variant that is not above the machine's.
#[must_use]
pub fn runs_on(image: &Platform, host: &Platform) -> bool {
    let level = |variant: &str| variant.trim_start_matches('v').parse::<u32>().unwrap_or(0);
    image.os == host.os
        && image.architecture == host.architecture
        && (host.architecture == "amd64" && level(&image.variant) <= 1
            || host.architecture != "amd64" && level(&image.variant) <= level(&host.variant))
}

/// The entry of an index that suits a machine best: of those that run on it, the one for the highest variant; else
/// the only one, if it says nothing of a machine.
#[must_use]
pub fn best<'a>(index: &'a Index, machine: &Platform) -> Option<&'a Descriptor> {
    let level = |d: &Descriptor| {
        d.platform.as_ref().and_then(|p| p.variant.trim_start_matches('v').parse::<u32>().ok()).unwrap_or(0)
    };
    let images: Vec<_> = index.manifests.iter().filter(|d| !d.is_attestation()).collect();
    images
        .iter()
        .filter(|d| d.platform.as_ref().is_some_and(|p| runs_on(p, machine)))
        .max_by_key(|d| level(d))
        .or(match images.as_slice() {
            [only] if only.platform.is_none() => Some(only),
            _ => None,
        })
        .copied()
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
