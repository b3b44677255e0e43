//! What can go wrong between a client and its daemon, in Docker's words.

use brig_core::{HasKind, Kind};
use http::StatusCode;
use std::io;

/// What can go wrong between a client and its daemon.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address can't be read.
    #[error("unable to parse docker host `{0}`")]
    Host(String),
    /// The address is of a sort that this client does not speak.
    #[error("protocol {0:?} is not supported: use unix:// or tcp://")]
    Protocol(String),
    /// Nothing answers there.
    #[error("Cannot connect to the Docker daemon at {host}. Is the docker daemon running?")]
    NoDaemon {
        /// The address.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// The socket may not be opened.
    #[error(
        "permission denied while trying to connect to the Docker daemon socket at {host}: {method} {url:?}: dial {dial}: connect: permission denied"
    )]
    Permission {
        /// The address.
        host: String,
        /// The request's method, as Go spells it (`Get`).
        method: String,
        /// The request's address.
        url: String,
        /// What was connected to, as Go tells it (`unix /run/x.sock`).
        dial: String,
    },
    /// The connection could not be made, for another reason.
    #[error("error during connect: {host}: {source}")]
    Connect {
        /// The address.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// The daemon answered with an error.
    #[error("Error response from daemon: {message}")]
    Response {
        /// Its status.
        status: StatusCode,
        /// Its message.
        message: String,
    },
    /// The daemon answered with an error that says nothing.
    #[error(
        "request returned {} for API route and version {url}, check if the server supports the requested API version",
        status_text(.status)
    )]
    EmptyResponse {
        /// Its status.
        status: StatusCode,
        /// The request's address.
        url: String,
    },
    /// A stream of progress told an error.
    #[error("{0}")]
    Progress(String),
    /// The daemon did not hand the connection over.
    #[error("unable to upgrade to tcp, received {}", .0.as_u16())]
    NoUpgrade(StatusCode),
    /// The connection broke, or what came is no HTTP.
    #[error("error during request to {host}: {source}")]
    Http {
        /// The address.
        host: String,
        /// Why.
        source: hyper::Error,
    },
    /// A stream of a body broke.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The request can't be written: a path or header with characters that can't be sent.
    #[error("invalid request: {0}")]
    Request(#[from] http::Error),
    /// The request's body can't be written as JSON.
    #[error("encoding the request: {0}")]
    Encode(#[source] serde_json::Error),
    /// The answer is not the JSON that was expected.
    #[error("reading the daemon's answer to {url}: {source}")]
    Decode {
        /// The request's address.
        url: String,
        /// Why.
        source: crate::json::Error,
    },
    /// The answer is larger than this client takes.
    #[error("the daemon's answer to {url} is larger than {limit} bytes")]
    TooLarge {
        /// The request's address.
        url: String,
        /// The limit in bytes.
        limit: usize,
    },
}

/// Go's `%d status text` of a status.
fn status_text(status: &StatusCode) -> String {
    format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default()).trim_end().to_owned()
}

impl Error {
    /// The daemon's status, when it was the daemon that refused.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Response { status, .. } | Self::EmptyResponse { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether nothing answers at the address.
    #[must_use]
    pub fn is_no_daemon(&self) -> bool {
        matches!(self, Self::NoDaemon { .. })
    }
}

impl HasKind for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Host(_) | Self::Protocol(_) | Self::Request(_) | Self::Encode(_) => Kind::InvalidParameter,
            Self::NoDaemon { .. } | Self::Connect { .. } => Kind::Unavailable,
            Self::Permission { .. } => Kind::Forbidden,
            Self::Response { status, .. } | Self::EmptyResponse { status, .. } => match status.as_u16() {
                304 => Kind::NotModified,
                400 => Kind::InvalidParameter,
                401 => Kind::Unauthorized,
                403 => Kind::Forbidden,
                404 => Kind::NotFound,
                409 => Kind::Conflict,
                501 => Kind::NotImplemented,
                503 => Kind::Unavailable,
                _ => Kind::System,
            },
            Self::NoUpgrade(_)
            | Self::Progress(_)
            | Self::Http { .. }
            | Self::Io(_)
            | Self::Decode { .. }
            | Self::TooLarge { .. } => Kind::System,
        }
    }
}
