//! Values that follow one another in a stream: events, progress.

use super::{
    Error, read,
    scan::{Scanner, Step, is_space},
};
use serde::de::DeserializeOwned;

/// The largest single value that is taken from a stream, in bytes.
const MAX_VALUE: usize = 16 << 20;

/// Splits a stream of bytes into JSON values, with or without white space between them. Holds at most one
/// value that is not complete.
#[derive(Debug, Default)]
pub struct Values {
    pending: Vec<u8>,
    scanned: usize,
    scanner: Scanner,
}

impl Values {
    /// At the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes that have arrived. Take all values with [`Values::next_value`] before adding more.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next complete value, or `None` until more bytes arrive.
    ///
    /// # Errors
    /// When what has arrived is no JSON, has the wrong type, or is too large. The stream can't be read on
    /// after an error of syntax.
    pub fn next_value<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Error> {
        while let Some(&byte) = self.pending.get(self.scanned) {
            let step = self
                .scanner
                .push(byte)
                .map_err(|message| Error::Syntax { message, offset: self.scanned + 1 })?;
            let end = match step {
                Step::More => {
                    self.scanned += 1;
                    continue;
                }
                Step::Done => self.scanned + 1,
                Step::DoneBefore => self.scanned,
            };
            return self.take(end).map(Some);
        }
        if self.scanned > MAX_VALUE {
            return Err(Error::TooLarge(MAX_VALUE));
        }
        Ok(None)
    }

    /// At the end of the stream: a number has no end of its own.
    ///
    /// # Errors
    /// When the stream ends within a value.
    pub fn finish<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Error> {
        if let Some(value) = self.next_value()? {
            return Ok(Some(value));
        }
        if self.pending.iter().all(|b| is_space(*b)) {
            return Ok(None);
        }
        if !self.scanner.finish() {
            return Err(Error::UnexpectedEof);
        }
        self.take(self.pending.len()).map(Some)
    }

    fn take<T: DeserializeOwned>(&mut self, end: usize) -> Result<T, Error> {
        let value = read::value(&self.pending[..end]);
        self.pending.drain(..end);
        self.scanned = 0;
        self.scanner = Scanner::new();
        value
    }
}
