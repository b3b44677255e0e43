//! What can go wrong between the daemon, the zygote and a shim.

use crate::protocol::{CodecError, Failure};
use brig_core::{HasKind, Kind};
use std::{io, path::PathBuf};

/// A failure of the shim's machinery or of what it was asked to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The shim answered that it could not; the message is complete, with Docker's words where Docker has words.
    #[error("{0}")]
    Refused(Failure),
    /// A file or socket of a shim could not be used.
    #[error("shim {path}: {step}: {source}")]
    Path {
        /// The file, socket or folder.
        path: PathBuf,
        /// What was being done.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// A system call of the zygote or of the connection failed.
    #[error("shim: {step}: {source}")]
    System {
        /// What was being done.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The peer broke the protocol.
    #[error("shim protocol: {0}")]
    Protocol(#[from] CodecError),
    /// The connection ended before an answer came.
    #[error("shim closed the connection before answering")]
    Closed,
    /// The answer does not belong to the question.
    #[error("shim protocol: unexpected answer to {0}")]
    UnexpectedReply(&'static str),
}

impl Error {
    pub(crate) fn system(step: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { step, source }
    }

    pub(crate) fn path(path: impl Into<PathBuf>, step: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Path { path, step, source }
    }
}

impl HasKind for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Refused(failure) => failure.kind,
            Self::Closed => Kind::Unavailable,
            Self::Path { source, .. }
                if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
            {
                Kind::Unavailable
            }
            Self::Path { .. } | Self::System { .. } | Self::Protocol(_) | Self::UnexpectedReply(_) => {
                Kind::System
            }
        }
    }
}
