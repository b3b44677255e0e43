//! What the daemon and a shim say to each other.
//!
//! A connection to a shim (the one that [`crate::zygote::ZygoteClient::spawn_shim`] returns, or a later one to
//! `shim.sock`) carries frames: a `u32` length in little-endian order, then that many bytes of JSON, at most
//! [`MAX_FRAME`]. The client sends [`ClientFrame`]s and gets [`ServerFrame`]s: one reply a request, in any order,
//! and events as they happen. A request [`Request::Attach`] turns the connection, after its reply, into a byte
//! stream: see there. A peer that breaks the rules loses its connection, nothing more.
//!
//! Everything here is plain data; nothing reads or writes, so blocking and asynchronous code share it.

mod codec;
mod config;
mod descriptor;
mod message;
mod state;
#[cfg(test)]
mod tests;

pub use codec::{CodecError, Decoder, MAX_FRAME, decode, encode, frame_length, read_frame};
pub use config::{ConsoleSize, ExecConfig, ShimConfig};
pub use descriptor::{receive_descriptor, send_descriptor};
pub use message::{ClientFrame, Failure, Reply, Request, ServerFrame, Target};
pub use state::{Event, ExecState, ExecStatus, ExitRecord, ShimState, Status, UnixNanos};

/// The version this build speaks. A shim outlives upgrades: a daemon must speak this and the one before.
pub const PROTOCOL_VERSION: u32 = 1;

/// The shim's socket in its folder. Connect through [`crate::client::connect`]: the path may be longer than a
/// socket address can hold.
pub const SOCKET_NAME: &str = "shim.sock";
/// The shim's [`ShimState`] in its folder, replaced atomically at each change.
pub const STATE_NAME: &str = "state.json";
/// The container's [`ExitRecord`] in the shim's folder, written once, before [`Event::Exited`] is sent.
pub const EXIT_NAME: &str = "exit.json";
