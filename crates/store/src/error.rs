//! What can go wrong in the store.

use brig_core::{Digest, HasKind, Kind, failpoint::FailpointError, reference::ReferenceError};
use std::{io, path::PathBuf};

/// A failed operation of the store. The text is what the user reads; Docker's words where Docker has words.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing is stored under this reference, id or id prefix (or the prefix fits several).
    #[error("No such image: {0}")]
    NoSuchImage(String),
    /// No snapshot with this key.
    #[error("no such snapshot: {0}")]
    NoSuchSnapshot(String),
    /// A snapshot with this key is there already.
    #[error("snapshot {0} already exists")]
    SnapshotExists(String),
    /// A text is no image reference.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// An image can't be removed now; the text says whether force helps.
    #[error("{0}")]
    Conflict(String),
    /// The request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// An image archive (not a layer in it) is malformed.
    #[error("invalid image archive: {0}")]
    BadArchive(String),
    /// A layer's tar stream is malformed or would reach out of its root.
    #[error("invalid layer archive: {reason} (entry {entry:?})")]
    BadLayer {
        /// What is wrong.
        reason: String,
        /// The entry's name as the archive has it; empty when none was read yet.
        entry: String,
    },
    /// Applying a tar entry failed in the file system.
    #[error("failed to unpack {entry:?}: {step}: {source}")]
    Unpack {
        /// The entry's name as the archive has it.
        entry: String,
        /// The system call, or what was being done.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The bytes are not those that were announced.
    #[error("{what}: digest mismatch: expected {expected}, got {actual}")]
    DigestMismatch {
        /// Which content.
        what: String,
        /// The announced digest.
        expected: Digest,
        /// The digest of the bytes that came.
        actual: Digest,
    },
    /// The content has another length than was announced.
    #[error("{what}: size mismatch: expected {expected} bytes, got {actual}")]
    SizeMismatch {
        /// Which content.
        what: String,
        /// Announced length in bytes.
        expected: u64,
        /// Length that came, in bytes.
        actual: u64,
    },
    /// Reading the incoming stream failed (the sender went away, a broken compressed stream).
    #[error("failed to read the archive: {0}")]
    Input(#[source] io::Error),
    /// Writing the outgoing stream failed.
    #[error("failed to write the archive: {0}")]
    Output(#[source] io::Error),
    /// A step on the store's own files failed.
    #[error("{step} {path}: {source}", path = path.display())]
    Io {
        /// What was being done.
        step: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The metadata database refused a statement.
    #[error("metadata database: {0}")]
    Database(#[from] rusqlite::Error),
    /// The metadata database is no database, or damaged.
    #[error("metadata database {path} is damaged: {reason}", path = path.display())]
    DatabaseCorrupt {
        /// The database file.
        path: PathBuf,
        /// What SQLite found.
        reason: String,
    },
    /// The metadata database is not there, but what it knew of is.
    #[error("metadata database {database} is missing or empty, but there is data in {folder}, which would be removed as nobody's: restore the database, or move the folder away", database = database.display(), folder = folder.display())]
    DatabaseLost {
        /// The database file.
        database: PathBuf,
        /// A folder in which there is something.
        folder: PathBuf,
    },
    /// The metadata database was written by a newer brig.
    #[error("metadata database {path} has schema version {found}, this brig knows up to {known}: use the newer brig that wrote it", path = path.display())]
    DatabaseTooNew {
        /// The database file.
        path: PathBuf,
        /// Version in the file.
        found: i64,
        /// Newest version of this build.
        known: i64,
    },
    /// A stored document is not what its kind demands.
    #[error("record {kind}/{key}: {source}")]
    Record {
        /// The record's kind.
        kind: String,
        /// The record's key.
        key: String,
        /// What the decoder said.
        source: serde_json::Error,
    },
    /// Stored data is damaged or missing.
    #[error("{what} is damaged: {reason}")]
    Damaged {
        /// Which stored thing.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Another process works on the same data root.
    #[error("the store in {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The data root's layers were made for another backend.
    #[error("the layers in {path} are for the {found} backend, {wanted} was asked for", path = path.display())]
    OtherBackend {
        /// The snapshots folder.
        path: PathBuf,
        /// The backend that it was made for.
        found: String,
        /// The backend that was asked for.
        wanted: String,
    },
    /// An archive's entry that is not taken, or an archive that is broken, in Docker's words.
    #[error("{0}")]
    Refused(String),
    /// A step on a file of a container failed, in Go's words.
    #[error("{step} {path}: {}", bare(source))]
    Entry {
        /// The system call, or what was being done.
        step: &'static str,
        /// To what, as the container sees it.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// A compression that brig does not read.
    #[error("{0} compression is not supported: use gzip, zstd or no compression")]
    Compression(&'static str),
    /// A failpoint set to `error` (tests only).
    #[error(transparent)]
    Failpoint(#[from] FailpointError),
}

impl Error {
    /// Whether there was no room on the disk.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        match self {
            // Its shared memory is a file too.
            Self::Database(e) => matches!(
                e.sqlite_error_code(),
                Some(rusqlite::ErrorCode::DiskFull | rusqlite::ErrorCode::SystemIoFailure)
            ),
            Self::Input(e)
            | Self::Output(e)
            | Self::Unpack { source: e, .. }
            | Self::Io { source: e, .. }
            | Self::Entry { source: e, .. } => {
                matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            _ => false,
        }
    }
}

/// What the system said without its number, in lower case.
fn bare(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" (os error").map_or(text.as_str(), |(text, _)| text);
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// The result of a store operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl HasKind for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NoSuchImage(_) | Self::NoSuchSnapshot(_) => Kind::NotFound,
            Self::SnapshotExists(_) | Self::Conflict(_) => Kind::Conflict,
            Self::Reference(_)
            | Self::Invalid(_)
            | Self::BadArchive(_)
            | Self::BadLayer { .. }
            | Self::DigestMismatch { .. }
            | Self::SizeMismatch { .. }
            | Self::Compression(_) => Kind::InvalidParameter,
            Self::DatabaseCorrupt { .. }
            | Self::DatabaseLost { .. }
            | Self::Damaged { .. }
            | Self::Record { .. } => Kind::DataLoss,
            Self::InUse(_) => Kind::Unavailable,
            Self::Input(_)
            | Self::Output(_)
            | Self::Unpack { .. }
            | Self::Io { .. }
            | Self::Database(_)
            | Self::DatabaseTooNew { .. }
            | Self::OtherBackend { .. }
            | Self::Refused(_)
            | Self::Entry { .. }
            | Self::Failpoint(_) => Kind::System,
        }
    }
}

/// Adds the step and the path to an I/O error.
pub(crate) trait At<T> {
    fn at(self, step: &'static str, path: impl Into<PathBuf>) -> Result<T>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, step: &'static str, path: impl Into<PathBuf>) -> Result<T> {
        self.map_err(|e| Error::Io { step, path: path.into(), source: e.into() })
    }
}
