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

/// Bytes at which [`escape`] must look twice. 0xe2 begins U+2028 and U+2029 among others.
const SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut i = 0;
    while i < 0x20 {
        table[i] = true;
        i += 1;
    }
    let more = b"\"\\<>&\xe2";
    let mut i = 0;
    while i < more.len() {
        table[more[i] as usize] = true;
        i += 1;
    }
    table
};

/// `bytes` must be UTF-8.
fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut rest = bytes;
    while let Some(plain) = rest.iter().position(|&b| SPECIAL[usize::from(b)]) {
        out.extend_from_slice(&rest[..plain]);
        let special = rest[plain];
        rest = &rest[plain + 1..];
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
    out.extend_from_slice(rest);
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
