//! `cargo xtask test`: all that must hold on every commit, in the order of how soon it tells.

use crate::{check, machine, step, vm};
use std::time::Instant;

/// What to test.
#[derive(Debug, Default)]
pub struct Options {
    full: bool,
    filter: Option<String>,
}

impl Options {
    /// Reads `--full` and `--filter S`.
    ///
    /// # Errors
    /// On anything else.
    pub fn parse(args: &[&str]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            match *arg {
                "--full" => options.full = true,
                "--filter" => {
                    options.filter = Some((*rest.next().ok_or("--filter needs a text")?).to_owned())
                }
                other => return Err(format!("unknown option: {other}")),
            }
        }
        Ok(options)
    }
}

/// Runs it all; the first failure ends it.
///
/// # Errors
/// Names the step that failed.
pub fn run(options: &Options) -> Result<(), String> {
    let begun = Instant::now();
    machine::needs_root()?;
    machine::busybox()?;
    step::run("format", &mut step::cargo(&["fmt", "--all", "--check"]))?;
    eprintln!("── dependency directions");
    check::run()?;
    step::run(
        "clippy",
        &mut step::cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]),
    )?;
    step::run("build", &mut step::cargo(&["build", "--workspace", "--all-targets", "--locked"]))?;
    let mut test = step::cargo(&["test", "--workspace", "--locked", "--no-fail-fast", "--"]);
    test.args(options.filter.iter());
    if options.full {
        test.arg("--include-ignored");
    }
    step::run("tests", &mut test)?;
    if options.full {
        vm::run(vm::Options::ALL)?;
    }
    eprintln!("all passed in {:.0} s", begun.elapsed().as_secs_f64());
    Ok(())
}
