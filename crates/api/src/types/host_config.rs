//! `HostConfig`: what of a container depends on its host.

use super::{is_default, mount::Mount, port::PortMap, resources::*, str_slice::StrSlice};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What of a container depends on its host. In Go the limits are an embedded `Resources`; here they are
/// fields like the others, in the order in which Docker writes them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct HostConfig {
    /// Bind mounts and named volumes, `source:target[:options]`.
    pub binds: Option<Vec<String>>,
    /// The file on the client to which the id is written; told, not used.
    #[serde(rename = "ContainerIDFile")]
    pub container_id_file: String,
    /// The log driver and its options.
    pub log_config: LogConfig,
    /// `bridge`, `host`, `none`, `container:<name>` or a network's name; `default` or empty for the default.
    pub network_mode: String,
    /// Published ports.
    pub port_bindings: Option<PortMap>,
    /// What to do when the container exits.
    pub restart_policy: RestartPolicy,
    /// Remove the container when it exits.
    pub auto_remove: bool,
    /// The driver of volumes given in `binds`.
    pub volume_driver: String,
    /// Containers whose volumes are mounted as well, `name[:ro|rw]`.
    pub volumes_from: Option<Vec<String>>,
    /// The terminal's first size: height, then width.
    pub console_size: [u32; 2],
    /// Metadata handed to the runtime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Capabilities to add.
    pub cap_add: Option<StrSlice>,
    /// Capabilities to drop.
    pub cap_drop: Option<StrSlice>,
    /// `private`, `host` or empty for the daemon's default.
    pub cgroupns_mode: String,
    /// Name servers.
    pub dns: Option<Vec<String>>,
    /// Options of resolv.conf.
    pub dns_options: Option<Vec<String>>,
    /// Search domains.
    pub dns_search: Option<Vec<String>>,
    /// Lines for /etc/hosts, `name:ip`.
    pub extra_hosts: Option<Vec<String>>,
    /// Supplementary groups.
    pub group_add: Option<Vec<String>>,
    /// `none`, `private`, `shareable`, `host`, `container:<name>` or empty.
    pub ipc_mode: String,
    /// Always empty.
    pub cgroup: String,
    /// Legacy links, `name:alias`.
    pub links: Option<Vec<String>>,
    /// The score of the out-of-memory killer, -1000 to 1000.
    pub oom_score_adj: i64,
    /// `host`, `container:<name>` or empty.
    pub pid_mode: String,
    /// All rights.
    pub privileged: bool,
    /// Publish each exposed port on a free port of the host.
    pub publish_all_ports: bool,
    /// Mount the root file system read-only.
    pub readonly_rootfs: bool,
    /// `no-new-privileges`, `seccomp=`, `apparmor=`, `label=`, `systempaths=`.
    pub security_opt: Option<Vec<String>>,
    /// Options of the storage driver, such as `size`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_opt: Option<BTreeMap<String, String>>,
    /// tmpfs mounts: path to mount options.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tmpfs: Option<BTreeMap<String, String>>,
    /// `host` or empty.
    #[serde(rename = "UTSMode")]
    pub uts_mode: String,
    /// `host` or empty.
    pub userns_mode: String,
    /// Bytes of /dev/shm; 0 for the daemon's default (64 MiB).
    pub shm_size: i64,
    /// Namespaced kernel parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sysctls: Option<BTreeMap<String, String>>,
    /// The OCI runtime's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub runtime: String,
    /// Windows only: always empty or `default`.
    pub isolation: String,

    /// Relative weight of CPU time.
    pub cpu_shares: i64,
    /// Bytes of memory; 0 for no limit.
    pub memory: i64,
    /// CPUs in units of 10⁻⁹.
    pub nano_cpus: i64,
    /// The cgroup to put the container's under.
    pub cgroup_parent: String,
    /// Relative weight of block I/O, 10 to 1000; 0 for none.
    pub blkio_weight: u16,
    /// Weights by device.
    pub blkio_weight_device: Option<Vec<WeightDevice>>,
    /// Bytes per second read, by device.
    pub blkio_device_read_bps: Option<Vec<ThrottleDevice>>,
    /// Bytes per second written, by device.
    pub blkio_device_write_bps: Option<Vec<ThrottleDevice>>,
    /// Reads per second, by device.
    #[serde(rename = "BlkioDeviceReadIOps")]
    pub blkio_device_read_iops: Option<Vec<ThrottleDevice>>,
    /// Writes per second, by device.
    #[serde(rename = "BlkioDeviceWriteIOps")]
    pub blkio_device_write_iops: Option<Vec<ThrottleDevice>>,
    /// CFS period in µs.
    pub cpu_period: i64,
    /// CFS quota in µs.
    pub cpu_quota: i64,
    /// Real-time period in µs.
    #[serde(rename = "CpuRealtimePeriod")]
    pub cpu_realtime_period: i64,
    /// Real-time runtime in µs.
    #[serde(rename = "CpuRealtimeRuntime")]
    pub cpu_realtime_runtime: i64,
    /// CPUs that may be used, such as `0-2,4`.
    pub cpuset_cpus: String,
    /// Memory nodes that may be used.
    pub cpuset_mems: String,
    /// Devices.
    pub devices: Option<Vec<DeviceMapping>>,
    /// Rules of the devices cgroup, such as `c 13:* rwm`.
    pub device_cgroup_rules: Option<Vec<String>>,
    /// Devices asked from drivers (GPUs).
    pub device_requests: Option<Vec<DeviceRequest>>,
    /// Deprecated kernel memory limit in bytes.
    #[serde(skip_serializing_if = "is_default")]
    pub kernel_memory: i64,
    /// Limit of kernel TCP buffers in bytes.
    #[serde(rename = "KernelMemoryTCP", skip_serializing_if = "is_default")]
    pub kernel_memory_tcp: i64,
    /// Soft limit of memory in bytes.
    pub memory_reservation: i64,
    /// Memory and swap in bytes; -1 for unlimited swap.
    pub memory_swap: i64,
    /// 0 to 100.
    pub memory_swappiness: Option<i64>,
    /// Switch the out-of-memory killer off.
    pub oom_kill_disable: Option<bool>,
    /// Processes; 0 or -1 for no limit.
    pub pids_limit: Option<i64>,
    /// Resource limits.
    pub ulimits: Option<Vec<Ulimit>>,
    /// Windows only.
    pub cpu_count: i64,
    /// Windows only.
    pub cpu_percent: i64,
    /// Windows only.
    #[serde(rename = "IOMaximumIOps")]
    pub io_maximum_iops: u64,
    /// Windows only.
    #[serde(rename = "IOMaximumBandwidth")]
    pub io_maximum_bandwidth: u64,

    /// Mounts in the long form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mounts: Option<Vec<Mount>>,
    /// Paths hidden from the container; `null` for the default ones.
    pub masked_paths: Option<Vec<String>>,
    /// Paths read-only in the container; `null` for the default ones.
    pub readonly_paths: Option<Vec<String>>,
    /// Run an init as pid 1; `null` for the daemon's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<bool>,
}

/// The log driver and its options.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct LogConfig {
    /// The driver's name; empty for the daemon's default.
    #[serde(rename = "Type")]
    pub driver: String,
    /// The driver's options.
    pub config: Option<BTreeMap<String, String>>,
}

/// What to do when a container exits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct RestartPolicy {
    /// `no` or empty, `always`, `unless-stopped` or `on-failure`.
    pub name: String,
    /// Attempts of `on-failure`; 0 for no limit.
    pub maximum_retry_count: i64,
}
