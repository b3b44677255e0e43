//! `events`.

use super::{Command, Context, delete, id};
use crate::args::{Flag, Parsed};
use crate::error::Error;
use crate::out;
use crate::status::Container;
use brig_runtime::cgroup::{BlockIoEntry, Stats};
use serde_json::{Value, json};
use std::time::Duration;

pub(super) const EVENTS: Command = Command {
    name: "events",
    about: "Print what a container uses, as JSON lines, until it ends",
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
    loop {
        let line = json!({"type": "stats", "id": entry.id(), "data": stats(&cgroup.stats())});
        out::line(&line.to_string())?;
        if own.is_set("stats") || delete::ended_within(pidfd, interval)? {
            return Ok(0);
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

/// runc's shape.
fn stats(stats: &Stats) -> Value {
    let mut all = json!({});
    if let Some(cpu) = &stats.cpu {
        all["cpu"] = json!({
            "usage": {"total": cpu.usage, "percpu": cpu.per_cpu, "kernel": cpu.system, "user": cpu.user},
            "throttling": {"periods": cpu.periods, "throttledPeriods": cpu.throttled_periods,
                "throttledTime": cpu.throttled},
        });
    }
    if let Some(memory) = &stats.memory {
        let cache = if memory.v2 { "file" } else { "cache" };
        all["memory"] = json!({
            "cache": memory.stat.get(cache).copied().unwrap_or(0),
            "usage": {"limit": memory.limit.unwrap_or(u64::MAX), "usage": memory.usage,
                "max": memory.max_usage.unwrap_or(0), "failcnt": memory.failures.unwrap_or(0)},
            "raw": memory.stat,
        });
    }
    if let Some(pids) = &stats.pids {
        all["pids"] = json!({"current": pids.current, "limit": pids.limit.unwrap_or(0)});
    }
    if let Some(block) = &stats.block_io {
        let list = |entries: &[BlockIoEntry]| {
            let entry = |e: &BlockIoEntry| json!({"major": e.major, "minor": e.minor, "op": e.operation, "value": e.value});
            entries.iter().map(entry).collect::<Vec<_>>()
        };
        all["blkio"] = json!({
            "ioServiceBytesRecursive": list(&block.service_bytes),
            "ioServicedRecursive": list(&block.serviced),
        });
    }
    all
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
