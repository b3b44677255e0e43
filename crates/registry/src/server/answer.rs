//! Answers, and refusals as the specification has them.

use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use serde::Serialize;
use std::io;

/// The body of an answer.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;
/// What a route answers.
pub(super) type Answer = Result<Response<Body>, Failure>;

/// A refusal.
#[derive(Debug)]
pub struct Failure {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// What it is about. Without one Go's client takes the error for a bare code, and Docker tells less of it.
    detail: serde_json::Value,
}

impl Failure {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), detail: serde_json::Value::Null }
    }

    fn about(self, name: &str, value: &str) -> Self {
        Self { detail: serde_json::json!({ name: value }), ..self }
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "UNSUPPORTED", "there is no such page")
    }

    pub(super) fn not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "the operation is unsupported")
    }

    pub(super) fn unsupported() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "the registry is read-only")
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "authentication required")
    }

    pub(super) fn bad_name() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "NAME_INVALID", "invalid repository name")
    }

    pub(super) fn bad_digest() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", "provided digest did not match uploaded content")
    }

    pub(super) fn no_upload() -> Self {
        Self::new(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
    }

    pub(super) fn bad_upload(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", message)
    }

    pub(super) fn bad_range() -> Self {
        Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID", "invalid content range")
    }

    pub(super) fn blob_unknown() -> Self {
        Self::new(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "blob unknown to registry")
    }

    pub(super) fn name_unknown(name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", "repository name not known to registry")
            .about("name", name)
    }

    pub(super) fn manifest_unknown(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "manifest unknown").about("Tag", what)
    }

    pub(super) fn bad_manifest(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", why)
    }

    pub(super) fn manifest_blob_unknown(digest: &str) -> Self {
        let message = format!("manifest references a blob or manifest unknown to the registry: {digest}");
        Self::new(StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN", message)
    }

    pub(super) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", "the document is too long")
    }

    pub(super) fn upstream(why: &str) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "UNAVAILABLE", why)
    }

    pub(super) fn into_response(self) -> Response<Body> {
        #[derive(Serialize)]
        struct One<'a> {
            code: &'a str,
            message: &'a str,
            detail: &'a serde_json::Value,
        }
        if self.status.is_server_error() {
            tracing::error!(status = self.status.as_u16(), message = %self.message, "a request failed");
        }
        let errors = [One { code: self.code, message: &self.message, detail: &self.detail }];
        let mut response = json(&serde_json::json!({ "errors": errors }));
        *response.status_mut() = self.status;
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"brig registry\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// What fails in the file system is the registry's own fault.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "UNAVAILABLE", "the registry's disk is full")
            }
            _ => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", error.to_string()),
        }
    }
}

pub(super) fn empty(status: StatusCode) -> Response<Body> {
    with_status(status, Empty::new().map_err(|never| match never {}).boxed_unsync())
}

pub(super) fn bytes(media_type: &str, bytes: impl Into<Bytes>) -> Response<Body> {
    let body = Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync();
    typed(with_status(StatusCode::OK, body), media_type)
}

pub(super) fn json(value: &impl Serialize) -> Response<Body> {
    // Values of ours can always be written.
    bytes("application/json", serde_json::to_vec(value).unwrap_or_default())
}

pub(super) fn stream(pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Response<Body> {
    use futures_util::StreamExt;
    let frames = StreamBody::new(pieces.map(|piece| piece.map(Frame::data)));
    typed(with_status(StatusCode::OK, BodyExt::boxed_unsync(frames)), "application/octet-stream")
}

fn with_status(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

fn typed(response: Response<Body>, media_type: &str) -> Response<Body> {
    with(response, header::CONTENT_TYPE, media_type)
}

/// The same with a header; a value that can't be sent is left out.
pub(super) fn with(mut response: Response<Body>, name: HeaderName, value: &str) -> Response<Body> {
    if let Ok(value) = value.parse() {
        response.headers_mut().insert(name, value);
    }
    response
}

/// `Docker-Content-Digest`.
pub(super) fn digest_header() -> HeaderName {
    HeaderName::from_static("docker-content-digest")
}
