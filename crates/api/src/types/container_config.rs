//! `ContainerConfig`: what of a container does not depend on its host.

use super::{Empty, is_default, port::PortSet, str_slice::StrSlice};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What of a container does not depend on its host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ContainerConfig {
    /// The host name; empty for the short id.
    pub hostname: String,
    /// The domain name.
    pub domainname: String,
    /// `user[:group]`, names or numbers.
    pub user: String,
    /// The client attaches stdin.
    pub attach_stdin: bool,
    /// The client attaches stdout.
    pub attach_stdout: bool,
    /// The client attaches stderr.
    pub attach_stderr: bool,
    /// Exposed ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposed_ports: Option<PortSet>,
    /// Give the process a terminal.
    pub tty: bool,
    /// Keep stdin open.
    pub open_stdin: bool,
    /// Close stdin when the first attached client leaves.
    pub stdin_once: bool,
    /// `NAME=value`; a name alone takes the variable away.
    pub env: Option<Vec<String>>,
    /// The command, or the arguments of the entry point.
    pub cmd: Option<StrSlice>,
    /// How to check that the container is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<HealthConfig>,
    /// Windows only.
    #[serde(skip_serializing_if = "is_default")]
    pub args_escaped: bool,
    /// The image as the user named it.
    pub image: String,
    /// Paths that are to be anonymous volumes.
    pub volumes: Option<BTreeMap<String, Empty>>,
    /// The working folder.
    pub working_dir: String,
    /// The entry point; `[]` or `[""]` takes the image's away.
    pub entrypoint: Option<StrSlice>,
    /// No network at all.
    #[serde(skip_serializing_if = "is_default")]
    pub network_disabled: bool,
    /// Deprecated since 1.44: the MAC address on the first network.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mac_address: String,
    /// Triggers for images built on this one.
    pub on_build: Option<Vec<String>>,
    /// Labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// The signal that asks the container to stop.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    /// Seconds from that signal to SIGKILL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    /// The shell of shell-form instructions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<StrSlice>,
}

/// How to check that a container is well. Times are in nanoseconds; 0 for the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct HealthConfig {
    /// `["NONE"]`, `["CMD", args…]` or `["CMD-SHELL", command]`; empty for the image's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<Vec<String>>,
    /// Between two checks.
    #[serde(skip_serializing_if = "is_default")]
    pub interval: i64,
    /// After which a check counts as failed.
    #[serde(skip_serializing_if = "is_default")]
    pub timeout: i64,
    /// In which failures don't count.
    #[serde(skip_serializing_if = "is_default")]
    pub start_period: i64,
    /// Between two checks during the start period.
    #[serde(skip_serializing_if = "is_default")]
    pub start_interval: i64,
    /// Failures in a row until it counts as unhealthy.
    #[serde(skip_serializing_if = "is_default")]
    pub retries: i64,
}
