//! What is at a path of a container.

use super::Time;
use serde::{Deserialize, Serialize};

/// What is at a path of a container: the header `X-Docker-Container-Path-Stat`, in base64.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerPathStat {
    /// The last part of the path.
    pub name: String,
    /// Bytes.
    pub size: i64,
    /// Go's `os.FileMode`.
    pub mode: u32,
    /// When it was changed.
    pub mtime: Time,
    /// Of a link: where it leads in the container, all links followed.
    #[serde(rename = "linkTarget")]
    pub link_target: String,
}

impl ContainerPathStat {
    /// Go's `os.ModeDir`.
    pub const DIRECTORY: u32 = 1 << 31;
    /// Go's `os.ModeSymlink`.
    pub const SYMLINK: u32 = 1 << 27;

    /// Whether it is a folder.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        self.mode & Self::DIRECTORY != 0
    }

    /// Whether it is a symbolic link.
    #[must_use]
    pub fn is_link(&self) -> bool {
        self.mode & Self::SYMLINK != 0
    }
}
