//! `GET /info`.

use super::is_default;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The engine and its machine (`SystemInfo`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct SystemInfo {
    /// The engine's id.
    #[serde(rename = "ID")]
    pub id: String,
    /// All containers.
    pub containers: i64,
    /// Running ones.
    pub containers_running: i64,
    /// Paused ones.
    pub containers_paused: i64,
    /// All others.
    pub containers_stopped: i64,
    /// Images.
    pub images: i64,
    /// The storage driver.
    pub driver: String,
    /// What it tells, pairs of name and value.
    pub driver_status: Option<Vec<[String; 2]>>,
    /// Names of drivers.
    pub plugins: PluginsInfo,
    /// The kernel can limit memory.
    pub memory_limit: bool,
    /// The kernel can limit swap.
    pub swap_limit: bool,
    /// Deprecated.
    #[serde(skip_serializing_if = "is_default")]
    pub kernel_memory: bool,
    /// The kernel can limit its own TCP memory (cgroup v1 only).
    #[serde(rename = "KernelMemoryTCP", skip_serializing_if = "is_default")]
    pub kernel_memory_tcp: bool,
    /// The kernel has CFS periods.
    pub cpu_cfs_period: bool,
    /// The kernel has CFS quotas.
    pub cpu_cfs_quota: bool,
    /// The kernel has CPU shares.
    #[serde(rename = "CPUShares")]
    pub cpu_shares: bool,
    /// The kernel has cpusets.
    #[serde(rename = "CPUSet")]
    pub cpu_set: bool,
    /// The kernel can limit processes.
    pub pids_limit: bool,
    /// The kernel forwards IPv4.
    #[serde(rename = "IPv4Forwarding")]
    pub ipv4_forwarding: bool,
    /// Left out since 1.50.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge_nf_iptables: Option<bool>,
    /// Left out since 1.50.
    #[serde(rename = "BridgeNfIp6tables", skip_serializing_if = "Option::is_none")]
    pub bridge_nf_ip6tables: Option<bool>,
    /// Debug logs are on.
    pub debug: bool,
    /// Open file descriptors of the daemon.
    #[serde(rename = "NFd")]
    pub n_fd: i64,
    /// The out-of-memory killer can be switched off (cgroup v1 only).
    pub oom_kill_disable: bool,
    /// Tasks of the daemon.
    #[serde(rename = "NGoroutines")]
    pub n_goroutines: i64,
    /// The daemon's clock.
    pub system_time: String,
    /// The default log driver.
    pub logging_driver: String,
    /// `cgroupfs`, `systemd` or `none`.
    pub cgroup_driver: String,
    /// `1` or `2`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cgroup_version: String,
    /// Clients that listen to events.
    #[serde(rename = "NEventsListener")]
    pub n_events_listener: i64,
    /// The kernel's release.
    pub kernel_version: String,
    /// Its name for people.
    pub operating_system: String,
    /// Its version.
    #[serde(rename = "OSVersion")]
    pub os_version: String,
    /// `linux`.
    #[serde(rename = "OSType")]
    pub os_type: String,
    /// In uname's words, such as `x86_64`.
    pub architecture: String,
    /// The default registry.
    pub index_server_address: String,
    /// Registries.
    pub registry_config: Option<RegistryServiceConfig>,
    /// CPUs.
    #[serde(rename = "NCPU")]
    pub ncpu: i64,
    /// Bytes.
    pub mem_total: i64,
    /// Swarm's resources.
    pub generic_resources: Option<Vec<serde_json::Value>>,
    /// The data root.
    pub docker_root_dir: String,
    /// The proxy for http.
    pub http_proxy: String,
    /// The proxy for https.
    pub https_proxy: String,
    /// Hosts without proxy.
    pub no_proxy: String,
    /// The host name.
    pub name: String,
    /// The engine's labels; never `null`.
    pub labels: Vec<String>,
    /// Experimental features are on.
    pub experimental_build: bool,
    /// The engine's version.
    pub server_version: String,
    /// OCI runtimes by name.
    pub runtimes: BTreeMap<String, RuntimeInfo>,
    /// The default one.
    pub default_runtime: String,
    /// Swarm.
    pub swarm: SwarmInfo,
    /// Containers live on without the daemon.
    pub live_restore_enabled: bool,
    /// Windows only.
    pub isolation: String,
    /// The init of `--init`.
    pub init_binary: String,
    /// The version of what containerd is to Docker.
    pub containerd_commit: Commit,
    /// The version of what runc is to Docker.
    pub runc_commit: Commit,
    /// The version of the init.
    pub init_commit: Commit,
    /// Such as `name=seccomp,profile=builtin`; never `null`.
    pub security_options: Vec<String>,
    /// Docker's licence.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub product_license: String,
    /// Where networks get addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_address_pools: Option<Vec<NetworkAddressPool>>,
    /// What filters packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firewall_backend: Option<FirewallInfo>,
    /// Folders of CDI.
    #[serde(rename = "CDISpecDirs")]
    pub cdi_spec_dirs: Option<Vec<String>>,
    /// Devices found by drivers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discovered_devices: Option<Vec<DeviceInfo>>,
    /// containerd, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub containerd: Option<ContainerdInfo>,
    /// What the machine lacks; `null` for nothing.
    pub warnings: Option<Vec<String>>,
}

/// Names of drivers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct PluginsInfo {
    /// Of volumes.
    pub volume: Option<Vec<String>>,
    /// Of networks.
    pub network: Option<Vec<String>>,
    /// Of authorization.
    pub authorization: Option<Vec<String>>,
    /// Of logs.
    pub log: Option<Vec<String>>,
}

/// An OCI runtime.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RuntimeInfo {
    /// The program.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// Its arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_args: Option<Vec<String>>,
    /// What it tells of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<BTreeMap<String, String>>,
}

/// The commit that a part was built from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Commit {
    /// The commit.
    #[serde(rename = "ID")]
    pub id: String,
}

/// Swarm as this node sees it; the default is a node outside of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct SwarmInfo {
    /// The node's id.
    #[serde(rename = "NodeID")]
    pub node_id: String,
    /// The node's address.
    pub node_addr: String,
    /// `inactive` outside of a swarm.
    pub local_node_state: String,
    /// Whether it is a manager.
    pub control_available: bool,
    /// What is wrong.
    pub error: String,
    /// The managers; `null` outside of a swarm.
    pub remote_managers: Option<Vec<PeerNode>>,
}

impl Default for SwarmInfo {
    fn default() -> Self {
        Self {
            node_id: String::new(),
            node_addr: String::new(),
            local_node_state: "inactive".into(),
            control_available: false,
            error: String::new(),
            remote_managers: None,
        }
    }
}

/// A manager of a swarm.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct PeerNode {
    /// Its id.
    #[serde(rename = "NodeID")]
    pub node_id: String,
    /// Its address.
    pub addr: String,
}

/// A pool that networks get addresses from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct NetworkAddressPool {
    /// CIDR.
    pub base: String,
    /// Bits of each network.
    pub size: i64,
}

/// What filters packets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct FirewallInfo {
    /// Its name.
    pub driver: String,
    /// More, pairs of name and value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub info: Option<Vec<[String; 2]>>,
}

/// A device found by a driver.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct DeviceInfo {
    /// The driver.
    pub source: String,
    /// The device.
    #[serde(rename = "ID")]
    pub id: String,
}

/// containerd, where there is one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ContainerdInfo {
    /// Its socket.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// Its namespaces.
    pub namespaces: ContainerdNamespaces,
}

/// containerd's namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ContainerdNamespaces {
    /// Of containers.
    pub containers: String,
    /// Of plugins.
    pub plugins: String,
}

/// Registries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct RegistryServiceConfig {
    /// Networks whose registries need no TLS.
    #[serde(rename = "InsecureRegistryCIDRs")]
    pub insecure_registry_cidrs: Option<Vec<String>>,
    /// Registries by name.
    pub index_configs: BTreeMap<String, IndexInfo>,
    /// Mirrors of Docker's own.
    pub mirrors: Option<Vec<String>>,
}

/// A registry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct IndexInfo {
    /// Its name.
    pub name: String,
    /// Its mirrors; never `null`.
    pub mirrors: Vec<String>,
    /// Needs TLS.
    pub secure: bool,
    /// Docker's own.
    pub official: bool,
}
