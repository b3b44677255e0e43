//! `org.systemd.property.NAME`: properties that a bundle adds to its scope. runc's rules.

use super::Property;
use super::error::SystemdError;
use super::text;
use crate::dbus::Value;
use std::collections::HashMap;

const PREFIX: &str = "org.systemd.property.";

/// The properties of all annotations, sorted by name.
pub(super) fn properties(
    annotations: Option<&HashMap<String, String>>,
) -> Result<Vec<Property>, SystemdError> {
    let mut found = Vec::new();
    for (key, value) in annotations.into_iter().flatten() {
        let Some(name) = key.strip_prefix(PREFIX) else { continue };
        let property = read(name, value);
        found.push(property.map_err(|reason| SystemdError::Annotation { key: key.clone(), reason })?);
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

fn read(name: &str, value: &str) -> Result<Property, String> {
    if name.len() < 3 {
        return Err("name incorrect: too short".into());
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Err("name incorrect: contains non-alphabetic character".into());
    }
    let value = text::parse(value).map_err(|reason| format!("value parse error: {value}: {reason}"))?;
    // What the manuals call TimeoutStopSec is TimeoutStopUSec on the bus.
    match name.strip_suffix("Sec").filter(|stem| stem.ends_with(|c: char| c.is_ascii_lowercase())) {
        Some(stem) => Ok((format!("{stem}USec"), microseconds(&value)?)),
        None => Ok((name.to_owned(), value)),
    }
}

fn microseconds(value: &Value) -> Result<Value, String> {
    let seconds = match value {
        Value::Byte(n) => i128::from(*n),
        Value::I16(n) => i128::from(*n),
        Value::U16(n) => i128::from(*n),
        Value::I32(n) => i128::from(*n),
        Value::U32(n) => i128::from(*n),
        Value::I64(n) => i128::from(*n),
        Value::U64(n) => i128::from(*n),
        Value::F64(bits) => {
            let time = f64::from_bits(*bits) * 1e6;
            return match (0.0..=u64::MAX as f64).contains(&time) {
                true => Ok(Value::U64(time as u64)),
                false => Err("value parse error: not a time".into()),
            };
        }
        _ => return Err("value parse error: not a number".into()),
    };
    let time = seconds.checked_mul(1_000_000).and_then(|time| u64::try_from(time).ok());
    time.map(Value::U64).ok_or_else(|| "value parse error: not a time".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: &str, value: &str) -> Result<Vec<Property>, SystemdError> {
        properties(Some(&HashMap::from([(key.to_owned(), value.to_owned())])))
    }

    #[test]
    fn properties_and_others() {
        let expected = |name: &str, value| Ok(vec![(name.to_owned(), value)]);
        let read = |name: &str, value| one(&format!("{PREFIX}{name}"), value);
        assert_eq!(
            read("TimeoutStopUSec", "uint64 123456789"),
            expected("TimeoutStopUSec", Value::U64(123_456_789))
        );
        assert_eq!(
            read("CollectMode", "'inactive-or-failed'"),
            expected("CollectMode", Value::text("inactive-or-failed"))
        );
        assert_eq!(read("TimeoutStopSec", "10"), expected("TimeoutStopUSec", Value::U64(10_000_000)));
        assert_eq!(read("TimeoutStopSec", "1.5"), expected("TimeoutStopUSec", Value::U64(1_500_000)));
        assert_eq!(read("SendSIGHUP", "true"), expected("SendSIGHUP", Value::Bool(true)));
        // Not a unit of time: nothing in lower case before it.
        assert_eq!(read("ABSec", "1"), expected("ABSec", Value::I32(1)));
        assert_eq!(one("org.example", "what"), Ok(Vec::new()));
        assert_eq!(properties(None), Ok(Vec::new()));
    }

    #[test]
    fn what_is_none_says_which() {
        for (name, value, expected) in [
            ("", "1", "too short"),
            ("ab", "1", "too short"),
            ("Abc1", "1", "non-alphabetic"),
            ("TimeoutStopSec", "'x'", "not a number"),
            ("TimeoutStopSec", "-1", "not a time"),
            ("TimeoutStopSec", "uint64 18446744073709551615", "not a time"),
            ("Abc", "what", "value parse error"),
            ("Abc", "", "value parse error"),
        ] {
            let error = one(&format!("{PREFIX}{name}"), value).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains(name), "{error}");
        }
    }
}
