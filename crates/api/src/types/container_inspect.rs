//! `GET /containers/{id}/json`.

use super::{
    container_config::ContainerConfig,
    endpoint::{Address, EndpointSettings},
    host_config::HostConfig,
    mount::MountPoint,
    platform::OciDescriptor,
    port::PortMap,
    time::Time,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything about a container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ContainerInspectResponse {
    /// The id, 64 hex digits.
    pub id: String,
    /// When it was made.
    pub created: Time,
    /// The program.
    pub path: String,
    /// Its arguments; never `null`.
    pub args: Vec<String>,
    /// What it does now.
    pub state: ContainerState,
    /// The image's id.
    pub image: String,
    /// Its resolv.conf on the host.
    pub resolv_conf_path: String,
    /// Its hostname file on the host.
    pub hostname_path: String,
    /// Its hosts file on the host.
    pub hosts_path: String,
    /// Its log on the host; empty for drivers without a file.
    pub log_path: String,
    /// `/` and its name.
    pub name: String,
    /// Restarts by its policy.
    pub restart_count: i64,
    /// The storage driver.
    pub driver: String,
    /// `linux`.
    pub platform: String,
    /// SELinux.
    pub mount_label: String,
    /// SELinux.
    pub process_label: String,
    /// AppArmor.
    pub app_armor_profile: String,
    /// Its living execs; `null` for none.
    #[serde(rename = "ExecIDs")]
    pub exec_ids: Option<Vec<String>>,
    /// What depends on the host.
    pub host_config: HostConfig,
    /// The storage driver's data.
    pub graph_driver: DriverData,
    /// Bytes of the writable layer, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_rw: Option<i64>,
    /// Bytes of all layers, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_root_fs: Option<i64>,
    /// Its mounts; never `null`.
    pub mounts: Vec<MountPoint>,
    /// What does not depend on the host.
    pub config: ContainerConfig,
    /// Its networks.
    pub network_settings: NetworkSettings,
    /// The manifest it was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_manifest_descriptor: Option<OciDescriptor>,
}

/// What a container does now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ContainerState {
    /// `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`.
    pub status: String,
    /// Also true when paused.
    pub running: bool,
    /// Frozen.
    pub paused: bool,
    /// Waits for its next start by policy.
    pub restarting: bool,
    /// Killed for want of memory.
    #[serde(rename = "OOMKilled")]
    pub oom_killed: bool,
    /// Could not be removed wholly.
    pub dead: bool,
    /// The pid of its init on the host; 0 when it does not run.
    pub pid: i64,
    /// The last exit code.
    pub exit_code: i64,
    /// Why the last start failed.
    pub error: String,
    /// The last start.
    pub started_at: Time,
    /// The last exit.
    pub finished_at: Time,
    /// The last health checks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
}

/// The last health checks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Health {
    /// `none`, `starting`, `healthy` or `unhealthy`.
    pub status: String,
    /// Failures in a row.
    pub failing_streak: i64,
    /// The last five, oldest first.
    pub log: Option<Vec<HealthcheckResult>>,
}

/// One health check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct HealthcheckResult {
    /// When it began.
    pub start: Time,
    /// When it ended.
    pub end: Time,
    /// 0 healthy, 1 unhealthy, others failed.
    pub exit_code: i64,
    /// Its first 4 KiB of output.
    pub output: String,
}

/// A storage driver's name and data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct DriverData {
    /// Folders by their role.
    pub data: Option<BTreeMap<String, String>>,
    /// The driver's name.
    pub name: String,
}

/// A container's networks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct NetworkSettings {
    /// Deprecated: the default bridge's device name; always empty.
    pub bridge: String,
    /// The sandbox's id.
    #[serde(rename = "SandboxID")]
    pub sandbox_id: String,
    /// The path of its network namespace.
    pub sandbox_key: String,
    /// Ports in the container to where they are published; `null` before the first start.
    pub ports: Option<PortMap>,
    /// Deprecated.
    pub hairpin_mode: bool,
    /// Deprecated.
    #[serde(rename = "LinkLocalIPv6Address")]
    pub link_local_ipv6_address: String,
    /// Deprecated.
    #[serde(rename = "LinkLocalIPv6PrefixLen")]
    pub link_local_ipv6_prefix_len: i64,
    /// Deprecated.
    #[serde(rename = "SecondaryIPAddresses")]
    pub secondary_ip_addresses: Option<Vec<Address>>,
    /// Deprecated.
    #[serde(rename = "SecondaryIPv6Addresses")]
    pub secondary_ipv6_addresses: Option<Vec<Address>>,
    /// Of the default bridge network.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
    /// Of the default bridge network.
    pub gateway: String,
    /// Of the default bridge network.
    #[serde(rename = "GlobalIPv6Address")]
    pub global_ipv6_address: String,
    /// Of the default bridge network.
    #[serde(rename = "GlobalIPv6PrefixLen")]
    pub global_ipv6_prefix_len: i64,
    /// Of the default bridge network.
    #[serde(rename = "IPAddress")]
    pub ip_address: String,
    /// Of the default bridge network.
    #[serde(rename = "IPPrefixLen")]
    pub ip_prefix_len: i64,
    /// Of the default bridge network.
    #[serde(rename = "IPv6Gateway")]
    pub ipv6_gateway: String,
    /// Of the default bridge network.
    pub mac_address: String,
    /// Endpoints by their network's name.
    pub networks: BTreeMap<String, EndpointSettings>,
}
