//! Answers.

use super::{ApiError, Takeover};
use brig_api::ErrorResponse;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::{HeaderName, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use serde::Serialize;
use std::io;

/// The body of an answer. When it breaks, the connection is closed, by which the client learns of it.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;
/// An answer of HTTP.
pub type Response = http::Response<Body>;

/// What a route answers.
#[derive(Debug)]
pub enum Answer {
    /// An answer of HTTP.
    Http(Response),
    /// The connection itself, which is no more HTTP then.
    Takeover(Takeover),
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self::Http(response)
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

fn build(status: StatusCode, media_type: Option<HeaderValue>, body: Body) -> Response {
    let mut response = http::Response::new(body);
    *response.status_mut() = status;
    if let Some(media_type) = media_type {
        response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    }
    response
}

/// A status without a body.
#[must_use]
pub fn empty(status: StatusCode) -> Response {
    build(status, None, whole(Bytes::new()))
}

/// Text.
#[must_use]
pub fn text(status: StatusCode, body: &'static str) -> Response {
    build(
        status,
        Some(HeaderValue::from_static("text/plain; charset=utf-8")),
        whole(Bytes::from_static(body.as_bytes())),
    )
}

/// JSON, with a line feed.
///
/// # Errors
/// When the value can't be written as JSON.
pub fn json<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Result<Response, ApiError> {
    match brig_api::json::to_plain_line(value) {
        Ok(line) => Ok(build(status, Some(JSON), whole(line.into()))),
        Err(e) => Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("encoding the answer: {e}"))),
    }
}

/// An error, as JSON; without a body where HTTP allows none.
#[must_use]
pub fn error(error: &ApiError) -> Response {
    if error.status() == StatusCode::NOT_MODIFIED {
        return empty(error.status());
    }
    json(error.status(), &ErrorResponse { message: error.message().to_owned() })
        .unwrap_or_else(|_| empty(error.status()))
}

/// Bytes as they come; the headers are sent at once.
#[must_use]
pub fn stream(
    media_type: &'static str,
    pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Response {
    let frames = StreamBody::new(pieces.map(|piece| piece.map(Frame::data)));
    build(StatusCode::OK, Some(HeaderValue::from_static(media_type)), BodyExt::boxed_unsync(frames))
}

/// JSON values as they come, each with `end` after it; the headers are sent at once.
#[must_use]
pub fn json_stream<T: Serialize>(
    values: impl Stream<Item = T> + Send + 'static,
    end: &'static [u8],
) -> Response {
    let lines = values.map(move |value| {
        let mut line = brig_api::json::to_line(&value).map_err(io::Error::other)?;
        line.pop();
        line.extend_from_slice(end);
        Ok(Bytes::from(line))
    });
    stream("application/json", lines)
}

/// The same with one more header.
#[must_use]
pub fn with(mut response: Response, name: HeaderName, value: &'static str) -> Response {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
    response
}
