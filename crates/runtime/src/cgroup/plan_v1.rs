//! Version 1's files. Source of names and units: the kernel's `admin-guide/cgroup-v1`.

use super::hierarchy::Controller;
use super::plan::{Present, Refused, Write};
use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory};

pub(super) fn cpu(cpu: &LinuxCpu, writes: &mut Vec<Write>) {
    let mut add = |file: &str, value: String| writes.push(Write::new(Controller::Cpu, file, value));
    if let Some(shares) = cpu.shares().filter(|shares| *shares != 0) {
        add("cpu.shares", shares.to_string());
    }
    // The period first: a quota is checked against it.
    if let Some(period) = cpu.period().filter(|period| *period != 0) {
        add("cpu.cfs_period_us", period.to_string());
    }
    if let Some(quota) = cpu.quota().filter(|quota| *quota != 0) {
        add("cpu.cfs_quota_us", quota.to_string());
    }
    if let Some(burst) = cpu.burst() {
        add("cpu.cfs_burst_us", burst.to_string());
    }
    if let Some(period) = cpu.realtime_period().filter(|period| *period != 0) {
        add("cpu.rt_period_us", period.to_string());
    }
    if let Some(runtime) = cpu.realtime_runtime().filter(|runtime| *runtime != 0) {
        add("cpu.rt_runtime_us", runtime.to_string());
    }
    if let Some(idle) = cpu.idle() {
        add("cpu.idle", idle.to_string());
    }
}

pub(super) fn memory(memory: &LinuxMemory, present: Present, writes: &mut Vec<Write>) {
    let limit = memory.limit().filter(|limit| *limit != 0);
    let mut swap = memory.swap().filter(|swap| *swap != 0);
    // No limit on memory means none on both together, or the kernel refuses the first.
    if limit == Some(-1) && swap.is_none() {
        swap = Some(-1);
    }
    let limit_write = limit.map(|limit| Write::new(Controller::Memory, "memory.limit_in_bytes", limit));
    let swap_write = swap.map(|swap| {
        let mut write = Write::new(Controller::Memory, "memory.memsw.limit_in_bytes", swap);
        // Kernels without swap accounting don't have the file; "unlimited" is what they do.
        if swap == -1 {
            write.refused = Refused::Warn;
        }
        write
    });
    // Memory alone may never be allowed more than both together, not even between the two writes.
    let grows = match (limit, present.memory_and_swap) {
        (Some(limit), Some(both)) => limit < 0 || u64::try_from(limit).is_ok_and(|limit| limit > both),
        _ => false,
    };
    if grows {
        writes.extend(swap_write.into_iter().chain(limit_write));
    } else {
        writes.extend(limit_write.into_iter().chain(swap_write));
    }
    let mut add = |file: &str, value: String| writes.push(Write::new(Controller::Memory, file, value));
    if let Some(reservation) = memory.reservation().filter(|reservation| *reservation != 0) {
        add("memory.soft_limit_in_bytes", reservation.to_string());
    }
    if let Some(tcp) = memory.kernel_tcp().filter(|tcp| *tcp != 0) {
        add("memory.kmem.tcp.limit_in_bytes", tcp.to_string());
    }
    if memory.disable_oom_killer() == Some(true) {
        add("memory.oom_control", "1".to_owned());
    }
    // -1 is Docker's "as it is"; the spec's type has it as a huge number.
    if let Some(swappiness) = memory.swappiness().filter(|swappiness| *swappiness <= 100) {
        add("memory.swappiness", swappiness.to_string());
    }
}

pub(super) fn io(io: &LinuxBlockIo, writes: &mut Vec<Write>) {
    // `blkio.weight` went with the CFQ scheduler in 5.0; BFQ has its own names.
    let weighted = |name: &str, bfq: &str, value: String| {
        Write::new(Controller::Io, format!("blkio.{name}"), &value).or(format!("blkio.bfq.{bfq}"), value)
    };
    if let Some(weight) = io.weight().filter(|weight| *weight != 0) {
        writes.push(weighted("weight", "weight", weight.to_string()));
    }
    if let Some(weight) = io.leaf_weight().filter(|weight| *weight != 0) {
        writes.push(Write::new(Controller::Io, "blkio.leaf_weight", weight));
    }
    for device in io.weight_device().iter().flatten() {
        let (major, minor) = (device.major(), device.minor());
        if let Some(weight) = device.weight().filter(|weight| *weight != 0) {
            writes.push(weighted("weight_device", "weight_device", format!("{major}:{minor} {weight}")));
        }
        if let Some(weight) = device.leaf_weight().filter(|weight| *weight != 0) {
            writes.push(Write::new(
                Controller::Io,
                "blkio.leaf_weight_device",
                format!("{major}:{minor} {weight}"),
            ));
        }
    }
    for (name, devices) in [
        ("read_bps", io.throttle_read_bps_device()),
        ("write_bps", io.throttle_write_bps_device()),
        ("read_iops", io.throttle_read_iops_device()),
        ("write_iops", io.throttle_write_iops_device()),
    ] {
        for device in devices.iter().flatten() {
            let value = format!("{}:{} {}", device.major(), device.minor(), device.rate());
            writes.push(Write::new(Controller::Io, format!("blkio.throttle.{name}_device"), value));
        }
    }
}
