//! What tells one process from another that gets the same number later.

use std::{fs::File, io, io::Read};

/// A process as `/proc/<pid>/stat` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// It has ended, though nobody may have asked for its status yet.
    pub ended: bool,
    /// When it was born, in clock ticks since the machine's start.
    pub start_time: u64,
}

/// Looks at a process.
///
/// # Errors
/// `NotFound` (or ESRCH, when it goes away meanwhile) for none of that number.
pub fn stat(pid: i32) -> io::Result<Stat> {
    // Files of procfs have no size to read by, and one of a line is whole at the first read.
    let mut buffer = [0; 1024];
    let n = File::open(format!("/proc/{pid}/stat"))?.read(&mut buffer)?;
    let text = String::from_utf8_lossy(&buffer[..n]);
    parse(&text).ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat has no start time")))
}

/// proc_pid_stat(5): the second field is the name in parentheses, which may hold anything; the state is the third
/// field and the start time the 22nd.
fn parse(text: &str) -> Option<Stat> {
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    let ended = matches!(fields.next()?, "Z" | "X" | "x");
    Some(Stat { ended, start_time: fields.nth(22 - 4)?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let tail = "1 1 1 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 777 1 1";
        let lives = parse(&format!("5 (a) Z (b)) S {tail}"));
        assert_eq!(lives, Some(Stat { ended: false, start_time: 777 }));
        assert!(parse(&format!("5 (x) Z {tail}")).unwrap().ended);
        assert_eq!(parse("5 (x) S 1"), None);
    }

    #[test]
    fn own_and_nobodys() {
        let own = stat(std::process::id().cast_signed()).unwrap();
        assert!(!own.ended && own.start_time > 0);
        assert_eq!(stat(i32::MAX).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
