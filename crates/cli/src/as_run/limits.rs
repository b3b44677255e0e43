//! Limits.

use super::Words;
use brig_api::{HostConfig, ThrottleDevice};

pub(super) fn flags(words: &mut Words, host: &HostConfig) {
    words.number("memory", host.memory);
    words.number("memory-reservation", host.memory_reservation);
    // The daemon fills in twice the memory where nobody says.
    words.number("memory-swap", if host.memory_swap == 2 * host.memory { 0 } else { host.memory_swap });
    if let Some(swappiness) = host.memory_swappiness.filter(|value| *value != -1) {
        words.flag("memory-swappiness", swappiness.to_string());
    }
    words.on("oom-kill-disable", host.oom_kill_disable == Some(true));
    words.flag("cpus", cpus(host.nano_cpus));
    words.number("cpu-shares", host.cpu_shares);
    words.number("cpu-period", host.cpu_period);
    words.number("cpu-quota", host.cpu_quota);
    words.number("cpu-rt-period", host.cpu_realtime_period);
    words.number("cpu-rt-runtime", host.cpu_realtime_runtime);
    words.flag("cpuset-cpus", host.cpuset_cpus.as_str());
    words.flag("cpuset-mems", host.cpuset_mems.as_str());
    words.number("pids-limit", host.pids_limit.unwrap_or_default());
    words.number("blkio-weight", host.blkio_weight.into());
    let weights = host.blkio_weight_device.iter().flatten();
    words.each("blkio-weight-device", weights.map(|device| format!("{}:{}", device.path, device.weight)));
    for (name, devices) in [
        ("device-read-bps", &host.blkio_device_read_bps),
        ("device-write-bps", &host.blkio_device_write_bps),
        ("device-read-iops", &host.blkio_device_read_iops),
        ("device-write-iops", &host.blkio_device_write_iops),
    ] {
        let text = |device: &ThrottleDevice| format!("{}:{}", device.path, device.rate);
        words.each(name, devices.iter().flatten().map(text));
    }
    for limit in host.ulimits.iter().flatten() {
        let text = if limit.soft == limit.hard {
            format!("{}={}", limit.name, limit.soft)
        } else {
            format!("{}={}:{}", limit.name, limit.soft, limit.hard)
        };
        words.flag("ulimit", text);
    }
}

/// 1500000000 as `1.5`.
fn cpus(nano: i64) -> String {
    if nano == 0 {
        return String::new();
    }
    let text = format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
