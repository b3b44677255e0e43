//! What every part of brig speaks of: ids, digests, image references, error kinds, state paths,
//! atomically written files, failpoints, names of hosts, signals and processes. Pure but for `atomic`, `failpoint`,
//! `host_names` and `process`.
pub mod atomic;
pub mod digest;
pub mod error;
pub mod failpoint;
pub mod host_names;
pub mod id;
pub mod paths;
pub mod process;
pub mod reference;
pub mod rootfs;
pub mod signal;

pub use digest::Digest;
pub use error::{HasKind, Kind};
pub use id::Id;
pub use paths::StatePaths;
pub use reference::Reference;
pub use rootfs::RootFs;
