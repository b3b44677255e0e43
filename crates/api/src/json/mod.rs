//! JSON read as Go's `encoding/json` reads it, since that is what clients of the Engine API are written for:
//! keys in any case (an exact match wins), `null` for the default of anything, the last of equal keys, unknown
//! keys ignored, short arrays filled up, broken UTF-8 replaced. Errors are in Go's words.
//!
//! Reading has two passes, as in Go: [`scan`] finds the end of the value and all errors of syntax, without
//! recursion and bounded in depth; `read` then fills the type.
mod access;
mod error;
mod read;
pub mod scan;
mod stream;
mod text;

pub use error::Error;
pub use stream::Values;

use serde::de::DeserializeOwned;

/// Reads one value; nothing but white space may follow.
///
/// # Errors
/// As `json.Unmarshal` in Go: errors of syntax first, then the first value of a wrong type.
pub fn from_slice<T: DeserializeOwned>(input: &[u8]) -> Result<T, Error> {
    let mut scanner = scan::Scanner::new();
    for (at, &byte) in input.iter().enumerate() {
        scanner.push(byte).map_err(|message| Error::Syntax { message, offset: at + 1 })?;
    }
    if !scanner.finish() {
        return Err(Error::EndOfInput);
    }
    read::value(input)
}

/// Reads the body of a request as dockerd does (`json.Decoder`), with its errors: an empty body, a body that
/// was cut off, and something after the value each have their own.
///
/// # Errors
/// The message for the client, `invalid JSON: …` or `unexpected content after JSON`.
pub fn from_body<T: DeserializeOwned>(input: &[u8]) -> Result<T, Error> {
    let start = input.iter().position(|b| !scan::is_space(*b)).ok_or(Error::EmptyBody)?;
    let mut scanner = scan::Scanner::new();
    let mut end = None;
    for (at, &byte) in input.iter().enumerate().skip(start) {
        match scanner.push(byte) {
            Ok(scan::Step::More) => {}
            Ok(scan::Step::Done) => {
                end = Some(at + 1);
                break;
            }
            Ok(scan::Step::DoneBefore) => {
                end = Some(at);
                break;
            }
            Err(message) => return Err(Error::Body(Box::new(Error::Syntax { message, offset: at + 1 }))),
        }
    }
    let end = match end {
        Some(end) => end,
        None if scanner.finish() => input.len(),
        None => return Err(Error::Body(Box::new(Error::UnexpectedEof))),
    };
    let value = read::value(&input[start..end]).map_err(|e| Error::Body(Box::new(e)))?;
    if input[end..].iter().any(|b| !scan::is_space(*b) && *b != b']' && *b != b'}') {
        return Err(Error::TrailingContent);
    }
    Ok(value)
}

/// Writes a value as Go's `json.Encoder` does: compact, with `<`, `>` and `&` escaped, and a line feed.
///
/// # Errors
/// When a map has keys that are no strings, or a type's own `Serialize` fails.
pub fn to_line<T: serde::Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let plain = serde_json::to_vec(value)?;
    let mut line = Vec::with_capacity(plain.len() + 1);
    for &byte in &plain {
        match byte {
            // Outside of strings none of these can stand in JSON, so that no parsing is needed.
            b'<' => line.extend_from_slice(br"\u003c"),
            b'>' => line.extend_from_slice(br"\u003e"),
            b'&' => line.extend_from_slice(br"\u0026"),
            _ => line.push(byte),
        }
    }
    line.push(b'\n');
    Ok(line)
}

/// Writes a value as dockerd writes whole answers: compact, nothing beyond JSON's own rules escaped, and a
/// line feed.
///
/// # Errors
/// As [`to_line`].
pub fn to_plain_line<T: serde::Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests;
