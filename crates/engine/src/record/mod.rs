//! What brig remembers of a container and of a sandbox: the intent, kept in the store's database.
//!
//! A record is versioned; a newer field has a default, so that a record of an older brig is read as it is.

mod container;
mod health;
mod sandbox;
mod state;

pub use container::*;
pub use health::*;
pub use sandbox::*;
pub use state::*;

/// The kind under which containers are kept in the store's record table.
pub const CONTAINER_KIND: &str = "container";
/// The kind under which sandboxes are kept.
pub const SANDBOX_KIND: &str = "sandbox";
/// The kind under which networks are kept.
pub const NETWORK_KIND: &str = "network";
/// The kind under which volumes are kept.
pub const VOLUME_KIND: &str = "volume";
