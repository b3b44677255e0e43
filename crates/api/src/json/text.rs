//! Strings of JSON and the likeness of keys, by Go's rules.

use std::borrow::Cow;

/// The text of a string, given what stands between its quotes, which the scanner has accepted.
/// Broken UTF-8 and half surrogate pairs become U+FFFD.
pub(super) fn unescape(raw: &[u8]) -> Cow<'_, str> {
    if !raw.contains(&b'\\') {
        return String::from_utf8_lossy(raw);
    }
    let mut bytes = Vec::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        if raw[at] != b'\\' {
            bytes.push(raw[at]);
            at += 1;
            continue;
        }
        let simple = match raw[at + 1] {
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let (c, used) = escaped_char(&raw[at..]);
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                at += used;
                continue;
            }
            other => other,
        };
        bytes.push(simple);
        at += 2;
    }
    match String::from_utf8(bytes) {
        Ok(text) => Cow::Owned(text),
        Err(e) => Cow::Owned(String::from_utf8_lossy(e.as_bytes()).into_owned()),
    }
}

/// The character of `\uXXXX` or of a surrogate pair, and the bytes that it takes.
fn escaped_char(raw: &[u8]) -> (char, usize) {
    let Some(first) = hex4(raw) else { return (char::REPLACEMENT_CHARACTER, 2) };
    if let Some(c) = char::from_u32(first) {
        return (c, 6);
    }
    if (0xd800..0xdc00).contains(&first)
        && let Some(second @ 0xdc00..0xe000) = hex4(&raw[6..])
        && let Some(c) = char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
    {
        return (c, 12);
    }
    (char::REPLACEMENT_CHARACTER, 6)
}

fn hex4(raw: &[u8]) -> Option<u32> {
    let digits = raw.strip_prefix(b"\\u")?.get(..4)?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Whether two keys are the same but for case: ASCII letters, and the two characters beyond ASCII that fold
/// to ASCII letters (long s, Kelvin sign).
pub(super) fn same_key(key: &str, field: &str) -> bool {
    let fold = |c: char| match c {
        'ſ' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    key.chars().map(fold).eq(field.chars().map(fold))
}
