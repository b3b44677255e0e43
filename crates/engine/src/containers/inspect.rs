//! `GET /containers/{id}/json`.

use crate::{
    engine::Engine,
    error::{Error, Result},
};
use brig_api::{ContainerInspectResponse, ContainerTopResponse};

impl Engine {
    /// Everything about a container; with `size`, also how much it takes on the disk.
    ///
    /// # Errors
    /// When there is no such container.
    pub async fn container_inspect(&self, _name: &str, _size: bool) -> Result<ContainerInspectResponse> {
        Err(Error::NotImplemented("container inspect"))
    }

    /// The processes of a container.
    ///
    /// # Errors
    /// When there is no such container, or it does not run.
    pub async fn container_top(&self, _name: &str, _arguments: &str) -> Result<ContainerTopResponse> {
        Err(Error::NotImplemented("container top"))
    }
}
