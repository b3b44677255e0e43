//! `POST /containers/{id}/attach`.

use crate::{
    engine::Engine,
    error::{Error, Result},
    options::AttachOptions,
};
use tokio::io::{AsyncRead, AsyncWrite};

/// An attachment that is registered: no byte from now on is missed, also when the container does not run yet.
#[derive(Debug)]
pub struct AttachSession {
    tty: bool,
}

impl AttachSession {
    /// Whether the container has a terminal: then the bytes are raw, else framed as stdcopy does.
    #[must_use]
    pub fn tty(&self) -> bool {
        self.tty
    }

    /// Carries bytes between the client and the container until the container ends, the client leaves, or
    /// the detach keys are typed. The end of the client's input ends the container's stdin only.
    ///
    /// # Errors
    /// When the connection to the container breaks.
    pub async fn serve<C: AsyncRead + AsyncWrite + Unpin + Send>(self, _client: C) -> Result<()> {
        Err(Error::NotImplemented("container attach"))
    }
}

impl Engine {
    /// Attaches to a container. The answer's headers may be sent when this returns; what follows on the
    /// connection is [`AttachSession::serve`]'s.
    ///
    /// # Errors
    /// When the container is frozen, or the detach keys are none.
    pub async fn container_attach(&self, _name: &str, _options: AttachOptions) -> Result<AttachSession> {
        Err(Error::NotImplemented("container attach"))
    }
}
