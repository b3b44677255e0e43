//! Containers, exec, events, images as the API sees them, and reconciling after a crash.
//!
//! [`Engine`] has one async method an operation of the API; it takes and gives `brig_api` types and knows no
//! HTTP. Inside, each container is an actor: it owns the container's [`record`], asks the pure [`machine`]
//! what an input makes of it, and does the effects. Readers get snapshots and wait for nobody.

mod actor;
mod carry;
pub mod cdi;
mod containers;
mod core;
mod engine;
mod exec;
mod files;
mod health;
mod images;
mod layers;
mod names;
mod networks;
mod reconcile;
mod registry;
mod shim_link;
mod shipping;
mod start;
mod stats;
mod system;
mod user;
mod volumes;

pub mod config;
pub mod error;
pub mod filters;
pub mod host_config;
pub mod machine;
pub mod options;
pub mod record;
pub mod spec;
pub mod streams;

pub use brig_registry::SearchResult;
pub use config::EngineConfig;
pub use containers::{AttachSession, LogStream, Waiter};
pub use engine::{Backends, Engine};
pub use error::{Error, Result};
pub use exec::ExecSession;
pub use images::{DistributionDescriptor, DistributionInspect};
