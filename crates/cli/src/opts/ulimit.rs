//! `--ulimit type=soft[:hard]`.

use brig_api::Ulimit;

const TYPES: [&str; 16] = [
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// Reads one.
///
/// # Errors
/// In Docker's words.
pub fn parse(text: &str) -> Result<Ulimit, String> {
    let Some((name, limits)) = text.split_once('=') else {
        return Err(format!("invalid ulimit argument: {text}"));
    };
    if !TYPES.contains(&name) {
        return Err(format!("invalid ulimit type: {name}"));
    }
    let parts: Vec<&str> = limits.split(':').collect();
    if parts.len() > 2 {
        return Err(format!(
            "too many limit value arguments - {limits}, can only have up to two, `soft[:hard]`"
        ));
    }
    let number = |t: &str| {
        let digits = t.strip_prefix(['-', '+']).unwrap_or(t);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(format!("strconv.ParseInt: parsing {}: invalid syntax", crate::format::go_quote(t)));
        }
        t.parse::<i64>().map_err(|_| {
            format!("strconv.ParseInt: parsing {}: value out of range", crate::format::go_quote(t))
        })
    };
    let soft = number(parts[0])?;
    let hard = match parts.get(1) {
        Some(hard) => number(hard)?,
        None => soft,
    };
    if hard != -1 && (soft == -1 || soft > hard) {
        return Err(format!("ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"));
    }
    Ok(Ulimit { name: name.to_owned(), hard, soft })
}

pub(crate) fn check(text: &str) -> Result<(), String> {
    parse(text).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ulimits_are_read() {
        let limit = |soft, hard| Ulimit { name: "nofile".to_owned(), hard, soft };
        assert_eq!(parse("nofile=10"), Ok(limit(10, 10)));
        assert_eq!(parse("nofile=10:20"), Ok(limit(10, 20)));
        assert_eq!(parse("nofile=-1"), Ok(limit(-1, -1)));
        assert_eq!(parse("nofile=1:-1"), Ok(limit(1, -1)));
        for (text, want) in [
            ("x", "invalid ulimit argument: x"),
            ("foo=1", "invalid ulimit type: foo"),
            ("nofile=a", "strconv.ParseInt: parsing \"a\": invalid syntax"),
            ("nofile=", "strconv.ParseInt: parsing \"\": invalid syntax"),
            ("nofile=20:10", "ulimit soft limit must be less than or equal to hard limit: 20 > 10"),
            (
                "nofile=1:2:3",
                "too many limit value arguments - 1:2:3, can only have up to two, `soft[:hard]`",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), want);
        }
    }
}
