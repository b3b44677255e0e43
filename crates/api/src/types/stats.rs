//! `GET /containers/{id}/stats`.

use super::{is_default, time::Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a container has used (`ContainerStatsResponse`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerStatsResponse {
    /// `/` and its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its id.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// When it was read.
    pub read: Time,
    /// When the one before was read.
    pub preread: Time,
    /// Processes.
    pub pids_stats: PidsStats,
    /// Block I/O.
    pub blkio_stats: BlkioStats,
    /// Windows only.
    pub num_procs: u32,
    /// Windows only.
    pub storage_stats: super::Empty,
    /// CPUs.
    pub cpu_stats: CpuStats,
    /// CPUs, the one before.
    pub precpu_stats: CpuStats,
    /// Memory.
    pub memory_stats: MemoryStats,
    /// Networks by interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub networks: Option<BTreeMap<String, NetworkStats>>,
}

/// Processes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PidsStats {
    /// Now.
    #[serde(skip_serializing_if = "is_default")]
    pub current: u64,
    /// At most.
    #[serde(skip_serializing_if = "is_default")]
    pub limit: u64,
}

/// Block I/O. Only the first list is filled on cgroup v2.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlkioStats {
    /// Bytes.
    pub io_service_bytes_recursive: Option<Vec<BlkioStatEntry>>,
    /// Operations.
    pub io_serviced_recursive: Option<Vec<BlkioStatEntry>>,
    /// Queued.
    pub io_queue_recursive: Option<Vec<BlkioStatEntry>>,
    /// Nanoseconds of service.
    pub io_service_time_recursive: Option<Vec<BlkioStatEntry>>,
    /// Nanoseconds of waiting.
    pub io_wait_time_recursive: Option<Vec<BlkioStatEntry>>,
    /// Merged.
    pub io_merged_recursive: Option<Vec<BlkioStatEntry>>,
    /// Milliseconds of disk time.
    pub io_time_recursive: Option<Vec<BlkioStatEntry>>,
    /// Sectors.
    pub sectors_recursive: Option<Vec<BlkioStatEntry>>,
}

/// A device's count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlkioStatEntry {
    /// Major number.
    pub major: u64,
    /// Minor number.
    pub minor: u64,
    /// `read`, `write`, …
    pub op: String,
    /// The count.
    pub value: u64,
}

/// CPUs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CpuStats {
    /// Nanoseconds used.
    pub cpu_usage: CpuUsage,
    /// Nanoseconds that the machine used.
    #[serde(skip_serializing_if = "is_default")]
    pub system_cpu_usage: u64,
    /// CPUs.
    #[serde(skip_serializing_if = "is_default")]
    pub online_cpus: u32,
    /// Throttling.
    pub throttling_data: ThrottlingData,
}

/// Nanoseconds used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CpuUsage {
    /// In all.
    pub total_usage: u64,
    /// By CPU, cgroup v1 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percpu_usage: Option<Vec<u64>>,
    /// In the kernel.
    pub usage_in_kernelmode: u64,
    /// In processes.
    pub usage_in_usermode: u64,
}

/// Throttling.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ThrottlingData {
    /// Periods.
    pub periods: u64,
    /// Throttled ones.
    pub throttled_periods: u64,
    /// Nanoseconds throttled.
    pub throttled_time: u64,
}

/// Memory, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryStats {
    /// Used.
    #[serde(skip_serializing_if = "is_default")]
    pub usage: u64,
    /// Used at most, cgroup v1 only.
    #[serde(skip_serializing_if = "is_default")]
    pub max_usage: u64,
    /// memory.stat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stats: Option<BTreeMap<String, u64>>,
    /// Hits of the limit, cgroup v1 only.
    #[serde(skip_serializing_if = "is_default")]
    pub failcnt: u64,
    /// The limit.
    #[serde(skip_serializing_if = "is_default")]
    pub limit: u64,
}

/// A network interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkStats {
    /// Bytes in.
    pub rx_bytes: u64,
    /// Packets in.
    pub rx_packets: u64,
    /// Errors in.
    pub rx_errors: u64,
    /// Dropped in.
    pub rx_dropped: u64,
    /// Bytes out.
    pub tx_bytes: u64,
    /// Packets out.
    pub tx_packets: u64,
    /// Errors out.
    pub tx_errors: u64,
    /// Dropped out.
    pub tx_dropped: u64,
}
