//! Words for people in the list of containers.

use crate::record::{ContainerRecord, HealthStatus, State};
use jiff::Timestamp;

/// What a container does, such as `Up 2 hours` or `Exited (0) 3 seconds ago`.
pub(super) fn status(record: &ContainerRecord, now: Timestamp) -> String {
    let health = match record.health.as_deref().map(|health| health.status) {
        None => "",
        Some(HealthStatus::Starting) => " (health: starting)",
        Some(HealthStatus::Healthy) => " (healthy)",
        Some(HealthStatus::Unhealthy) => " (unhealthy)",
    };
    let since = |at: Timestamp| duration(now.duration_since(at).as_secs());
    match &record.state {
        State::Running(run) => format!("Up {}{health}", since(run.started_at)),
        State::Paused(run) => format!("Up {} (Paused)", since(run.started_at)),
        State::Restarting { exit, .. } => {
            format!("Restarting ({}) {} ago", exit.code, since(exit.finished_at))
        }
        State::Exited(exit) | State::Starting { previous: Some(exit), .. } => {
            format!("Exited ({}) {} ago", exit.code, since(exit.finished_at))
        }
        State::Created { .. } | State::Starting { previous: None, .. } => "Created".to_owned(),
        State::Removing { .. } => "Removal In Progress".to_owned(),
        State::Dead { .. } => "Dead".to_owned(),
    }
}

/// A length of time in words, as Docker has them.
pub(super) fn duration(seconds: i64) -> String {
    // Docker rounds hours and what is longer to the nearest, minutes down.
    let minutes = seconds / 60;
    let hours = (seconds + 1800) / 3600;
    match (seconds, minutes, hours) {
        (..1, ..) => "Less than a second".to_owned(),
        (1, ..) => "1 second".to_owned(),
        (2..60, ..) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, 2..60, _) => format!("{minutes} minutes"),
        (.., 1) => "About an hour".to_owned(),
        (.., 2..48) => format!("{hours} hours"),
        (.., 48..336) => format!("{} days", hours / 24),
        (.., 336..1440) => format!("{} weeks", hours / 24 / 7),
        (.., 1440..17520) => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

/// Program and arguments as Docker shows them: those quoted that have blanks or nothing in them.
pub(super) fn command(words: &[String]) -> String {
    let Some((program, arguments)) = words.split_first() else { return String::new() };
    let mut out = program.clone();
    for argument in arguments {
        out.push(' ');
        if argument.contains(' ') {
            out.push('\'');
            out.push_str(argument);
            out.push('\'');
        } else {
            out.push_str(argument);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        const HOUR: i64 = 3600;
        const DAY: i64 = 24 * HOUR;
        for (seconds, words) in [
            (-5, "Less than a second"),
            (0, "Less than a second"),
            (1, "1 second"),
            (45, "45 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (180, "3 minutes"),
            (59 * 60, "59 minutes"),
            (HOUR, "About an hour"),
            (2 * HOUR, "2 hours"),
            (47 * HOUR, "47 hours"),
            (2 * DAY, "2 days"),
            (13 * DAY, "13 days"),
            (14 * DAY, "2 weeks"),
            (60 * DAY, "2 months"),
            (3 * 365 * DAY, "3 years"),
        ] {
            assert_eq!(duration(seconds), words, "{seconds}");
        }
    }

    #[test]
    fn commands() {
        let words = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        assert_eq!(command(&words(&["sh", "-c", "echo a b"])), "sh -c 'echo a b'");
        assert_eq!(command(&words(&["true"])), "true");
        assert_eq!(command(&[]), "");
    }
}
