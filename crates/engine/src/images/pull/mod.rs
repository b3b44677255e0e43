//! `POST /images/create`: images from registries.
//!
//! Layers come several at once; each is verified, decompressed and unpacked as it comes. A layer that several pulls
//! want is fetched by one of them ([`Turns`]). Nothing of an image is seen before all of it is there.

mod fetch;
mod progress;
mod words;

use super::tell_reference;
use crate::{
    core::Core,
    engine::Engine,
    error::{Error, Result},
    options::PullOptions,
    streams::ProgressStream,
};
use brig_api::JsonMessage;
use brig_core::{Digest, Reference};
use brig_registry::{Content, Credentials, Document, Mirror, Place, RegistryConfig, Repository};
use brig_store::{
    Arrived, Platform,
    manifest::{self, Manifest},
};
pub(super) use progress::{Lines, Meter};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
pub(crate) use words::in_dockers_words;

/// How many lines of progress wait for a slow client.
const LINES: usize = 64;
/// Longest configuration of an image in bytes.
const CONFIG_BYTES: u64 = 8 << 20;
/// Most layers of an image.
const LAYERS: usize = 499;

/// How the engine deals with registries.
#[derive(Debug)]
pub(crate) struct Registries {
    config: Mutex<Arc<RegistryConfig>>,
    downloads: Arc<Semaphore>,
    turns: Turns,
}

impl Registries {
    pub(crate) fn new(config: RegistryConfig, downloads: usize) -> Self {
        Self {
            config: Mutex::new(Arc::new(config)),
            downloads: Arc::new(Semaphore::new(downloads.max(1))),
            turns: Turns::default(),
        }
    }

    pub(crate) fn config(&self) -> Arc<RegistryConfig> {
        Arc::clone(&self.config.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, config: RegistryConfig) {
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }
}

/// One at a time works on a layer, whoever wants it.
#[derive(Debug, Default)]
struct Turns(Mutex<HashMap<Digest, Weak<tokio::sync::Mutex<()>>>>);

impl Turns {
    async fn take(&self, chain: Digest) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| turn.strong_count() > 0);
            match turns.get(&chain).and_then(Weak::upgrade) {
                Some(turn) => turn,
                None => {
                    let turn = Arc::new(tokio::sync::Mutex::new(()));
                    turns.insert(chain, Arc::downgrade(&turn));
                    turn
                }
            }
        };
        turn.lock_owned().await
    }
}

/// An image that was found at a registry.
struct Found {
    repository: Repository,
    /// By what it was asked for, and by what it is shown: a tag or a digest.
    reference: Reference,
    /// What the reference leads to.
    top: Document,
    /// The manifest, where that is an index.
    chosen: Option<Document>,
    manifest: Manifest,
}

impl Engine {
    /// Uses another configuration of registries from now on.
    pub fn set_registries(&self, config: RegistryConfig) {
        self.core().registries.set(config);
    }

    /// Pulls an image, or with neither tag nor digest all images of a repository. A caller that drops the stream
    /// cancels the pull.
    ///
    /// # Errors
    /// When there is no such image, or the registry can't be reached; later errors are in the stream.
    pub async fn image_pull(&self, options: PullOptions) -> Result<ProgressStream> {
        let core = self.core().clone();
        core.check_open()?;
        let reference: Reference = options.image.parse()?;
        // As dockerd, which takes credentials that it can't read for none.
        let credentials = Credentials::from_header(&options.credentials).unwrap_or_default();
        let platform = options.platform.as_deref().filter(|p| !p.is_empty());
        let platform = platform.map(super::transfer::platform).transpose()?.unwrap_or_else(Platform::host);
        let config = core.registries.config();
        let (first, rest) = if reference.tag().is_none() && reference.digest().is_none() {
            all(&config, &reference, &credentials, &platform).await?
        } else {
            (find(&config, &reference, &credentials, &platform).await?, Vec::new())
        };
        let (lines, stream) = ProgressStream::channel(LINES);
        tokio::spawn(async move {
            let cancelled = CancellationToken::new();
            let gone = lines.clone();
            let told = Lines::new(lines);
            let work = async {
                let mut new = one(&core, &first, &told, &cancelled).await?;
                for reference in rest {
                    let found = find(&config, &reference, &credentials, &platform).await?;
                    new |= one(&core, &found, &told, &cancelled).await?;
                }
                let what = if new { "Downloaded newer image for" } else { "Image is up to date for" };
                told.send(JsonMessage::status(format!("Status: {what} {}", reference.familiar()))).await;
                Ok::<_, Error>(())
            };
            tokio::pin!(work);
            let done = tokio::select! {
                done = &mut work => done,
                () = gone.closed() => {
                    cancelled.cancel();
                    // What was begun is taken back.
                    work.await
                }
            };
            if let Err(error) = done {
                told.send(JsonMessage::failure(error.to_string())).await;
            }
        });
        Ok(stream)
    }
}

/// All tags of a repository: the first one's image, and the others' references.
async fn all(
    config: &RegistryConfig,
    reference: &Reference,
    credentials: &Credentials,
    platform: &Platform,
) -> Result<(Found, Vec<Reference>)> {
    let mut tags = Vec::new();
    for place in Repository::places(config, reference) {
        let found = async { Repository::open_at(config, &place, reference, credentials).await?.tags().await };
        match (found.await, place) {
            (Ok(found), _) => {
                tags = found;
                break;
            }
            (Err(error), Place::Mirror(mirror)) => passed_over(&mirror, &error),
            (Err(error), Place::Registry) => return Err(in_dockers_words(error, reference)),
        }
    }
    let mut references =
        tags.iter().map(|tag| reference.with_tag(tag)).collect::<Result<Vec<_>, _>>()?.into_iter();
    let Some(first) = references.next() else {
        return Err(Error::NotFound(format!("repository {} not found: no tags", reference.familiar_name())));
    };
    Ok((find(config, &first, credentials, platform).await?, references.collect()))
}

/// Finds an image: what its reference leads to, and the manifest for a platform.
async fn find(
    config: &RegistryConfig,
    reference: &Reference,
    credentials: &Credentials,
    platform: &Platform,
) -> Result<Found> {
    let name = match reference.digest() {
        Some(digest) => digest.to_string(),
        None => reference.tag().unwrap_or("latest").to_owned(),
    };
    for place in Repository::places(config, reference) {
        let found = async {
            let repository = Repository::open_at(config, &place, reference, credentials).await?;
            look_up(repository, &name, platform).await
        };
        match (found.await, place) {
            (Ok((repository, top, chosen, manifest)), _) => {
                let reference = match reference.digest() {
                    Some(digest) => reference.with_digest(digest),
                    None => reference.clone(),
                };
                let found = Found { repository, reference, top, chosen, manifest };
                check(&found)?;
                return Ok(found);
            }
            (Err(error), Place::Mirror(mirror)) => passed_over(&mirror, &error),
            (Err(error), Place::Registry) => return Err(in_dockers_words(error, reference)),
        }
    }
    // The registry itself is always among the places.
    Err(Error::NotFound(format!("{} is nowhere", reference.familiar())))
}

fn passed_over(mirror: &Mirror, error: &brig_registry::Error) {
    tracing::info!(mirror = %mirror.url, %error, "not from this mirror");
}

/// The manifest for a platform that a tag or digest leads to, and what led to it.
async fn look_up(
    repository: Repository,
    name: &str,
    platform: &Platform,
) -> brig_registry::Result<(Repository, Document, Option<Document>, Manifest)> {
    let top = repository.document(name).await?;
    let mut content = top.content()?;
    let mut chosen = None;
    // An index may lead to another, but not for ever.
    for _ in 0..4 {
        match content {
            Content::Manifest(manifest) => return Ok((repository, top, chosen, manifest)),
            Content::Index(index) => {
                let entry = manifest::best(&index, platform).ok_or_else(|| {
                    brig_registry::Error::NoPlatform(brig_registry::platform_text(platform))
                })?;
                let document = repository.document(&entry.digest.to_string()).await?;
                content = document.content()?;
                chosen = Some(document);
            }
        }
    }
    Err(brig_registry::Error::BadAnswer(format!("{}: indexes are nested too deeply", top.digest)))
}

/// Refuses what is no image, before anything is told.
fn check(found: &Found) -> Result<()> {
    let manifest = &found.manifest;
    if !manifest.config.is_config() {
        let other = &manifest.config.media_type;
        return Err(Error::Invalid(format!("Encountered remote {other:?}(unknown) when fetching")));
    }
    if manifest.layers.len() > LAYERS {
        return Err(Error::Invalid("max depth exceeded".to_owned()));
    }
    Ok(())
}

/// Pulls one image and tells of it; answers whether a name has come to mean another image by it.
async fn one(core: &Arc<Core>, found: &Found, lines: &Lines, cancelled: &CancellationToken) -> Result<bool> {
    let Found { reference, top, chosen, manifest, repository } = found;
    let shown = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, tag) => tag.unwrap_or_default().to_owned(),
    };
    // Docker leaves the registry out here.
    lines.about(&shown, &format!("Pulling from {}", reference.path())).await;
    let words = |e| in_dockers_words(e, reference);
    let config = repository.blob(manifest.config.digest, manifest.config.size);
    let config = config.document(CONFIG_BYTES).await.map_err(words)?;
    let incoming = core
        .blocking({
            let config = config.to_vec();
            move |core| Ok(Arc::new(core.store.incoming(config)?))
        })
        .await?;
    if incoming.layers().len() != manifest.layers.len() {
        return Err(Error::Invalid("layers from manifest don't match image configuration".to_owned()));
    }
    // Of an image that is there nothing is told.
    let id = incoming.id();
    let known = core.blocking(move |core| Ok(core.store.image_get(&id).is_ok())).await?;
    let fetched = fetch::layers(core, repository, &incoming, &manifest.layers, known, lines, cancelled).await;
    fetched.map_err(|e| match e {
        Error::Registry(e) => words(e),
        e => e,
    })?;
    if cancelled.is_cancelled() {
        return Err(Error::Registry(brig_registry::Error::Cancelled));
    }
    let mut references = vec![reference.with_digest(top.digest)];
    if reference.digest().is_none() {
        references.insert(0, reference.clone());
    }
    let arrived = Arrived {
        manifest: Some(chosen.as_ref().unwrap_or(top).bytes.to_vec()),
        index: chosen.as_ref().map(|_| top.bytes.to_vec()),
        references,
        blobs: manifest.layers.iter().map(|l| (l.digest, l.size, l.media_type.clone())).collect(),
    };
    let name = reference.clone();
    let new = core
        .blocking(move |core| {
            let new = incoming.commit(arrived)?;
            tell_reference(core, "pull", &incoming.id(), &name);
            Ok(new)
        })
        .await?;
    lines.send(JsonMessage::status(format!("Digest: {}", top.digest))).await;
    Ok(new)
}
