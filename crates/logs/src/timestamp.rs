//! Times in logs: nanoseconds since 1970 in memory, RFC 3339 in UTC in files.

use rustix::time::{ClockId, clock_gettime};
use std::fmt::Write;

const NANOS: i64 = 1_000_000_000;

/// Nanoseconds since 1970-01-01T00:00:00Z, now.
#[must_use]
pub fn now() -> i64 {
    let t = clock_gettime(ClockId::Realtime);
    t.tv_sec.saturating_mul(NANOS).saturating_add(t.tv_nsec)
}

/// As Go's `RFC3339Nano`: fraction of a second without trailing zeros, absent when zero.
#[must_use]
pub fn nano(at: i64) -> String {
    let mut out = Formatter::default();
    let mut bytes = Vec::with_capacity(32);
    out.write(at, &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// With nine digits of the second always, as `docker logs --timestamps` shows it.
#[must_use]
pub fn fixed(at: i64) -> String {
    let mut text = String::with_capacity(30);
    write_second(at.div_euclid(NANOS), &mut text);
    let _ = write!(text, ".{:09}Z", at.rem_euclid(NANOS));
    text
}

/// As RFC 3164 has it: `Nov 14 22:13:20`.
pub(crate) fn stamp(at: i64) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let second = at.div_euclid(NANOS);
    let (_, month, day) = civil_from_days(second.div_euclid(86_400));
    let rest = second.rem_euclid(86_400);
    let month = usize::try_from(month - 1).ok().and_then(|month| MONTHS.get(month)).unwrap_or(&"Jan");
    format!("{month} {day:>2} {:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

/// RFC 3339 with so many digits of the second.
pub(crate) fn with_digits(at: i64, digits: usize) -> String {
    let all = fixed(at);
    // The fraction of nine digits with its point before, and Z.
    let cut = if digits == 0 { all.len() - 11 } else { all.len() - 10 + digits };
    format!("{}Z", &all[..cut])
}

/// Reads RFC 3339 with any offset and up to nine digits of the second; `None` for anything else, or out of the
/// range of years 1678 to 2261 that nanoseconds in 64 bits can hold.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    let b = text.as_bytes();
    let shape = b.len() >= 20
        && b[4] == b'-'
        && b[7] == b'-'
        && matches!(b[10], b'T' | b't' | b' ')
        && b[13] == b':'
        && b[16] == b':';
    if !shape {
        return None;
    }
    let (year, month, day) = (digits(&b[..4])?, digits(&b[5..7])?, digits(&b[8..10])?);
    let (hour, minute, second) = (digits(&b[11..13])?, digits(&b[14..16])?, digits(&b[17..19])?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut rest = &b[19..];
    let mut nanos = 0;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let n = fraction.iter().take_while(|c| c.is_ascii_digit()).count();
        if !(1..=9).contains(&n) {
            return None;
        }
        nanos = digits(&fraction[..n])? * 10i64.pow(9 - n as u32);
        rest = &fraction[n..];
    }
    let offset = match rest {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let seconds = digits(&[*h1, *h2])? * 3600 + digits(&[*m1, *m2])? * 60;
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    seconds.checked_mul(NANOS)?.checked_add(nanos)
}

/// Writes many times of which most lie in one second, or are the same: their text is kept.
#[derive(Debug, Default)]
pub(crate) struct Formatter {
    second: Option<i64>,
    text: String,
    last: Option<i64>,
    last_text: Vec<u8>,
}

impl Formatter {
    /// Appends `at` as [`nano`] does.
    pub(crate) fn write(&mut self, at: i64, out: &mut Vec<u8>) {
        if self.last != Some(at) {
            let mut text = std::mem::take(&mut self.last_text);
            text.clear();
            self.format(at, &mut text);
            self.last_text = text;
            self.last = Some(at);
        }
        out.extend_from_slice(&self.last_text);
    }

    fn format(&mut self, at: i64, out: &mut Vec<u8>) {
        let second = at.div_euclid(NANOS);
        if self.second != Some(second) {
            self.text.clear();
            write_second(second, &mut self.text);
            self.second = Some(second);
        }
        out.extend_from_slice(self.text.as_bytes());
        let mut nanos = at.rem_euclid(NANOS);
        if nanos != 0 {
            let mut fraction = *b".000000000";
            for digit in fraction[1..].iter_mut().rev() {
                *digit = b'0' + (nanos % 10) as u8;
                nanos /= 10;
            }
            let kept = fraction.iter().rposition(|&d| d != b'0').unwrap_or(0);
            out.extend_from_slice(&fraction[..=kept]);
        }
        out.push(b'Z');
    }
}

fn write_second(second: i64, out: &mut String) {
    let (days, rest) = (second.div_euclid(86_400), second.rem_euclid(86_400));
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    // Writing to a String does not fail.
    let _ = write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0i64, |n, &b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
}

/// The proleptic Gregorian calendar in eras of 400 years (146,097 days) that begin on March 1st.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let shifted_year = year - i64::from(month <= 2);
    let (era, year_of_era) = (shifted_year.div_euclid(400), shifted_year.rem_euclid(400));
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_times() {
        assert_eq!(nano(0), "1970-01-01T00:00:00Z");
        assert_eq!(nano(1_700_000_000_120_000_000), "2023-11-14T22:13:20.12Z");
        assert_eq!(fixed(1_700_000_000_120_000_000), "2023-11-14T22:13:20.120000000Z");
        assert_eq!(nano(951_782_400 * NANOS), "2000-02-29T00:00:00Z");
        assert_eq!(nano(-1), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(parse("2023-11-14T23:13:20.12+01:00"), Some(1_700_000_000_120_000_000));
        for bad in ["", "2023-11-14", "2023-13-14T22:13:20Z", "2023-11-14T22:13:20", "2023-11-14T22:13:20.Z"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn parse_inverts_nano_and_fixed(at in any::<i64>()) {
            prop_assume!(at > i64::MIN + NANOS);
            prop_assert_eq!(parse(&nano(at)), Some(at));
            prop_assert_eq!(parse(&fixed(at)), Some(at));
        }

        #[test]
        fn parse_never_panics(text in "\\PC{0,40}") {
            let _ = parse(&text);
        }
    }
}
