//! What a shim knows of its container: told on request, kept in its folder, pushed as events.

use brig_core::Id;
use serde::{Deserialize, Serialize};

/// Nanoseconds since 1970-01-01T00:00:00Z.
pub type UnixNanos = i64;

/// What a shim knows; also `<dir>/state.json`, from which a new daemon recognises a shim that is alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShimState {
    /// The protocol the shim speaks.
    pub protocol: u32,
    /// The container.
    pub id: Id,
    /// `/proc/sys/kernel/random/boot_id` when the shim started: another one means the machine was restarted.
    pub boot_id: String,
    /// The shim's own process.
    pub shim_pid: i32,
    /// When that began, in clock ticks since boot (field 22 of `/proc/PID/stat`): guards against a reused number.
    pub shim_start_time: u64,
    /// The container's process on the host.
    pub pid: i32,
    /// When that began, like `shim_start_time`.
    pub start_time: u64,
    /// The container's cgroup as in the OCI configuration, by which its remains are found if the shim dies.
    pub cgroup: Option<String>,
    /// What the container does.
    pub status: Status,
    /// When it was released to run its command.
    pub started_at: Option<UnixNanos>,
    /// Processes made by exec: all that live, and the most recent that ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub execs: Vec<ExecState>,
}

/// What a container does, as its shim sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Made, waiting for [`super::Request::Start`].
    Created,
    /// Its command runs.
    Running,
    /// Frozen.
    Paused,
    /// Ended; the shim is about to go.
    Exited,
}

/// A process made by exec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecState {
    /// Its id.
    pub id: Id,
    /// What it does.
    pub status: ExecStatus,
}

/// What a process made by exec does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecStatus {
    /// Registered, waiting for [`super::Request::StartExec`].
    Created,
    /// Running.
    Running {
        /// Its number on the host.
        pid: i32,
    },
    /// Ended.
    Exited {
        /// As [`ExitRecord::code`].
        code: i32,
    },
}

/// How a container ended; also `<dir>/exit.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// The exit status, or 128 + the signal's number.
    pub code: i32,
    /// The signal that killed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Whether the kernel killed a process of it for want of memory.
    pub oom_killed: bool,
    /// When it ended.
    pub exited_at: UnixNanos,
    /// What went wrong on brig's side, if anything did: output lost, a cgroup that could not be removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Something happened to the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Its command runs.
    Started {
        /// The process on the host.
        pid: i32,
        /// When.
        at: UnixNanos,
    },
    /// It ended; `exit.json` is written, all output is in the log, the cgroup is gone. The last event.
    Exited(ExitRecord),
    /// A process made by exec ended. Attached clients were given all of its output first, or it is on its way.
    ExecExited {
        /// Which.
        id: Id,
        /// As [`ExitRecord::code`].
        code: i32,
    },
    /// The kernel killed a process of it for want of memory.
    Oom,
    /// It was frozen.
    Paused,
    /// It was thawed.
    Resumed,
    /// Something did not work as it should while the container goes on (a full disk under its log).
    Warning {
        /// What.
        message: String,
    },
}
