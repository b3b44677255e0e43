//! What a registry refuses, as dockerd tells it.

use crate::error::Error;
use brig_core::{Kind, Reference};
use brig_registry::Error as RegistryError;

/// A registry's error about an image.
pub(crate) fn in_dockers_words(error: RegistryError, reference: &Reference) -> Error {
    let refusal = match &error {
        RegistryError::Refused(refusal) => refusal,
        // dockerd asks for the head first.
        RegistryError::NoCredentials { url, .. } if url.contains("/manifests/") => {
            let (method, url) = ("Head".to_owned(), url.clone());
            return Error::Registry(RegistryError::NoCredentials { method, url });
        }
        _ => return Error::Registry(error),
    };
    let name = reference.familiar_name();
    let told = |text: String| Error::Told { kind: Kind::NotFound, message: format!("{text}: {refusal}") };
    if refusal.has("DENIED") || (refusal.errors.is_empty() && refusal.status == 403) {
        told(format!(
            "pull access denied for {name}, repository does not exist or may require 'docker login'"
        ))
    } else if refusal.has("MANIFEST_UNKNOWN") {
        told(format!("manifest for {} not found", reference.familiar()))
    } else if refusal.has("NAME_UNKNOWN") {
        told(format!("repository {name} not found"))
    } else {
        Error::Registry(error)
    }
}
