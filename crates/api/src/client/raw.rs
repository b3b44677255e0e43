//! A connection that is HTTP no more, on either side: what the HTTP library had read too far comes first.

use super::Transport;
use bytes::{Buf, Bytes};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection that was taken over from HTTP: bytes both ways, closed one way at a time.
#[derive(Debug)]
pub struct Raw {
    early: Bytes,
    transport: Transport,
}

impl Raw {
    /// `early` is what was read from `transport` beyond the HTTP message.
    #[must_use]
    pub fn new(early: Bytes, transport: Transport) -> Self {
        Self { early, transport }
    }
}

impl AsyncRead for Raw {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.early.is_empty() {
            return Pin::new(&mut this.transport).poll_read(cx, buf);
        }
        let take = this.early.len().min(buf.remaining());
        buf.put_slice(&this.early[..take]);
        this.early.advance(take);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Raw {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().transport).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().transport).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().transport).poll_shutdown(cx)
    }
}
