//! Version 2's files. Source of names and units: the kernel's `admin-guide/cgroup-v2`; of the conversions from the
//! spec's units, which are version 1's: runc.

use super::hierarchy::Controller;
use super::plan::{Present, Refused, Write};
use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory};
use std::collections::HashMap;

/// Shares (2 to 262144, 1024 is usual) as a weight (1 to 10000, 100 is usual), linearly.
pub(super) fn cpu_weight(shares: u64) -> u64 {
    let shares = shares.clamp(2, 262_144);
    1 + (shares - 2) * 9999 / 262_142
}

/// A block device weight of version 1 (10 to 1000) as one of `io.weight` (1 to 10000), linearly.
pub(super) fn io_weight(weight: u16) -> u64 {
    let weight = u64::from(weight.clamp(10, 1000));
    1 + (weight - 10) * 9999 / 990
}

/// A number of bytes, or "max" for -1.
fn or_max(value: i64) -> String {
    if value < 0 { "max".to_owned() } else { value.to_string() }
}

pub(super) fn cpu(cpu: &LinuxCpu, writes: &mut Vec<Write>, warnings: &mut Vec<String>) {
    let mut add = |file: &str, value: String| writes.push(Write::new(Controller::Cpu, file, value));
    if let Some(idle) = cpu.idle() {
        add("cpu.idle", idle.to_string());
    }
    if let Some(shares) = cpu.shares().filter(|shares| *shares != 0) {
        add("cpu.weight", cpu_weight(shares).to_string());
    }
    let quota = cpu.quota().filter(|quota| *quota != 0);
    let period = cpu.period().filter(|period| *period != 0);
    if quota.is_some() || period.is_some() {
        let quota = quota.map_or_else(|| "max".to_owned(), or_max);
        // The kernel's own period where none is said.
        add("cpu.max", format!("{quota} {}", period.unwrap_or(100_000)));
    }
    if let Some(burst) = cpu.burst() {
        add("cpu.max.burst", burst.to_string());
    }
    let realtime = cpu.realtime_period().unwrap_or(0) != 0 || cpu.realtime_runtime().unwrap_or(0) != 0;
    if realtime {
        warnings.push("realtime CPU limits were left out: cgroup v2 has none".to_owned());
    }
}

pub(super) fn memory(
    memory: &LinuxMemory,
    present: Present,
    writes: &mut Vec<Write>,
    warnings: &mut Vec<String>,
) {
    let limit = memory.limit().filter(|limit| *limit != 0);
    let swap = memory.swap().filter(|swap| *swap != 0);
    // The spec's number is memory and swap together, the file's is swap alone.
    let swap_alone = match (swap, limit) {
        (Some(-1), _) => Some("max".to_owned()),
        (Some(both), Some(limit)) if limit > 0 => Some((both - limit).max(0).to_string()),
        (Some(both), _) => {
            let limit = present.memory.and_then(|limit| i64::try_from(limit).ok()).unwrap_or(0);
            Some((both - limit).max(0).to_string())
        }
        (None, Some(-1)) => Some("max".to_owned()),
        (None, _) => None,
    };
    if let Some(value) = swap_alone {
        let mut write = Write::new(Controller::Memory, "memory.swap.max", &value);
        if value == "max" {
            // "Unlimited" is what a kernel without swap accounting does anyway.
            write.refused = Refused::Warn;
        }
        writes.push(write);
    }
    if let Some(limit) = limit {
        writes.push(Write::new(Controller::Memory, "memory.max", or_max(limit)));
    }
    if let Some(reservation) = memory.reservation().filter(|reservation| *reservation != 0) {
        writes.push(Write::new(Controller::Memory, "memory.low", or_max(reservation)));
    }
    if memory.disable_oom_killer() == Some(true) {
        warnings.push("disabling the OOM killer was left out: cgroup v2 can't".to_owned());
    }
    if memory.swappiness().is_some_and(|swappiness| swappiness <= 100) {
        warnings.push("memory swappiness was left out: cgroup v2 has none".to_owned());
    }
}

pub(super) fn io(io: &LinuxBlockIo, writes: &mut Vec<Write>) {
    if let Some(weight) = io.weight().filter(|weight| *weight != 0) {
        let write = Write::new(Controller::Io, "io.bfq.weight", weight);
        writes.push(write.or("io.weight", format!("default {}", io_weight(weight))));
    }
    for device in io.weight_device().iter().flatten() {
        if let Some(weight) = device.weight().filter(|weight| *weight != 0) {
            let (major, minor) = (device.major(), device.minor());
            let write = Write::new(Controller::Io, "io.bfq.weight", format!("{major}:{minor} {weight}"));
            writes.push(write.or("io.weight", format!("{major}:{minor} {}", io_weight(weight))));
        }
    }
    for (name, devices) in [
        ("rbps", io.throttle_read_bps_device()),
        ("wbps", io.throttle_write_bps_device()),
        ("riops", io.throttle_read_iops_device()),
        ("wiops", io.throttle_write_iops_device()),
    ] {
        for device in devices.iter().flatten() {
            // 0 means no limit in version 1, and is refused here.
            let rate = if device.rate() == 0 { "max".to_owned() } else { device.rate().to_string() };
            let value = format!("{}:{} {name}={rate}", device.major(), device.minor());
            writes.push(Write::new(Controller::Io, "io.max", value));
        }
    }
}

/// The spec's `unified`: files of version 2 by name, with their text.
pub(super) fn unified(
    files: Option<&HashMap<String, String>>,
    writes: &mut Vec<Write>,
    warnings: &mut Vec<String>,
) {
    let mut files: Vec<_> = files.into_iter().flatten().collect();
    files.sort();
    for (file, value) in files {
        let controller = file.split_once('.').and_then(|(prefix, _)| Controller::from_v2(prefix));
        match controller {
            Some(controller) if !file.contains('/') => {
                writes.extend(value.lines().map(|line| Write::new(controller, file.as_str(), line)));
            }
            _ => warnings.push(format!("{file:?} was left out: no controller of cgroup v2 has such a file")),
        }
    }
}
