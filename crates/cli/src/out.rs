//! Writing to standard output and standard error. A closed standard output is an error like any other and
//! never a panic.

use crate::error::Result;
use std::io::{self, Write};

/// Writes a text to standard output at once.
///
/// # Errors
/// When standard output can't be written.
pub fn print(text: &str) -> Result {
    write(text.as_bytes())
}

/// Writes a text and a line feed to standard output.
///
/// # Errors
/// When standard output can't be written.
pub fn line(text: &str) -> Result {
    write(format!("{text}\n").as_bytes())
}

/// Writes bytes to standard output at once.
///
/// # Errors
/// When standard output can't be written.
pub fn write(bytes: &[u8]) -> Result {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(())
}

/// Writes a line to standard error. Nobody is left to be told when that fails.
pub fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Writes bytes to standard error.
pub fn warn_bytes(bytes: &[u8]) {
    let _ = io::stderr().write_all(bytes);
}
