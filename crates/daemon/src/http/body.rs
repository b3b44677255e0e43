//! Bodies of requests: JSON up to a limit, streams without one.

use super::ApiError;
use brig_api::json::{self, scan};
use bytes::Bytes;
use futures_util::Stream;
use http::StatusCode;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use serde::de::DeserializeOwned;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// The largest JSON body, in bytes. No request needs more: what it asks for must fit into an execve(2), whose
/// arguments and environment are limited to a few megabytes.
pub const MAX_JSON: usize = 16 << 20;

/// Reads a JSON body as dockerd does. Errors of syntax are told at the first wrong byte, without waiting for
/// the rest.
///
/// # Errors
/// dockerd's texts; 413 beyond [`MAX_JSON`].
pub async fn read_json<T: DeserializeOwned>(mut body: Incoming) -> Result<T, ApiError> {
    let too_large = || ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "http: request body too large");
    if body.size_hint().lower() > MAX_JSON as u64 {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    let mut scanner = scan::Scanner::new();
    let mut ended = false;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| ApiError::bad(format!("invalid JSON: {}", broken(&e))))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > MAX_JSON {
            return Err(too_large());
        }
        for &byte in &data {
            ended = ended
                || match scanner.push(byte) {
                    Ok(step) => step != scan::Step::More,
                    Err(message) => return Err(ApiError::bad(format!("invalid JSON: {message}"))),
                };
        }
        bytes.extend_from_slice(&data);
    }
    Ok(json::from_body(&bytes)?)
}

/// Go's word for a body that was cut off, or what happened.
fn broken(error: &hyper::Error) -> String {
    let source = std::error::Error::source(error).and_then(|e| e.downcast_ref::<io::Error>());
    let cut_off = source.is_some_and(|e| e.kind() == io::ErrorKind::UnexpectedEof);
    if cut_off || error.is_incomplete_message() {
        return "unexpected EOF".to_owned();
    }
    source.map_or_else(|| error.to_string(), ToString::to_string)
}

/// A body as a stream of bytes, for archives. One that was cut off ends with an error, never early.
///
/// A client that is refused in the middle of sending reads the answer only when it could send on for a while: what is
/// left when this is dropped is read in the background, as far as Go's server does.
#[derive(Debug)]
pub struct ByteStream {
    body: Option<Incoming>,
    runtime: tokio::runtime::Handle,
}

/// How much of what nobody wants any more is read.
const DRAINED: usize = 256 << 10;
/// How long a client may take to send that.
const DRAINED_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

impl ByteStream {
    /// To be made where the runtime is.
    #[must_use]
    pub fn new(body: Incoming) -> Self {
        Self { body: Some(body), runtime: tokio::runtime::Handle::current() }
    }
}

impl Drop for ByteStream {
    fn drop(&mut self) {
        let Some(mut body) = self.body.take().filter(|body| !body.is_end_stream()) else { return };
        self.runtime.spawn(tokio::time::timeout(DRAINED_WITHIN, async move {
            let mut read = 0;
            while let Some(Ok(frame)) = body.frame().await {
                read += frame.data_ref().map_or(0, Bytes::len);
                if read > DRAINED {
                    break;
                }
            }
        }));
    }
}

impl Stream for ByteStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let Some(body) = &mut self.body else { return Poll::Ready(None) };
            match ready!(Pin::new(body).poll_frame(cx)) {
                None => {
                    self.body = None;
                    return Poll::Ready(None);
                }
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Some(Err(e)) => {
                    return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, broken(&e)))));
                }
            }
        }
    }
}
