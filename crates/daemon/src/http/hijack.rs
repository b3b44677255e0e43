//! Connections that stop being HTTP: attach and exec. The head of the answer is written by hand, since clients
//! that send no `Upgrade` are to get `200` and then raw bytes, not chunks, and may have sent input already.

use brig_api::{
    client::{Raw, Transport},
    stream::{MULTIPLEXED_STREAM, RAW_STREAM},
};
use bytes::Bytes;
use std::{future::Future, io, pin::Pin};
use tokio::io::AsyncWriteExt;

/// What is done with a connection once it was taken over.
type Work = Box<dyn FnOnce(Raw) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// A route's wish to have the connection.
pub struct Takeover {
    head: Vec<u8>,
    work: Work,
}

impl std::fmt::Debug for Takeover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Takeover").field("head", &String::from_utf8_lossy(&self.head)).finish()
    }
}

impl Takeover {
    /// Answers `101` when the client asked for an upgrade and `200` when not, then hands the connection to
    /// `work`. With `framed`, clients that know of it are told that stdout and stderr come in frames.
    pub fn new<F>(upgrade: bool, framed: bool, work: impl FnOnce(Raw) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let media_type = if framed && upgrade { MULTIPLEXED_STREAM } else { RAW_STREAM };
        let status = if upgrade { "101 UPGRADED" } else { "200 OK" };
        let more = if upgrade { "Connection: Upgrade\r\nUpgrade: tcp\r\n" } else { "" };
        let common = super::server::COMMON_HEADERS.map(|(n, v)| format!("{n}: {v}\r\n")).concat();
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\n{more}{common}\r\n");
        Self { head: head.into_bytes(), work: Box::new(move |raw| Box::pin(work(raw))) }
    }

    /// Writes the head and does the work; `early` is what the client sent beyond its request.
    ///
    /// # Errors
    /// When the client is gone already.
    pub async fn run(self, mut transport: Transport, early: Bytes) -> io::Result<()> {
        transport.write_all(&self.head).await?;
        (self.work)(Raw::new(early, transport)).await;
        Ok(())
    }
}
