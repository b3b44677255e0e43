//! Go's quoted strings, as `%q` prints them.

use std::fmt::Write;

/// `text` in double quotes with Go's escapes.
#[must_use]
pub fn go_quote(text: &str) -> String {
    quoted(text, '"')
}

/// A character in single quotes.
#[must_use]
pub fn go_quote_char(c: char) -> String {
    quoted(c.encode_utf8(&mut [0; 4]), '\'')
}

fn quoted(text: &str, quote: char) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            _ if c == quote || c == '\\' => out.extend(['\\', c]),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if (c as u32) < 0x20 || c == '\u{7f}' => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c if c.is_control() || matches!(c, '\u{ad}' | '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_is_gos() {
        assert_eq!(go_quote("a\"b\\\n\t\u{1}é\u{7f}"), r#""a\"b\\\n\t\x01é\x7f""#);
        assert_eq!(go_quote_char('\''), r"'\''");
    }
}
