//! `network`.

mod connect;
mod create;
mod ls;
mod remove;

pub use connect::{CONNECT, DISCONNECT};
pub use create::CREATE;
pub use ls::LS;
pub use remove::{PRUNE, RM};
