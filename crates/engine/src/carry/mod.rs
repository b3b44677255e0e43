//! Carrying bytes between clients and processes.

mod connect;
mod detach;
mod pump;

pub(crate) use connect::connect;
pub(crate) use detach::{DetachKeys, Scan};
pub(crate) use pump::{End, Input, pump};
