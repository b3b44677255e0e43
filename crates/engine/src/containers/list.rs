//! `GET /containers/json`.

use crate::{
    engine::Engine,
    error::{Error, Result},
    options::ListOptions,
};
use brig_api::ContainerSummary;

impl Engine {
    /// The containers that pass, newest first.
    ///
    /// # Errors
    /// When a filter is unknown or has an impossible value.
    pub async fn container_list(&self, _options: ListOptions) -> Result<Vec<ContainerSummary>> {
        Err(Error::NotImplemented("container list"))
    }
}
