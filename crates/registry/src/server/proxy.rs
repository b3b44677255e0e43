//! Pull-through: what is not here is fetched from another registry, and kept.

use super::{
    Registry,
    answer::Failure,
    manifests::Manifest,
    route::{Name, Target},
    storage::Kind,
};
use crate::{
    client::{Access, Repository, config::RegistryConfig, credentials::Credentials},
    error::Error,
};
use brig_core::{Digest, Reference};
use std::io::{self, Write};
use tokio_util::sync::CancellationToken;

/// The registry behind this one.
#[derive(Debug)]
pub struct Upstream {
    /// Its host.
    pub host: String,
    /// How registries are reached.
    pub config: RegistryConfig,
    /// Who asks there.
    pub credentials: Credentials,
    /// One blob at a time is fetched, so that none is fetched twice.
    pub turn: tokio::sync::Mutex<()>,
}

impl Upstream {
    async fn open(&self, name: &Name) -> Result<Repository, Failure> {
        let reference: Reference =
            format!("{}/{name}", self.host).parse().map_err(|_| Failure::bad_name())?;
        Repository::open(&self.config, &reference, &self.credentials, Access::Pull).await.map_err(failure)
    }

    /// The digest of a manifest, which is here afterwards. What a tag leads to is asked anew each time; without an
    /// answer, what it led to last is right.
    pub(super) async fn fetch_manifest(
        &self,
        registry: &Registry,
        name: &Name,
        target: &Target,
    ) -> Result<Digest, Failure> {
        let storage = &registry.storage;
        let known = match target {
            Target::Digest(digest) => Some(*digest),
            Target::Tag(tag) => storage.tag(name, tag)?,
        };
        let here = |digest: &Digest| storage.link(name, Kind::Manifests, digest).exists();
        if let (Target::Digest(digest), true) = (target, known.is_some_and(|digest| here(&digest))) {
            return Ok(*digest);
        }
        let text = match target {
            Target::Digest(digest) => digest.to_string(),
            Target::Tag(tag) => tag.as_str().to_owned(),
        };
        let fetched = async {
            let repository = self.open(name).await?;
            if let Some(known) = known.filter(here)
                && let Ok(Some((digest, _))) = repository.head(&text).await
                && digest == known
            {
                return Ok(known);
            }
            let document = repository.document(&text).await.map_err(failure)?;
            let manifest = Manifest::parse(&document.bytes)?;
            let _changing = registry.changes.read().await;
            registry.store_manifest(name, target, &document.media_type, &document.bytes, &manifest, false)
        };
        match (fetched.await, known.filter(here)) {
            (Ok(digest), _) => Ok(digest),
            (Err(error), Some(known)) => {
                tracing::warn!(?error, "the registry behind this one does not answer");
                Ok(known)
            }
            (Err(error), None) => Err(error),
        }
    }

    /// Has a blob here that a manifest here names.
    pub(super) async fn fetch_blob(
        &self,
        registry: &Registry,
        name: &Name,
        digest: &Digest,
    ) -> Result<(), Failure> {
        let _turn = self.turn.lock().await;
        if registry.storage.has_blob(name, digest)? {
            return Ok(());
        }
        let size = size_of(registry, name, digest)?.ok_or_else(Failure::blob_unknown)?;
        let repository = self.open(name).await?;
        let id = super::route::UploadId::new()?;
        let path = registry.storage.upload(&id);
        let mut reader = repository.blob(*digest, size).reader(None, CancellationToken::new())?;
        let fetched = tokio::task::spawn_blocking({
            let path = path.clone();
            move || {
                let mut file = std::fs::File::create_new(&path)?;
                let copied = io::copy(&mut reader, &mut file).and_then(|_| {
                    file.flush()?;
                    file.sync_data()
                });
                if copied.is_err() {
                    // What could not be fetched is of no use.
                    let _ = std::fs::remove_file(&path);
                }
                copied.map_err(|e| {
                    io::Error::other(reader.failure().map_or_else(|| e.to_string(), |f| f.to_string()))
                })
            }
        });
        fetched.await.map_err(io::Error::other)?.map_err(|e| Failure::upstream(&e.to_string()))?;
        let _changing = registry.changes.read().await;
        std::fs::rename(&path, registry.storage.blob(digest))?;
        registry.storage.add_link(name, Kind::Blobs, digest, "")?;
        Ok(())
    }
}

/// What a manifest here says of a blob's length.
fn size_of(registry: &Registry, name: &Name, digest: &Digest) -> Result<Option<u64>, Failure> {
    for manifest in registry.storage.all(name, Kind::Manifests)? {
        let Some((_, bytes)) = registry.storage.manifest(name, &manifest)? else { continue };
        let parsed = Manifest::parse(&bytes)?;
        let found = parsed.config.iter().chain(&parsed.layers).find(|part| part.digest == *digest);
        if let Some(part) = found {
            return Ok(Some(part.size));
        }
    }
    Ok(None)
}

fn failure(error: Error) -> Failure {
    match &error {
        Error::Refused(refusal) if refusal.status == 404 => Failure::manifest_unknown(&refusal.to_string()),
        _ => Failure::upstream(&error.to_string()),
    }
}
