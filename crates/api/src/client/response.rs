//! Answers: whole, as a stream of bytes, as a stream of JSON values.

use super::{Body, Client, Error};
use crate::{json, types::ErrorResponse};
use bytes::{Buf, Bytes};
use http::StatusCode;
use http_body_util::BodyExt;
use hyper::{body::Incoming, client::conn::http1::SendRequest};
use serde::de::DeserializeOwned;
use std::{
    io,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, ReadBuf};

/// The largest answer that is read as a whole, in bytes.
const MAX_WHOLE: usize = 64 << 20;
/// The largest error that is read, in bytes.
const MAX_ERROR: usize = 1 << 20;

/// An answer whose headers have arrived.
#[derive(Debug)]
pub struct Response<'a> {
    client: &'a Client,
    sender: SendRequest<Body>,
    pub(super) inner: http::Response<Incoming>,
    url: String,
}

impl<'a> Response<'a> {
    pub(super) fn new(
        client: &'a Client,
        sender: SendRequest<Body>,
        inner: http::Response<Incoming>,
        url: String,
    ) -> Self {
        Self { client, sender, inner, url }
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.inner.status()
    }

    /// A header's value, when it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.inner.headers().get(name)?.to_str().ok()
    }

    /// The daemon's address, for errors.
    pub(super) fn host(&self) -> String {
        self.client.endpoint().to_string()
    }

    /// Turns an error of the daemon into one of ours.
    pub(super) async fn checked(self) -> Result<Self, Error> {
        let status = self.status();
        if status.as_u16() < 400 {
            return Ok(self);
        }
        let url = self.client.endpoint().url(&self.url);
        let is_json = self.header("content-type").is_some_and(|t| t.starts_with("application/json"));
        let body = self.collect(MAX_ERROR).await?;
        let text = String::from_utf8_lossy(&body);
        let message = if is_json {
            json::from_slice::<ErrorResponse>(&body)
                .map_err(|source| Error::Decode { url: url.clone(), source })?
                .message
        } else {
            text.into_owned()
        };
        let message = message.trim();
        if message.is_empty() {
            return Err(Error::EmptyResponse { status, url });
        }
        Err(Error::Response { status, message: message.to_owned() })
    }

    async fn collect(mut self, limit: usize) -> Result<Vec<u8>, Error> {
        let mut whole = Vec::new();
        while let Some(frame) = self.inner.body_mut().frame().await {
            let frame =
                frame.map_err(|source| Error::Http { host: self.client.endpoint().to_string(), source })?;
            let Ok(data) = frame.into_data() else { continue };
            if whole.len() + data.len() > limit {
                return Err(Error::TooLarge { url: self.url, limit });
            }
            whole.extend_from_slice(&data);
        }
        self.client.keep(self.sender);
        Ok(whole)
    }

    /// Reads it to its end as JSON.
    ///
    /// # Errors
    /// When it breaks off, or is something else.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        let url = self.url.clone();
        let body = self.collect(MAX_WHOLE).await?;
        json::from_slice(&body).map_err(|source| Error::Decode { url, source })
    }

    /// Reads it to its end as it is.
    ///
    /// # Errors
    /// When it breaks off or is too large.
    pub async fn bytes(self) -> Result<Vec<u8>, Error> {
        self.collect(MAX_WHOLE).await
    }

    /// Drops what is left of it. The connection is kept when nothing is.
    ///
    /// # Errors
    /// When it breaks off.
    pub async fn finish(self) -> Result<(), Error> {
        self.collect(MAX_ERROR).await.map(drop)
    }

    /// Its body as it comes.
    #[must_use]
    pub fn into_reader(self) -> BodyReader {
        BodyReader { body: self.inner.into_body(), rest: Bytes::new(), _sender: self.sender }
    }

    /// Its body as JSON values, one after the other: events, progress.
    #[must_use]
    pub fn into_values<T: DeserializeOwned>(self) -> JsonValues<T> {
        let host = self.client.endpoint().to_string();
        JsonValues {
            body: self.inner.into_body(),
            values: json::Values::new(),
            ended: false,
            host,
            url: self.url,
            _sender: self.sender,
            _type: PhantomData,
        }
    }
}

/// A body as it comes. Dropping it closes the connection, by which the daemon learns that nobody listens.
#[derive(Debug)]
pub struct BodyReader {
    body: Incoming,
    rest: Bytes,
    _sender: SendRequest<Body>,
}

impl BodyReader {
    /// The next piece, or `None` at the end.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        if !self.rest.is_empty() {
            return Ok(Some(std::mem::take(&mut self.rest)));
        }
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        loop {
            match ready!(hyper::body::Body::poll_frame(Pin::new(&mut self.body), cx)) {
                None => return Poll::Ready(Ok(None)),
                Some(Err(e)) => return Poll::Ready(Err(io::Error::other(e))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        return Poll::Ready(Ok(Some(data)));
                    }
                }
            }
        }
    }
}

impl AsyncRead for BodyReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.rest.is_empty() {
            match ready!(self.poll_chunk(cx))? {
                Some(chunk) => self.rest = chunk,
                None => return Poll::Ready(Ok(())),
            }
        }
        let take = self.rest.len().min(buf.remaining());
        buf.put_slice(&self.rest[..take]);
        self.rest.advance(take);
        Poll::Ready(Ok(()))
    }
}

/// A body of JSON values. Dropping it closes the connection.
#[derive(Debug)]
pub struct JsonValues<T> {
    body: Incoming,
    values: json::Values,
    ended: bool,
    host: String,
    url: String,
    _sender: SendRequest<Body>,
    _type: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> JsonValues<T> {
    /// The next value, or `None` at the end.
    ///
    /// # Errors
    /// When the connection breaks, or what comes is something else.
    pub async fn next(&mut self) -> Result<Option<T>, Error> {
        loop {
            let value = if self.ended { self.values.finish() } else { self.values.next_value() };
            match value {
                Ok(Some(value)) => return Ok(Some(value)),
                Ok(None) if self.ended => return Ok(None),
                Ok(None) => {}
                Err(source) => return Err(Error::Decode { url: self.url.clone(), source }),
            }
            match self.body.frame().await {
                None => self.ended = true,
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.values.feed(&data);
                    }
                }
                Some(Err(source)) => return Err(Error::Http { host: self.host.clone(), source }),
            }
        }
    }
}
