//! Points in time as queries give them.

use crate::http::ApiError;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};

/// Reads Unix seconds with an optional fraction, or RFC 3339; `None` for an empty text. What is neither is an error in
/// dockerd's words, which takes it for a failure of its own.
pub(super) fn parse(text: &str) -> Result<Option<Timestamp>, ApiError> {
    if text.is_empty() {
        return Ok(None);
    }
    seconds(text).or_else(|| text.parse().ok()).map(Some).ok_or_else(|| {
        let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
        let message = format!("strconv.ParseInt: parsing {whole:?}: invalid syntax");
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    })
}

fn seconds(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos: i32 = format!("{fraction:0<9}").parse().ok()?;
    let nanos = if whole.starts_with('-') { -nanos } else { nanos };
    Timestamp::from_duration(SignedDuration::new(whole.parse().ok()?, nanos)).ok()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn seconds_fractions_and_rfc_3339() {
        for (text, expected) in [
            ("0", "1970-01-01T00:00:00Z"),
            ("1.5", "1970-01-01T00:00:01.5Z"),
            ("1.000000001", "1970-01-01T00:00:01.000000001Z"),
            ("-1.5", "1969-12-31T23:59:58.5Z"),
            ("2024-01-02T03:04:05+01:00", "2024-01-02T02:04:05Z"),
        ] {
            assert_eq!(parse(text).unwrap().unwrap().to_string(), expected);
        }
        assert_eq!(parse("").unwrap(), None);
        for bad in ["x", "1.x", "1.0000000001", "99999999999999999999", "9999999999999"] {
            assert!(parse(bad).unwrap_err().message().starts_with("strconv.ParseInt: parsing"), "{bad}");
        }
    }
}
