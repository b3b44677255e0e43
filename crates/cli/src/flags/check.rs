//! Checks of flag values in Go's words.

use crate::format::{go_quote, size};

pub(super) fn any(_: &str) -> Result<(), String> {
    Ok(())
}

pub(super) fn boolean(text: &str) -> Result<(), String> {
    parse_bool(text).map(|_| ())
}

pub(super) fn int(text: &str) -> Result<(), String> {
    parse_int(text).map(|_| ())
}

pub(super) fn bytes(text: &str) -> Result<(), String> {
    if text == "-1" { Ok(()) } else { size::ram_in_bytes(text).map(|_| ()) }
}

pub(super) fn duration(text: &str) -> Result<(), String> {
    crate::format::duration::parse(text).map(|_| ())
}

pub(super) fn filter(text: &str) -> Result<(), String> {
    if text.is_empty() || text.contains('=') {
        Ok(())
    } else {
        Err("bad format of filter (expected name=value)".to_owned())
    }
}

/// Reads what Go's `strconv.ParseBool` reads.
///
/// # Errors
/// In Go's words.
pub fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {}: invalid syntax", go_quote(text))),
    }
}

/// Reads what Go's `strconv.ParseInt` reads with base 0 and 64 bits: 0x, 0o, 0b prefixes and underscores.
///
/// # Errors
/// In Go's words.
pub fn parse_int(text: &str) -> Result<i64, String> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let syntax = || format!("strconv.ParseInt: parsing {}: invalid syntax", go_quote(text));
    let range = || format!("strconv.ParseInt: parsing {}: value out of range", go_quote(text));
    let magnitude = magnitude(digits).map_err(|e| if e == Number::Range { range() } else { syntax() })?;
    let value = i128::from(magnitude);
    i64::try_from(if negative { -value } else { value }).map_err(|_| range())
}

/// Reads what Go's `strconv.ParseUint` reads with base 0, up to `max`.
///
/// # Errors
/// In Go's words.
pub fn parse_uint(text: &str, max: u64) -> Result<u64, String> {
    let fail = |what: &str| format!("strconv.ParseUint: parsing {}: {what}", go_quote(text));
    match magnitude(text) {
        Ok(value) if value <= max => Ok(value),
        Ok(_) | Err(Number::Range) => Err(fail("value out of range")),
        Err(Number::Syntax) => Err(fail("invalid syntax")),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Number {
    Syntax,
    Range,
}

fn magnitude(text: &str) -> Result<u64, Number> {
    let lower = text.to_ascii_lowercase();
    let (radix, digits) = if let Some(rest) = lower.strip_prefix("0x") {
        (16, rest)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (2, rest)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (8, rest)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    let plain: String = digits.chars().filter(|c| *c != '_' || radix == 10).collect();
    if plain.is_empty() || !plain.chars().all(|c| c.is_digit(radix)) {
        return Err(Number::Syntax);
    }
    u64::from_str_radix(&plain, radix).map_err(|_| Number::Range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        assert_eq!(parse_int("-0x10"), Ok(-16));
        assert_eq!(parse_int("010"), Ok(8));
        assert_eq!(parse_int("9223372036854775807"), Ok(i64::MAX));
        assert_eq!(
            parse_int("9223372036854775808").unwrap_err(),
            "strconv.ParseInt: parsing \"9223372036854775808\": value out of range"
        );
        assert_eq!(parse_int("x").unwrap_err(), "strconv.ParseInt: parsing \"x\": invalid syntax");
        assert_eq!(parse_int("").unwrap_err(), "strconv.ParseInt: parsing \"\": invalid syntax");
        assert_eq!(
            parse_uint("65536", 65535).unwrap_err(),
            "strconv.ParseUint: parsing \"65536\": value out of range"
        );
        assert_eq!(parse_bool("T"), Ok(true));
        assert!(parse_bool("yes").is_err());
    }
}
