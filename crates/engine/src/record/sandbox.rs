//! A sandbox: the namespaces that one or several containers share, with a lifetime of its own.

use brig_core::Id;
use brig_net::Endpoint;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The namespaces that one or several containers share, and their place on networks.
///
/// A container outside of `container:` modes and pods has a sandbox of its own, made by its start and gone
/// with its end. Namespaces live as long as a process is in them, so nothing is pinned in the file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxRecord {
    /// The layout of this record; see [`SandboxRecord::VERSION`].
    pub version: u32,
    /// Its id.
    pub id: Id,
    /// The container whose start made it and in whose processes its namespaces live.
    pub owner: Id,
    /// All containers in it, the owner among them.
    pub members: Vec<Id>,
    /// Its places on networks, by the network's name, with the published ports.
    pub endpoints: BTreeMap<String, Endpoint>,
}

impl SandboxRecord {
    /// The layout written now.
    pub const VERSION: u32 = 1;

    /// An empty sandbox of one container.
    #[must_use]
    pub fn new(owner: Id) -> Self {
        Self {
            version: Self::VERSION,
            id: Id::random(),
            owner,
            members: vec![owner],
            endpoints: BTreeMap::new(),
        }
    }
}
