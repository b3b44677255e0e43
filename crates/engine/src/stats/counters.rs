//! The kernel's counters of a container, in the API's shape.

use crate::{actor::Snapshot, core::Core, record::Run, start};
use brig_api::{
    BlkioStatEntry, BlkioStats, ContainerStatsResponse, CpuStats, CpuUsage, MemoryStats, NetworkStats,
    PidsStats, ThrottlingData, Time,
};
use brig_runtime::cgroup::{self, BlockIoEntry, Cgroup};
use std::{collections::BTreeMap, path::Path, sync::OnceLock};

/// Reads a container's counters time and again. Keeps its cgroup open for one run.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// The number of the run that the cgroup is of.
    group: Option<(u64, Cgroup)>,
}

/// One sample.
pub(super) fn read_once(core: &Core, snapshot: &Snapshot) -> ContainerStatsResponse {
    Counters::default().read(core, snapshot)
}

impl Counters {
    /// The next sample; an empty one while the container does not run. Blocking, for a moment.
    pub(super) fn read(&mut self, core: &Core, snapshot: &Snapshot) -> ContainerStatsResponse {
        let record = &snapshot.record;
        let Some(run) = record.state.run() else {
            self.group = None;
            return super::empty(snapshot);
        };
        if self.group.as_ref().is_none_or(|(of, _)| *of != record.runs) {
            let path = start::cgroup_of(core, record);
            // It may have ended this moment.
            self.group = Cgroup::open(Path::new(&path)).ok().map(|group| (record.runs, group));
        }
        let Some((_, group)) = &self.group else { return super::empty(snapshot) };
        let used = group.stats();
        let (system_cpu_usage, online_cpus) = machine_cpu();
        let v2 = core.cgroup_v2;
        let mut cpu_stats = used.cpu.map(cpu).unwrap_or_default();
        cpu_stats.system_cpu_usage = system_cpu_usage;
        cpu_stats.online_cpus = online_cpus;
        ContainerStatsResponse {
            read: Time::now(),
            pids_stats: used.pids.map(|pids| processes(pids, v2)).unwrap_or_default(),
            blkio_stats: used.block_io.map(|io| block_io(io, v2)).unwrap_or_default(),
            cpu_stats,
            memory_stats: used.memory.map(memory).unwrap_or_default(),
            networks: networks(snapshot, run),
            ..super::empty(snapshot)
        }
    }
}

fn cpu(used: cgroup::CpuStats) -> CpuStats {
    CpuStats {
        cpu_usage: CpuUsage {
            total_usage: used.usage,
            percpu_usage: Some(used.per_cpu).filter(|all| !all.is_empty()),
            usage_in_kernelmode: used.system,
            usage_in_usermode: used.user,
        },
        throttling_data: ThrottlingData {
            periods: used.periods,
            throttled_periods: used.throttled_periods,
            throttled_time: used.throttled,
        },
        ..CpuStats::default()
    }
}

fn memory(used: cgroup::MemoryStats) -> MemoryStats {
    let machine = machine_memory();
    MemoryStats {
        usage: used.usage,
        // Docker has it in version 1 only.
        max_usage: used.max_usage.filter(|_| !used.v2).unwrap_or(0),
        stats: Some(used.stat),
        failcnt: used.failures.unwrap_or(0),
        limit: used.limit.map_or(machine, |limit| limit.min(machine)),
    }
}

fn processes(used: cgroup::PidsStats, v2: bool) -> PidsStats {
    // No limit is the highest number in version 2, and nothing in version 1.
    let none = if v2 { u64::MAX } else { 0 };
    PidsStats { current: used.current, limit: used.limit.unwrap_or(none) }
}

fn block_io(used: cgroup::BlockIoStats, v2: bool) -> BlkioStats {
    let list = |entries: Vec<BlockIoEntry>| {
        let entries = entries.into_iter().map(|entry| BlkioStatEntry {
            major: entry.major,
            minor: entry.minor,
            op: if v2 { entry.operation } else { capitalized(&entry.operation) },
            value: entry.value,
        });
        entries.collect::<Vec<_>>()
    };
    let bytes = list(used.service_bytes);
    if v2 {
        let io_service_bytes_recursive = Some(bytes).filter(|all| !all.is_empty());
        return BlkioStats { io_service_bytes_recursive, ..BlkioStats::default() };
    }
    // What else there was came from a scheduler that Linux 5.0 dropped.
    BlkioStats {
        io_service_bytes_recursive: Some(bytes),
        io_serviced_recursive: Some(list(used.serviced)),
        io_queue_recursive: Some(Vec::new()),
        io_service_time_recursive: Some(Vec::new()),
        io_wait_time_recursive: Some(Vec::new()),
        io_merged_recursive: Some(Vec::new()),
        io_time_recursive: Some(Vec::new()),
        sectors_recursive: Some(Vec::new()),
    }
}

/// The kernel's own spelling in version 1.
fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The interfaces on networks of the sandbox that the container is in; `None` where there are none, as in the
/// host's network.
fn networks(snapshot: &Snapshot, run: &Run) -> Option<BTreeMap<String, NetworkStats>> {
    let endpoints = &snapshot.sandbox.as_ref()?.endpoints;
    if endpoints.is_empty() {
        return None;
    }
    // Of the namespace that this process is in: nobody has to go there.
    let text = std::fs::read_to_string(format!("/proc/{}/net/dev", run.pid)).ok()?;
    if !start::same_process(run.pid, run.start_time) {
        // It ended, and its number may have been another's while it was read.
        return None;
    }
    let all = parse_interfaces(&text);
    let ours = all.into_iter().filter(|(name, _)| endpoints.values().any(|e| e.interface == *name));
    Some(ours.map(|(name, stats)| (name.to_owned(), stats)).collect())
}

/// Lines of "eth0: bytes packets errs drop fifo frame compressed multicast", and the same for what was sent.
fn parse_interfaces(text: &str) -> Vec<(&str, NetworkStats)> {
    let counts = |numbers: &str| {
        let n: Vec<u64> = numbers.split_whitespace().map_while(|word| word.parse().ok()).collect();
        let [
            rx_bytes,
            rx_packets,
            rx_errors,
            rx_dropped,
            _,
            _,
            _,
            _,
            tx_bytes,
            tx_packets,
            tx_errors,
            tx_dropped,
            ..,
        ] = n[..]
        else {
            return None;
        };
        Some(NetworkStats {
            rx_bytes,
            rx_packets,
            rx_errors,
            rx_dropped,
            tx_bytes,
            tx_packets,
            tx_errors,
            tx_dropped,
        })
    };
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.filter_map(|(name, numbers)| Some((name.trim(), counts(numbers)?))).collect()
}

/// Nanoseconds that all CPUs have spent since the machine started, and how many CPUs there are.
fn machine_cpu() -> (u64, u32) {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    parse_machine_cpu(&text, rustix::param::clock_ticks_per_second())
}

fn parse_machine_cpu(text: &str, ticks_per_second: u64) -> (u64, u32) {
    let mut ticks = 0u64;
    let mut cpus = 0;
    for line in text.lines() {
        let Some((name, numbers)) = line.split_once(' ') else { continue };
        match name.strip_prefix("cpu") {
            // User, nice, system, idle, iowait, irq, softirq: what clients divide by. Guests count as user already.
            Some("") => {
                ticks = numbers.split_whitespace().take(7).filter_map(|n| n.parse::<u64>().ok()).sum()
            }
            Some(_) => cpus += 1,
            None => {}
        }
    }
    let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(ticks_per_second.max(1));
    (u64::try_from(nanos).unwrap_or(u64::MAX), cpus)
}

/// Bytes of memory of the machine.
fn machine_memory() -> u64 {
    static BYTES: OnceLock<u64> = OnceLock::new();
    *BYTES.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let kib = total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        kib.map_or(u64::MAX, |kib| kib * 1024)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_read_and_headings_are_not() {
        let text = "Inter-|   Receive                                                |  Transmit\n \
                    face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    \
                    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0\n  \
                    eth0:     200       2    1    3    0     0          0         0       70       9    4    5    0     0       0          0\n";
        let all = parse_interfaces(text);
        assert_eq!(all.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["lo", "eth0"]);
        let eth0 = &all[1].1;
        assert_eq!((eth0.rx_bytes, eth0.rx_packets, eth0.rx_errors, eth0.rx_dropped), (200, 2, 1, 3));
        assert_eq!((eth0.tx_bytes, eth0.tx_packets, eth0.tx_errors, eth0.tx_dropped), (70, 9, 4, 5));
        assert!(parse_interfaces("eth0: 1 2 x\n:\n").is_empty());
    }

    #[test]
    fn machine_time_is_the_sum_of_seven() {
        let text = "cpu  100 1 2 3 4 5 6 700 8 9\ncpu0 50 0\ncpu1 50 1\nintr 5\n";
        assert_eq!(parse_machine_cpu(text, 100), (1_210_000_000, 2));
        assert_eq!(parse_machine_cpu("", 0), (0, 0));
    }

    #[test]
    fn the_words_of_version_one() {
        assert_eq!((capitalized("read"), capitalized("")), ("Read".to_owned(), String::new()));
    }
}
