//! `POST /containers/{id}/wait`.

use crate::{
    engine::Engine,
    error::{Error, Result},
    options::WaitCondition,
};
use brig_api::ContainerWaitResponse;

/// A wait that is registered: nothing that happens from now on is missed.
#[derive(Debug)]
pub struct Waiter {}

impl Waiter {
    /// Waits for what was asked for.
    pub async fn wait(self) -> ContainerWaitResponse {
        ContainerWaitResponse::default()
    }
}

impl Engine {
    /// Registers a wait. The answer's headers may be sent when this returns.
    ///
    /// # Errors
    /// When there is no such container.
    pub async fn container_wait(&self, _name: &str, _condition: WaitCondition) -> Result<Waiter> {
        Err(Error::NotImplemented("container wait"))
    }
}
