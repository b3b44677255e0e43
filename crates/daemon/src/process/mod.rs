//! The daemon as a process: its lock, its files, its sockets, its log, its signals.
pub mod group;
pub mod listen;
pub mod lock;
pub mod logging;
pub mod notify;
pub mod pidfile;
pub mod signals;
