//! The state machine of a container: [`step`] is pure; what it says is done at the edge, by the actor.
//!
//! ```text
//! Created ──start──▶ Starting ──started──▶ Running ◀──pause/unpause──▶ Paused
//!    ▲                  │ failed              │ exited (both)
//!    └──────────────────┤                     ├──policy──▶ Restarting ──due──▶ Starting
//!                       ▼                     ├──restart─▶ Starting
//!                     Exited ◀────────────────┤
//!                       │                     └──force, --rm──▶ Removing ──▶ (forgotten)
//!                       └──remove──▶ Removing ──failed──▶ Dead ──remove──▶ Removing
//! ```

mod effect;
pub mod health;
mod input;
mod policy;
mod refusal;
mod step;
mod target;
#[cfg(test)]
mod tests;

pub use effect::{DurabilityOf, Effect, Note, Step};
pub use health::Probe;
pub use input::{Input, StopOrder};
pub use policy::{Restart, Verdict};
pub use refusal::Refusal;
pub use step::step;
pub use target::HttpTarget;
