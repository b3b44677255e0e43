//! The tar format, read so that every byte is accounted for, and written so that equal content gives equal bytes.
//!
//! Formats: v7, ustar, pax (POSIX.1-2001), GNU (long names, base-256 numbers, sparse files), star's prefix. What a
//! stream means follows Go's `archive/tar`, because that is what Docker's archives are made with and read by.

mod header;
pub(crate) mod member;
pub(crate) mod pax;
pub(crate) mod reader;
pub(crate) mod sparse;
pub(crate) mod writer;

pub(crate) use reader::{Entry, EntryKind, TarReader};

/// Everything in a tar stream comes in blocks of this many bytes.
pub(crate) const BLOCK: usize = 512;
/// Longest extension (pax records, long name, sparse map) in bytes; Go's limit.
pub(crate) const EXTENSION_MAX: u64 = 1 << 20;

/// What makes a stream no tar archive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TarError {
    /// The bytes are no tar; `at` is where in the uncompressed stream.
    #[error("invalid tar header at byte {at}: {reason}")]
    Format {
        /// Offset of the header.
        at: u64,
        /// What is wrong.
        reason: String,
    },
    /// The stream ends in the middle.
    #[error("the archive ends unexpectedly at byte {at}")]
    Truncated {
        /// Where it ends.
        at: u64,
    },
    /// The stream can't be read.
    #[error(transparent)]
    Io(std::io::Error),
}
