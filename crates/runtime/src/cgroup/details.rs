//! What runtimes tell of a group beyond what Docker's statistics have.

use super::Cgroup;
use super::group::Group;
use super::hierarchy::Controller;
use std::collections::BTreeMap;

/// All of it at one moment; what the machine does not have is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Details {
    /// The numbers of files of `cpuset`, and which processors and memory nodes; version 1 only.
    pub cpuset: Option<Cpuset>,
    /// Time in the kernel by processor, nanoseconds; version 1 only.
    pub kernel_by_cpu: Vec<u64>,
    /// Time in programs by processor, nanoseconds; version 1 only.
    pub user_by_cpu: Vec<u64>,
    /// Memory.
    pub memory: Counter,
    /// Memory and swap together.
    pub swap: Counter,
    /// The kernel's memory; version 1 only.
    pub kernel: Counter,
    /// Memory of TCP's buffers; version 1 only.
    pub kernel_tcp: Counter,
    /// Huge pages, by their size (`2MB`).
    pub hugetlb: BTreeMap<String, Counter>,
}

/// One sort of memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counter {
    /// The limit, as the kernel writes it; [`u64::MAX`] for version 2's `max`.
    pub limit: u64,
    /// Now.
    pub usage: u64,
    /// The most there ever was.
    pub max: u64,
    /// How often the limit was hit.
    pub failures: u64,
}

/// Where processes may run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cpuset {
    /// Processors.
    pub cpus: Vec<u16>,
    /// Memory nodes.
    pub mems: Vec<u16>,
    /// The other files, by name without `cpuset.`.
    pub settings: BTreeMap<&'static str, i64>,
}

/// The files of a cpuset that are one number.
const SETTINGS: [&str; 9] = [
    "cpu_exclusive",
    "mem_hardwall",
    "mem_exclusive",
    "memory_migrate",
    "memory_spread_page",
    "memory_spread_slab",
    "memory_pressure",
    "sched_load_balance",
    "sched_relax_domain_level",
];

impl Cgroup {
    /// What [`Self::stats`] leaves out.
    #[must_use]
    pub fn details(&self) -> Details {
        let mut all = Details::default();
        if let Some(group) = self.with(Controller::Memory) {
            memory(group, &mut all);
        }
        if let Some(group) = self.with(Controller::Cpuset).filter(|group| !group.is_v2()) {
            all.cpuset = Some(cpuset(group));
        }
        if let Some(text) = self.with(Controller::Cpuacct).and_then(|g| g.read("cpuacct.usage_all").ok()) {
            (all.user_by_cpu, all.kernel_by_cpu) = by_cpu(&text);
        }
        if let Some(group) = self.with(Controller::Hugetlb) {
            all.hugetlb =
                page_sizes().filter_map(|size| Some((size.clone(), huge_pages(group, &size)?))).collect();
        }
        all
    }
}

fn memory(group: &Group, all: &mut Details) {
    let number = |file: &str| group.number(file).unwrap_or(0);
    if !group.is_v2() {
        let counter = |kind: &str| Counter {
            limit: number(&format!("memory.{kind}limit_in_bytes")),
            usage: number(&format!("memory.{kind}usage_in_bytes")),
            max: number(&format!("memory.{kind}max_usage_in_bytes")),
            failures: number(&format!("memory.{kind}failcnt")),
        };
        all.memory = counter("");
        all.swap = counter("memsw.");
        all.kernel = counter("kmem.");
        all.kernel_tcp = counter("kmem.tcp.");
        return;
    }
    let limit = |file: &str| group.number(file).unwrap_or(u64::MAX);
    all.memory = Counter {
        limit: limit("memory.max"),
        usage: number("memory.current"),
        max: number("memory.peak"),
        failures: 0,
    };
    all.swap = Counter {
        limit: limit("memory.swap.max").saturating_add(all.memory.limit),
        usage: number("memory.swap.current") + all.memory.usage,
        ..Counter::default()
    };
}

fn cpuset(group: &Group) -> Cpuset {
    let list = |file: &str| ranges(&group.read(file).unwrap_or_default());
    let setting = |name: &'static str| {
        let text = group.read(&format!("cpuset.{name}")).ok()?;
        Some((name, text.trim().parse().ok()?))
    };
    Cpuset {
        cpus: list("cpuset.cpus"),
        mems: list("cpuset.mems"),
        settings: SETTINGS.into_iter().filter_map(setting).collect(),
    }
}

/// `0-2,5`, as the kernel writes it.
fn ranges(text: &str) -> Vec<u16> {
    let range = |part: &str| -> Option<std::ops::RangeInclusive<u16>> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    text.trim().split(',').filter_map(range).flatten().collect()
}

/// Lines of "processor user system" below a heading.
fn by_cpu(text: &str) -> (Vec<u64>, Vec<u64>) {
    let pair = |line: &str| {
        let mut words = line.split_whitespace().skip(1).map(str::parse::<u64>);
        Some((words.next()?.ok()?, words.next()?.ok()?))
    };
    text.lines().filter_map(pair).unzip()
}

/// The sizes of huge pages, as the controller's files have them in their names.
fn page_sizes() -> impl Iterator<Item = String> {
    let names = std::fs::read_dir("/sys/kernel/mm/hugepages").into_iter().flatten().flatten();
    names.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let kib: u64 = name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
        Some(match kib {
            kib if kib >= 1 << 20 => format!("{}GB", kib >> 20),
            kib if kib >= 1 << 10 => format!("{}MB", kib >> 10),
            kib => format!("{kib}KB"),
        })
    })
}

/// None where the group does not count this size.
fn huge_pages(group: &Group, size: &str) -> Option<Counter> {
    let read = |file: &str| group.number(&format!("hugetlb.{size}.{file}"));
    let number = |file: &str| read(file).unwrap_or(0);
    if !group.is_v2() {
        let usage = read("usage_in_bytes")?;
        let (limit, max) = (number("limit_in_bytes"), number("max_usage_in_bytes"));
        return Some(Counter { limit, usage, max, failures: number("failcnt") });
    }
    let usage = read("current")?;
    let events = group.read(&format!("hugetlb.{size}.events")).unwrap_or_default();
    let failures = events.lines().find_map(|line| line.strip_prefix("max ")?.trim().parse().ok());
    Some(Counter { limit: read("max").unwrap_or(u64::MAX), usage, max: 0, failures: failures.unwrap_or(0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_tables() {
        assert_eq!(ranges("0-2,5\n"), [0, 1, 2, 5]);
        assert_eq!(ranges("\n"), [0u16; 0]);
        assert_eq!(by_cpu("cpu user system\n0 12 3\n1 0 7\n"), (vec![12, 0], vec![3, 7]));
    }
}
