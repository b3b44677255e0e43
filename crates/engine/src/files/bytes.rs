//! Between clients' streams and code that blocks.

use crate::streams::Body;
use bytes::Bytes;
use futures_util::StreamExt;
use std::io::{self, Read, Write};
use tokio::{runtime::Handle, sync::mpsc};

/// How many chunks of an archive wait for a slow client.
pub(crate) const CHUNKS: usize = 4;
/// Bytes of a chunk.
pub(crate) const CHUNK: usize = 128 << 10;

/// A client's bytes for code that blocks.
pub(crate) struct BodyReader {
    body: Body,
    chunk: Bytes,
    runtime: Handle,
}

impl BodyReader {
    /// To be made where the runtime is.
    pub(crate) fn new(body: Body) -> Self {
        Self { body, chunk: Bytes::new(), runtime: Handle::current() }
    }
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.runtime.block_on(self.body.next()) {
                None => return Ok(0),
                Some(chunk) => self.chunk = chunk?,
            }
        }
        let length = buffer.len().min(self.chunk.len());
        buffer[..length].copy_from_slice(&self.chunk.split_to(length));
        Ok(length)
    }
}

/// Bytes from code that blocks, for a client.
pub(crate) struct ChunkWriter(pub(crate) mpsc::Sender<io::Result<Bytes>>);

impl Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes))).map_err(gone)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
