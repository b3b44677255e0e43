//! brig beside its peers, in one run: the engines take turns on each case, so that a drift of the machine hits all
//! of them, and medians are printed with the ratio of each peer to brig.
//!
//! `cargo run --release -p brig-benches -- --peer docker --peer podman --reps 15 --density 100`
//!
//! `-- runtime` measures `brig oci` beside other OCI runtimes instead (`-- runtime --help` says how).
//!
//! brig's daemon is started for the run with its own roots. A peer is a command line that takes Docker's arguments
//! (`docker` speaks to the daemon that DOCKER_HOST names) and must be able to run containers already.

mod cases;
mod engine;
mod memory;
mod runtime;

use engine::Engine;
use std::process::ExitCode;

const HELP: &str = "\
Usage:  cargo run --release -p brig-benches -- [OPTIONS]
        cargo run --release -p brig-benches -- runtime [OPTIONS]

Options:
  --peer NAME[=COMMAND]   Measure this engine beside brig (docker, podman); may be repeated
  --case NAME             Only this case; may be repeated
  --reps N                Rounds a case, default 11
  --density N             Also start N detached containers and weigh the engine's processes
";

struct Options {
    peers: Vec<String>,
    cases: Vec<String>,
    reps: usize,
    density: usize,
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).peekable();
    let done = match args.next_if(|first| first == "runtime") {
        Some(_) => runtime::main(args),
        None => options().and_then(|o| measure(&o)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options { peers: Vec::new(), cases: Vec::new(), reps: 11, density: 0 };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value\n\n{HELP}"));
        let number = |text: String| text.parse::<usize>().map_err(|e| format!("{text}: {e}"));
        match arg.as_str() {
            "--peer" => options.peers.push(value()?),
            "--case" => options.cases.push(value()?),
            "--reps" => options.reps = number(value()?)?.max(1),
            "--density" => options.density = number(value()?)?,
            _ => return Err(format!("unknown option: {arg}\n\n{HELP}")),
        }
    }
    Ok(options)
}

fn measure(options: &Options) -> Result<(), String> {
    let brig = engine::Private::start()?;
    let mut engines = vec![brig.engine()];
    engines.extend(options.peers.iter().map(|p| Engine::peer(p)));
    for engine in &engines {
        engine.prepare()?;
    }
    println!("{:<22}{:>12}", "", "brig");
    println!("{:<22}{:>9.1} MB", "release binary", brig.binary_bytes()? as f64 / 1e6);
    println!("{:<22}{:>8.1} MiB", "idle, all processes", memory::pss_mib(&engines[0])?);
    for case in
        cases::ALL.iter().filter(|c| options.cases.is_empty() || options.cases.iter().any(|n| n == c.name))
    {
        let medians = cases::medians(case, &engines, options.reps)?;
        let row: Vec<String> = engines
            .iter()
            .zip(&medians)
            .map(|(e, m)| format!("{} {m:8.2} ms ({:5.1}x)", e.name, m / medians[0]))
            .collect();
        println!("{:<22}{}", case.name, row.join("   "));
    }
    for engine in &engines {
        if options.density > 0 {
            let (before, after, ms) = cases::density(engine, options.density)?;
            let each = (after - before) * 1024.0 / options.density as f64;
            println!("{:<22}{} {each:8.0} KiB PSS a container, {ms:.1} ms a start", "density", engine.name);
        }
        engine.clean_up()?;
    }
    Ok(())
}
