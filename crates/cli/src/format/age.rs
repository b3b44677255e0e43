//! How long ago something was, in Docker's rough words.

/// `About a minute`, `3 weeks`: `seconds` rounded to the unit that a person would use.
#[must_use]
pub fn human(seconds: i64) -> String {
    let minutes = seconds / 60;
    let hours = (seconds as f64 / 3600.0 + 0.5) as i64;
    match seconds {
        ..1 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        _ if minutes == 1 => "About a minute".to_owned(),
        _ if minutes < 60 => format!("{minutes} minutes"),
        _ if hours == 1 => "About an hour".to_owned(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        _ if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

/// The same with ` ago`, from `then` to `now` (Unix seconds).
#[must_use]
pub fn ago(then: i64, now: i64) -> String {
    format!("{} ago", human(now - then))
}

/// The present as Unix seconds.
#[must_use]
pub fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_rough() {
        const H: i64 = 3600;
        for (seconds, text) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (59 * 60, "59 minutes"),
            (H, "About an hour"),
            (H + 1800, "2 hours"),
            (47 * H, "47 hours"),
            (48 * H, "2 days"),
            (13 * 24 * H, "13 days"),
            (21 * 24 * H, "3 weeks"),
            (90 * 24 * H, "3 months"),
            (365 * 3 * 24 * H, "3 years"),
        ] {
            assert_eq!(human(seconds), text, "{seconds}");
        }
    }
}
