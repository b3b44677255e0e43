//! Frames: `u32` length in little-endian order, then JSON.

use serde::{Serialize, de::DeserializeOwned};
use std::io::{self, Read};

/// The longest JSON text of a frame, in bytes.
pub const MAX_FRAME: usize = 16 << 20;

/// A frame that can't be made or read.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Longer than [`MAX_FRAME`].
    #[error("frame of {0} bytes is longer than {MAX_FRAME}")]
    TooLong(usize),
    /// Not the JSON that was expected.
    #[error("malformed frame: {0}")]
    Json(#[from] serde_json::Error),
    /// The connection broke.
    #[error("connection: {0}")]
    Io(#[from] io::Error),
    /// The connection ended inside a frame.
    #[error("connection ended inside a frame")]
    Torn,
}

/// The frame of `message`, length included.
///
/// # Errors
/// When the message is too long.
pub fn encode<T: Serialize + ?Sized>(message: &T) -> Result<Vec<u8>, CodecError> {
    let mut frame = vec![0u8; 4];
    serde_json::to_writer(&mut frame, message)?;
    let length = frame.len() - 4;
    if length > MAX_FRAME {
        return Err(CodecError::TooLong(length));
    }
    // Fits: MAX_FRAME is below 2^32.
    frame[..4].copy_from_slice(&(length as u32).to_le_bytes());
    Ok(frame)
}

/// The message in a frame's JSON text (length taken off).
///
/// # Errors
/// When it is not the JSON that was expected.
pub fn decode<T: DeserializeOwned>(json: &[u8]) -> Result<T, CodecError> {
    Ok(serde_json::from_slice(json)?)
}

/// The length of the JSON text that follows a frame's first four bytes.
///
/// # Errors
/// When it is longer than [`MAX_FRAME`].
pub fn frame_length(prefix: [u8; 4]) -> Result<usize, CodecError> {
    let length = u32::from_le_bytes(prefix) as usize;
    if length > MAX_FRAME { Err(CodecError::TooLong(length)) } else { Ok(length) }
}

/// Reads one frame's JSON text, blocking, and not a byte beyond it; `None` at the end of the connection.
///
/// # Errors
/// When the connection breaks or ends inside the frame, or the frame is too long.
pub fn read_frame(from: &mut impl Read) -> Result<Option<Vec<u8>>, CodecError> {
    let mut prefix = [0u8; 4];
    let mut got = 0;
    while got < prefix.len() {
        match from.read(&mut prefix[got..]) {
            Ok(0) if got == 0 => return Ok(None),
            Ok(0) => return Err(CodecError::Torn),
            Ok(n) => got += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.into()),
        }
    }
    let length = frame_length(prefix)?;
    // Grows with what arrives: a false length costs the liar's bytes, not our memory.
    let mut json = Vec::with_capacity(length.min(64 << 10));
    let read = from.take(length as u64).read_to_end(&mut json)?;
    if read < length { Err(CodecError::Torn) } else { Ok(Some(json)) }
}

/// Takes frames out of bytes as they arrive, for callers that must not block.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    start: usize,
}

impl Decoder {
    /// Adds bytes that arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next frame's JSON text, if all of it is there.
    ///
    /// # Errors
    /// When the frame is too long; the connection is of no use then.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, CodecError> {
        let rest = &self.bytes[self.start..];
        let Some((prefix, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        let length = frame_length(*prefix)?;
        if rest.len() < length {
            return Ok(None);
        }
        let from = self.start + 4;
        self.start = from + length;
        Ok(Some(&self.bytes[from..self.start]))
    }

    /// Gives back memory when nothing is buffered.
    pub fn shrink(&mut self) {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.shrink_to_fit();
    }

    /// Bytes that arrived and were not yet taken as frames.
    #[must_use]
    pub fn buffered(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}
