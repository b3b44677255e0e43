//! One record of a log.

use crate::timestamp;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeMap};

/// Which of a process' output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output, and everything of a process with a terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One record: a line with its newline, or a piece of one without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The text; always UTF-8, since the file holds nothing else.
    pub text: String,
    /// The stream it was written to.
    pub stream: Stream,
    /// When, in nanoseconds since 1970.
    pub time: i64,
    /// `--log-opt` attributes.
    pub attrs: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    log: Cow<'a, str>,
    #[serde(default)]
    stream: Option<Stream>,
    #[serde(borrow, default)]
    time: Cow<'a, str>,
    #[serde(default)]
    attrs: BTreeMap<String, String>,
}

impl Record {
    /// Reads one line of a `json-file` log; `None` when it is damaged.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let wire: Wire<'_> = serde_json::from_slice(line).ok()?;
        Some(Self {
            text: wire.log.into_owned(),
            stream: wire.stream.unwrap_or(Stream::Stdout),
            time: timestamp::parse(&wire.time)?,
            attrs: wire.attrs,
        })
    }

    /// The attributes as `docker logs --details` shows them: `name=value` in order of names, joined by commas,
    /// escaped as in a URL's query; empty when there are none.
    #[must_use]
    pub fn details(&self) -> String {
        let mut out = String::new();
        for (name, value) in &self.attrs {
            if !out.is_empty() {
                out.push(',');
            }
            query_escape(name, &mut out);
            out.push('=');
            query_escape(value, &mut out);
        }
        out
    }
}

/// As Go's `url.QueryEscape`.
fn query_escape(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte.into()),
            b' ' => out.push('+'),
            _ => {
                out.push('%');
                for nibble in [byte >> 4, byte & 0xf] {
                    out.push(char::from_digit(nibble.into(), 16).unwrap_or('0').to_ascii_uppercase());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_dockers_lines_and_refuses_torn_ones() {
        let line = br#"{"log":"att\n","stream":"stderr","attrs":{"tag":"foo","b":"x <y"},"time":"2026-11-22T16:19:38.376214143Z"}"#;
        let record = Record::parse(line).unwrap();
        assert_eq!((record.text.as_str(), record.stream), ("att\n", Stream::Stderr));
        assert_eq!(record.details(), "b=x+%3Cy,tag=foo");
        for cut in 0..line.len() {
            assert_eq!(Record::parse(&line[..cut]), None);
        }
    }
}
