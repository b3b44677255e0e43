//! The machine as `info` and `version` show it.

use crate::{config::EngineConfig, core::Core, error::Result, record::Status};
use brig_api::{
    ComponentVersion, FirewallInfo, IndexInfo, PluginsInfo, RegistryServiceConfig, RuntimeInfo, SystemInfo,
    SystemPlatform, SystemVersion,
};
use brig_registry::RegistryConfig;
use brig_runtime::cgroup::{Controller, Hierarchies};
use jiff::Timestamp;
use std::{collections::BTreeMap, fs, path::Path};

/// The newest version of the API that the engine speaks, and the oldest.
const API_VERSIONS: [&str; 2] = ["1.51", "1.24"];

pub(super) fn version(config: &EngineConfig) -> SystemVersion {
    let kernel = kernel();
    let details = BTreeMap::from([
        ("ApiVersion".to_owned(), API_VERSIONS[0].to_owned()),
        ("MinAPIVersion".to_owned(), API_VERSIONS[1].to_owned()),
        ("Arch".to_owned(), arch().to_owned()),
        ("Os".to_owned(), "linux".to_owned()),
        ("KernelVersion".to_owned(), kernel.clone()),
        ("BuildTime".to_owned(), config.build_time.clone()),
        ("GitCommit".to_owned(), config.git_commit.clone()),
        ("Experimental".to_owned(), "false".to_owned()),
    ]);
    let engine = ComponentVersion {
        name: "Engine".to_owned(),
        version: config.version.clone(),
        details: Some(details),
    };
    SystemVersion {
        platform: SystemPlatform { name: "brig".to_owned() },
        components: Some(vec![engine]),
        version: config.version.clone(),
        api_version: API_VERSIONS[0].to_owned(),
        min_api_version: API_VERSIONS[1].to_owned(),
        git_commit: config.git_commit.clone(),
        go_version: concat!("rust", env!("CARGO_PKG_RUST_VERSION")).to_owned(),
        os: "linux".to_owned(),
        arch: arch().to_owned(),
        kernel_version: kernel,
        experimental: false,
        build_time: config.build_time.clone(),
    }
}

pub(super) fn info(core: &Core) -> Result<SystemInfo> {
    let statuses: Vec<Status> =
        core.registry.all().iter().map(|h| h.snapshot().record.state.status()).collect();
    let count = |wanted: &dyn Fn(Status) -> bool| {
        i64::try_from(statuses.iter().filter(|s| wanted(**s)).count()).unwrap_or(i64::MAX)
    };
    let cgroups = Hierarchies::get();
    let has = |controller| cgroups.version_of(controller).is_some();
    let config = &core.config;
    let strings = |list: &[&str]| Some(list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
    let overlay = core.store.backend() == "overlay";
    let runc = RuntimeInfo { path: "brig".to_owned(), ..RuntimeInfo::default() };
    Ok(SystemInfo {
        id: daemon_id(core)?,
        containers: i64::try_from(statuses.len()).unwrap_or(i64::MAX),
        containers_running: count(&|s| s == Status::Running || s == Status::Restarting),
        containers_paused: count(&|s| s == Status::Paused),
        containers_stopped: count(&|s| !matches!(s, Status::Running | Status::Restarting | Status::Paused)),
        images: i64::try_from(core.store.image_list()?.len()).unwrap_or(i64::MAX),
        driver: if overlay { "overlay2" } else { core.store.backend() }.to_owned(),
        driver_status: Some(Vec::new()),
        plugins: PluginsInfo {
            volume: Some(
                std::iter::once("local".to_owned()).chain(crate::volumes::plugins_met(core)).collect(),
            ),
            network: strings(&["bridge", "host", "ipvlan", "macvlan", "null"]),
            authorization: None,
            log: strings(&["fluentd", "gelf", "journald", "json-file", "local", "syslog"]),
        },
        memory_limit: has(Controller::Memory),
        swap_limit: has(Controller::Memory),
        cpu_cfs_period: has(Controller::Cpu),
        cpu_cfs_quota: has(Controller::Cpu),
        cpu_shares: has(Controller::Cpu),
        cpu_set: has(Controller::Cpuset),
        pids_limit: has(Controller::Pids),
        ipv4_forwarding: read("/proc/sys/net/ipv4/ip_forward") == "1",
        debug: config.debug,
        n_fd: fs::read_dir("/proc/self/fd").map_or(0, |fds| i64::try_from(fds.count()).unwrap_or(0)),
        kernel_memory_tcp: !cgroups.is_unified() && has(Controller::Memory),
        cdi_spec_dirs: Some(Vec::new()),
        oom_kill_disable: !cgroups.is_unified() && has(Controller::Memory),
        n_goroutines: fs::read_dir("/proc/self/task").map_or(0, |t| i64::try_from(t.count()).unwrap_or(0)),
        system_time: brig_api::Time(Timestamp::now()).to_string(),
        logging_driver: config.log_driver.clone(),
        cgroup_driver: "cgroupfs".to_owned(),
        cgroup_version: if cgroups.is_unified() { "2" } else { "1" }.to_owned(),
        n_events_listener: core.events.listeners(),
        kernel_version: kernel(),
        operating_system: os_release("PRETTY_NAME").unwrap_or_else(|| "Linux".to_owned()),
        os_version: os_release("VERSION_ID").unwrap_or_default(),
        os_type: "linux".to_owned(),
        architecture: rustix::system::uname().machine().to_string_lossy().into_owned(),
        index_server_address: "https://index.docker.io/v1/".to_owned(),
        registry_config: Some(registries(&core.registries.config())),
        ncpu: std::thread::available_parallelism().map_or(1, |n| i64::try_from(n.get()).unwrap_or(1)),
        mem_total: memory(),
        docker_root_dir: config.paths.data_root().to_string_lossy().into_owned(),
        http_proxy: proxy("HTTP_PROXY"),
        https_proxy: proxy("HTTPS_PROXY"),
        no_proxy: proxy("NO_PROXY"),
        name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        labels: config.labels.clone(),
        server_version: config.version.clone(),
        runtimes: BTreeMap::from([("runc".to_owned(), runc)]),
        default_runtime: "runc".to_owned(),
        // Containers always outlive the daemon that started them.
        live_restore_enabled: true,
        init_binary: "brig".to_owned(),
        security_options: security_options(),
        firewall_backend: Some(FirewallInfo { driver: "nftables".to_owned(), info: None }),
        ..SystemInfo::default()
    })
}

/// The id of this data root, made once.
fn daemon_id(core: &Core) -> Result<String> {
    const KIND: &str = "daemon";
    let records = core.store.records();
    if let Some(id) = records.get::<String>(KIND, "id")? {
        return Ok(id);
    }
    // A version 4 UUID, as Docker's.
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&brig_core::Id::random().as_bytes()[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    let id = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
    records.put(KIND, "id", &id, brig_core::atomic::Durability::Power)?;
    Ok(id)
}

fn registries(config: &RegistryConfig) -> RegistryServiceConfig {
    let of_hub = config.mirrors.iter().filter(|mirror| mirror.of == "docker.io");
    // dockerd ends each with a slash.
    let mirrors: Vec<String> =
        of_hub.map(|mirror| format!("{}/", mirror.url.trim_end_matches('/'))).collect();
    let hub =
        IndexInfo { name: "docker.io".to_owned(), mirrors: mirrors.clone(), secure: true, official: true };
    let (networks, hosts): (Vec<_>, Vec<_>) =
        config.insecure.iter().cloned().partition(|entry| entry.contains('/'));
    let mut index_configs = BTreeMap::from([("docker.io".to_owned(), hub)]);
    for name in hosts {
        let index = IndexInfo { name: name.clone(), mirrors: Vec::new(), secure: false, official: false };
        index_configs.insert(name, index);
    }
    let loopback = ["::1/128".to_owned(), "127.0.0.0/8".to_owned()];
    RegistryServiceConfig {
        insecure_registry_cidrs: Some(networks.into_iter().chain(loopback).collect()),
        index_configs,
        mirrors: (!mirrors.is_empty()).then_some(mirrors),
    }
}

fn security_options() -> Vec<String> {
    let mut options = Vec::new();
    if Path::new("/sys/kernel/security/apparmor").exists() {
        options.push("name=apparmor".to_owned());
    }
    options.push("name=seccomp,profile=builtin".to_owned());
    if Path::new("/proc/self/ns/cgroup").exists() {
        options.push("name=cgroupns".to_owned());
    }
    options
}

fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// The processor in Go's words.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn memory() -> i64 {
    let text = read("/proc/meminfo");
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<i64>().ok());
    kib.unwrap_or(0).saturating_mul(1024)
}

fn os_release(key: &str) -> Option<String> {
    let text =
        fs::read_to_string("/etc/os-release").or_else(|_| fs::read_to_string("/usr/lib/os-release")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(line.trim_matches('"').to_owned())
}

fn proxy(name: &str) -> String {
    let value = std::env::var(name).or_else(|_| std::env::var(name.to_ascii_lowercase())).unwrap_or_default();
    // A password in it is nobody's business.
    match (value.find("://"), value.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 <= at => {
            format!("{}xxxxx:xxxxx{}", &value[..scheme + 3], &value[at..])
        }
        _ => value,
    }
}
