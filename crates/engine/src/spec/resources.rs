//! Limits, and which devices may be used.

use super::{SpecError, SpecInput, devices::block_devices};
use crate::host_config::{self, DeviceRule};
use brig_api::{ContainerUpdateRequest, HostConfig, ThrottleDevice};
use oci_spec::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxDeviceCgroup, LinuxDeviceType, LinuxMemory, LinuxPids, LinuxResources,
    LinuxThrottleDeviceBuilder, LinuxWeightDeviceBuilder,
};
use std::collections::BTreeMap;

/// Everything that the container's cgroup says.
pub(super) fn resources(input: &SpecInput<'_>) -> Result<LinuxResources, SpecError> {
    let mut resources = limits(input.host_config, &input.host.block_devices)?;
    resources.set_devices(Some(device_rules(input)?));
    Ok(resources)
}

/// The limits of a host configuration alone: also what an update of a running container sets. `block_devices` are
/// the numbers of the devices whose use is limited, by path.
///
/// # Errors
/// A block device without numbers.
pub fn limits(
    host: &HostConfig,
    block_devices: &BTreeMap<String, (i64, i64)>,
) -> Result<LinuxResources, SpecError> {
    let mut resources = LinuxResources::default();
    resources
        .set_devices(None)
        .set_memory(memory(host))
        .set_cpu(cpu(host))
        .set_pids(pids(host))
        .set_block_io(block_io(host, block_devices)?);
    Ok(resources)
}

/// The limits that a change of a running container sets.
///
/// # Errors
/// A block device that is none.
pub fn changed_limits(request: &ContainerUpdateRequest) -> Result<LinuxResources, SpecError> {
    let host = host_config::as_host(request);
    let mut resources = limits(&host, &block_devices(&host)?)?;
    if request.memory_swap == -1 {
        // Here without a limit of memory beside it, which may be there already.
        let mut memory = resources.memory().unwrap_or_default();
        memory.set_swap(Some(-1));
        resources.set_memory(Some(memory));
    }
    Ok(resources)
}

fn positive(value: i64) -> Option<i64> {
    Some(value).filter(|value| *value > 0)
}

fn memory(host: &HostConfig) -> Option<LinuxMemory> {
    let mut memory = LinuxMemory::default();
    memory
        .set_limit(positive(host.memory))
        .set_reservation(positive(host.memory_reservation))
        // -1 is "as much as there is".
        .set_swap(Some(host.memory_swap).filter(|swap| *swap > 0 || *swap == -1 && host.memory > 0))
        .set_swappiness(host.memory_swappiness.and_then(|value| u64::try_from(value).ok()))
        .set_disable_oom_killer(host.oom_kill_disable.filter(|disable| *disable))
        .set_kernel_tcp(Some(host.kernel_memory_tcp).filter(|limit| *limit != 0));
    Some(memory).filter(|memory| *memory != LinuxMemory::default())
}

fn cpu(host: &HostConfig) -> Option<LinuxCpu> {
    let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let unsigned = |value: i64| u64::try_from(value).ok().filter(|value| *value != 0);
    let (mut period, mut quota) =
        (unsigned(host.cpu_period), Some(host.cpu_quota).filter(|quota| *quota != 0));
    if host.nano_cpus > 0 {
        // A tenth of a second, in microseconds.
        const PERIOD: i64 = 100_000;
        period = period.or(Some(PERIOD as u64));
        quota = quota.or(Some((i128::from(host.nano_cpus) * i128::from(PERIOD) / 1_000_000_000) as i64));
    }
    let mut cpu = LinuxCpu::default();
    cpu.set_shares(unsigned(host.cpu_shares))
        .set_period(period)
        .set_quota(quota)
        .set_realtime_period(unsigned(host.cpu_realtime_period))
        .set_realtime_runtime(Some(host.cpu_realtime_runtime).filter(|runtime| *runtime != 0))
        .set_cpus(text(&host.cpuset_cpus))
        .set_mems(text(&host.cpuset_mems));
    Some(cpu).filter(|cpu| *cpu != LinuxCpu::default())
}

fn pids(host: &HostConfig) -> Option<LinuxPids> {
    let limit = host.pids_limit?;
    let mut pids = LinuxPids::default();
    pids.set_limit(if limit > 0 { limit } else { -1 });
    Some(pids)
}

fn block_io(
    host: &HostConfig,
    numbers: &BTreeMap<String, (i64, i64)>,
) -> Result<Option<LinuxBlockIo>, SpecError> {
    let number = |path: &str| {
        let missing = || SpecError::BlockDevice { path: path.to_owned(), reason: "not looked up".to_owned() };
        numbers.get(path).copied().ok_or_else(missing)
    };
    let weights = host.blkio_weight_device.iter().flatten().map(|device| {
        let (major, minor) = number(&device.path)?;
        let weight =
            LinuxWeightDeviceBuilder::default().major(major).minor(minor).weight(device.weight).build();
        weight.map_err(|e| SpecError::Invalid(e.to_string()))
    });
    let weights = weights.collect::<Result<Vec<_>, SpecError>>()?;
    let throttles = |devices: &Option<Vec<ThrottleDevice>>| {
        let all = devices.iter().flatten().map(|device| {
            let (major, minor) = number(&device.path)?;
            let throttle =
                LinuxThrottleDeviceBuilder::default().major(major).minor(minor).rate(device.rate).build();
            throttle.map_err(|e| SpecError::Invalid(e.to_string()))
        });
        let all = all.collect::<Result<Vec<_>, SpecError>>()?;
        Ok::<_, SpecError>(Some(all).filter(|all| !all.is_empty()))
    };
    let mut io = LinuxBlockIo::default();
    io.set_weight(Some(host.blkio_weight).filter(|weight| *weight != 0))
        .set_weight_device(Some(weights).filter(|all| !all.is_empty()))
        .set_throttle_read_bps_device(throttles(&host.blkio_device_read_bps)?)
        .set_throttle_write_bps_device(throttles(&host.blkio_device_write_bps)?)
        .set_throttle_read_iops_device(throttles(&host.blkio_device_read_iops)?)
        .set_throttle_write_iops_device(throttles(&host.blkio_device_write_iops)?);
    Ok(Some(io).filter(|io| *io != LinuxBlockIo::default()))
}

/// Every number.
const ANY: i64 = -1;

/// What every container may use beside making nodes. Source: moby's defaults, then those of runc, which the runtime
/// spec's default devices need: pts and ptmx.
const ALWAYS: &[(bool, LinuxDeviceType, i64, i64, &str)] = &[
    (true, LinuxDeviceType::C, 1, 5, "rwm"),     // zero
    (true, LinuxDeviceType::C, 1, 3, "rwm"),     // null
    (true, LinuxDeviceType::C, 1, 9, "rwm"),     // urandom
    (true, LinuxDeviceType::C, 1, 8, "rwm"),     // random
    (true, LinuxDeviceType::C, 5, 0, "rwm"),     // tty
    (true, LinuxDeviceType::C, 5, 1, "rwm"),     // console
    (false, LinuxDeviceType::C, 10, 229, "rwm"), // fuse
    (true, LinuxDeviceType::C, 1, 7, "rwm"),     // full
    (true, LinuxDeviceType::C, 136, ANY, "rwm"), // pts
    (true, LinuxDeviceType::C, 5, 2, "rwm"),     // ptmx
    (true, LinuxDeviceType::C, ANY, ANY, "m"),
    (true, LinuxDeviceType::B, ANY, ANY, "m"),
];

/// The rules of the devices cgroup; a later one beats an earlier one.
fn device_rules(input: &SpecInput<'_>) -> Result<Vec<LinuxDeviceCgroup>, SpecError> {
    let everything = |allow| {
        let mut rule = LinuxDeviceCgroup::default();
        rule.set_allow(allow).set_typ(Some(LinuxDeviceType::A)).set_access(Some("rwm".to_owned()));
        rule
    };
    if input.host_config.privileged {
        return Ok(vec![everything(true)]);
    }
    let mut rules = vec![everything(false)];
    rules.extend(
        ALWAYS.iter().map(|(allow, kind, major, minor, access)| rule(*allow, *kind, *major, *minor, access)),
    );
    rules.extend(input.host.devices.iter().map(|device| {
        let kind = if device.character { LinuxDeviceType::C } else { LinuxDeviceType::B };
        rule(true, kind, device.major, device.minor, &device.permissions)
    }));
    for text in input.host_config.device_cgroup_rules.iter().flatten() {
        let parsed = DeviceRule::parse(text).map_err(|e| SpecError::Invalid(e.to_string()))?;
        rules.push(rule(true, parsed.kind, parsed.major, parsed.minor, &parsed.access));
    }
    Ok(rules)
}

fn rule(allow: bool, kind: LinuxDeviceType, major: i64, minor: i64, access: &str) -> LinuxDeviceCgroup {
    let number = |number: i64| Some(number).filter(|number| *number != ANY);
    let mut rule = LinuxDeviceCgroup::default();
    rule.set_allow(allow)
        .set_typ(Some(kind))
        .set_major(number(major))
        .set_minor(number(minor))
        .set_access(Some(access.to_owned()));
    rule
}
