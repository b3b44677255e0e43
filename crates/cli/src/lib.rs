//! The docker command line: arguments, streams, terminal, tables, templates and progress.
//!
//! [`main`] is all that the binary needs. A command is a [`command::Command`]: its names, flags and what it
//! does; all of them are listed in [`commands::ALL`]. Commands speak to the daemon through `brig_api::client`
//! and share a [`context::Cli`].

pub mod as_run;
pub mod autostart;
pub mod command;
pub mod commands;
pub mod config;
pub mod context;
pub mod copy;
pub mod credentials;
pub mod dispatch;
pub mod error;
pub mod flags;
pub mod format;
pub mod inspected;
pub mod list;
pub mod opts;
pub mod out;
pub mod stream;
pub mod template;
pub mod terminal;

use std::process::ExitCode;

/// Runs the command line. `args` begin with the program's own name.
#[must_use]
pub fn main(args: Vec<String>) -> ExitCode {
    let code = dispatch::run(args);
    terminal::restore();
    ExitCode::from(code)
}
