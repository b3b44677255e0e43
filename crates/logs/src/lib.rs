//! Log drivers and readers: what a container writes to its standard streams, kept in files that Docker's tools
//! can read.
//!
//! The shim writes ([`Writer`]), the daemon reads ([`LogReader`]); both find the file through [`LogConfig`]. The
//! format of the `json-file` driver is Docker's byte for byte: one JSON object a line, `log`, `stream`, optional
//! `attrs` and `time`. Rotated files are `<path>.1` (newest) to `<path>.<max_file - 1>` (oldest).
//!
//! Output is cut into lines, and lines longer than 16 KiB into pieces of which only the last ends in a newline, as
//! Docker does. Writer and readers need no lock: a record is complete when its newline is there.

pub mod config;
pub mod error;
pub mod remote;
pub mod timestamp;

mod cursor;
mod encode;
mod files;
mod reader;
mod record;
mod split;
mod tail;
mod writer;

pub use config::{Driver, LogConfig, Rotation};
pub use cursor::Cursor;
pub use error::Error;
pub use reader::{LogReader, ReadOptions, Step};
pub use record::{Record, Stream};
pub use split::MAX_PIECE;
pub use writer::Writer;
