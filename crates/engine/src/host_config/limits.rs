//! Limits: what is refused, and what is left out with a warning because the machine can't.

use super::{ConfigError, Machine, cpulist};
use brig_api::HostConfig;

/// The least memory that a container starts with, in bytes.
const LEAST_MEMORY: i64 = 6 << 20;

/// What CPU shares the kernel knows.
const SHARES: std::ops::RangeInclusive<i64> = 2..=262_144;

/// What Docker refuses when it reads the request: what only Windows has, and realtime limits.
pub(super) fn check_early(host: &HostConfig, machine: &Machine) -> Result<(), ConfigError> {
    for (value, what) in [(host.io_maximum_bandwidth, "bandwidth"), (host.io_maximum_iops, "IOPs")] {
        if value != 0 {
            return Err(ConfigError::new(format!(
                "invalid option: QoS maximum {what} configuration is not supported on linux"
            )));
        }
    }
    if (host.cpu_realtime_period > 0 || host.cpu_realtime_runtime > 0) && !machine.cpu_realtime {
        return Err(ConfigError::new("kernel does not support CPU real-time scheduler"));
    }
    if host.cpu_realtime_period != 0
        && host.cpu_realtime_runtime != 0
        && host.cpu_realtime_runtime > host.cpu_realtime_period
    {
        return Err(ConfigError::new("cpu real-time runtime cannot be higher than cpu real-time period"));
    }
    Ok(())
}

/// What limits are those of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// A container that is made: what is not there is not limited.
    Creation,
    /// A change: what is not there stays.
    Update,
}

pub(super) fn check(
    host: &mut HostConfig,
    machine: &Machine,
    of: Of,
    warnings: &mut Vec<String>,
) -> Result<(), ConfigError> {
    check_memory(host, machine, of, warnings)?;
    check_processes(host, machine, warnings);
    check_cpu(host, machine, warnings)?;
    check_cpuset(host, machine, warnings)?;
    check_block_io(host, machine, warnings)
}

fn check_memory(
    host: &mut HostConfig,
    machine: &Machine,
    of: Of,
    warnings: &mut Vec<String>,
) -> Result<(), ConfigError> {
    let mut warn = |text: &str| warnings.push(text.to_owned());
    // Clients say "as it is" with -1.
    if host.memory_swappiness == Some(-1) {
        host.memory_swappiness = None;
    }
    if host.memory != 0 && host.memory < LEAST_MEMORY {
        return Err(ConfigError::new("Minimum memory limit allowed is 6MB"));
    }
    if host.memory > 0 && !machine.memory_limit {
        warn(
            "Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation \
             discarded.",
        );
        host.memory = 0;
        host.memory_swap = -1;
    }
    if host.memory > 0 && host.memory_swap != -1 && !machine.swap_limit {
        warn(
            "Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited \
             without swap.",
        );
        host.memory_swap = -1;
    }
    if host.memory > 0 && host.memory_swap > 0 && host.memory_swap < host.memory {
        return Err(ConfigError::new(
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ));
    }
    if host.memory == 0 && host.memory_swap > 0 && of == Of::Creation {
        return Err(ConfigError::new(
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        ));
    }
    if host.memory_swappiness.is_some() && !machine.memory_swappiness {
        warn(
            "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory \
             swappiness discarded.",
        );
        host.memory_swappiness = None;
    }
    if let Some(swappiness) = host.memory_swappiness
        && !(0..=100).contains(&swappiness)
    {
        return Err(ConfigError::new(format!(
            "Invalid value: {swappiness}, valid memory swappiness range is 0-100"
        )));
    }
    if host.memory_reservation > 0 && !machine.memory_reservation {
        warn(
            "Your kernel does not support memory soft limit capabilities or the cgroup is not mounted. Limitation \
             discarded.",
        );
        host.memory_reservation = 0;
    }
    if host.memory_reservation > 0 && host.memory_reservation < LEAST_MEMORY {
        return Err(ConfigError::new("Minimum memory reservation allowed is 6MB"));
    }
    if host.memory > 0 && host.memory_reservation > 0 && host.memory < host.memory_reservation {
        return Err(ConfigError::new(
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        ));
    }
    if host.kernel_memory > 0 {
        // Deprecated since Linux 5.4, and gone since.
        warn(
            "Your kernel does not support kernel memory limit capabilities or the cgroup is not mounted. Limitation \
             discarded.",
        );
        host.kernel_memory = 0;
    }
    if host.oom_kill_disable.is_some() && !machine.oom_kill_disable {
        if host.oom_kill_disable == Some(true) {
            warn("Your kernel does not support OomKillDisable. OomKillDisable discarded.");
        }
        host.oom_kill_disable = None;
    }
    if host.oom_kill_disable == Some(true) && host.memory == 0 {
        warn(
            "OOM killer is disabled for the container, but no memory limit is set, this can result in the system \
             running out of resources.",
        );
    }
    Ok(())
}

fn check_processes(host: &mut HostConfig, machine: &Machine, warnings: &mut Vec<String>) {
    if !machine.pids_limit
        && let Some(limit) = host.pids_limit.take()
        && limit > 0
    {
        warnings.push(
            "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded."
                .to_owned(),
        );
    }
}

fn check_cpu(
    host: &mut HostConfig,
    machine: &Machine,
    warnings: &mut Vec<String>,
) -> Result<(), ConfigError> {
    if host.nano_cpus > 0 && host.cpu_period > 0 {
        return Err(ConfigError::new("Conflicting options: Nano CPUs and CPU Period cannot both be set"));
    }
    if host.nano_cpus > 0 && host.cpu_quota > 0 {
        return Err(ConfigError::new("Conflicting options: Nano CPUs and CPU Quota cannot both be set"));
    }
    if host.nano_cpus > 0 && !machine.cpu_quota {
        return Err(ConfigError::new(
            "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted",
        ));
    }
    if host.nano_cpus < 0 || host.nano_cpus > i64::from(machine.cpu_count) * 1_000_000_000 {
        let count = machine.cpu_count;
        return Err(ConfigError::new(format!(
            "Range of CPUs is from 0.01 to {count}.00, as there are only {count} CPUs available"
        )));
    }
    if host.cpu_shares < 0 {
        return Err(ConfigError::new("shares: invalid argument"));
    }
    if host.cpu_shares > 0 && !machine.cpu_shares {
        warnings.push(
            "Your kernel does not support CPU shares or the cgroup is not mounted. Shares discarded."
                .to_owned(),
        );
        host.cpu_shares = 0;
    }
    if (host.cpu_period != 0 || host.cpu_quota != 0) && !machine.cpu_quota {
        warnings
            .push("Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.".to_owned());
        host.cpu_period = 0;
        host.cpu_quota = 0;
    }
    if host.cpu_period != 0 && !(1000..=1_000_000).contains(&host.cpu_period) {
        return Err(ConfigError::new(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ));
    }
    if host.cpu_quota > 0 && host.cpu_quota < 1000 {
        return Err(ConfigError::new("CPU cfs quota can not be less than 1ms (i.e. 1000)"));
    }
    if host.cpu_percent > 0 {
        warnings.push("linux does not support CPU percent. Percent discarded.".to_owned());
        host.cpu_percent = 0;
    }
    Ok(())
}

fn check_cpuset(
    host: &mut HostConfig,
    machine: &Machine,
    warnings: &mut Vec<String>,
) -> Result<(), ConfigError> {
    if (!host.cpuset_cpus.is_empty() || !host.cpuset_mems.is_empty()) && !machine.cpuset {
        warnings.push(
            "Your kernel does not support cpuset or the cgroup is not mounted. Cpuset discarded.".to_owned(),
        );
        host.cpuset_cpus.clear();
        host.cpuset_mems.clear();
    }
    for (what, name, wanted, there) in [
        ("CPUs", "cpus", &host.cpuset_cpus, &machine.cpus),
        ("memory nodes", "mems", &host.cpuset_mems, &machine.mems),
    ] {
        let invalid = || ConfigError::new(format!("Invalid value {wanted} for cpuset {name}"));
        let members = cpulist::parse(wanted).ok_or_else(invalid)?;
        if !members.is_subset(&cpulist::parse(there).unwrap_or_default()) {
            return Err(ConfigError::new(format!(
                "Requested {what} are not available - requested {wanted}, available: {there}"
            )));
        }
    }
    Ok(())
}

fn check_block_io(
    host: &mut HostConfig,
    machine: &Machine,
    warnings: &mut Vec<String>,
) -> Result<(), ConfigError> {
    if host.blkio_weight > 0 && !machine.blkio_weight {
        warnings.push(
            "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded."
                .to_owned(),
        );
        host.blkio_weight = 0;
    }
    if host.blkio_weight > 0 && !(10..=1000).contains(&host.blkio_weight) {
        return Err(ConfigError::new("Range of blkio weight is from 10 to 1000"));
    }
    if host.blkio_weight_device.as_ref().is_some_and(|list| !list.is_empty()) && !machine.blkio_weight_device
    {
        warnings.push(
            "Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device \
             discarded."
                .to_owned(),
        );
        host.blkio_weight_device = Some(Vec::new());
    }
    for (list, what, limit) in [
        (&mut host.blkio_device_read_bps, "BPS Block I/O read", "BPS read"),
        (&mut host.blkio_device_write_bps, "BPS Block I/O write", "BPS write"),
        (&mut host.blkio_device_read_iops, "IOPS Block read", "IOPS read"),
        (&mut host.blkio_device_write_iops, "IOPS Block write", "IOPS write"),
    ] {
        if list.as_ref().is_some_and(|list| !list.is_empty()) && !machine.blkio_throttle {
            warnings.push(format!(
                "Your kernel does not support {what} limit or the cgroup is not mounted. Block I/O {limit} limit \
                 discarded."
            ));
            *list = Some(Vec::new());
        }
    }
    Ok(())
}

/// What does not depend on the machine.
pub(super) fn check_rest(host: &HostConfig) -> Result<(), ConfigError> {
    if host.shm_size < 0 {
        return Err(ConfigError::new("SHM size can not be less than 0"));
    }
    if !(-1000..=1000).contains(&host.oom_score_adj) {
        return Err(ConfigError::new(format!(
            "Invalid value {}, range for oom score adj is [-1000, 1000]",
            host.oom_score_adj
        )));
    }
    Ok(())
}

/// Docker's defaults that depend on what was given.
pub(super) fn fill(host: &mut HostConfig, machine: &Machine) {
    if machine.oom_kill_disable {
        host.oom_kill_disable.get_or_insert(false);
    }
    if host.cpu_shares > 0 {
        host.cpu_shares = host.cpu_shares.clamp(*SHARES.start(), *SHARES.end());
    }
    if host.memory > 0 && host.memory_swap == 0 {
        host.memory_swap = host.memory.saturating_mul(2);
    }
}
