//! What sort of failure an error is. Each crate has its own error enum; all of them answer [`HasKind::kind`],
//! and one table in the daemon turns a kind into an HTTP status.

/// The sort of a failure, as the caller has to treat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request is malformed or asks for something impossible (400).
    InvalidParameter,
    /// The caller did not prove who it is (401).
    Unauthorized,
    /// The caller may not do this (403).
    Forbidden,
    /// The named thing does not exist (404).
    NotFound,
    /// The request clashes with the present state: name taken, container running (409).
    Conflict,
    /// Nothing to do: the state asked for is the present one (304).
    NotModified,
    /// brig does not do this, or not yet (501).
    NotImplemented,
    /// Something that is needed is not there now; a later try may succeed (503).
    Unavailable,
    /// Stored data is damaged or does not match its digest (500).
    DataLoss,
    /// The caller went away or cancelled (499 in logs; nobody reads the answer).
    Cancelled,
    /// Everything else: the system refused, or brig is wrong (500).
    System,
}

/// Answered by every error type of brig.
pub trait HasKind: std::error::Error {
    /// The sort of this failure.
    fn kind(&self) -> Kind;
}
