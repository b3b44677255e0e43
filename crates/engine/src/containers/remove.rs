//! `DELETE /containers/{id}` and pruning.

use crate::{
    actor::Until,
    engine::Engine,
    error::{Error, Result},
    filters::Filters,
    machine::{Input, Refusal},
    options::RemoveOptions,
    record::{State, Volumes},
    system::events::About,
};
use brig_api::ContainersPruneResponse;
use brig_core::HasKind;
use jiff::Timestamp;

impl Engine {
    /// Removes a container. Returns when it is gone.
    ///
    /// # Errors
    /// When it runs and `force` is not set, or its files can't be removed.
    pub async fn container_remove(&self, name: &str, options: RemoveOptions) -> Result<()> {
        if options.link {
            return self.unlink(name).await;
        }
        let handle = self.core().registry.resolve(name)?;
        let input = Input::Remove { force: options.force, volumes: Volumes::from(options.volumes) };
        match handle.act(input, Until::Removed).await {
            // Somebody else's removal was faster.
            Ok(()) | Err(Error::Gone(_)) => Ok(()),
            Err(Error::Refused(Refusal::RemovalInProgress(_))) => {
                Err(Refusal::RemovalInProgress(name.to_owned()).into())
            }
            Err(error) => {
                let name = &handle.snapshot().record.name;
                Err(error.context(format!("cannot remove container \"/{name}\"")))
            }
        }
    }

    /// Removes all containers that don't run and pass the filters.
    ///
    /// # Errors
    /// When a filter is unknown.
    pub async fn containers_prune(&self, filters: &Filters) -> Result<ContainersPruneResponse> {
        filters.validate(&["label", "label!", "until"])?;
        let until = until(filters)?;
        let core = self.core();
        let mut deleted = Vec::new();
        let mut reclaimed = 0;
        for handle in core.registry.all() {
            let snapshot = handle.snapshot();
            let record = &snapshot.record;
            let labels = record.config.labels.as_ref();
            let idle = matches!(record.state, State::Created { .. } | State::Exited(_) | State::Dead { .. });
            let passes = filters.labels("label", labels)
                && (!filters.contains("label!") || !filters.labels("label!", labels))
                && until.is_none_or(|until| record.created < until);
            if !idle || !passes {
                continue;
            }
            let key = record.id.to_string();
            let size =
                core.blocking(move |core| Ok(core.store.snapshot_usage(&key)?.bytes)).await.unwrap_or(0);
            match handle.act(Input::Remove { force: false, volumes: Volumes::Keep }, Until::Removed).await {
                Ok(()) => {
                    deleted.push(record.id.to_string());
                    reclaimed += size;
                }
                // Started or removed by somebody else meanwhile: not ours to prune.
                Err(Error::Gone(_) | Error::Refused(_)) => {}
                Err(error) => {
                    tracing::warn!(container = %record.id, kind = ?error.kind(), %error, "could not be pruned");
                }
            }
        }
        core.tell_pruned(About::Container, reclaimed);
        let containers_deleted = (!deleted.is_empty()).then_some(deleted);
        Ok(ContainersPruneResponse { containers_deleted, space_reclaimed: reclaimed })
    }
}

/// The `until` filter: a Unix time, an RFC 3339 time, or a duration before now such as `24h`.
pub(crate) fn until(filters: &Filters) -> Result<Option<Timestamp>> {
    let mut values = filters.get("until");
    let Some(text) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Error::Invalid("more than one until filter specified".to_owned()));
    }
    let wrong = || Error::Invalid(format!("invalid filter 'until={text}'"));
    if let Ok(seconds) = text.parse::<i64>() {
        return Timestamp::from_second(seconds).map(Some).map_err(|_| wrong());
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(Some(at));
    }
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    let ago = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Timestamp::now().checked_sub(ago).map(Some).map_err(|_| wrong())
}
