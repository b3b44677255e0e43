//! What the engine is told when it is opened.

use brig_core::StatePaths;
use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, time::Duration};

/// What the engine is told when it is opened.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Where everything is.
    pub paths: StatePaths,
    /// The cgroup under which containers' cgroups are made (`--cgroup-parent`).
    pub cgroup_parent: String,
    /// Name servers of containers that don't name their own (`--dns`).
    pub dns: Vec<IpAddr>,
    /// Options of resolv.conf (`--dns-opt`).
    pub dns_options: Vec<String>,
    /// Search domains (`--dns-search`).
    pub dns_search: Vec<String>,
    /// The log driver of containers that don't name one (`--log-driver`).
    pub log_driver: String,
    /// Its options (`--log-opt`).
    pub log_options: BTreeMap<String, String>,
    /// Seconds that containers have to stop when the daemon ends (`--shutdown-timeout`).
    pub shutdown_timeout: Duration,
    /// Bytes of /dev/shm of containers that don't say (`--default-shm-size`).
    pub shm_size: u64,
    /// Remove the bridge and the firewall table at the end when no container runs (`--ephemeral`).
    pub ephemeral: bool,
    /// Run `init` as process 1 in all containers (`--init`).
    pub init: bool,
    /// How registries are reached.
    pub registries: brig_registry::RegistryConfig,
    /// How many layers are downloaded at once (`--max-concurrent-downloads`).
    pub downloads: usize,
    /// Where vendors describe devices (`--cdi-spec-dir`).
    pub cdi_folders: Vec<PathBuf>,
    /// Labels of the daemon (`--label`).
    pub labels: Vec<String>,
    /// Whether `--debug` is on, for `info`.
    pub debug: bool,
    /// The version of brig, for `version` and `info`.
    pub version: String,
    /// The commit it was built from, or empty.
    pub git_commit: String,
    /// When it was built, or empty.
    pub build_time: String,
}

impl EngineConfig {
    /// The defaults on the given paths.
    #[must_use]
    pub fn new(paths: StatePaths) -> Self {
        Self {
            paths,
            cgroup_parent: "/brig".to_owned(),
            dns: Vec::new(),
            dns_options: Vec::new(),
            dns_search: Vec::new(),
            log_driver: "json-file".to_owned(),
            log_options: BTreeMap::new(),
            shutdown_timeout: Duration::from_secs(15),
            shm_size: 64 << 20,
            ephemeral: false,
            init: false,
            cdi_folders: crate::cdi::default_folders(),
            registries: brig_registry::RegistryConfig::default(),
            downloads: 3,
            labels: Vec::new(),
            debug: false,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            git_commit: String::new(),
            build_time: String::new(),
        }
    }
}
