//! `brig oci`: the OCI runtime as a command line of its own, in place of runc or crun.
//!
//! Docker (`--add-runtime`), Podman (`--runtime`) and containerd (`BinaryName`) call it as they call runc: the same
//! commands, flags, exit codes, state and log format. What a container is made of lies in `brig-runtime`; here is
//! what a program needs that ends between `create` and `start`:
//!
//! - [`args`]: flags as runc takes them; [`commands`]: one file a command.
//! - [`bundle`]: reading `config.json`.
//! - [`records`]: what is kept of a container between two calls, below `--root`.
//! - [`status`]: what a container is doing, found out, never believed.
//! - [`criu`]: the program that checkpoints and restores.
//! - [`log`]: runc's log, as text or JSON.

mod args;
mod bundle;
mod commands;
mod criu;
mod devices;
mod error;
mod log;
mod out;
mod records;
mod status;

use args::Parsed;
use commands::Context;
pub use error::Error;
use std::process::ExitCode;

/// Runs `brig oci` with its arguments, without the program's name and `oci`.
#[must_use]
pub fn main(arguments: Vec<String>) -> ExitCode {
    let parsed = match args::parse(commands::GLOBAL, &arguments) {
        Ok(parsed) => parsed,
        Err(words) => return misused(&words, &commands::overview()),
    };
    if parsed.is_set("version") {
        println!("brig oci version {}\nspec: {}", env!("CARGO_PKG_VERSION"), bundle::NEWEST);
        return ExitCode::SUCCESS;
    }
    let Some((name, rest)) = parsed.operands.split_first().filter(|_| !parsed.is_set("help")) else {
        print!("{}", commands::overview());
        return ExitCode::SUCCESS;
    };
    let Some(command) = commands::ALL.iter().find(|c| c.name == name.as_str()) else {
        return misused(&format!("No help topic for '{name}'"), &commands::overview());
    };
    let own = match args::parse(command.flags, rest) {
        Ok(own) => own,
        Err(words) => return misused(&words, &command.help()),
    };
    if own.is_set("help") {
        print!("{}", command.help());
        return ExitCode::SUCCESS;
    }
    run(command, &parsed, &own)
}

fn run(command: &commands::Command, global: &Parsed, own: &Parsed) -> ExitCode {
    let log = match log::Log::open(global) {
        Ok(log) => log,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let context = Context { global, log: &log };
    log.debug(&format!("{} begins: {}", command.name, own.operands.join(" ")));
    let outcome = command.check_operands(own).and_then(|()| (command.run)(&context, own));
    match outcome {
        Ok(code) => {
            log.debug(&format!("{} ends with {code}", command.name));
            ExitCode::from(code)
        }
        Err(error) => {
            log.error(&error.to_string());
            ExitCode::from(command.failure)
        }
    }
}

fn misused(words: &str, help: &str) -> ExitCode {
    eprint!("Incorrect Usage: {words}\n\n{help}");
    ExitCode::FAILURE
}
