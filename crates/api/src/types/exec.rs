//! More processes in a running container.

use serde::{Deserialize, Serialize};

/// `POST /containers/{id}/exec`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ExecCreateRequest {
    /// `user[:group]`; empty for the container's.
    pub user: String,
    /// All rights.
    pub privileged: bool,
    /// Give it a terminal.
    pub tty: bool,
    /// The terminal's first size: height, then width.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub console_size: Option<[u32; 2]>,
    /// Attach stdin.
    pub attach_stdin: bool,
    /// Attach stderr.
    pub attach_stderr: bool,
    /// Attach stdout.
    pub attach_stdout: bool,
    /// Deprecated: told by old clients, not used.
    #[serde(skip_serializing_if = "super::is_default")]
    pub detach: bool,
    /// The keys that detach the client.
    pub detach_keys: String,
    /// More environment, `NAME=value`.
    pub env: Option<Vec<String>>,
    /// The working folder; empty for the container's.
    pub working_dir: String,
    /// The command.
    pub cmd: Option<Vec<String>>,
}

/// `POST /exec/{id}/start`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ExecStartRequest {
    /// Don't attach.
    pub detach: bool,
    /// Whether the exec has a terminal, as it was made.
    pub tty: bool,
    /// The terminal's first size: height, then width.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub console_size: Option<[u32; 2]>,
}

/// `GET /exec/{id}/json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecInspectResponse {
    /// The exec's id.
    #[serde(rename = "ID")]
    pub id: String,
    /// Whether it runs.
    #[serde(rename = "Running")]
    pub running: bool,
    /// Its exit code; `null` before it ended.
    #[serde(rename = "ExitCode")]
    pub exit_code: Option<i64>,
    /// What it runs.
    #[serde(rename = "ProcessConfig")]
    pub process_config: ProcessConfig,
    /// Whether stdin is attached.
    #[serde(rename = "OpenStdin")]
    pub open_stdin: bool,
    /// Whether stderr is attached.
    #[serde(rename = "OpenStderr")]
    pub open_stderr: bool,
    /// Whether stdout is attached.
    #[serde(rename = "OpenStdout")]
    pub open_stdout: bool,
    /// Whether it may be removed.
    #[serde(rename = "CanRemove")]
    pub can_remove: bool,
    /// The container's id.
    #[serde(rename = "ContainerID")]
    pub container_id: String,
    /// The keys that detach the client, as bytes in base64.
    #[serde(rename = "DetachKeys")]
    pub detach_keys: Option<String>,
    /// Its pid on the host; 0 before it started.
    #[serde(rename = "Pid")]
    pub pid: i64,
}

/// What an exec runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessConfig {
    /// With a terminal.
    pub tty: bool,
    /// The program.
    pub entrypoint: String,
    /// Its arguments; never `null`.
    pub arguments: Vec<String>,
    /// With all rights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privileged: Option<bool>,
    /// Its user.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
}
