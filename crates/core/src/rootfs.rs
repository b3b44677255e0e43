//! What a container's root file system is made of: said by the store, mounted by the runtime inside the
//! container's own mount namespace, never in the host's.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How to make a root file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum RootFs {
    /// Layers under a writable layer, joined by overlayfs.
    Overlay {
        /// Read-only layers, topmost first. Never empty.
        lower: Vec<PathBuf>,
        /// The writable layer.
        upper: PathBuf,
        /// overlayfs' work folder, on the file system of `upper`.
        work: PathBuf,
        /// Nobody needs what is written there after a crash of the machine: it need not be written to disk, neither
        /// when the container asks for that nor at its end.
        #[serde(default)]
        volatile: bool,
    },
    /// A folder that is the root file system as it is: a native copy, or a runtime bundle's rootfs.
    Directory {
        /// The folder.
        path: PathBuf,
    },
}
