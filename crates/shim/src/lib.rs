//! The per-container supervisor, the zygote that forks it and the protocol that speaks to it.
//!
//! One shim a container: it makes the container through `brig_runtime`, holds its standard streams or its
//! terminal, writes its log, serves `<exec root>/shims/<id>/shim.sock`, reaps it and records the exit in
//! `exit.json`. It outlives the daemon. [`protocol`] is what both sides say, [`client`] speaks it blocking,
//! [`zygote`] starts shims.

pub mod client;
pub mod error;
pub mod protocol;
mod supervisor;
pub mod zygote;

pub use error::Error;
