//! Log drivers and readers: what a container writes to its standard streams, kept in files that Docker's tools
//! can read.
//!
//! The shim writes ([`writer`]), the daemon reads ([`reader`]); both find the file through [`LogConfig`]. The
//! format of the `json-file` driver is Docker's byte for byte: one JSON object a line, `log`, `stream`, optional
//! `attrs` and `time`. Rotated files are `<path>.1` (newest) to `<path>.<max_file - 1>` (oldest).

pub mod config;
pub mod error;

pub use config::{Driver, LogConfig, Rotation};
pub use error::Error;
