//! Standard output.

use crate::error::Error;
use std::io::{ErrorKind, Write};

/// Writes a text and the end of its line, at once. A reader that has seen enough is no failure.
pub(crate) fn line(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()) {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(source) => Err(Error::System { step: "write to standard output", source }),
        Ok(()) => Ok(()),
    }
}
