//! Where brig keeps its state. The data root holds intent and survives a reboot; the exec root holds
//! observation (sockets, pids, exits) and lies on a tmpfs.

use crate::Id;
use std::path::{Path, PathBuf};

/// The default data root (`--data-root`).
pub const DATA_ROOT: &str = "/var/lib/brig";
/// The default exec root (`--exec-root`).
pub const EXEC_ROOT: &str = "/run/brig";

/// All paths of one daemon, derived from its two roots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatePaths {
    data: PathBuf,
    exec: PathBuf,
}

impl StatePaths {
    /// Paths under the given roots; both must be absolute.
    #[must_use]
    pub fn new(data_root: impl Into<PathBuf>, exec_root: impl Into<PathBuf>) -> Self {
        Self { data: data_root.into(), exec: exec_root.into() }
    }

    /// The data root itself.
    #[must_use]
    pub fn data_root(&self) -> &Path {
        &self.data
    }

    /// The exec root itself.
    #[must_use]
    pub fn exec_root(&self) -> &Path {
        &self.exec
    }

    /// The lock that makes a daemon the only one of its data root.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.data.join("daemon.lock")
    }

    /// The metadata database (SQLite).
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.data.join("brig.db")
    }

    /// Verified blobs, `blobs/sha256/<hex>`.
    #[must_use]
    pub fn blobs(&self) -> PathBuf {
        self.data.join("blobs")
    }

    /// Blobs and layers under way; emptied at start.
    #[must_use]
    pub fn ingest(&self) -> PathBuf {
        self.data.join("ingest")
    }

    /// What is there of blobs whose download was broken off.
    #[must_use]
    pub fn partial(&self) -> PathBuf {
        self.data.join("partial")
    }

    /// Unpacked layers and the writable layers of containers.
    #[must_use]
    pub fn snapshots(&self) -> PathBuf {
        self.data.join("snapshots")
    }

    /// Named volumes.
    #[must_use]
    pub fn volumes(&self) -> PathBuf {
        self.data.join("volumes")
    }

    /// A container's folder: log, hosts, hostname, resolv.conf.
    #[must_use]
    pub fn container(&self, id: &Id) -> PathBuf {
        self.data.join("containers").join(id.to_string())
    }

    /// All containers' folders.
    #[must_use]
    pub fn containers(&self) -> PathBuf {
        self.data.join("containers")
    }

    /// brig's own socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.exec.join("brig.sock")
    }

    /// All shims' folders.
    #[must_use]
    pub fn shims(&self) -> PathBuf {
        self.exec.join("shims")
    }

    /// One shim's folder: its socket, its state and, in the end, `exit.json`.
    #[must_use]
    pub fn shim(&self, container: &Id) -> PathBuf {
        self.exec.join("shims").join(container.to_string())
    }

    /// The network process's control socket.
    #[must_use]
    pub fn net_socket(&self) -> PathBuf {
        self.exec.join("net.sock")
    }
}
