//! What a group has used. The shape is that of Docker's statistics; units are bytes and nanoseconds.

use super::Cgroup;
use super::group::Group;
use super::hierarchy::Controller;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything at one moment. A part is `None` where the machine does not count it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stats {
    /// Processor time.
    pub cpu: Option<CpuStats>,
    /// Memory.
    pub memory: Option<MemoryStats>,
    /// Processes and threads.
    pub pids: Option<PidsStats>,
    /// Block devices.
    pub block_io: Option<BlockIoStats>,
}

/// Processor time, in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CpuStats {
    /// All of it.
    pub usage: u64,
    /// In programs.
    pub user: u64,
    /// In the kernel.
    pub system: u64,
    /// By CPU; version 1 only.
    pub per_cpu: Vec<u64>,
    /// Periods in which the group wanted to run, when it has a quota.
    pub periods: u64,
    /// Those in which it had to stop.
    pub throttled_periods: u64,
    /// How long it was stopped.
    pub throttled: u64,
}

/// Memory, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MemoryStats {
    /// Now, page cache included.
    pub usage: u64,
    /// The most there ever was; `None` where the kernel does not keep it (version 2 before 5.19).
    pub max_usage: Option<u64>,
    /// The limit; `None` for none.
    pub limit: Option<u64>,
    /// How often the limit was hit; version 1 only.
    pub failures: Option<u64>,
    /// `memory.stat`, as it is.
    pub stat: BTreeMap<String, u64>,
    /// Whether `stat` has version 2's names.
    pub v2: bool,
}

/// Processes and threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PidsStats {
    /// Now.
    pub current: u64,
    /// The limit; `None` for none.
    pub limit: Option<u64>,
}

/// One number about one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockIoEntry {
    /// The device's numbers.
    pub major: u64,
    /// The device's numbers.
    pub minor: u64,
    /// What was done, in Docker's lower case: `read`, `write`, `sync`, …
    pub operation: String,
    /// How many bytes or operations.
    pub value: u64,
}

/// Use of block devices.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BlockIoStats {
    /// Bytes.
    pub service_bytes: Vec<BlockIoEntry>,
    /// Operations.
    pub serviced: Vec<BlockIoEntry>,
}

impl Cgroup {
    /// Everything that the machine counts for this group. Parts that can't be read are left out.
    pub fn stats(&self) -> Stats {
        Stats {
            cpu: self.cpu_stats(),
            memory: self.with(Controller::Memory).and_then(memory),
            pids: self.with(Controller::Pids).and_then(|group| {
                Some(PidsStats { current: group.number("pids.current")?, limit: group.number("pids.max") })
            }),
            block_io: self
                .with(Controller::Io)
                .and_then(|group| if group.is_v2() { io_v2(group) } else { io_v1(group) }),
        }
    }

    fn cpu_stats(&self) -> Option<CpuStats> {
        if let Some(accounting) = self.with(Controller::Cpuacct) {
            let mut stats = CpuStats { usage: accounting.number("cpuacct.usage")?, ..CpuStats::default() };
            stats.user = accounting.number("cpuacct.usage_user").unwrap_or(0);
            stats.system = accounting.number("cpuacct.usage_sys").unwrap_or(0);
            let text = accounting.read("cpuacct.usage_percpu").unwrap_or_default();
            stats.per_cpu = text.split_whitespace().filter_map(|number| number.parse().ok()).collect();
            if let Some(text) = self.with(Controller::Cpu).and_then(|group| group.read("cpu.stat").ok()) {
                let stat = pairs(&text);
                let get = |name: &str| stat.get(name).copied().unwrap_or(0);
                stats.periods = get("nr_periods");
                stats.throttled_periods = get("nr_throttled");
                stats.throttled = get("throttled_time");
            }
            return Some(stats);
        }
        // Version 2 counts time even without the controller.
        let stat = pairs(&self.v2()?.read("cpu.stat").ok()?);
        let get = |name: &str| stat.get(name).copied().unwrap_or(0);
        Some(CpuStats {
            usage: get("usage_usec") * 1000,
            user: get("user_usec") * 1000,
            system: get("system_usec") * 1000,
            per_cpu: Vec::new(),
            periods: get("nr_periods"),
            throttled_periods: get("nr_throttled"),
            throttled: get("throttled_usec") * 1000,
        })
    }
}

/// Lines of "name number".
fn pairs(text: &str) -> BTreeMap<String, u64> {
    let pair = |line: &str| {
        let (name, number) = line.split_once(' ')?;
        Some((name.to_owned(), number.trim().parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}

/// Version 1's "no limit" is the highest number of whole pages.
const NO_LIMIT: u64 = i64::MAX as u64 & !0xffff;

fn memory(group: &Group) -> Option<MemoryStats> {
    let v2 = group.is_v2();
    let file = |v1: &'static str, other: &'static str| if v2 { other } else { v1 };
    let stat = pairs(&group.read("memory.stat").ok()?);
    Some(MemoryStats {
        usage: group.number(file("memory.usage_in_bytes", "memory.current"))?,
        max_usage: group.number(file("memory.max_usage_in_bytes", "memory.peak")),
        limit: group.number(file("memory.limit_in_bytes", "memory.max")).filter(|limit| *limit < NO_LIMIT),
        failures: if v2 { None } else { group.number("memory.failcnt") },
        stat,
        v2,
    })
}

fn io_v1(group: &Group) -> Option<BlockIoStats> {
    // BFQ counts only what goes through it; the throttling layer sees all.
    let bytes = group.read("blkio.throttle.io_service_bytes_recursive").ok()?;
    let operations = group.read("blkio.throttle.io_serviced_recursive").ok()?;
    Some(BlockIoStats { service_bytes: parse_io_v1(&bytes), serviced: parse_io_v1(&operations) })
}

/// Lines of "8:0 Read 4096"; the sum at the end has no device.
fn parse_io_v1(text: &str) -> Vec<BlockIoEntry> {
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        let (major, minor) = words.next()?.split_once(':')?;
        let operation = words.next()?.to_lowercase();
        let value = words.next()?.parse().ok()?;
        Some(BlockIoEntry { major: major.parse().ok()?, minor: minor.parse().ok()?, operation, value })
    };
    text.lines().filter_map(entry).collect()
}

fn io_v2(group: &Group) -> Option<BlockIoStats> {
    let text = group.read("io.stat").ok()?;
    Some(parse_io_v2(&text))
}

/// Lines of "8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0".
fn parse_io_v2(text: &str) -> BlockIoStats {
    let mut stats = BlockIoStats::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let numbers = words.next().and_then(|device| device.split_once(':'));
        let Some((Ok(major), Ok(minor))) = numbers.map(|(major, minor)| (major.parse(), minor.parse()))
        else {
            continue;
        };
        for (name, value) in words.filter_map(|word| word.split_once('=')) {
            let (list, operation) = match name {
                "rbytes" => (&mut stats.service_bytes, "read"),
                "wbytes" => (&mut stats.service_bytes, "write"),
                "rios" => (&mut stats.serviced, "read"),
                "wios" => (&mut stats.serviced, "write"),
                _ => continue,
            };
            if let Ok(value) = value.parse() {
                list.push(BlockIoEntry { major, minor, operation: operation.to_owned(), value });
            }
        }
    }
    stats
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_of_both_versions() {
        let v1 = parse_io_v1("8:0 Read 4096\n8:0 Write 0\n8:0 Total 4096\nTotal 4096\nnonsense\n");
        assert_eq!(v1.len(), 3);
        assert_eq!(v1[0], BlockIoEntry { major: 8, minor: 0, operation: "read".to_owned(), value: 4096 });
        let v2 = parse_io_v2("254:16 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n8:0 \nx y=z\n");
        assert_eq!(v2.service_bytes.len(), 2);
        assert_eq!(v2.serviced[1].value, 2);
        assert_eq!((v2.serviced[1].major, v2.serviced[1].minor), (254, 16));
    }

    #[test]
    fn lines_of_pairs() {
        let all = pairs("cache 12\nrss 7\nbroken\nx y\n");
        assert_eq!(all.into_iter().collect::<Vec<_>>(), [("cache".to_owned(), 12), ("rss".to_owned(), 7)]);
    }
}
