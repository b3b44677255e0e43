//! `events`.

mod shape;

use super::{Command, Context, id};
use crate::args::{Flag, Parsed};
use crate::error::Error;
use crate::out;
use crate::status::Container;
use brig_runtime::cgroup::Cgroup;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use shape::{Event, Usage};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

pub(super) const EVENTS: Command = Command {
    name: "events",
    about: "Print what a container uses, and when it runs out of memory, as JSON lines, until it ends",
    operands: "CONTAINER",
    count: 1..=1,
    flags: &[
        Flag::value("interval", "DURATION", "time between two lines: 500ms, 5s, 1m (default 5s)"),
        Flag::switch("stats", "print one line and end"),
    ],
    examples: "  brig oci events --stats web\n  brig oci events --interval 1s web",
    failure: 1,
    run,
};

fn run(context: &Context<'_>, own: &Parsed) -> Result<u8, Error> {
    let interval = interval(own.text("interval").unwrap_or("5s"))?;
    let entry = context.records().find(id(own))?;
    let container = Container::look(&entry)?;
    let (Some(pidfd), Some(cgroup)) = (&container.pidfd, container.cgroup()) else {
        return Err(Error::State(format!("container with id {} is not running", entry.id())));
    };
    if own.is_set("stats") {
        return tell(entry.id(), &cgroup).map(|()| 0);
    }
    follow(entry.id(), &cgroup, pidfd, interval).map(|()| 0)
}

/// One line of what is used.
fn tell(id: &str, cgroup: &Cgroup) -> Result<(), Error> {
    let usage = Usage::of(&cgroup.stats(), &cgroup.details());
    line(&Event { kind: "stats", id, data: Some(usage) })
}

fn line(event: &Event<'_>) -> Result<(), Error> {
    let failed = |e: serde_json::Error| Error::State(format!("write the event: {e}"));
    out::line(&serde_json::to_string(event).map_err(failed)?)
}

/// A line after each interval, and one for each time that memory ran out, until the container ends.
fn follow(id: &str, cgroup: &Cgroup, pidfd: &OwnedFd, interval: Duration) -> Result<(), Error> {
    let watch = cgroup.oom_watch();
    let mut kills = cgroup.oom_kills();
    let mut next = Instant::now() + interval;
    loop {
        let left = Timespec::try_from(next.saturating_duration_since(Instant::now())).ok();
        let mut fds = vec![PollFd::new(pidfd, PollFlags::IN)];
        fds.extend(watch.as_ref().map(|watch| PollFd::new(watch, PollFlags::IN)));
        let ready = match poll(&mut fds, left.as_ref()) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other.map_err(Error::system("wait for events"))?,
        };
        let ended = !fds[0].revents().is_empty();
        let now = cgroup.oom_kills();
        if now > kills {
            line(&Event { kind: "oom", id, data: None })?;
        }
        kills = now;
        if ended {
            return Ok(());
        }
        if let Some(watch) = &watch {
            watch.clear();
        }
        if ready == 0 {
            tell(id, cgroup)?;
            next += interval;
        }
    }
}

/// Go's durations, as far as anybody uses them here.
fn interval(text: &str) -> Result<Duration, Error> {
    let bad = || Error::Usage(format!("invalid value \"{text}\" for flag -interval: parse error"));
    let end = text.find(|c: char| c.is_alphabetic()).ok_or_else(bad)?;
    let number: f64 = text[..end].parse().map_err(|_| bad())?;
    let unit = match &text[end..] {
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(bad()),
    };
    match Duration::try_from_secs_f64(number * unit) {
        Ok(interval) if !interval.is_zero() => Ok(interval),
        Ok(_) => Err(Error::Usage("duration interval must be greater than 0".into())),
        Err(_) => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals() {
        assert_eq!(interval("5s").unwrap(), Duration::from_secs(5));
        assert_eq!(interval("250ms").unwrap(), Duration::from_millis(250));
        assert_eq!(interval("1.5m").unwrap(), Duration::from_secs(90));
        for bad in ["", "5", "s", "-1s", "5x", "0s", "infs"] {
            assert!(interval(bad).is_err(), "{bad}");
        }
    }
}
