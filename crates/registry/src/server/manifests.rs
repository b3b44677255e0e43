//! Manifests: put, got, removed, and what is about what.

use super::{
    Mode, Registry,
    answer::{self, Answer, Failure, digest_header},
    route::{Name, Target},
    storage::{Kind, MANIFEST_MAX},
    uploads::read_body,
};
use brig_core::Digest;
use http::{HeaderName, Request, StatusCode, header};
use hyper::body::Incoming;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What a registry has to know of a manifest.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    #[serde(default)]
    pub(super) schema_version: u32,
    #[serde(default)]
    pub(super) media_type: String,
    #[serde(default)]
    pub(super) artifact_type: String,
    pub(super) config: Option<Part>,
    #[serde(default)]
    pub(super) layers: Vec<Part>,
    #[serde(default)]
    pub(super) manifests: Vec<Part>,
    pub(super) subject: Option<Part>,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
}

/// Something that a manifest leads to.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part {
    pub(super) digest: Digest,
    #[serde(default)]
    pub(super) media_type: String,
    #[serde(default)]
    pub(super) size: u64,
    #[serde(default)]
    pub(super) urls: Vec<String>,
}

impl Manifest {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Failure> {
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|e| Failure::bad_manifest(e.to_string()))?;
        if manifest.schema_version != 2 {
            return Err(Failure::bad_manifest("unrecognized manifest schema version"));
        }
        Ok(manifest)
    }

    /// The blobs that have to be there: foreign layers need not.
    pub(super) fn blobs(&self) -> impl Iterator<Item = &Part> {
        self.config.iter().chain(&self.layers).filter(|part| part.urls.is_empty())
    }
}

impl Registry {
    /// `GET` and `HEAD manifests/REFERENCE`
    pub(super) async fn get_manifest(&self, name: &Name, target: &Target) -> Answer {
        let digest = match (&self.mode, target) {
            (Mode::PullThrough(upstream), target) => upstream.fetch_manifest(self, name, target).await?,
            (_, Target::Digest(digest)) => *digest,
            (_, Target::Tag(tag)) => match self.storage.tag(name, tag)? {
                Some(digest) => digest,
                None if !self.storage.has_repository(name) => {
                    return Err(Failure::name_unknown(name.as_str()));
                }
                None => return Err(Failure::manifest_unknown(tag.as_str())),
            },
        };
        let (media_type, bytes) = self
            .storage
            .manifest(name, &digest)?
            .ok_or_else(|| Failure::manifest_unknown(&digest.to_string()))?;
        let length = bytes.len().to_string();
        let response = answer::with(answer::bytes(&media_type, bytes), digest_header(), &digest.to_string());
        let response = answer::with(response, header::ETAG, &format!("\"{digest}\""));
        Ok(answer::with(response, header::CONTENT_LENGTH, &length))
    }

    /// `PUT manifests/REFERENCE`
    pub(super) async fn put_manifest(
        &self,
        name: &Name,
        target: &Target,
        request: Request<Incoming>,
    ) -> Answer {
        let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let media_type =
            media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_owned();
        let bytes = read_body(request.into_body(), MANIFEST_MAX).await?;
        let manifest = Manifest::parse(&bytes)?;
        let digest = Digest::of(&bytes);
        if let Target::Digest(wanted) = target
            && *wanted != digest
        {
            return Err(Failure::bad_digest());
        }
        let media_type = match (media_type.is_empty(), manifest.media_type.is_empty()) {
            (true, true) => {
                return Err(Failure::bad_manifest("neither the request nor the manifest says what it is"));
            }
            (true, false) => manifest.media_type.clone(),
            (false, false) if media_type != manifest.media_type => {
                return Err(Failure::bad_manifest(format!(
                    "mediaType in manifest should be '{media_type}' not '{}'",
                    manifest.media_type
                )));
            }
            _ => media_type,
        };
        let _here = self.changes.read().await;
        self.store_manifest(name, target, &media_type, &bytes, &manifest, true)?;
        let response = answer::with(
            answer::empty(StatusCode::CREATED),
            header::LOCATION,
            &format!("/v2/{name}/manifests/{digest}"),
        );
        let response = answer::with(response, digest_header(), &digest.to_string());
        Ok(match &manifest.subject {
            Some(subject) => {
                answer::with(response, HeaderName::from_static("oci-subject"), &subject.digest.to_string())
            }
            None => response,
        })
    }

    /// Puts a manifest and its links, the tag last.
    pub(super) fn store_manifest(
        &self,
        name: &Name,
        target: &Target,
        media_type: &str,
        bytes: &[u8],
        manifest: &Manifest,
        complete: bool,
    ) -> Result<Digest, Failure> {
        if complete {
            for part in manifest.blobs() {
                if !self.storage.has_blob(name, &part.digest)? {
                    return Err(Failure::manifest_blob_unknown(&part.digest.to_string()));
                }
            }
            for part in &manifest.manifests {
                if !self.storage.link(name, Kind::Manifests, &part.digest).exists() {
                    return Err(Failure::manifest_blob_unknown(&part.digest.to_string()));
                }
            }
        }
        let digest = self.storage.put_document(bytes)?;
        self.storage.add_link(name, Kind::Manifests, &digest, media_type)?;
        if let Some(subject) = &manifest.subject {
            self.storage.add_referrer(name, &subject.digest, &digest)?;
        }
        if let Target::Tag(tag) = target {
            self.storage.set_tag(name, tag, &digest)?;
        }
        Ok(digest)
    }

    /// `DELETE manifests/REFERENCE`: a tag, or a manifest with all of its tags.
    pub(super) async fn delete_manifest(&self, name: &Name, target: &Target) -> Answer {
        let _here = self.changes.read().await;
        match target {
            Target::Tag(tag) => {
                if !self.storage.remove_tag(name, tag)? {
                    return Err(Failure::manifest_unknown(tag.as_str()));
                }
            }
            Target::Digest(digest) => {
                let Some((_, bytes)) = self.storage.manifest(name, digest)? else {
                    return Err(Failure::manifest_unknown(&digest.to_string()));
                };
                for tag in self.storage.tags(name)? {
                    if self.storage.tag(name, &tag)? == Some(*digest) {
                        self.storage.remove_tag(name, &tag)?;
                    }
                }
                if let Some(subject) = Manifest::parse(&bytes)?.subject {
                    self.storage.remove_referrer(name, &subject.digest, digest)?;
                }
                self.storage.remove_link(name, Kind::Manifests, digest)?;
            }
        }
        Ok(answer::empty(StatusCode::ACCEPTED))
    }
}
