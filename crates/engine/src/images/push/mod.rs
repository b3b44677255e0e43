//! `POST /images/{name}/push`.
//!
//! A layer that the registry has in a form known here is not sent; one that another of its repositories has is
//! mounted. What has to be sent is rebuilt from the unpacked layer and compressed on the way out. When all of an
//! image's layers go in the forms that it came in, its own manifest goes with them, and its digest stays.

mod send;

use super::{pull::Lines, tell_reference};
use crate::{
    core::Core,
    engine::Engine,
    error::{Error, Result},
    options::PushOptions,
    streams::ProgressStream,
};
use brig_api::JsonMessage;
use brig_core::{Digest, Kind, Reference};
use brig_registry::{Access, Credentials, Repository};
use brig_store::{
    Form,
    manifest::{self, Descriptor, Manifest},
};
use std::{collections::HashMap, sync::Arc};
use tokio_util::sync::CancellationToken;

/// How many lines of progress wait for a slow client.
const LINES: usize = 64;

impl Engine {
    /// Pushes an image, or without a tag all of a repository. A caller that drops the stream cancels the push.
    ///
    /// # Errors
    /// When the name is none; later errors are in the stream.
    pub async fn image_push(&self, options: PushOptions) -> Result<ProgressStream> {
        let core = self.core().clone();
        core.check_open()?;
        let mut reference: Reference = options.name.parse()?;
        if !options.tag.is_empty() {
            reference = reference.with_tag(&options.tag)?;
        }
        // As dockerd, which takes credentials that it can't read for none.
        let credentials = Credentials::from_header(&options.credentials).unwrap_or_default();
        let (lines, stream) = ProgressStream::channel(LINES);
        tokio::spawn(async move {
            let cancelled = CancellationToken::new();
            let gone = lines.clone();
            let told = Lines::new(lines);
            let work = push(&core, &reference, &credentials, &told, &cancelled);
            tokio::pin!(work);
            let done = tokio::select! {
                done = &mut work => done,
                () = gone.closed() => {
                    cancelled.cancel();
                    work.await
                }
            };
            if let Err(error) = done {
                let error = in_pushs_words(error);
                told.send(JsonMessage::failure(error.to_string())).await;
            }
        });
        Ok(stream)
    }
}

/// dockerd leaves out here whom it asked.
fn in_pushs_words(error: Error) -> Error {
    match error {
        Error::Registry(brig_registry::Error::NoCredentials { .. }) => {
            Error::Told { kind: Kind::System, message: "no basic auth credentials".to_owned() }
        }
        other => other,
    }
}

async fn push(
    core: &Arc<Core>,
    reference: &Reference,
    credentials: &Credentials,
    lines: &Lines,
    cancelled: &CancellationToken,
) -> Result<()> {
    let repository = reference.repository();
    lines.send(JsonMessage::status(format!("The push refers to repository [{repository}]"))).await;
    let name = reference.clone();
    let tags = core.blocking(move |core| Ok(core.store.tags_of(&name)?)).await?;
    if tags.is_empty() {
        let name = reference.familiar_name();
        return Err(Error::NotFound(format!("An image does not exist locally with the tag: {name}")));
    }
    if reference.digest().is_some() {
        return Err(Error::Invalid("cannot push a digest reference".to_owned()));
    }
    let tags: Vec<_> = match reference.tag() {
        None => tags,
        Some(_) => tags.into_iter().filter(|(tag, _)| tag == reference).collect(),
    };
    if tags.is_empty() {
        return Err(Error::NotFound(format!("tag does not exist: {}", reference.familiar())));
    }
    let config = core.registries.config();
    let target = Repository::open(&config, reference, credentials, Access::Push).await?;
    for (tag, id) in tags {
        one(core, &target, &tag, id, lines, cancelled).await?;
    }
    Ok(())
}

/// Pushes one image under one tag.
async fn one(
    core: &Arc<Core>,
    target: &Repository,
    reference: &Reference,
    id: Digest,
    lines: &Lines,
    cancelled: &CancellationToken,
) -> Result<()> {
    let image = core.blocking(move |core| Ok(Arc::new(core.store.outgoing(&id)?))).await?;
    let forms = send::layers(core, target, reference, &image, lines, cancelled).await?;
    if cancelled.is_cancelled() {
        return Err(Error::Registry(brig_registry::Error::Cancelled));
    }
    let config = &image.image().config_json;
    if !target.has_blob(&id).await? {
        target.put_blob(config.to_vec().into()).await?;
    }
    let own = {
        let image = image.clone();
        core.blocking(move |_| Ok(image.manifest()?)).await?
    };
    let (media_type, document) = match own.and_then(|own| kept(own, &id, &forms)) {
        Some(kept) => kept,
        None => made(&id, config.len() as u64, &forms)?,
    };
    let tag = reference.tag().unwrap_or("latest");
    let size = document.len();
    let digest = target.put_document(tag, &media_type, document.into()).await?;
    let text = format!("{tag}: digest: {digest} size: {size}");
    lines.send(JsonMessage::status(text)).await;
    let aux = serde_json::json!({ "Tag": tag, "Digest": digest.to_string(), "Size": size });
    let detail = Some(brig_api::ProgressDetail::default());
    lines.send(JsonMessage { aux: Some(aux), progress_detail: detail, ..JsonMessage::default() }).await;
    let name = reference.clone();
    core.blocking(move |core| {
        core.store.image_known_as(&id, &name.with_digest(digest))?;
        tell_reference(core, "push", &id, &name);
        Ok(())
    })
    .await
}

/// The image's own manifest, when it names exactly what was sent.
fn kept(own: Vec<u8>, id: &Digest, forms: &[Form]) -> Option<(String, Vec<u8>)> {
    let parsed: Manifest = serde_json::from_slice(&own).ok()?;
    let same = parsed.config.digest == *id
        && parsed.layers.len() == forms.len()
        && parsed.layers.iter().zip(forms).all(|(layer, form)| layer.digest == form.digest);
    let media_type =
        if parsed.media_type.is_empty() { manifest::MANIFEST.to_owned() } else { parsed.media_type };
    same.then_some((media_type, own))
}

/// A new manifest, in Docker's form as far as that can say it.
fn made(id: &Digest, config_size: u64, forms: &[Form]) -> Result<(String, Vec<u8>)> {
    let oci = forms.iter().any(|form| !form.media_type.ends_with("gzip"));
    let (media_type, config, layer) = if oci {
        (manifest::MANIFEST, manifest::CONFIG, None)
    } else {
        (manifest::DOCKER_MANIFEST, manifest::DOCKER_CONFIG, Some(manifest::DOCKER_LAYER_GZIP))
    };
    let document = Manifest {
        schema_version: 2,
        media_type: media_type.to_owned(),
        config: Descriptor::new(config, *id, config_size),
        layers: forms
            .iter()
            .map(|form| Descriptor::new(layer.unwrap_or(oci_type(&form.media_type)), form.digest, form.size))
            .collect(),
    };
    let bytes = serde_json::to_vec(&document).map_err(|e| Error::System(format!("a manifest: {e}")))?;
    Ok((media_type.to_owned(), bytes))
}

/// A layer's type in an OCI manifest.
fn oci_type(media_type: &str) -> &str {
    match media_type {
        manifest::DOCKER_LAYER_GZIP => "application/vnd.oci.image.layer.v1.tar+gzip",
        other => other,
    }
}

/// Layers by their uncompressed content, and by number the first with that content.
fn distinct(layers: &[Digest]) -> Vec<usize> {
    let mut seen = HashMap::new();
    layers.iter().enumerate().filter(|(n, diff)| seen.insert(**diff, *n).is_none()).map(|(n, _)| n).collect()
}
