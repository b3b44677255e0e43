//! `cargo xtask parity`: builds brig and the recorder beside it, and runs that.

use crate::{machine, step};
use std::process::Command;

/// Passes the options on to the recorder, which explains them.
///
/// # Errors
/// When something does not build, or brig answers otherwise than Docker.
pub fn run(options: &[&str]) -> Result<(), String> {
    machine::needs_root()?;
    machine::busybox()?;
    step::build(&["build", "--locked", "--package", "brig"], "brig")?;
    let recorder = step::build(&["build", "--locked", "--package", "brig-parity"], "brig-parity")?;
    step::run("parity", Command::new(recorder).args(options))
}
