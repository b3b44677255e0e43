//! Names and numbers of signals.

/// Linux' signals on the architectures that brig knows, from 1 on.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// The number of `9`, `KILL`, `SIGKILL`, `rtmin+3`.
pub(crate) fn parse(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (0..=64).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(at) = NAMES.iter().position(|n| *n == name) {
        return i32::try_from(at).ok().map(|n| n + 1);
    }
    let offset = |rest: &str| match rest {
        "" => Some(0),
        rest => rest.strip_prefix(['+', '-'])?.parse::<i32>().ok(),
    };
    match (name, name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        ("POLL", ..) => Some(29),
        ("IOT", ..) => Some(6),
        ("CLD", ..) => Some(17),
        // The C library keeps 32 and 33 for itself.
        (_, Some(rest), _) => offset(rest).map(|n| 34 + n).filter(|n| (34..=64).contains(n)),
        (_, _, Some(rest)) => offset(rest).map(|n| 64 - n).filter(|n| (34..=64).contains(n)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn names_and_numbers() {
        for (text, number) in [
            ("9", Some(9)),
            ("KILL", Some(9)),
            ("SIGTERM", Some(15)),
            ("sigusr1", Some(10)),
            ("SYS", Some(31)),
            ("RTMIN+3", Some(37)),
            ("SIGRTMAX-1", Some(63)),
            ("0", Some(0)),
            ("65", None),
            ("-1", None),
            ("RTMIN+99", None),
            ("WHAT", None),
            ("", None),
        ] {
            assert_eq!(parse(text), number, "{text}");
        }
    }
}
