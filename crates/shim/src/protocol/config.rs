//! What a shim needs to know to make its container, and to run another process in it.

use brig_core::{Id, RootFs};
use brig_logs::LogConfig;
use brig_runtime::seccomp::Program;
use oci_spec::runtime::{Process, Spec};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Everything a shim needs to make its container. Sent once, by the daemon, when the shim is started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShimConfig {
    /// The container.
    pub id: Id,
    /// The shim's own folder, `<exec root>/shims/<id>`; made when missing, its old socket and records removed.
    pub dir: PathBuf,
    /// The container as an OCI configuration. Its cgroup is `linux.cgroupsPath`.
    pub spec: Box<Spec>,
    /// The seccomp filter, compiled; without it, `linux.seccomp` of the configuration is.
    #[serde(default)]
    pub seccomp: Option<Program>,
    /// The root file system, mounted in the container's mount namespace.
    pub rootfs: RootFs,
    /// Whether the container has a terminal instead of pipes.
    pub terminal: bool,
    /// The terminal's size at start.
    #[serde(default)]
    pub console_size: Option<ConsoleSize>,
    /// Whether the container has a standard input (`-i`); without it, it reads end of file.
    pub open_stdin: bool,
    /// Whether the end of the first attached client's input is the end of the container's (`-i` of `run`). Without
    /// it, the input stays open, and a client whose input ends is detached, as Docker does.
    pub stdin_once: bool,
    /// Whether a small init is the container's process 1 (`--init`).
    #[serde(default)]
    pub init: bool,
    /// Whether the container's network namespace is a descriptor that follows on the connection, after those. The shim
    /// begins before it is there.
    #[serde(default)]
    pub network_later: bool,
    /// How many descriptors follow on the connection that are connections themselves, on which an
    /// [`super::Request::Attach`] waits: it is answered before anything else is asked for.
    #[serde(default)]
    pub attached: usize,
    /// Where the output is logged.
    pub log: LogConfig,
}

/// A further process in a running container (`docker exec`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExecConfig {
    /// Its own id.
    pub id: Id,
    /// What to run, as which user, with which rights.
    pub process: Box<Process>,
    /// Whether it has a terminal instead of pipes.
    pub terminal: bool,
    /// The terminal's size at start.
    #[serde(default)]
    pub console_size: Option<ConsoleSize>,
    /// Whether it has a standard input. The end of an attached client's input is the end of it.
    pub open_stdin: bool,
    /// Whether the container's seccomp filter is left out (`exec --privileged`).
    #[serde(default)]
    pub unconfined: bool,
}

/// The size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleSize {
    /// Lines.
    pub rows: u16,
    /// Characters a line.
    pub cols: u16,
}
