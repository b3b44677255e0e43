//! `GET /containers/{id}/logs`.

use crate::{
    engine::Engine,
    error::{Error, Result},
    options::LogOptions,
    streams::ByteStream,
};

/// A container's log.
#[derive(Debug)]
pub struct LogStream {
    /// Whether the container has a terminal: then the bytes are raw, else framed as stdcopy does.
    pub tty: bool,
    /// The bytes.
    pub bytes: ByteStream,
}

impl Engine {
    /// A container's log.
    ///
    /// # Errors
    /// When neither stream was asked for, or the container's log driver can't be read from.
    pub async fn container_logs(&self, _name: &str, _options: LogOptions) -> Result<LogStream> {
        Err(Error::NotImplemented("container logs"))
    }
}
