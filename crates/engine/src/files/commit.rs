//! `POST /commit`.

use super::view::hold;
use crate::{
    actor::{Handle, Until},
    containers::merge,
    engine::Engine,
    error::{Error, Result},
    images,
    machine::Input,
    options::CommitOptions,
    record::{ContainerRecord, State},
};
use brig_api::{ContainerConfig, IdResponse};
use brig_core::Reference;
use brig_store::ContainerConfig as ImageDefaults;
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;

impl Engine {
    /// Makes an image of a container's files and configuration.
    ///
    /// # Errors
    /// When there is no such container, a change or the name makes no sense, or its files can't be read.
    pub async fn container_commit(&self, options: CommitOptions) -> Result<IdResponse> {
        let handle = self.core().registry.resolve(&options.container)?;
        let reference = match options.repository.as_str() {
            "" => None,
            repository => Some(images::reference(repository, &options.tag)?),
        };
        let held = hold(&handle).await?;
        let record = &held.snapshot.record;
        let config = configuration(record, options.config, &options.changes)?;
        let commit = brig_store::CommitOptions {
            image: record.image,
            config,
            reference: reference.clone(),
            author: options.author,
            comment: options.comment.clone(),
            created_by: record.config.cmd.as_ref().map(|cmd| cmd.join(" ")).unwrap_or_default(),
        };
        let paused = options.pause && pause(&handle, record).await?;
        let key = record.id.to_string();
        let made = self.core().blocking(move |core| Ok(core.store.commit(&key, commit)?)).await;
        if paused && let Err(error) = handle.act(Input::Unpause, Until::Done).await {
            // It may have been killed, or let go by somebody else, meanwhile.
            tracing::info!(container = %record.id, %error, "not let go after a commit");
        }
        let id = made?;
        let name = reference.map(Reference::with_default_tag).map(|r| r.familiar()).unwrap_or_default();
        let core = self.core();
        if !name.is_empty() {
            images::tell(core, "tag", &id, &name);
        }
        let attributes = BTreeMap::from([
            ("comment".to_owned(), options.comment),
            ("imageID".to_owned(), id.to_string()),
            ("imageRef".to_owned(), name),
        ]);
        core.tell_container(record, "commit", attributes);
        Ok(IdResponse { id: id.to_string() })
    }
}

/// Freezes a container that runs; whether it is to be let go again.
async fn pause(handle: &Handle, record: &ContainerRecord) -> Result<bool> {
    if !matches!(record.state, State::Running(_)) {
        return Ok(false);
    }
    match handle.act(Input::Pause, Until::Done).await {
        Ok(()) => Ok(true),
        // It has ended, or somebody else was faster.
        Err(Error::Refused(_) | Error::Gone(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The configuration of the new image: the given one or the container's, with the changes, and what those do not say
/// from the container.
fn configuration(
    record: &ContainerRecord,
    given: Option<ContainerConfig>,
    changes: &[String],
) -> Result<ImageDefaults> {
    let own: &ContainerConfig = &record.config;
    let mut config: ImageDefaults = convert(given.as_ref().unwrap_or(own))?;
    config.change(changes)?;
    let mut config: ContainerConfig = convert(&config)?;
    merge(&mut config, own.clone());
    convert(&config)
}

/// Both kinds of configuration are the same JSON.
fn convert<T: DeserializeOwned>(config: &impl Serialize) -> Result<T> {
    let failed = |e: serde_json::Error| Error::System(format!("the container's configuration: {e}"));
    let json = serde_json::to_vec(config).map_err(failed)?;
    brig_api::json::from_slice(&json)
        .map_err(|e| Error::System(format!("the container's configuration: {e}")))
}
