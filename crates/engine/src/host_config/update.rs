//! What is refused when a container's limits or its restart policy are changed, and what comes out: dockerd's checks
//! in dockerd's order and words. Zero and `null` mean "as before". Pure.

use super::{ConfigError, Machine, limits, policy};
use brig_api::{ContainerUpdateRequest, HostConfig};

/// Checks a request by itself, and takes out of it what the machine can't do; answers warnings for the client.
///
/// # Errors
/// [`ConfigError`] in Docker's words for the first thing that is wrong.
pub fn check_update(
    request: &mut ContainerUpdateRequest,
    machine: &Machine,
) -> Result<Vec<String>, ConfigError> {
    let mut warnings = Vec::new();
    let mut host = as_host(request);
    limits::check_early(&host, machine)?;
    policy::check(&host)?;
    limits::check(&mut host, machine, limits::Of::Update, &mut warnings)?;
    request.memory = host.memory;
    request.memory_swap = host.memory_swap;
    request.memory_reservation = host.memory_reservation;
    request.kernel_memory = host.kernel_memory;
    request.pids_limit = host.pids_limit;
    request.cpu_shares = host.cpu_shares;
    request.cpu_period = host.cpu_period;
    request.cpu_quota = host.cpu_quota;
    request.cpuset_cpus = host.cpuset_cpus;
    request.cpuset_mems = host.cpuset_mems;
    request.blkio_weight = host.blkio_weight;
    request.blkio_weight_device = host.blkio_weight_device;
    request.blkio_device_read_bps = host.blkio_device_read_bps;
    request.blkio_device_write_bps = host.blkio_device_write_bps;
    request.blkio_device_read_iops = host.blkio_device_read_iops;
    request.blkio_device_write_iops = host.blkio_device_write_iops;
    Ok(warnings)
}

/// The limits and the policy of a request as those of a container that has no others.
#[must_use]
pub fn as_host(request: &ContainerUpdateRequest) -> HostConfig {
    let request = request.clone();
    HostConfig {
        cpu_shares: request.cpu_shares,
        memory: request.memory,
        nano_cpus: request.nano_cpus,
        blkio_weight: request.blkio_weight,
        blkio_weight_device: request.blkio_weight_device,
        blkio_device_read_bps: request.blkio_device_read_bps,
        blkio_device_write_bps: request.blkio_device_write_bps,
        blkio_device_read_iops: request.blkio_device_read_iops,
        blkio_device_write_iops: request.blkio_device_write_iops,
        cpu_period: request.cpu_period,
        cpu_quota: request.cpu_quota,
        cpu_realtime_period: request.cpu_realtime_period,
        cpu_realtime_runtime: request.cpu_realtime_runtime,
        cpuset_cpus: request.cpuset_cpus,
        cpuset_mems: request.cpuset_mems,
        kernel_memory: request.kernel_memory,
        memory_reservation: request.memory_reservation,
        memory_swap: request.memory_swap,
        pids_limit: request.pids_limit,
        restart_policy: request.restart_policy,
        ..HostConfig::default()
    }
}

/// What a container's configuration becomes.
///
/// # Errors
/// What contradicts the limits that it has, in Docker's words.
pub fn merge(present: &HostConfig, request: &ContainerUpdateRequest) -> Result<HostConfig, &'static str> {
    for (wanted, there, words) in [
        (
            request.nano_cpus,
            present.cpu_period,
            "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set",
        ),
        (
            request.nano_cpus,
            present.cpu_quota,
            "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set",
        ),
        (
            request.cpu_period,
            present.nano_cpus,
            "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set",
        ),
        (
            request.cpu_quota,
            present.nano_cpus,
            "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set",
        ),
    ] {
        if wanted > 0 && there > 0 {
            return Err(words);
        }
    }
    // With swap without a limit there is nothing that memory could outgrow.
    if request.memory > present.memory_swap && request.memory_swap == 0 && present.memory_swap != -1 {
        return Err(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap \
                    at the same time",
        );
    }
    let policy = &request.restart_policy;
    if present.auto_remove && !matches!(policy.name.as_str(), "" | "no") {
        return Err("Restart policy cannot be updated because AutoRemove is enabled for the container");
    }
    let mut host = present.clone();
    for (to, from) in [
        (&mut host.cpu_shares, request.cpu_shares),
        (&mut host.memory, request.memory),
        (&mut host.nano_cpus, request.nano_cpus),
        (&mut host.cpu_period, request.cpu_period),
        (&mut host.cpu_quota, request.cpu_quota),
        (&mut host.cpu_realtime_period, request.cpu_realtime_period),
        (&mut host.cpu_realtime_runtime, request.cpu_realtime_runtime),
        (&mut host.kernel_memory, request.kernel_memory),
        (&mut host.memory_reservation, request.memory_reservation),
        (&mut host.memory_swap, request.memory_swap),
    ] {
        if from != 0 {
            *to = from;
        }
    }
    if request.blkio_weight != 0 {
        host.blkio_weight = request.blkio_weight;
    }
    for (to, from) in
        [(&mut host.cpuset_cpus, &request.cpuset_cpus), (&mut host.cpuset_mems, &request.cpuset_mems)]
    {
        if !from.is_empty() {
            to.clone_from(from);
        }
    }
    for (to, from) in [
        (&mut host.blkio_device_read_bps, &request.blkio_device_read_bps),
        (&mut host.blkio_device_write_bps, &request.blkio_device_write_bps),
        (&mut host.blkio_device_read_iops, &request.blkio_device_read_iops),
        (&mut host.blkio_device_write_iops, &request.blkio_device_write_iops),
    ] {
        if from.as_ref().is_some_and(|list| !list.is_empty()) {
            to.clone_from(from);
        }
    }
    if request.blkio_weight_device.as_ref().is_some_and(|list| !list.is_empty()) {
        host.blkio_weight_device.clone_from(&request.blkio_weight_device);
    }
    if request.pids_limit.is_some() {
        host.pids_limit = request.pids_limit;
    }
    if !policy.name.is_empty() {
        host.restart_policy = policy.clone();
    }
    Ok(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use brig_api::RestartPolicy;

    fn policy(name: &str) -> RestartPolicy {
        RestartPolicy { name: name.to_owned(), maximum_retry_count: 0 }
    }

    #[test]
    fn what_is_not_said_stays() {
        let present = HostConfig {
            memory: 100 << 20,
            memory_swap: -1,
            cpuset_cpus: "0".to_owned(),
            pids_limit: Some(7),
            restart_policy: policy("always"),
            ..HostConfig::default()
        };
        assert_eq!(merge(&present, &ContainerUpdateRequest::default()).unwrap(), present);
        let request = ContainerUpdateRequest {
            memory: 200 << 20,
            pids_limit: Some(0),
            restart_policy: policy("no"),
            ..ContainerUpdateRequest::default()
        };
        let merged = merge(&present, &request).unwrap();
        assert_eq!((merged.memory, merged.memory_swap, merged.pids_limit), (200 << 20, -1, Some(0)));
        assert_eq!((merged.restart_policy.name.as_str(), merged.cpuset_cpus.as_str()), ("no", "0"));
    }

    #[test]
    fn what_contradicts_is_refused() {
        let nano = HostConfig { nano_cpus: 5, auto_remove: true, ..HostConfig::default() };
        let request = |change: fn(&mut ContainerUpdateRequest)| {
            let mut request = ContainerUpdateRequest::default();
            change(&mut request);
            request
        };
        for (change, expected) in [
            ((|r| r.cpu_period = 1000) as fn(&mut ContainerUpdateRequest), "CPU Period cannot be updated"),
            (|r| r.cpu_quota = 1000, "CPU Quota cannot be updated"),
            (|r| r.memory = 1 << 30, "already set memoryswap limit"),
            (|r| r.restart_policy.name = "always".to_owned(), "AutoRemove is enabled"),
        ] {
            let error = merge(&nano, &request(change)).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let period = HostConfig { cpu_period: 1000, ..HostConfig::default() };
        assert!(merge(&period, &request(|r| r.nano_cpus = 5)).unwrap_err().contains("Nano CPUs"));
        merge(&nano, &request(|r| r.restart_policy.name = "no".to_owned())).unwrap();
    }
}
