//! From the flags of `run` and `create` to the request that makes the container.

use super::{
    blkio, device,
    env::{self, Bare, Holds},
    host, mount, network, port, security, text, ulimit, volume,
};
use crate::{flags::Parsed, format::size};
use brig_api::{
    ContainerConfig, ContainerCreateRequest, Empty, HostConfig, LogConfig, StrSlice, ThrottleDevice,
};
use std::collections::BTreeMap;

/// Reads the flags and operands (image, command and its arguments).
///
/// # Errors
/// The first thing that is wrong, in Docker's words.
pub fn request(flags: &Parsed) -> Result<ContainerCreateRequest, String> {
    let (image, command) = flags.args.split_first().ok_or("no image given")?;
    check(flags)?;
    let mut config = config(flags, image, command)?;
    let mut host_config = host_config(flags)?;
    let ports = port::Ports::read(flags.all("publish"), flags.all("expose"))?;
    config.exposed_ports = (!ports.exposed.is_empty()).then_some(ports.exposed);
    host_config.port_bindings = Some(ports.bindings);
    let mut anonymous = BTreeMap::new();
    let mut binds = Vec::new();
    for text in flags.all("volume") {
        match volume::parse(text)? {
            volume::Volume::Bind(bind) => binds.push(bind),
            volume::Volume::Anonymous(path) => {
                anonymous.insert(path, Empty {});
            }
        }
    }
    host_config.binds = some(binds);
    config.volumes = Some(anonymous);
    let networks = network::collect(flags)?;
    host_config.network_mode = networks.mode;
    Ok(ContainerCreateRequest {
        config,
        host_config: Some(host_config),
        networking_config: Some(networks.config),
    })
}

fn check(flags: &Parsed) -> Result<(), String> {
    let mac = flags.get("mac-address");
    if !mac.is_empty() && !text::is_mac(mac) {
        return Err(format!("{mac} is not a valid mac address"));
    }
    let swappiness = flags.int("memory-swappiness");
    if swappiness != -1 && !(0..=100).contains(&swappiness) {
        return Err(format!("invalid value: {swappiness}. Valid memory swappiness range is 0-100"));
    }
    host::check_modes(flags)
}

/// `None` for an empty list, as Go's nil slices are sent.
fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn strings(list: Vec<String>) -> Option<StrSlice> {
    some(list).map(StrSlice)
}

fn pairs(lines: impl IntoIterator<Item = String>) -> BTreeMap<String, String> {
    lines
        .into_iter()
        .map(|line| match line.split_once('=') {
            Some((key, value)) => (key.to_owned(), value.to_owned()),
            None => (line, String::new()),
        })
        .collect()
}

fn config(flags: &Parsed, image: &str, command: &[String]) -> Result<ContainerConfig, String> {
    let mut environment = Vec::new();
    for file in flags.all("env-file") {
        environment.extend(env::read_file(file, Holds::Variables, Bare::FromEnvironment)?);
    }
    environment.extend(flags.all("env").map(env::resolve));
    let mut labels = Vec::new();
    for file in flags.all("label-file") {
        labels.extend(env::read_file(file, Holds::Labels, Bare::Empty)?);
    }
    labels.extend(flags.list("label"));

    let attach: Vec<String> = flags.all("attach").map(str::to_ascii_lowercase).collect();
    let has = |name: &str| attach.iter().any(|a| a == name);
    let interactive = flags.on("interactive");
    let (mut stdin, mut stdout, mut stderr) = (has("stdin"), has("stdout"), has("stderr"));
    if attach.is_empty() && !flags.on("detach") {
        (stdout, stderr) = (true, true);
        stdin = interactive;
    }
    let entrypoint = flags.changed("entrypoint").then(|| StrSlice(vec![flags.get("entrypoint").to_owned()]));
    Ok(ContainerConfig {
        hostname: flags.get("hostname").to_owned(),
        domainname: flags.get("domainname").to_owned(),
        user: flags.get("user").to_owned(),
        attach_stdin: stdin,
        attach_stdout: stdout,
        attach_stderr: stderr,
        tty: flags.on("tty"),
        open_stdin: interactive,
        stdin_once: interactive && stdin,
        env: some(environment),
        cmd: strings(command.to_vec()),
        healthcheck: host::health(flags)?,
        image: image.to_owned(),
        working_dir: flags.get("workdir").to_owned(),
        entrypoint,
        labels: Some(pairs(labels)),
        stop_signal: flags.get("stop-signal").to_owned(),
        stop_timeout: flags.changed("stop-timeout").then(|| flags.int("stop-timeout")),
        ..ContainerConfig::default()
    })
}

fn bytes(flags: &Parsed, name: &str) -> i64 {
    match flags.get(name) {
        "-1" => -1,
        text => size::ram_in_bytes(text).unwrap_or(0),
    }
}

fn throttles(
    flags: &Parsed,
    name: &str,
    read: fn(&str) -> Result<ThrottleDevice, String>,
) -> Result<Option<Vec<ThrottleDevice>>, String> {
    flags.all(name).map(read).collect::<Result<Vec<_>, _>>().map(Some)
}

fn log_config(flags: &Parsed) -> Result<LogConfig, String> {
    let options = pairs(flags.list("log-opt"));
    let driver = flags.get("log-driver");
    if driver == "none" && !options.is_empty() {
        return Err("invalid logging opts for driver none".to_owned());
    }
    Ok(LogConfig { driver: driver.to_owned(), config: Some(options) })
}

fn host_config(flags: &Parsed) -> Result<HostConfig, String> {
    let auto_remove = flags.on("rm");
    let restart_policy = host::restart_policy(flags.get("restart"))?;
    if auto_remove && !matches!(restart_policy.name.as_str(), "" | "no") {
        return Err("conflicting options: cannot specify both --restart and --rm".to_owned());
    }
    let mut devices = Vec::new();
    let mut cdi = Vec::new();
    for text in flags.all("device") {
        match device::parse(text)? {
            device::Device::Path(mapping) => devices.push(mapping),
            device::Device::Cdi(name) => cdi.push(name),
        }
    }
    let mut device_requests = flags.all("gpus").map(device::gpus).collect::<Result<Vec<_>, _>>()?;
    if !cdi.is_empty() {
        device_requests.push(brig_api::DeviceRequest {
            driver: "cdi".to_owned(),
            device_ids: Some(cdi),
            ..brig_api::DeviceRequest::default()
        });
    }
    let mut storage = BTreeMap::new();
    for option in flags.all("storage-opt") {
        let (key, value) = option.split_once('=').ok_or("invalid storage option")?;
        storage.insert(key.to_owned(), value.to_owned());
    }
    let map = |name: &str| {
        let map = pairs(flags.list(name));
        (!map.is_empty()).then_some(map)
    };
    let tmpfs: BTreeMap<_, _> = flags.all("tmpfs").map(volume::tmpfs).collect();
    let security = security::read(flags.all("security-opt"))?;
    // `systempaths=unconfined` empties both lists; else the daemon's defaults hold.
    let paths = security.system_paths_unconfined.then(Vec::new);
    let extra_hosts = flags.all("add-host").map(text::split_extra_host).collect::<Result<Vec<_>, _>>()?;
    let mounts = flags.all("mount").map(mount::parse).collect::<Result<Vec<_>, _>>()?;
    let both = |a: &str, b: &str| flags.all(a).chain(flags.all(b)).map(str::to_owned).collect::<Vec<_>>();
    Ok(HostConfig {
        container_id_file: flags.get("cidfile").to_owned(),
        log_config: log_config(flags)?,
        restart_policy,
        auto_remove,
        volume_driver: flags.get("volume-driver").to_owned(),
        volumes_from: some(flags.list("volumes-from")),
        annotations: map("annotation"),
        cap_add: strings(flags.list("cap-add")),
        cap_drop: strings(flags.list("cap-drop")),
        cgroupns_mode: flags.get("cgroupns").to_owned(),
        dns: Some(flags.list("dns")),
        dns_options: Some(both("dns-opt", "dns-option")),
        dns_search: Some(flags.list("dns-search")),
        extra_hosts: some(extra_hosts),
        group_add: some(flags.list("group-add")),
        ipc_mode: flags.get("ipc").to_owned(),
        links: some(flags.list("link")),
        oom_score_adj: flags.int("oom-score-adj"),
        pid_mode: flags.get("pid").to_owned(),
        privileged: flags.on("privileged"),
        publish_all_ports: flags.on("publish-all"),
        readonly_rootfs: flags.on("read-only"),
        security_opt: some(security.options),
        storage_opt: (!storage.is_empty()).then_some(storage),
        tmpfs: (!tmpfs.is_empty()).then_some(tmpfs),
        uts_mode: flags.get("uts").to_owned(),
        userns_mode: flags.get("userns").to_owned(),
        shm_size: bytes(flags, "shm-size"),
        sysctls: map("sysctl"),
        runtime: flags.get("runtime").to_owned(),
        isolation: flags.get("isolation").to_owned(),
        cpu_shares: flags.int("cpu-shares"),
        memory: bytes(flags, "memory"),
        nano_cpus: flags.non_empty("cpus").and_then(|n| text::nano_cpus(&n).ok()).unwrap_or(0),
        cgroup_parent: flags.get("cgroup-parent").to_owned(),
        blkio_weight: u16::try_from(flags.int("blkio-weight")).unwrap_or(0),
        blkio_weight_device: Some(
            flags.all("blkio-weight-device").map(blkio::weight).collect::<Result<_, _>>()?,
        ),
        blkio_device_read_bps: throttles(flags, "device-read-bps", blkio::bytes_rate)?,
        blkio_device_write_bps: throttles(flags, "device-write-bps", blkio::bytes_rate)?,
        blkio_device_read_iops: throttles(flags, "device-read-iops", blkio::operations_rate)?,
        blkio_device_write_iops: throttles(flags, "device-write-iops", blkio::operations_rate)?,
        cpu_period: flags.int("cpu-period"),
        cpu_quota: flags.int("cpu-quota"),
        cpu_realtime_period: flags.int("cpu-rt-period"),
        cpu_realtime_runtime: flags.int("cpu-rt-runtime"),
        cpuset_cpus: flags.get("cpuset-cpus").to_owned(),
        cpuset_mems: flags.get("cpuset-mems").to_owned(),
        devices: Some(devices),
        device_cgroup_rules: some(flags.list("device-cgroup-rule")),
        device_requests: some(device_requests),
        kernel_memory: bytes(flags, "kernel-memory"),
        memory_reservation: bytes(flags, "memory-reservation"),
        memory_swap: bytes(flags, "memory-swap"),
        memory_swappiness: Some(flags.int("memory-swappiness")),
        oom_kill_disable: Some(flags.on("oom-kill-disable")),
        pids_limit: Some(flags.int("pids-limit")),
        ulimits: Some(flags.all("ulimit").map(ulimit::parse).collect::<Result<_, _>>()?),
        cpu_count: flags.int("cpu-count"),
        cpu_percent: flags.int("cpu-percent"),
        io_maximum_iops: u64::try_from(flags.int("io-maxiops")).unwrap_or(0),
        io_maximum_bandwidth: u64::try_from(bytes(flags, "io-maxbandwidth")).unwrap_or(0),
        mounts: some(mounts),
        masked_paths: paths.clone(),
        readonly_paths: paths,
        init: flags.changed("init").then(|| flags.on("init")),
        ..HostConfig::default()
    })
}
