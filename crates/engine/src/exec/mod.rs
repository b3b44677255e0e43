//! Further processes in a running container.

use crate::{
    engine::Engine,
    error::{Error, Result},
};
use brig_api::{ExecCreateRequest, ExecInspectResponse, ExecStartRequest, IdResponse};
use tokio::io::{AsyncRead, AsyncWrite};

/// An exec that may start: checked and marked as running.
#[derive(Debug)]
pub struct ExecSession {
    tty: bool,
}

impl ExecSession {
    /// Whether the exec has a terminal: then the bytes are raw, else framed as stdcopy does.
    #[must_use]
    pub fn tty(&self) -> bool {
        self.tty
    }

    /// Starts the process without a client, and returns when it runs.
    ///
    /// # Errors
    /// When the command can't be run.
    pub async fn detach(self) -> Result<()> {
        Err(Error::NotImplemented("exec start"))
    }

    /// Starts the process and carries bytes between it and the client until it ends, the client leaves, or
    /// the detach keys are typed. When the command can't be run, the client is told on the connection, as
    /// Docker does, for the answer's headers were sent before.
    ///
    /// # Errors
    /// When the command can't be run or the connection to the container breaks: for the log only.
    pub async fn serve<C: AsyncRead + AsyncWrite + Unpin + Send>(self, _client: C) -> Result<()> {
        Err(Error::NotImplemented("exec start"))
    }
}

impl Engine {
    /// Makes an exec; nothing runs yet.
    ///
    /// # Errors
    /// When the container does not run.
    pub async fn exec_create(&self, _name: &str, _request: ExecCreateRequest) -> Result<IdResponse> {
        Err(Error::NotImplemented("exec create"))
    }

    /// Claims an exec to start it with [`ExecSession::detach`] or [`ExecSession::serve`].
    ///
    /// # Errors
    /// When there is no such exec, it was started before, or its container does not run.
    pub async fn exec_start(&self, _id: &str, _request: ExecStartRequest) -> Result<ExecSession> {
        Err(Error::NotImplemented("exec start"))
    }

    /// Everything about an exec.
    ///
    /// # Errors
    /// When there is no such exec.
    pub async fn exec_inspect(&self, _id: &str) -> Result<ExecInspectResponse> {
        Err(Error::NotImplemented("exec inspect"))
    }

    /// Sets the size of an exec's terminal, in characters.
    ///
    /// # Errors
    /// When the exec does not run.
    pub async fn exec_resize(&self, _id: &str, _height: u32, _width: u32) -> Result<()> {
        Err(Error::NotImplemented("exec resize"))
    }
}
