//! The form of events: runc's, field by field and in its order, which containerd and cAdvisor read.

use brig_runtime::cgroup::{BlockIoEntry, Counter, Details, Stats};
use serde::Serialize;
use std::collections::BTreeMap;

/// One line.
#[derive(Serialize)]
pub(super) struct Event<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<Usage>,
}

/// What a container uses.
#[derive(Serialize)]
pub(super) struct Usage {
    cpu: Cpu,
    cpuset: Cpuset,
    memory: Memory,
    pids: Pids,
    blkio: BlockIo,
    hugetlb: BTreeMap<String, Limited>,
    /// Always empty: no group of a resource controller is made for a container.
    intel_rdt: Empty,
    /// Never told by runc 1.1 either.
    network_interfaces: Option<()>,
}

#[derive(Serialize)]
struct Empty {}

/// What Go leaves out.
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[derive(Serialize)]
struct Cpu {
    usage: CpuUsage,
    throttling: Throttling,
}

#[derive(Serialize)]
struct CpuUsage {
    #[serde(skip_serializing_if = "is_zero")]
    total: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    percpu: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    percpu_kernel: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    percpu_user: Vec<u64>,
    kernel: u64,
    user: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Throttling {
    #[serde(skip_serializing_if = "is_zero")]
    periods: u64,
    #[serde(skip_serializing_if = "is_zero")]
    throttled_periods: u64,
    #[serde(skip_serializing_if = "is_zero")]
    throttled_time: u64,
}

#[derive(Serialize)]
struct Cpuset {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cpus: Vec<u16>,
    cpu_exclusive: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mems: Vec<u16>,
    mem_hardwall: i64,
    mem_exclusive: i64,
    memory_migrate: i64,
    memory_spread_page: i64,
    memory_spread_slab: i64,
    memory_pressure: i64,
    sched_load_balance: i64,
    sched_relax_domain_level: i64,
}

#[derive(Serialize)]
struct Memory {
    #[serde(skip_serializing_if = "is_zero")]
    cache: u64,
    usage: Limited,
    swap: Limited,
    kernel: Limited,
    #[serde(rename = "kernelTCP")]
    kernel_tcp: Limited,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    raw: BTreeMap<String, u64>,
}

/// One sort of memory; huge pages are told without their limit.
#[derive(Serialize)]
struct Limited {
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    #[serde(skip_serializing_if = "is_zero")]
    usage: u64,
    #[serde(skip_serializing_if = "is_zero")]
    max: u64,
    failcnt: u64,
}

#[derive(Serialize)]
struct Pids {
    #[serde(skip_serializing_if = "is_zero")]
    current: u64,
    #[serde(skip_serializing_if = "is_zero")]
    limit: u64,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct BlockIo {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_service_bytes_recursive: Vec<Device>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_serviced_recursive: Vec<Device>,
}

#[derive(Serialize)]
struct Device {
    #[serde(skip_serializing_if = "is_zero")]
    major: u64,
    #[serde(skip_serializing_if = "is_zero")]
    minor: u64,
    op: String,
    #[serde(skip_serializing_if = "is_zero")]
    value: u64,
}

impl From<Counter> for Limited {
    fn from(counter: Counter) -> Self {
        let Counter { limit, usage, max, failures } = counter;
        Self { limit: Some(limit), usage, max, failcnt: failures }
    }
}

impl Usage {
    /// What a container's group has used.
    pub(super) fn of(stats: &Stats, details: &Details) -> Self {
        let cpu = stats.cpu.clone().unwrap_or_default();
        let memory = stats.memory.clone().unwrap_or_default();
        let cpuset = details.cpuset.clone().unwrap_or_default();
        let setting = |name: &str| cpuset.settings.get(name).copied().unwrap_or(0);
        let pids = stats.pids.unwrap_or_default();
        let block = stats.block_io.clone().unwrap_or_default();
        Self {
            cpu: Cpu {
                usage: CpuUsage {
                    total: cpu.usage,
                    percpu: cpu.per_cpu,
                    percpu_kernel: details.kernel_by_cpu.clone(),
                    percpu_user: details.user_by_cpu.clone(),
                    kernel: cpu.system,
                    user: cpu.user,
                },
                throttling: Throttling {
                    periods: cpu.periods,
                    throttled_periods: cpu.throttled_periods,
                    throttled_time: cpu.throttled,
                },
            },
            cpuset: Cpuset {
                cpu_exclusive: setting("cpu_exclusive"),
                mem_hardwall: setting("mem_hardwall"),
                mem_exclusive: setting("mem_exclusive"),
                memory_migrate: setting("memory_migrate"),
                memory_spread_page: setting("memory_spread_page"),
                memory_spread_slab: setting("memory_spread_slab"),
                memory_pressure: setting("memory_pressure"),
                sched_load_balance: setting("sched_load_balance"),
                sched_relax_domain_level: setting("sched_relax_domain_level"),
                cpus: cpuset.cpus,
                mems: cpuset.mems,
            },
            memory: Memory {
                cache: memory.stat.get(if memory.v2 { "file" } else { "cache" }).copied().unwrap_or(0),
                usage: details.memory.into(),
                swap: details.swap.into(),
                kernel: details.kernel.into(),
                kernel_tcp: details.kernel_tcp.into(),
                raw: memory.stat,
            },
            pids: Pids { current: pids.current, limit: pids.limit.unwrap_or(0) },
            blkio: BlockIo {
                io_service_bytes_recursive: devices(block.service_bytes),
                io_serviced_recursive: devices(block.serviced),
            },
            hugetlb: details
                .hugetlb
                .iter()
                .map(|(size, counter)| (size.clone(), Limited { limit: None, ..(*counter).into() }))
                .collect(),
            intel_rdt: Empty {},
            network_interfaces: None,
        }
    }
}

/// Operations are written as version 1's files have them: `Read`.
fn devices(entries: Vec<BlockIoEntry>) -> Vec<Device> {
    let device = |entry: BlockIoEntry| {
        let mut letters = entry.operation.chars();
        let first = letters.next().map(|c| c.to_ascii_uppercase());
        let op = first.into_iter().chain(letters).collect();
        Device { major: entry.major, minor: entry.minor, op, value: entry.value }
    };
    entries.into_iter().map(device).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_zero_is_left_out_where_runc_leaves_it_out() {
        let usage = Usage::of(&Stats::default(), &Details::default());
        let text = serde_json::to_string(&Event { kind: "stats", id: "c", data: Some(usage) }).unwrap();
        assert_eq!(
            text,
            "{\"type\":\"stats\",\"id\":\"c\",\"data\":{\"cpu\":{\"usage\":{\"kernel\":0,\"user\":0},\"throttling\":{}},\
             \"cpuset\":{\"cpu_exclusive\":0,\"mem_hardwall\":0,\"mem_exclusive\":0,\"memory_migrate\":0,\
             \"memory_spread_page\":0,\"memory_spread_slab\":0,\"memory_pressure\":0,\"sched_load_balance\":0,\
             \"sched_relax_domain_level\":0},\"memory\":{\"usage\":{\"limit\":0,\"failcnt\":0},\
             \"swap\":{\"limit\":0,\"failcnt\":0},\"kernel\":{\"limit\":0,\"failcnt\":0},\
             \"kernelTCP\":{\"limit\":0,\"failcnt\":0}},\"pids\":{},\"blkio\":{},\"hugetlb\":{},\"intel_rdt\":{},\
             \"network_interfaces\":null}}"
        );
        let text = serde_json::to_string(&Event { kind: "oom", id: "c", data: None }).unwrap();
        assert_eq!(text, "{\"type\":\"oom\",\"id\":\"c\"}");
    }
}
