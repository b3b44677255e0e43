//! The daemon: HTTP routes, streams, configuration and wiring.
pub mod config;
pub mod http;
pub mod process;
pub mod routes;
mod start;

pub use start::main;
