//! The records of a pax extended header: `length key=value\n`.

/// Key and value.
pub(super) type Record<'a> = (&'a [u8], &'a [u8]);

/// Splits the body of an extended header into its records. Order is kept; a later record of a key wins.
pub(super) fn parse(body: &[u8]) -> Result<Vec<Record<'_>>, String> {
    let mut rest = body;
    let mut out = Vec::new();
    while !rest.is_empty() {
        let bad = || "a pax record is malformed".to_owned();
        let space = rest.iter().position(|b| *b == b' ').filter(|n| (1..=10).contains(n)).ok_or_else(bad)?;
        let length: usize =
            std::str::from_utf8(&rest[..space]).ok().and_then(|t| t.parse().ok()).ok_or_else(bad)?;
        if length <= space + 1 || length > rest.len() || rest[length - 1] != b'\n' {
            return Err(bad());
        }
        let record = &rest[space + 1..length - 1];
        let equals = record.iter().position(|b| *b == b'=').filter(|n| *n > 0).ok_or_else(bad)?;
        out.push((&record[..equals], &record[equals + 1..]));
        rest = &rest[length..];
    }
    Ok(out)
}

/// `seconds[.fraction]`, possibly negative, as seconds (rounded down) and nanoseconds.
pub(super) fn time(value: &[u8]) -> Result<(i64, u32), String> {
    let bad = || "a pax time is malformed".to_owned();
    let text = std::str::from_utf8(value).map_err(|_| bad())?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad());
    }
    let seconds: i64 = whole.parse().map_err(|_| bad())?;
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanos: u32 = digits.parse().map_err(|_| bad())?;
    if whole.starts_with('-') && nanos > 0 {
        return Ok((seconds.checked_sub(1).ok_or_else(bad)?, 1_000_000_000 - nanos));
    }
    Ok((seconds, nanos))
}

/// A decimal number.
pub(super) fn decimal(value: &[u8], what: &str) -> Result<i64, String> {
    std::str::from_utf8(value)
        .ok()
        .and_then(|t| t.parse().ok())
        .ok_or_else(|| format!("the pax {what} is not a number"))
}

/// Appends one record.
pub(crate) fn push(body: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let bare = key.len() + value.len() + 3;
    let mut length = bare + digits(bare);
    if bare + digits(length) > length {
        length += 1;
    }
    body.extend_from_slice(length.to_string().as_bytes());
    body.push(b' ');
    body.extend_from_slice(key);
    body.push(b'=');
    body.extend_from_slice(value);
    body.push(b'\n');
}

fn digits(n: usize) -> usize {
    n.to_string().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_round_trip_at_every_length() {
        for n in 0..1200 {
            let mut body = Vec::new();
            push(&mut body, b"path", &vec![b'x'; n]);
            push(&mut body, b"k", b"=\n ");
            let records = parse(&body).unwrap();
            assert_eq!((records.len(), records[0].1.len(), records[1].1), (2, n, &b"=\n "[..]));
        }
    }

    #[test]
    fn malformed_records_are_refused() {
        for bad in
            [&b"x"[..], b"5 a\n", b"99 a=b\n", b"6 a=b", b"6 a=bc\n", b" 6 a=b\n", b"5 =b\n", b"-1 a=b\n"]
        {
            assert!(parse(bad).is_err(), "{:?}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn times_keep_nanoseconds_and_sign() {
        assert_eq!(time(b"1.5"), Ok((1, 500_000_000)));
        assert_eq!(time(b"-1.5"), Ok((-2, 500_000_000)));
        assert_eq!(time(b"-0.25"), Ok((-1, 750_000_000)));
        assert_eq!(time(b"7"), Ok((7, 0)));
        assert_eq!(time(b"7.0000000019"), Ok((7, 1)));
        for bad in [&b""[..], b"x", b"1.x", b"1.2.3", b"."] {
            assert!(time(bad).is_err());
        }
    }
}
