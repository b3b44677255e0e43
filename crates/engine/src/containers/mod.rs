//! Operations on containers, one file each.

mod attach;
mod create;
mod inspect;
mod lifecycle;
mod list;
mod logs;
mod remove;
mod wait;

pub use attach::AttachSession;
pub use logs::LogStream;
pub use wait::Waiter;
