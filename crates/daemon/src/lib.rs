//! The daemon: HTTP routes, streams, configuration and wiring.
