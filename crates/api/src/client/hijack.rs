//! Connections that were taken over from HTTP: bytes both ways, closed one way at a time.

use super::{Error, Response, Transport};
use bytes::{Buf, Bytes};
use http::StatusCode;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection that was taken over. Shutting its writing side down ends the process' stdin and leaves its
/// output open.
#[derive(Debug)]
pub struct Hijacked {
    media_type: Option<String>,
    early: Bytes,
    transport: Transport,
}

impl Hijacked {
    /// The media type of what comes: [`crate::stream::RAW_STREAM`] or [`crate::stream::MULTIPLEXED_STREAM`].
    /// Daemons of before API 1.42 call both raw.
    #[must_use]
    pub fn media_type(&self) -> Option<&str> {
        self.media_type.as_deref()
    }
}

/// Takes over the connection of an answer 101.
pub(super) async fn take_over(response: Response<'_>) -> Result<Hijacked, Error> {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(Error::NoUpgrade(response.status()));
    }
    let media_type = response.header("content-type").map(str::to_owned);
    let host = response.host();
    let upgraded: Upgraded =
        hyper::upgrade::on(response.inner).await.map_err(|source| Error::Http { host, source })?;
    match upgraded.downcast::<TokioIo<Transport>>() {
        Ok(parts) => Ok(Hijacked { media_type, early: parts.read_buf, transport: parts.io.into_inner() }),
        // The connection was made from this very type.
        Err(_) => Err(Error::NoUpgrade(StatusCode::SWITCHING_PROTOCOLS)),
    }
}

impl AsyncRead for Hijacked {
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

impl AsyncWrite for Hijacked {
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
