//! A client of D-Bus, of as much as a call to systemd takes: blocking, in one thread, without unsafe code.
//!
//! Source: the D-Bus specification. Why none of the libraries: docs/adr/0013.
//!
//! - [`Value`]: what is sent and received.
//! - `wire`: its bytes.
//! - `message`: calls, answers and signals.
//! - [`Address`]: where a bus listens.
//! - [`Connection`]: one talk.

mod address;
mod connection;
mod error;
pub(crate) mod message;
mod value;
pub(crate) mod wire;

pub(crate) use address::Address;
pub(crate) use connection::{Connection, Deadline};
pub use error::DbusError;
#[cfg(test)]
pub(crate) use message::Kind;
pub(crate) use message::{Call, Message};
pub use value::Value;
