//! Bodies of requests: JSON up to a limit, streams without one.

use super::ApiError;
use brig_api::json::{self, scan};
use bytes::Bytes;
use futures_util::Stream;
use http::StatusCode;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
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
pub async fn read_json<T: DeserializeOwned>(mut body: RequestBody) -> Result<T, ApiError> {
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

/// A request's body.
///
/// A client that is refused while it is sending reads the answer only when it could send on for a while: what is left
/// when this is dropped is read in the background.
#[derive(Debug)]
pub struct RequestBody {
    incoming: Option<Incoming>,
    runtime: tokio::runtime::Handle,
}

/// How long a client may go on to send what nobody wants any more.
const DRAINED_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

impl RequestBody {
    /// To be made where the runtime is.
    #[must_use]
    pub fn new(incoming: Incoming) -> Self {
        Self { incoming: Some(incoming), runtime: tokio::runtime::Handle::current() }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(mut rest) = self.incoming.take().filter(|body| !body.is_end_stream()) else { return };
        self.runtime.spawn(tokio::time::timeout(DRAINED_WITHIN, async move {
            while let Some(Ok(_)) = rest.frame().await {}
        }));
    }
}

impl hyper::body::Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(incoming).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.incoming = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or(SizeHint::with_exact(0), Incoming::size_hint)
    }
}

/// A body as a stream of bytes, for archives. One that was cut off ends with an error, never early.
#[derive(Debug)]
pub struct ByteStream(RequestBody);

impl ByteStream {
    /// All that comes.
    #[must_use]
    pub fn new(body: RequestBody) -> Self {
        Self(body)
    }
}

impl Stream for ByteStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(Pin::new(&mut self.0).poll_frame(cx)) {
                None => return Poll::Ready(None),
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
