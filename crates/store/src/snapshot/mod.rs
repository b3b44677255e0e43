//! Writable snapshots and unpacked layers.

/// How layers are kept on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backend {
    /// Overlay where the kernel can mount one over the data root, native copies elsewhere.
    #[default]
    Auto,
    /// One folder a layer, joined by overlayfs.
    Overlay,
    /// One whole file tree a layer (reflinked from its parent where the file system can).
    Native,
}

/// What a folder holds on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bytes in regular files, hard links counted once.
    pub bytes: u64,
    /// Files, folders and other nodes, hard links counted once.
    pub inodes: u64,
}
