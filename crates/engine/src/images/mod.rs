//! Images as the API sees them.

mod config;
mod list;
mod login;
mod pull;
mod push;
mod remove;
mod search;
mod shape;
mod transfer;

pub(crate) use config::container_config;
pub use login::{DistributionDescriptor, DistributionInspect};
pub(crate) use pull::Registries;
pub(crate) use shape::summary;

use crate::{
    containers::familiar,
    core::Core,
    engine::Engine,
    error::{Error, Result},
    system::events::About,
};
use brig_api::{HistoryResponseItem, ImageInspect};
use brig_core::{Digest, Reference};
use brig_store::Image;
use std::collections::BTreeMap;

impl Engine {
    /// Everything about an image.
    ///
    /// # Errors
    /// When there is no such image.
    pub async fn image_inspect(&self, name: &str) -> Result<ImageInspect> {
        let name = name.to_owned();
        self.core().blocking(move |core| Ok(shape::inspect(core, &resolve(core, &name)?))).await
    }

    /// The steps an image was made by, newest first.
    ///
    /// # Errors
    /// When there is no such image.
    pub async fn image_history(&self, name: &str) -> Result<Vec<HistoryResponseItem>> {
        let name = name.to_owned();
        self.core()
            .blocking(move |core| {
                let lines = core.store.image_history(&name).map_err(|e| not_found(e, &name))?;
                Ok(lines.into_iter().map(shape::history).collect())
            })
            .await
    }

    /// Gives an image another reference; an empty `tag` is `latest`.
    ///
    /// # Errors
    /// When there is no such image, or the reference is none.
    pub async fn image_tag(&self, name: &str, repository: &str, tag: &str) -> Result<()> {
        let target = reference(repository, tag)?;
        let name = name.to_owned();
        self.core()
            .blocking(move |core| {
                let id = core.store.image_tag(&name, &target).map_err(|e| not_found(e, &name))?;
                tell(core, "tag", &id, &target.familiar());
                Ok(())
            })
            .await
    }
}

/// The image that `name` means.
pub(crate) fn resolve(core: &Core, name: &str) -> Result<Image> {
    core.store.image_resolve(name).map_err(|e| not_found(e, name))
}

/// Docker's words for an image that is not there: with the tag that was meant.
fn not_found(error: brig_store::Error, name: &str) -> Error {
    match error {
        brig_store::Error::NoSuchImage(_) => Error::NoSuchImage(familiar(name)),
        other => other.into(),
    }
}

/// A reference from a repository and a tag, which the repository may contain.
pub(crate) fn reference(repository: &str, tag: &str) -> Result<Reference> {
    let reference: Reference = repository.parse()?;
    if reference.digest().is_some() {
        return Err(Error::Invalid("refusing to create a tag with a digest reference".to_owned()));
    }
    Ok(if tag.is_empty() { reference.with_default_tag() } else { reference.with_tag(tag)? })
}

/// Tells an event of an image that is known by a name, as of pulls and pushes.
pub(crate) fn tell_reference(core: &Core, action: &str, id: &Digest, reference: &Reference) {
    let labels = core.store.image_get(id).ok().and_then(|image| container_config(&image)?.labels);
    let mut attributes: BTreeMap<String, String> = labels.unwrap_or_default();
    attributes.insert("name".to_owned(), reference.familiar_name());
    core.events.tell(About::Image, action, reference.familiar(), attributes);
}

/// Tells an event of an image.
pub(crate) fn tell(core: &Core, action: &str, id: &Digest, name: &str) {
    let labels = core.store.image_get(id).ok().and_then(|image| container_config(&image)?.labels);
    let mut attributes: BTreeMap<String, String> = labels.unwrap_or_default();
    attributes.insert("name".to_owned(), name.to_owned());
    core.events.tell(About::Image, action, id.to_string(), attributes);
}
