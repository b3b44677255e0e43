//! `POST /containers/{id}/wait`.

use crate::{
    actor::{Message, WaitGrant, Waited},
    engine::Engine,
    error::{Error, Result},
    options::WaitCondition,
};
use brig_api::{ContainerWaitExitError, ContainerWaitResponse};
use tokio::sync::oneshot;

/// A wait that is registered: nothing that happens from now on is missed.
#[derive(Debug)]
pub struct Waiter {
    grant: WaitGrant,
}

impl Waiter {
    /// Waits for what was asked for.
    pub async fn wait(self) -> ContainerWaitResponse {
        let waited = match self.grant {
            WaitGrant::Now(waited) => Some(waited),
            WaitGrant::Later(told) => told.await.ok(),
        };
        match waited {
            Some(Waited { code, error }) => ContainerWaitResponse {
                error: (!error.is_empty()).then_some(ContainerWaitExitError { message: error }),
                status_code: code.into(),
            },
            // The actor ended without telling: the daemon goes down.
            None => ContainerWaitResponse {
                error: Some(ContainerWaitExitError { message: Error::ShuttingDown.to_string() }),
                status_code: -1,
            },
        }
    }
}

impl Engine {
    /// Registers a wait. The answer's headers may be sent when this returns.
    ///
    /// # Errors
    /// When there is no such container.
    pub async fn container_wait(&self, name: &str, condition: WaitCondition) -> Result<Waiter> {
        let handle = self.core().registry.resolve(name)?;
        let (reply, grant) = oneshot::channel();
        handle.send(Message::Wait { condition, reply }).await?;
        let grant = grant.await.map_err(|_| Error::Gone(handle.id()))?;
        Ok(Waiter { grant })
    }
}
