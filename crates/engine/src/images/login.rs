//! `POST /auth` and `GET /distribution/{name}/json`: what registries say without an image being moved.

use super::pull::in_dockers_words;
use crate::{
    engine::Engine,
    error::{Error, Result},
};
use brig_core::Reference;
use brig_registry::{Content, Credentials, Place, Repository};
use brig_store::Platform;
use serde::Serialize;

/// Longest configuration of an image in bytes.
const CONFIG_BYTES: u64 = 8 << 20;

/// What a registry has under a name.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DistributionInspect {
    /// What the name leads to.
    pub descriptor: DistributionDescriptor,
    /// What it runs on.
    pub platforms: Vec<Platform>,
}

/// A document at a registry.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DistributionDescriptor {
    /// What it is.
    pub media_type: String,
    /// Its digest.
    pub digest: String,
    /// Its length in bytes.
    pub size: u64,
}

impl Engine {
    /// Shows credentials to their registry; answers a token in their place, or nothing.
    ///
    /// # Errors
    /// When the registry does not take them.
    pub async fn registry_login(&self, credentials: Credentials) -> Result<String> {
        let config = self.core().registries.config();
        brig_registry::login(&config, &credentials).await.map_err(Error::Registry)
    }

    /// What a registry has under a name.
    ///
    /// # Errors
    /// When it has nothing, or can't be reached.
    pub async fn distribution_inspect(&self, name: &str, credentials: &str) -> Result<DistributionInspect> {
        let reference: Reference = name.parse()?;
        let reference = reference.with_default_tag();
        let credentials = Credentials::from_header(credentials).unwrap_or_default();
        let config = self.core().registries.config();
        let shown = match reference.digest() {
            Some(digest) => digest.to_string(),
            None => reference.tag().unwrap_or("latest").to_owned(),
        };
        let mut failed = None;
        for place in Repository::places(&config, &reference) {
            let found = async {
                let repository = Repository::open_at(&config, &place, &reference, &credentials).await?;
                look(&repository, &shown).await
            };
            match found.await {
                Ok(found) => return Ok(found),
                Err(error) if matches!(place, Place::Mirror(_)) => {
                    tracing::info!(%error, "not from this mirror");
                }
                Err(error) => failed = Some(in_dockers_words(error, &reference)),
            }
        }
        // The registry itself is always among the places.
        Err(failed.unwrap_or_else(|| Error::NotFound(format!("{} is nowhere", reference.familiar()))))
    }
}

async fn look(repository: &Repository, name: &str) -> brig_registry::Result<DistributionInspect> {
    let document = repository.document(name).await?;
    let platforms = match document.content()? {
        Content::Index(index) => index.manifests.into_iter().filter_map(|entry| entry.platform).collect(),
        Content::Manifest(manifest) if manifest.config.is_config() => {
            let config = repository.blob(manifest.config.digest, manifest.config.size);
            let config = config.document(CONFIG_BYTES).await?;
            let platform = serde_json::from_slice::<Platform>(&config);
            vec![
                platform
                    .map_err(|e| brig_registry::Error::BadAnswer(format!("invalid configuration: {e}")))?,
            ]
        }
        Content::Manifest(_) => Vec::new(),
    };
    Ok(DistributionInspect {
        descriptor: DistributionDescriptor {
            media_type: document.media_type,
            digest: document.digest.to_string(),
            size: document.bytes.len() as u64,
        },
        platforms,
    })
}
