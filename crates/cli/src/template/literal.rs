//! Go's literals: numbers, characters and quoted strings.

use super::value::Value;

/// A number, or nothing when the text is none.
#[must_use]
pub fn number(text: &str) -> Option<Value> {
    if let Ok(n) = crate::flags::parse_int(text) {
        return Some(Value::Int(n));
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        || text.contains(['x', 'X', 'i', 'n'])
    {
        return None;
    }
    let value: f64 = text.replace('_', "").parse().ok()?;
    // Go gives a float literal without a fraction as an integer.
    if value.fract() == 0.0 && value.abs() < 9e15 {
        return Some(Value::Int(value as i64));
    }
    Some(Value::Float(value))
}

/// A character constant's code point; `text` has its quotes.
#[must_use]
pub fn character(text: &str) -> Option<Value> {
    let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
    let unescaped = unescape(inner, '\'')?;
    let mut chars = unescaped.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Some(Value::Int(i64::from(u32::from(c)))),
        _ => None,
    }
}

/// A quoted string's value; `text` has its quotes.
#[must_use]
pub fn quoted(text: &str) -> Option<String> {
    unescape(text.strip_prefix('"')?.strip_suffix('"')?, '"')
}

fn unescape(text: &str, quote: char) -> Option<String> {
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    let push = |out: &mut Vec<u8>, c: char| out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    while let Some(c) = chars.next() {
        if c != '\\' {
            push(&mut out, c);
            continue;
        }
        match chars.next()? {
            'a' => out.push(7),
            'b' => out.push(8),
            'f' => out.push(12),
            'n' => out.push(b'\n'),
            'r' => out.push(b'\r'),
            't' => out.push(b'\t'),
            'v' => out.push(11),
            '\\' => out.push(b'\\'),
            c if c == quote => push(&mut out, c),
            'x' => out.push(u8::try_from(digits(&mut chars, 2, 16)?).ok()?),
            'u' => push(&mut out, char::from_u32(digits(&mut chars, 4, 16)?)?),
            'U' => push(&mut out, char::from_u32(digits(&mut chars, 8, 16)?)?),
            c @ '0'..='7' => {
                let rest = digits(&mut chars, 2, 8)?;
                out.push(u8::try_from(c.to_digit(8)? * 64 + rest).ok()?);
            }
            _ => return None,
        }
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}

fn digits(chars: &mut std::str::Chars<'_>, count: usize, radix: u32) -> Option<u32> {
    let mut value = 0u32;
    for _ in 0..count {
        value = value.checked_mul(radix)?.checked_add(chars.next()?.to_digit(radix)?)?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_gos() {
        assert_eq!(quoted(r#""a\tb\x41\u00e9\101\"""#).as_deref(), Some("a\tbAéA\""));
        assert!(quoted(r#""\q""#).is_none());
        assert!(matches!(character(r"'\n'"), Some(Value::Int(10))));
        assert!(matches!(number("0x10"), Some(Value::Int(16))));
        assert!(matches!(number("1e3"), Some(Value::Int(1000))));
        assert!(matches!(number("1.5"), Some(Value::Float(_))));
        assert!(number("1x").is_none());
        assert!(number("inf").is_none());
    }
}
