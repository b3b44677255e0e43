//! The command line alone, without a daemon in the same binary: what a build for another system would ship.

fn main() -> std::process::ExitCode {
    brig_cli::main(std::env::args().collect())
}
