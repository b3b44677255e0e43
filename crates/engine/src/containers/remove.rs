//! `DELETE /containers/{id}` and pruning.

use crate::{
    engine::Engine,
    error::{Error, Result},
    filters::Filters,
    options::RemoveOptions,
};
use brig_api::ContainersPruneResponse;

impl Engine {
    /// Removes a container. Returns when it is gone.
    ///
    /// # Errors
    /// When it runs and `force` is not set, or its files can't be removed.
    pub async fn container_remove(&self, _name: &str, _options: RemoveOptions) -> Result<()> {
        Err(Error::NotImplemented("container remove"))
    }

    /// Removes all containers that don't run and pass the filters.
    ///
    /// # Errors
    /// When a filter is unknown.
    pub async fn containers_prune(&self, _filters: &Filters) -> Result<ContainersPruneResponse> {
        Err(Error::NotImplemented("container prune"))
    }
}
