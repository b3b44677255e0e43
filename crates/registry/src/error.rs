//! What can go wrong with registries, in Docker's words where Docker has words.

use brig_core::{Digest, HasKind, Kind};
use std::io;

/// The result of an operation on a registry.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed operation on a registry.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry can't be reached, or the connection broke.
    #[error("{method} {url:?}: {reason}")]
    Unreachable {
        /// In Go's spelling, `Get`.
        method: String,
        /// Whom it was sent to.
        url: String,
        /// What happened.
        reason: String,
        /// Whether another try may help.
        again: bool,
    },
    /// The registry refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A registry wants to know who asks, and there is nothing to tell.
    #[error("{method} {url:?}: no basic auth credentials")]
    NoCredentials {
        /// In Go's spelling, `Get`.
        method: String,
        /// Whom it was sent to.
        url: String,
    },
    /// An answer that makes no sense.
    #[error("{0}")]
    BadAnswer(String),
    /// A document is longer than any can be.
    #[error("{what} is longer than {limit} bytes")]
    TooLong {
        /// Which document.
        what: String,
        /// How long it may be.
        limit: u64,
    },
    /// A document has another digest than the one it was asked for by.
    #[error("{what} verification failed for digest {digest}")]
    Unverified {
        /// `manifest`, `image config`, `filesystem layer`.
        what: &'static str,
        /// The digest that it should have.
        digest: Digest,
    },
    /// Content has another length than the manifest says.
    #[error("{digest}: size mismatch: the manifest says {expected} bytes, the registry sent {actual}")]
    Size {
        /// Which content.
        digest: Digest,
        /// Announced bytes.
        expected: u64,
        /// Bytes that came, at least.
        actual: u64,
    },
    /// Hardly anything comes.
    #[error("{0}: the registry sends too slowly")]
    Stalled(String),
    /// Credentials that can't be read.
    #[error("{0}")]
    Credentials(String),
    /// A certificate or key that can't be used, or another part of the configuration.
    #[error("{0}")]
    Config(String),
    /// A registry's answer has another form than the image needs.
    #[error("{0}")]
    Unsupported(String),
    /// Nothing of an index suits the machine.
    #[error("no matching manifest for {0} in the manifest list entries")]
    NoPlatform(String),
    /// A registry does not take somebody's credentials.
    #[error("{0}")]
    LoginFailed(String),
    /// The caller went away.
    #[error("context canceled")]
    Cancelled,
    /// A local step failed.
    #[error("{step}: {source}")]
    Io {
        /// What was being done.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// A registry's answer that says no.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", text(self))]
pub struct Refusal {
    /// Its HTTP status.
    pub status: u16,
    /// The errors of its body: code and message.
    pub errors: Vec<(String, String)>,
    /// What to say when there are none.
    pub otherwise: String,
    /// Seconds to wait before another try.
    pub retry_after: Option<u64>,
}

fn text(refusal: &Refusal) -> String {
    let one = |(code, message): &(String, String)| {
        let code = code.to_lowercase().replace('_', " ");
        // Go's client knows what the codes of the specification mean.
        let message = if message.is_empty() { meaning(&code) } else { message };
        if message.is_empty() { code } else { format!("{code}: {message}") }
    };
    match refusal.errors.as_slice() {
        [] => refusal.otherwise.clone(),
        [error] => one(error),
        several => {
            let lines: Vec<String> = several.iter().map(one).collect();
            format!("errors:\n{}\n", lines.join("\n"))
        }
    }
}

fn meaning(code: &str) -> &'static str {
    match code {
        "unauthorized" => "authentication required",
        "denied" => "requested access to the resource is denied",
        "manifest unknown" => "manifest unknown",
        "name unknown" => "repository name not known to registry",
        "toomanyrequests" => "too many requests",
        "unavailable" => "service unavailable",
        _ => "",
    }
}

impl Refusal {
    /// Whether the body names this code, `MANIFEST_UNKNOWN`.
    #[must_use]
    pub fn has(&self, code: &str) -> bool {
        self.errors.first().is_some_and(|(found, _)| found.eq_ignore_ascii_case(code))
    }
}

impl Error {
    /// The refusal's status, if it is one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(refusal) => Some(refusal.status),
            _ => None,
        }
    }

    /// Whether the same request may succeed in a while.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { again, .. } => *again,
            Self::Stalled(_) => true,
            Self::Refused(refusal) => matches!(refusal.status, 408 | 429 | 500 | 502 | 503 | 504),
            _ => false,
        }
    }
}

impl HasKind for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NoPlatform(_) => Kind::NotFound,
            Self::Credentials(_) => Kind::InvalidParameter,
            Self::Cancelled => Kind::Cancelled,
            // As dockerd answers: whatever a registry says is no failure of the client's request.
            _ => Kind::System,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_read_as_dockers() {
        let refusal = |errors: &[(&str, &str)]| {
            let errors = errors.iter().map(|(c, m)| ((*c).to_owned(), (*m).to_owned())).collect();
            Refusal { status: 404, errors, otherwise: "x".to_owned(), retry_after: None }.to_string()
        };
        assert_eq!(
            refusal(&[("MANIFEST_UNKNOWN", "manifest unknown")]),
            "manifest unknown: manifest unknown"
        );
        assert_eq!(refusal(&[("UNAUTHORIZED", "")]), "unauthorized: authentication required");
        assert_eq!(refusal(&[("A", "b"), ("C", "")]), "errors:\na: b\nc\n");
        assert_eq!(refusal(&[]), "x");
    }
}
