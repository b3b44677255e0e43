//! The configuration with its types, checked.

use super::{
    ConfigError, Host, merge,
    value::{Value, Values},
};
use brig_api::Ulimit;
use brig_core::{StatePaths, paths};
use brig_registry::{Mirror, RegistryConfig};
use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// The form of the daemon's own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// The least level that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What an administrator wants to know.
    Info,
    /// What may be wrong.
    Warn,
    /// What went wrong.
    Error,
}

/// How layers are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageDriver {
    /// What the data root allows.
    Auto,
    /// Joined by overlayfs.
    Overlay,
    /// Whole copies.
    Copies,
}

/// The daemon's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to serve; empty for the default places.
    pub hosts: Vec<Host>,
    /// The two roots.
    pub paths: StatePaths,
    /// The file for the pid.
    pub pidfile: PathBuf,
    /// The group of unix sockets, and whether it was asked for by name.
    pub group: Option<String>,
    /// The least level that is logged.
    pub log_level: LogLevel,
    /// The form of the log.
    pub log_format: LogFormat,
    /// Without colours.
    pub raw_logs: bool,
    /// How long requests under way have at the end, at most.
    pub shutdown_timeout: Duration,
    /// Labels, `key=value`.
    pub labels: Vec<String>,
    /// The default network.
    pub network: NetworkConfig,
    /// Name servers of containers.
    pub dns: Vec<IpAddr>,
    /// Options of their resolv.conf.
    pub dns_options: Vec<String>,
    /// Their search domains.
    pub dns_search: Vec<String>,
    /// Folders of CDI specifications; the usual ones when empty.
    pub cdi_folders: Vec<PathBuf>,
    /// The cgroup above those of containers.
    pub cgroup_parent: String,
    /// Their log driver.
    pub log_driver: String,
    /// Its options.
    pub log_options: BTreeMap<String, String>,
    /// How layers are kept.
    pub storage_driver: StorageDriver,
    /// Leave no bridge and no firewall table behind when no container runs at the end.
    pub ephemeral: bool,
    /// Run an init in all containers.
    pub init: bool,
    /// Bytes of their /dev/shm.
    pub shm_size: u64,
    /// Their resource limits.
    pub ulimits: Vec<Ulimit>,
    /// `private` or `shareable`.
    pub ipc_mode: String,
    /// `private`, `host`, or empty for what fits the machine's cgroups.
    pub cgroupns_mode: String,
    /// Containers gain no rights by setuid programs.
    pub no_new_privileges: bool,
    /// A file, `unconfined`, or `None` for the built-in one.
    pub seccomp_profile: Option<String>,
    /// How registries are reached.
    pub registries: RegistryConfig,
    /// Layers that are downloaded at once.
    pub downloads: usize,
    /// What has no effect, for the log.
    pub warnings: Vec<String>,
    flags: Values,
    file: PathBuf,
}

/// The default network.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// The Linux bridge; `None` for the default one.
    pub bridge: Option<String>,
    /// The bridge's address and network.
    pub bip: Option<String>,
    /// The part of it to give out.
    pub fixed_cidr: Option<String>,
    /// The MTU.
    pub mtu: Option<u32>,
    /// Make firewall rules.
    pub firewall: bool,
    /// Switch forwarding on.
    pub ip_forward: bool,
    /// Give outgoing connections the host's address.
    pub ip_masquerade: bool,
    /// Let containers reach one another.
    pub icc: bool,
    /// Proxy what can't be translated.
    pub userland_proxy: bool,
    /// The host address of ports published without one.
    pub host_ip: Option<IpAddr>,
}

/// Reads values by flag name.
struct Read<'a>(&'a Values);

impl Read<'_> {
    fn text(&self, name: &str) -> Option<String> {
        match self.0.get(name) {
            Some(Value::Text(text)) if !text.is_empty() => Some(text.clone()),
            _ => None,
        }
    }

    fn bool(&self, name: &str, default: bool) -> bool {
        match self.0.get(name) {
            Some(Value::Bool(on)) => *on,
            _ => default,
        }
    }

    fn number(&self, name: &str) -> Option<i64> {
        match self.0.get(name) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    fn list(&self, name: &str) -> Vec<String> {
        match self.0.get(name) {
            Some(Value::List(list)) => list.clone(),
            _ => Vec::new(),
        }
    }

    fn one_of(&self, name: &str, allowed: &[&str]) -> Result<Option<String>, ConfigError> {
        match self.text(name) {
            Some(text) if !allowed.contains(&text.as_str()) => Err(ConfigError::Value(format!(
                "invalid {name} {text:?}: it must be one of {}",
                allowed.join(", ")
            ))),
            text => Ok(text),
        }
    }

    fn path(&self, name: &str, default: &str) -> Result<PathBuf, ConfigError> {
        let path = PathBuf::from(self.text(name).unwrap_or_else(|| default.to_owned()));
        if path.is_absolute() {
            return Ok(path);
        }
        std::path::absolute(&path)
            .map_err(|e| ConfigError::Value(format!("--{name} {}: {e}", path.display())))
    }

    fn ip(&self, name: &str) -> Result<Option<IpAddr>, ConfigError> {
        self.text(name).map(|text| parse_ip(&text)).transpose()
    }
}

fn parse_ip(text: &str) -> Result<IpAddr, ConfigError> {
    text.parse().map_err(|_| ConfigError::Value(format!("{text} is not an ip address")))
}

impl Config {
    pub(super) fn from_values(
        values: &Values,
        flags: Values,
        file: PathBuf,
        warnings: Vec<String>,
    ) -> Result<Self, ConfigError> {
        let read = Read(values);
        let bad = |text: String| Err(ConfigError::Value(text));
        let paths = StatePaths::new(
            read.path("data-root", paths::DATA_ROOT)?,
            read.path("exec-root", paths::EXEC_ROOT)?,
        );
        let pidfile = match read.text("pidfile") {
            Some(_) => read.path("pidfile", "")?,
            None => paths.exec_root().join("brig.pid"),
        };
        let labels = read.list("label");
        if let Some(label) = labels.iter().find(|l| l.split_once('=').is_none_or(|(k, _)| k.is_empty())) {
            return bad(format!("bad attribute format: {label}"));
        }
        let log_format = match read.text("log-format").as_deref() {
            None | Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(other) => return bad(format!("invalid log format: {other}")),
        };
        let storage_driver = match read
            .one_of("storage-driver", &["overlay2", "overlay", "overlayfs", "vfs", "native"])?
            .as_deref()
        {
            None => StorageDriver::Auto,
            Some("vfs" | "native") => StorageDriver::Copies,
            Some(_) => StorageDriver::Overlay,
        };
        let shutdown = read.number("shutdown-timeout").unwrap_or(15);
        Ok(Self {
            hosts: read.list("host").iter().map(|h| Host::parse(h)).collect::<Result<_, _>>()?,
            paths,
            pidfile,
            group: read.text("group"),
            log_level: log_level(values)?,
            log_format,
            raw_logs: read.bool("raw-logs", false),
            // dockerd waits for ever on a negative one; a stop that hangs helps nobody.
            shutdown_timeout: Duration::from_secs(u64::try_from(shutdown).unwrap_or(15)),
            labels,
            network: NetworkConfig::from_values(&read)?,
            dns: read.list("dns").iter().map(|ip| parse_ip(ip)).collect::<Result<_, _>>()?,
            dns_options: read.list("dns-opt"),
            dns_search: read.list("dns-search"),
            cdi_folders: read.list("cdi-spec-dir").into_iter().map(PathBuf::from).collect(),
            cgroup_parent: read.text("cgroup-parent").unwrap_or_else(|| "/brig".to_owned()),
            log_driver: read.text("log-driver").unwrap_or_else(|| "json-file".to_owned()),
            log_options: match values.get("log-opt") {
                Some(Value::Map(map)) => map.clone(),
                _ => BTreeMap::new(),
            },
            storage_driver,
            ephemeral: read.bool("ephemeral", false),
            init: read.bool("init", false),
            shm_size: read.text("default-shm-size").map_or(Ok(64 << 20), |text| size(&text))?,
            ulimits: ulimits(values.get("default-ulimit"))?,
            ipc_mode: read
                .one_of("default-ipc-mode", &["private", "shareable"])?
                .unwrap_or_else(|| "private".to_owned()),
            cgroupns_mode: read.one_of("default-cgroupns-mode", &["private", "host"])?.unwrap_or_default(),
            no_new_privileges: read.bool("no-new-privileges", false),
            seccomp_profile: read.text("seccomp-profile").filter(|profile| profile != "builtin"),
            registries: registries(&read)?,
            downloads: match read.number("max-concurrent-downloads") {
                None => 3,
                Some(n) => usize::try_from(n)
                    .ok()
                    .filter(|n| *n > 0)
                    .ok_or_else(|| ConfigError::Value(format!("invalid max concurrent downloads: {n}")))?,
            },
            warnings,
            flags,
            file,
        })
    }

    /// The level that the file, read again, asks for beside the flags of the start.
    ///
    /// # Errors
    /// As at the start.
    pub fn reloaded_level(&self) -> Result<LogLevel, ConfigError> {
        log_level(&self.read_again()?)
    }

    /// How registries are to be reached from now on, likewise.
    ///
    /// # Errors
    /// As at the start.
    pub fn reloaded_registries(&self) -> Result<RegistryConfig, ConfigError> {
        registries(&Read(&self.read_again()?))
    }

    fn read_again(&self) -> Result<Values, ConfigError> {
        let mut values = merge::read(&self.file, self.flags.contains_key("config-file"), &self.flags)?;
        values.extend(self.flags.clone());
        Ok(values)
    }

    /// The configuration file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Whether debug logs are on.
    #[must_use]
    pub fn debug(&self) -> bool {
        self.log_level == LogLevel::Debug
    }
}

impl NetworkConfig {
    fn from_values(read: &Read<'_>) -> Result<Self, ConfigError> {
        let mtu = match read.number("mtu") {
            None | Some(0) => None,
            Some(mtu) => Some(
                u32::try_from(mtu).map_err(|_| ConfigError::Value(format!("invalid default MTU: {mtu}")))?,
            ),
        };
        Ok(Self {
            bridge: read.text("bridge"),
            bip: read.text("bip"),
            fixed_cidr: read.text("fixed-cidr"),
            mtu,
            firewall: read.bool("iptables", true),
            ip_forward: read.bool("ip-forward", true),
            ip_masquerade: read.bool("ip-masq", true),
            icc: read.bool("icc", true),
            userland_proxy: read.bool("userland-proxy", true),
            host_ip: read.ip("ip")?.filter(|ip| !ip.is_unspecified()),
        })
    }
}

fn registries(read: &Read<'_>) -> Result<RegistryConfig, ConfigError> {
    let mut config = RegistryConfig { insecure: read.list("insecure-registry"), ..RegistryConfig::default() };
    for text in read.list("registry-mirror") {
        let (of, url) = text.split_once('=').unwrap_or(("docker.io", &text));
        let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        if of.is_empty() || host.is_none_or(|host| host.is_empty() || host.contains(['?', '#', '@'])) {
            return Err(ConfigError::Value(format!(
                "invalid mirror: {text:?} is not a valid URI: use https://HOST, or PREFIX=https://HOST"
            )));
        }
        config.mirrors.push(Mirror { of: of.to_owned(), url: url.to_owned() });
    }
    if let Some(tries) = read.number("max-download-attempts") {
        let tries = u32::try_from(tries).ok().filter(|n| *n > 0);
        config.limits.tries = tries.ok_or_else(|| {
            ConfigError::Value("invalid max download attempts: it must be above 0".to_owned())
        })?;
    }
    Ok(config)
}

fn log_level(values: &Values) -> Result<LogLevel, ConfigError> {
    let read = Read(values);
    if read.bool("debug", false) {
        return Ok(LogLevel::Debug);
    }
    match read.text("log-level").map(|t| t.to_ascii_lowercase()).as_deref() {
        Some("debug" | "trace") => Ok(LogLevel::Debug),
        None | Some("info") => Ok(LogLevel::Info),
        Some("warn" | "warning") => Ok(LogLevel::Warn),
        Some("error" | "fatal" | "panic") => Ok(LogLevel::Error),
        Some(other) => Err(ConfigError::Value(format!("invalid logging level: {other}"))),
    }
}

/// Reads `64m`, `1g`, `65536`: units of 1024.
fn size(text: &str) -> Result<u64, ConfigError> {
    let bad = || ConfigError::Value(format!("invalid size: '{text}'"));
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match lower[digits.len()..].trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err(bad()),
    };
    let number: u64 = digits.trim().parse().map_err(|_| bad())?;
    number.checked_mul(1 << shift).ok_or_else(bad)
}

fn ulimits(value: Option<&Value>) -> Result<Vec<Ulimit>, ConfigError> {
    match value {
        Some(Value::List(list)) => list.iter().map(|text| ulimit(text)).collect(),
        Some(Value::Json(json)) => {
            let bytes = json.to_string();
            let map: BTreeMap<String, Ulimit> = brig_api::json::from_slice(bytes.as_bytes())
                .map_err(|e| ConfigError::Value(format!("default-ulimits: {e}")))?;
            let named = |(name, limit): (String, Ulimit)| Ulimit {
                name: if limit.name.is_empty() { name } else { limit.name },
                ..limit
            };
            Ok(map.into_iter().map(named).collect())
        }
        _ => Ok(Vec::new()),
    }
}

/// Reads `nofile=soft[:hard]`.
fn ulimit(text: &str) -> Result<Ulimit, ConfigError> {
    let bad = || ConfigError::Value(format!("invalid ulimit argument: {text}"));
    let (name, limits) = text.split_once('=').ok_or_else(bad)?;
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    let soft: i64 = soft.parse().map_err(|_| bad())?;
    let hard: i64 = hard.parse().map_err(|_| bad())?;
    if hard != -1 && (soft > hard || soft == -1) {
        return Err(ConfigError::Value(format!(
            "ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
        )));
    }
    Ok(Ulimit { name: name.to_owned(), hard, soft })
}
