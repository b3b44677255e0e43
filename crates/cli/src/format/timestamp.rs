//! Points in time: what `--since` and `--until` take, and how Go prints times.

use jiff::{Timestamp, civil, tz::TimeZone};

/// Reads a point in time as Docker does: an RFC 3339 date or time (the local zone unless it has one), Unix
/// seconds with or without a fraction, or a duration before `now`. The answer is `seconds.nanoseconds` or the
/// text itself when it already is a number.
///
/// # Errors
/// In Go's words.
pub fn since(text: &str, now: Timestamp) -> Result<String, String> {
    if let Ok(nanos) = super::duration::parse(text)
        && text != "0"
    {
        return Ok(split(now.as_nanosecond() - i128::from(nanos)));
    }
    if !text.contains(['-', ':', 'T', 'Z']) {
        let plain = text.trim_start_matches('-');
        let (seconds, fraction) = plain.split_once('.').unwrap_or((plain, "0"));
        let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        if digits(seconds) && digits(fraction) {
            return Ok(text.to_owned());
        }
        return Err(format!("failed to parse value as time or duration: {}", super::go_quote(text)));
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(split(time.as_nanosecond()));
    }
    let civil = text.parse::<civil::DateTime>().ok().or_else(|| {
        // `2013-01-02T15` and `2013-01-02Z` lack parts that jiff wants.
        let date = text.trim_end_matches('Z');
        let (day, hour) = date.split_once('T').unwrap_or((date, "00"));
        format!("{day}T{hour}:00").parse::<civil::DateTime>().ok()
    });
    let bad = || format!("failed to parse value as time or duration: {}", super::go_quote(text));
    let civil = civil.ok_or_else(bad)?;
    let zone = if text.ends_with('Z') { TimeZone::UTC } else { TimeZone::system() };
    let time = zone.to_timestamp(civil).map_err(|_| bad())?;
    Ok(split(time.as_nanosecond()))
}

fn split(nanos: i128) -> String {
    format!("{}.{:09}", nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000))
}

/// Prints Unix seconds as Go's `Time.String` in the local zone: `2026-11-22 16:06:28 +0000 UTC`.
#[must_use]
pub fn local(seconds: i64) -> String {
    let Ok(time) = Timestamp::from_second(seconds) else { return seconds.to_string() };
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %z %Z").to_string()
}

/// Prints Unix seconds as RFC 3339 in the local zone: `2026-11-22T16:06:28Z`.
#[must_use]
pub fn rfc3339_local(seconds: i64) -> String {
    let Ok(time) = Timestamp::from_second(seconds) else { return seconds.to_string() };
    let zoned = time.to_zoned(TimeZone::system());
    if zoned.offset().is_zero() {
        zoned.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    } else {
        zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }
}

/// Prints an event's time in the local zone with nanoseconds, as Docker's events: `2026-11-22T16:06:28.063658528Z`.
#[must_use]
pub fn rfc3339_nano_local(nanos: i64) -> String {
    let Ok(time) = Timestamp::from_nanosecond(i128::from(nanos)) else { return nanos.to_string() };
    let zoned = time.to_zoned(TimeZone::system());
    if zoned.offset().is_zero() {
        zoned.strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string()
    } else {
        zoned.strftime("%Y-%m-%dT%H:%M:%S.%9f%:z").to_string()
    }
}

/// Reads an RFC 3339 time as the daemon writes them.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// Prints a daemon's RFC 3339 time as the `version` command does: `Fri May 30 12:07:14 2025`.
#[must_use]
pub fn ansi_c(text: &str) -> String {
    match parse(text) {
        Some(time) => time.to_zoned(TimeZone::UTC).strftime("%a %b %e %H:%M:%S %Y").to_string(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_time_are_read_in_several_forms() {
        let now: Timestamp = "2026-11-22T16:00:00Z".parse().unwrap();
        assert_eq!(since("10m", now).unwrap(), format!("{}.000000000", now.as_second() - 600));
        assert_eq!(since("1136073600", now).unwrap(), "1136073600");
        assert_eq!(since("1136073600.5", now).unwrap(), "1136073600.5");
        assert_eq!(since("2006-01-01T00:00:00.5Z", now).unwrap(), "1136073600.500000000");
        assert_eq!(since("2006-01-01Z", now).unwrap(), "1136073600.000000000");
        assert_eq!(since("2006-01-01T01:00:00+01:00", now).unwrap(), "1136073600.000000000");
        assert_eq!(since("soon", now).unwrap_err(), "failed to parse value as time or duration: \"soon\"");
        assert_eq!(since("20-x", now).unwrap_err(), "failed to parse value as time or duration: \"20-x\"");
    }

    #[test]
    fn times_are_printed_as_c_prints_them() {
        assert_eq!(ansi_c("2025-05-30T12:07:14.123456789+00:00"), "Fri May 30 12:07:14 2025");
        assert_eq!(ansi_c("?"), "?");
    }
}
