//! Sizes as Docker prints and reads them: powers of 1000 with four significant digits, or of 1024.

const DECIMAL: [&str; 9] = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
const BINARY: [&str; 9] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"];

/// `4.26MB`: powers of 1000, four significant digits.
#[must_use]
pub fn human(bytes: f64) -> String {
    with_precision(bytes, 4)
}

/// Powers of 1000 with `digits` significant digits.
#[must_use]
pub fn with_precision(bytes: f64, digits: usize) -> String {
    let (value, unit) = scale(bytes, 1000.0, &DECIMAL);
    format!("{}{unit}", significant(value, digits))
}

/// `1.944GiB`: powers of 1024, four significant digits.
#[must_use]
pub fn binary(bytes: f64) -> String {
    let (value, unit) = scale(bytes, 1024.0, &BINARY);
    format!("{}{unit}", significant(value, 4))
}

fn scale(mut value: f64, base: f64, units: &[&'static str]) -> (f64, &'static str) {
    let mut i = 0;
    while value >= base && i < units.len() - 1 {
        value /= base;
        i += 1;
    }
    (value, units[i])
}

/// C's `%.<digits>g`, without an exponent for the values that sizes take.
#[must_use]
pub fn significant(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let digits = digits.max(1);
    let scientific = format!("{value:.*e}", digits - 1);
    let exponent: i32 = scientific.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    if exponent < -4 || exponent >= digits as i32 {
        let (mantissa, _) = scientific.split_once('e').unwrap_or((&scientific, ""));
        let mantissa = if mantissa.contains('.') { trim_zeros(mantissa) } else { mantissa };
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    let decimals = usize::try_from(digits as i32 - 1 - exponent).unwrap_or(0);
    let fixed = format!("{value:.decimals$}");
    if fixed.contains('.') { trim_zeros(&fixed).to_owned() } else { fixed }
}

fn trim_zeros(text: &str) -> &str {
    text.trim_end_matches('0').trim_end_matches('.')
}

/// Reads `512m`, `1.5 GiB`, `64kb`: powers of 1024 whatever the unit's form.
///
/// # Errors
/// `invalid size: 'x'` in Docker's words.
pub fn ram_in_bytes(text: &str) -> Result<i64, String> {
    let invalid = || format!("invalid size: '{text}'");
    // Everything after the last digit, dot or comma-like separator is the unit.
    let split = text.rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ').ok_or_else(invalid)? + 1;
    let number = text[..split].strip_suffix(' ').unwrap_or(&text[..split]);
    if number.is_empty() || number.contains(|c: char| !(c.is_ascii_digit() || "+-._eE".contains(c))) {
        return Err(invalid_number(number));
    }
    let value: f64 = number.parse().map_err(|_| invalid_number(number))?;
    if value < 0.0 {
        return Err(invalid());
    }
    let suffix = text[split..].to_ascii_lowercase();
    let shift = match suffix.as_str() {
        "" | "b" => 0,
        _ => {
            let mut chars = suffix.chars();
            let power = match chars.next() {
                Some('k') => 10,
                Some('m') => 20,
                Some('g') => 30,
                Some('t') => 40,
                Some('p') => 50,
                _ => return Err(format!("invalid suffix: '{suffix}'")),
            };
            if !matches!(chars.as_str(), "" | "b" | "ib") {
                return Err(format!("invalid suffix: '{suffix}'"));
            }
            power
        }
    };
    Ok((value * (1i64 << shift) as f64) as i64)
}

fn invalid_number(number: &str) -> String {
    format!("strconv.ParseFloat: parsing {}: invalid syntax", crate::format::go_quote(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_four_significant_digits() {
        for (bytes, text) in [
            (0.0, "0B"),
            (1.0, "1B"),
            (999.0, "999B"),
            (1000.0, "1kB"),
            (1_984_225.0, "1.984MB"),
            (4_261_550.0, "4.262MB"),
            (117_000_000.0, "117MB"),
            (999_999.0, "1000kB"),
        ] {
            assert_eq!(human(bytes), text);
        }
        assert_eq!(with_precision(1_984_225.0, 3), "1.98MB");
        assert_eq!(with_precision(999_999.0, 3), "1e+03kB");
        assert_eq!(binary(2_087_325_696.0), "1.944GiB");
        assert_eq!(binary(1024.0 * 1024.0), "1MiB");
    }

    #[test]
    fn memory_sizes_are_read_in_powers_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("1", 1),
            ("1b", 1),
            ("1k", 1024),
            ("1.5K", 1536),
            ("6m", 6 << 20),
            ("2GiB", 2 << 30),
            ("1 kb", 1024),
        ] {
            assert_eq!(ram_in_bytes(text), Ok(bytes), "{text}");
        }
        assert_eq!(ram_in_bytes("x").unwrap_err(), "invalid size: 'x'");
        assert_eq!(ram_in_bytes("").unwrap_err(), "invalid size: ''");
        assert_eq!(ram_in_bytes("1x").unwrap_err(), "invalid suffix: 'x'");
    }
}
