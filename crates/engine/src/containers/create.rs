//! `POST /containers/create`.

use crate::{
    engine::Engine,
    error::{Error, Result},
    options::CreateOptions,
};
use brig_api::ContainerCreateResponse;

impl Engine {
    /// Makes a container. Everything is checked before anything is made.
    ///
    /// # Errors
    /// When the image is not there, the name is taken, or the request asks for what can't be.
    pub async fn container_create(&self, _options: CreateOptions) -> Result<ContainerCreateResponse> {
        Err(Error::NotImplemented("container create"))
    }
}
