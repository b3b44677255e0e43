//! Containers, exec, events, images as the API sees them, and reconciling after a crash.

pub mod machine;
pub mod record;
pub mod signal;
