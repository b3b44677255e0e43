//! The record of a container.

use super::{health::HealthRecord, state::State};
use brig_api::{ContainerConfig, EndpointSettings, HostConfig, MountPoint};
use brig_core::{Digest, Id};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// What brig remembers of a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerRecord {
    /// The layout of this record; see [`ContainerRecord::VERSION`].
    pub version: u32,
    /// Its id; also the key of its snapshot, its cgroup and its shim.
    pub id: Id,
    /// Its name, without the slash that Docker writes before it.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// What was asked for, the image's configuration merged in. Shared by all copies of the record.
    pub config: Arc<ContainerConfig>,
    /// What was asked for that depends on this host. Shared by all copies of the record.
    pub host_config: Arc<HostConfig>,
    /// The image it was made from; `None` for none.
    pub image: Option<Digest>,
    /// `os/architecture` of the image.
    pub platform: String,
    /// The networks it was made on, as asked for.
    pub networks: BTreeMap<String, EndpointSettings>,
    /// Legacy links on the default network: other containers by alias.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, Id>,
    /// What is mounted in it beside the defaults.
    pub mounts: Vec<MountRecord>,
    /// Where its log is, when its driver writes one.
    pub log_path: Option<PathBuf>,
    /// The sandbox it is in, while it runs.
    pub sandbox: Option<Id>,
    /// Where it is in its life.
    pub state: State,
    /// What is known of its health, once it ran with checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Arc<HealthRecord>>,
    /// When the run before the present one ended.
    #[serde(default)]
    pub last_finished: Option<Timestamp>,
    /// How often its policy has started it again.
    pub restart_count: u32,
    /// The wait before the last start by policy, in milliseconds.
    pub backoff_ms: u64,
    /// The number of starts, which tells one run from another.
    pub runs: u64,
}

/// What is mounted in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountRecord {
    /// As the API shows it.
    pub point: MountPoint,
    /// Whose it is.
    pub origin: MountOrigin,
    /// Of a bind: leave out what is mounted below the source.
    #[serde(default)]
    pub non_recursive: bool,
    /// Of one that is read-only: leave what is mounted below the source writable where it is.
    #[serde(default)]
    pub read_only_non_recursive: bool,
    /// Of a bind: what happens when the source is not there.
    #[serde(default)]
    pub missing: Missing,
    /// Of a volume: its driver's options, which never change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver_options: Option<BTreeMap<String, String>>,
    /// Of a volume: the part of it that is mounted; empty for all of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subpath: String,
    /// The image whose files it shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Digest>,
}

/// What happens when the source of a bind is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// A folder is made (`-v`).
    Make,
    /// It is an error (`--mount`).
    #[default]
    Refuse,
}

/// Whose a mount is: only an anonymous volume goes with its container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountOrigin {
    /// A path of the host.
    Bind,
    /// A volume that the user named.
    Volume,
    /// A volume made for this container alone.
    Anonymous,
    /// Memory.
    Tmpfs,
    /// The files of an image.
    Image,
}

impl ContainerRecord {
    /// The layout written now.
    pub const VERSION: u32 = 1;

    /// The command that runs, as `ps` shows it: the entry point, then the command.
    #[must_use]
    pub fn command(&self) -> Vec<String> {
        let entrypoint = self.config.entrypoint.iter().flat_map(|e| e.iter().cloned());
        entrypoint.chain(self.config.cmd.iter().flat_map(|c| c.iter().cloned())).collect()
    }
}
