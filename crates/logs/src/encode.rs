//! Records as Docker's `json-file` driver writes them.

use crate::{record::Stream, timestamp::Formatter};
use std::collections::BTreeMap;

/// Writes records, byte for byte as Docker does.
#[derive(Debug)]
pub(crate) struct Encoder {
    /// `,"attrs":{…}` or nothing.
    attrs: Vec<u8>,
    time: Formatter,
}

/// Whether a piece of output ends its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A newline followed.
    Line,
    /// The line was longer, or the stream ended inside it.
    Partial,
}

impl Encoder {
    pub(crate) fn new(attrs: &BTreeMap<String, String>) -> Self {
        let mut raw = Vec::new();
        for (name, value) in attrs {
            raw.extend_from_slice(if raw.is_empty() { b",\"attrs\":{" } else { b"," });
            string(name.as_bytes(), b"", &mut raw);
            raw.push(b':');
            string(value.as_bytes(), b"", &mut raw);
        }
        if !raw.is_empty() {
            raw.push(b'}');
        }
        Self { attrs: raw, time: Formatter::default() }
    }

    /// Appends one record with its newline.
    pub(crate) fn record(&mut self, text: &[u8], piece: Piece, stream: Stream, at: i64, out: &mut Vec<u8>) {
        out.reserve(text.len() + self.attrs.len() + 96);
        out.extend_from_slice(b"{\"log\":");
        string(text, if piece == Piece::Line { b"\\n" } else { b"" }, out);
        out.extend_from_slice(match stream {
            Stream::Stdout => b",\"stream\":\"stdout\"",
            Stream::Stderr => b",\"stream\":\"stderr\"",
        });
        out.extend_from_slice(&self.attrs);
        out.extend_from_slice(b",\"time\":\"");
        self.time.write(at, out);
        out.extend_from_slice(b"\"}\n");
    }
}

/// Appends `text` and the already escaped `end` as a JSON string: control characters but for newline and carriage
/// return as `\u00xx`, `<`, `>`, `&`, U+2028 and U+2029 escaped too, and U+FFFD for each byte that is not UTF-8.
fn string(text: &[u8], end: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    match std::str::from_utf8(text) {
        Ok(valid) => escape(valid.as_bytes(), out),
        Err(_) => {
            for chunk in text.utf8_chunks() {
                escape(chunk.valid().as_bytes(), out);
                for _ in chunk.invalid() {
                    out.extend_from_slice(b"\\ufffd");
                }
            }
        }
    }
    out.extend_from_slice(end);
    out.push(b'"');
}

/// Whether [`escape`] must look twice at a byte. 0xe2 begins U+2028 and U+2029 among others.
fn is_special(b: u8) -> bool {
    // Without branches, so that the compiler can compare many bytes at once.
    (b < 0x20) | (b == b'"') | (b == b'\\') | (b == b'<') | (b == b'>') | (b == b'&') | (b == 0xe2)
}

/// The number of bytes before the first special one.
fn plain(bytes: &[u8]) -> usize {
    let (lanes, rest) = bytes.as_chunks::<LANES>();
    for (n, lanes) in lanes.iter().enumerate() {
        let special = specials(lanes);
        if special != 0 {
            return n * LANES + special.trailing_zeros() as usize;
        }
    }
    let mut last = [b'a'; LANES];
    last[..rest.len()].copy_from_slice(rest);
    let special = specials(&last).trailing_zeros() as usize;
    bytes.len() - rest.len() + special.min(rest.len())
}

const LANES: usize = 16;

/// A bit a byte, lowest first: whether it is special.
fn specials(lanes: &[u8; LANES]) -> u16 {
    let flags = lanes.map(|b| u8::from(is_special(b)));
    flags.iter().enumerate().fold(0, |bits, (n, &flag)| bits | u16::from(flag) << n)
}

/// `bytes` must be UTF-8.
fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut rest = bytes;
    loop {
        let (before, after) = rest.split_at(plain(rest));
        out.extend_from_slice(before);
        let Some((&special, after)) = after.split_first() else { return };
        rest = after;
        match special {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', special]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0xe2 => match rest {
                [0x80, last @ (0xa8 | 0xa9), after @ ..] => {
                    out.extend_from_slice(b"\\u202");
                    out.push(HEX[usize::from(last & 0xf)]);
                    rest = after;
                }
                _ => out.push(0xe2),
            },
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(special >> 4)], HEX[usize::from(special & 0xf)]]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(text: &[u8], piece: Piece, attrs: &[(&str, &str)]) -> String {
        let attrs = attrs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut out = Vec::new();
        let at = 1_795_364_377_168_845_600;
        Encoder::new(&attrs).record(text, piece, Stream::Stdout, at, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// The expected texts were written by dockerd 26.1.5 for the same output (but for the time).
    #[test]
    fn as_docker_writes_it() {
        assert_eq!(
            encode(b"a\"b\\c\td\re<f>&\xff\xfe\xe2\x80\xa8\xe2\x80\xa9\x01\x7f\x08\x0c", Piece::Line, &[]),
            concat!(
                r#"{"log":"a\"b\\c\u0009d\re\u003cf\u003e\u0026\ufffd\ufffd\u2028\u2029\u0001"#,
                "\x7f",
                r#"\u0008\u000c\n","stream":"stdout","time":"2026-11-22T16:19:37.1688456Z"}"#,
                "\n"
            )
        );
        assert_eq!(
            encode("é".as_bytes(), Piece::Partial, &[]),
            "{\"log\":\"é\",\"stream\":\"stdout\",\"time\":\"2026-11-22T16:19:37.1688456Z\"}\n"
        );
        assert_eq!(
            encode(b"att", Piece::Line, &[("tag", "foo"), ("b", "x<y"), ("a", "1")]),
            concat!(
                r#"{"log":"att\n","stream":"stdout","attrs":{"a":"1","b":"x\u003cy","tag":"foo"},"#,
                r#""time":"2026-11-22T16:19:37.1688456Z"}"#,
                "\n"
            )
        );
    }

    proptest! {
        #[test]
        fn any_json_reader_gets_the_text_back(text in ".{0,200}") {
            let line = encode(text.as_bytes(), Piece::Partial, &[]);
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(value["log"].as_str().unwrap(), text);
        }

        #[test]
        fn any_bytes_give_one_valid_line(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let line = encode(&text, Piece::Line, &[]);
            prop_assert_eq!(line.matches('\n').count(), 1);
            serde_json::from_str::<serde_json::Value>(&line).unwrap();
        }
    }
}
