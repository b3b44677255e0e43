//! Weights and rates of block devices.

use crate::format::size;
use brig_api::{ThrottleDevice, WeightDevice};

fn split(text: &str) -> Result<(&str, &str), String> {
    let Some((path, value)) = text.split_once(':').filter(|(path, _)| !path.is_empty()) else {
        return Err(format!("bad format: {text}"));
    };
    if !path.starts_with("/dev/") {
        return Err(format!("bad format for device path: {text}"));
    }
    Ok((path, value))
}

/// `/dev/x:weight`.
///
/// # Errors
/// In Docker's words.
pub fn weight(text: &str) -> Result<WeightDevice, String> {
    let (path, value) = split(text)?;
    match value.parse::<u16>() {
        Ok(weight) if weight == 0 || (10..=1000).contains(&weight) => {
            Ok(WeightDevice { path: path.to_owned(), weight })
        }
        _ => Err(format!("invalid weight for device: {text}")),
    }
}

/// `/dev/x:rate[unit]` in bytes.
///
/// # Errors
/// In Docker's words.
pub fn bytes_rate(text: &str) -> Result<ThrottleDevice, String> {
    let (path, value) = split(text)?;
    let rate = size::ram_in_bytes(value).ok().and_then(|r| u64::try_from(r).ok()).ok_or_else(|| {
        format!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]. \
             Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
        )
    })?;
    Ok(ThrottleDevice { path: path.to_owned(), rate })
}

/// `/dev/x:rate` in operations.
///
/// # Errors
/// In Docker's words.
pub fn operations_rate(text: &str) -> Result<ThrottleDevice, String> {
    let (path, value) = split(text)?;
    let rate = value.parse().map_err(|_| {
        format!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>. \
             Number must be a positive integer"
        )
    })?;
    Ok(ThrottleDevice { path: path.to_owned(), rate })
}

pub(crate) fn check_weight(text: &str) -> Result<(), String> {
    weight(text).map(|_| ())
}

pub(crate) fn check_bytes(text: &str) -> Result<(), String> {
    bytes_rate(text).map(|_| ())
}

pub(crate) fn check_operations(text: &str) -> Result<(), String> {
    operations_rate(text).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_weights_are_read() {
        assert_eq!(weight("/dev/null:100").unwrap().weight, 100);
        assert_eq!(weight("/dev/null:5").unwrap_err(), "invalid weight for device: /dev/null:5");
        assert_eq!(weight("a:100").unwrap_err(), "bad format for device path: a:100");
        assert_eq!(weight("x").unwrap_err(), "bad format: x");
        assert_eq!(bytes_rate("/dev/null:1m").unwrap().rate, 1 << 20);
        assert_eq!(operations_rate("/dev/null:10").unwrap().rate, 10);
        assert!(operations_rate("/dev/null:1m").is_err());
    }
}
