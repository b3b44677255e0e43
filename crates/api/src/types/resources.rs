//! Limits and devices of containers, and the request that changes them on a living one.

use super::{host_config::RestartPolicy, is_default};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A device's weight of block I/O.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct WeightDevice {
    /// Path on the host.
    pub path: String,
    /// 10 to 1000.
    pub weight: u16,
}

/// A device's rate of block I/O.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ThrottleDevice {
    /// Path on the host.
    pub path: String,
    /// Bytes or operations per second.
    pub rate: u64,
}

/// A device of the host in a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct DeviceMapping {
    /// Path on the host.
    pub path_on_host: String,
    /// Path in the container.
    pub path_in_container: String,
    /// Some of `r`, `w` and `m`.
    pub cgroup_permissions: String,
}

/// Devices asked from a driver.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct DeviceRequest {
    /// The driver's name.
    pub driver: String,
    /// How many; -1 for all.
    pub count: i64,
    /// The devices by id.
    #[serde(rename = "DeviceIDs")]
    pub device_ids: Option<Vec<String>>,
    /// An OR list of AND lists of capabilities, such as `gpu`.
    pub capabilities: Option<Vec<Vec<String>>>,
    /// The driver's options.
    pub options: Option<BTreeMap<String, String>>,
}

/// A resource limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Ulimit {
    /// Its name, such as `nofile`.
    pub name: String,
    /// The hard limit; -1 for unlimited.
    pub hard: i64,
    /// The soft limit; -1 for unlimited.
    pub soft: i64,
}

/// `POST /containers/{id}/update`: limits, of which zero and `null` mean "as before", and the restart policy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ContainerUpdateRequest {
    /// Relative weight of CPU time.
    pub cpu_shares: i64,
    /// Bytes of memory.
    pub memory: i64,
    /// CPUs in units of 10⁻⁹.
    pub nano_cpus: i64,
    /// The cgroup's parent; can't be changed.
    pub cgroup_parent: String,
    /// Relative weight of block I/O.
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
    pub cpu_realtime_period: i64,
    /// Real-time runtime in µs.
    pub cpu_realtime_runtime: i64,
    /// CPUs that may be used.
    pub cpuset_cpus: String,
    /// Memory nodes that may be used.
    pub cpuset_mems: String,
    /// Deprecated kernel memory limit in bytes.
    #[serde(skip_serializing_if = "is_default")]
    pub kernel_memory: i64,
    /// Soft limit of memory in bytes.
    pub memory_reservation: i64,
    /// Memory and swap in bytes.
    pub memory_swap: i64,
    /// Processes; 0 or -1 for no limit, `null` for as before.
    pub pids_limit: Option<i64>,
    /// What to do when the container exits.
    pub restart_policy: RestartPolicy,
    /// Labels to set, and with `null` to take away. brig's own; dockerd has no such field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, Option<String>>>,
}

/// The answer to an update.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ContainerUpdateResponse {
    /// What was left out or looks wrong.
    pub warnings: Option<Vec<String>>,
}
