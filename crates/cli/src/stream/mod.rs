//! Attached containers: the client's streams, detach keys, the terminal's size, signals.

pub mod detach;
pub mod pump;
pub mod signals;
pub mod stdio;

pub use pump::{Ended, Pump};
