//! The project's own tasks, run as `cargo xtask <task>`.

mod check;
mod demo;
mod machine;
mod parity;
mod step;
mod test;
mod vm;

use std::process::ExitCode;

const HELP: &str = "\
The project's own tasks.

Usage:  cargo xtask TASK [OPTIONS]

Tasks:
  demo           Build release, start a private daemon, run containers in it and show how long each step took
  test           Format, lints, dependency directions, unit tests and end-to-end tests (as root)
    --full       The long suites too
    --filter S   Only the tests whose name contains S
  vm             Only the tests in virtual machines with cgroup v2
    --plain      Only in the one without systemd
    --systemd    Only in the one whose init is systemd
    --debug      With a debug build
    --filter S   Only the parts of the contract whose name contains S, on the machine with systemd
  parity         Compare brig with Docker by the corpus of recorded exchanges; --help tells more
  check          Only the dependency directions between the crates

Examples:
  cargo xtask demo
  cargo xtask test --filter logs
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["demo"] => demo::run(),
        ["test", options @ ..] => test::Options::parse(options).and_then(|o| test::run(&o)),
        ["check"] => check::run(),
        ["vm", options @ ..] => vm::Options::parse(options).and_then(vm::run),
        ["parity", options @ ..] => parity::run(options),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => Err(format!("unknown task: {}\n\n{HELP}", args.join(" "))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
