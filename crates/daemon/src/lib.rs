//! The daemon: HTTP routes, streams, configuration and wiring.
pub mod http;
pub mod routes;
