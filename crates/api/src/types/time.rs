//! Points in time as Go writes them: RFC 3339 with up to nine digits of a second and no trailing zeros.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A point in time. Go's zero time, `0001-01-01T00:00:00Z`, stands for "never".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub jiff::Timestamp);

/// Seconds from Go's zero time to the Unix epoch.
const ZERO_SECOND: i64 = -62_135_596_800;

impl Time {
    /// Go's zero time: never.
    pub const ZERO: Self = Self(jiff::Timestamp::constant(ZERO_SECOND, 0));

    /// The present.
    #[must_use]
    pub fn now() -> Self {
        Self(jiff::Timestamp::now())
    }

    /// Whether this is Go's zero time.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }

    /// Seconds since the Unix epoch, rounded down.
    #[must_use]
    pub fn unix(&self) -> i64 {
        // jiff's seconds round towards zero: a fraction before the epoch counts down.
        self.0.as_second() - i64::from(self.0.subsec_nanosecond() < 0)
    }

    /// Nanoseconds since the Unix epoch; the nearest value that fits for times beyond the years 1677 and 2262.
    #[must_use]
    pub fn unix_nano(&self) -> i64 {
        let nanos = self.0.as_nanosecond();
        i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
    }

    /// Reads RFC 3339, with any offset; the empty string is the zero time.
    ///
    /// # Errors
    /// When the text is no RFC 3339 time.
    pub fn parse(text: &str) -> Result<Self, jiff::Error> {
        if text.is_empty() {
            return Ok(Self::ZERO);
        }
        text.parse().map(Self)
    }
}

impl Default for Time {
    fn default() -> Self {
        Self::ZERO
    }
}

impl From<jiff::Timestamp> for Time {
    fn from(at: jiff::Timestamp) -> Self {
        Self(at)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let civil = self.0.to_zoned(jiff::tz::TimeZone::UTC).datetime();
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            civil.year(),
            civil.month(),
            civil.day(),
            civil.hour(),
            civil.minute(),
            civil.second()
        )?;
        let nanos = civil.subsec_nanosecond();
        if nanos != 0 {
            let digits = format!("{nanos:09}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::parse(&text).map_err(|e| serde::de::Error::custom(format!("parsing time {text:?}: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::Time;

    #[test]
    fn is_written_as_go_writes_it() {
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_500_000_000, "1970-01-01T00:00:01.5Z"),
            (1_000_000_001, "1970-01-01T00:00:01.000000001Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
        ] {
            let time = Time(jiff::Timestamp::from_nanosecond(nanos).unwrap());
            assert_eq!(time.to_string(), text);
            assert_eq!(Time::parse(text).unwrap(), time);
        }
        assert_eq!(Time::ZERO.to_string(), "0001-01-01T00:00:00Z");
        assert!(Time::parse("0001-01-01T00:00:00Z").unwrap().is_zero());
        assert!(Time::parse("").unwrap().is_zero());
        assert!(Time::parse("yesterday").is_err());
        assert_eq!(Time::parse("2024-01-02T03:04:05+02:00").unwrap().to_string(), "2024-01-02T01:04:05Z");
    }

    #[test]
    fn unix_seconds_round_down() {
        assert_eq!(Time::parse("1969-12-31T23:59:59.5Z").unwrap().unix(), -1);
        assert_eq!(Time::parse("1970-01-01T00:00:01.5Z").unwrap().unix(), 1);
    }
}
