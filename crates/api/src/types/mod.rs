//! The types of requests and responses, one file a resource, by the definition names of the Engine API's
//! OpenAPI file (v1.51).
//!
//! Presence is part of the contract: clients tell an absent field from `null`, `{}` and `[]`. So an
//! [`Option`] without `skip_serializing_if` is written as `null` (a nil slice, map or pointer in Go), with it
//! the field is left out (Go's `omitempty`), and a plain `Vec` or map is always written. When read with
//! [`crate::json`], every field may be missing or `null` and then has its default.
pub mod container;
pub mod container_config;
pub mod container_inspect;
pub mod container_list;
pub mod endpoint;
pub mod error;
pub mod event;
pub mod exec;
pub mod host_config;
pub mod image;
pub mod image_inspect;
pub mod mount;
pub mod network;
pub mod path_stat;
pub mod platform;
pub mod port;
pub mod progress;
pub mod resources;
pub mod stats;
pub mod str_slice;
pub mod system_df;
pub mod system_info;
pub mod system_version;
pub mod time;
pub mod volume;

pub use container::*;
pub use container_config::*;
pub use container_inspect::*;
pub use container_list::*;
pub use endpoint::*;
pub use error::*;
pub use event::*;
pub use exec::*;
pub use host_config::*;
pub use image::*;
pub use image_inspect::*;
pub use mount::*;
pub use network::*;
pub use path_stat::*;
pub use platform::*;
pub use port::*;
pub use progress::*;
pub use resources::*;
pub use stats::*;
pub use str_slice::StrSlice;
pub use system_df::*;
pub use system_info::*;
pub use system_version::*;
pub use time::Time;
pub use volume::*;

use serde::{Deserialize, Serialize};

/// An object without fields, written `{}`: the value of Go's sets (`map[string]struct{}`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// For `skip_serializing_if`: whether a value is its type's default (Go's `omitempty` on scalars and strings).
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
