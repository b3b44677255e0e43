//! What every part of brig speaks of: ids, digests, image references, error kinds, state paths,
//! atomically written files, failpoints and names of hosts. Pure but for `atomic`, `failpoint` and `host_names`.
pub mod atomic;
pub mod digest;
pub mod error;
pub mod failpoint;
pub mod host_names;
pub mod id;
pub mod paths;
pub mod reference;
pub mod rootfs;

pub use digest::Digest;
pub use error::{HasKind, Kind};
pub use id::Id;
pub use paths::StatePaths;
pub use reference::Reference;
pub use rootfs::RootFs;
