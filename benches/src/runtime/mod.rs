//! OCI runtimes beside one another: `brig oci` and what is named, called as containerd calls them.

mod bundle;
mod cases;
mod memory;
mod seccomp;

use crate::cases::median;
use bundle::Bundle;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

const HELP: &str = "\
Usage:  cargo run --release -p brig-benches -- runtime [OPTIONS]

Options:
  --peer NAME[=COMMAND]   Measure this runtime beside brig, too; may be repeated. What is on PATH of runc, crun
                          and youki is measured in any case
  --brig COMMAND          brig's runtime, default the `brig` beside this program, with `oci`
  --busybox PATH          A static busybox for the root file system, default /bin/busybox
  --case NAME             Only this case; may be repeated
  --reps N                Rounds a case, default 31
";

struct Options {
    runtimes: Vec<Runtime>,
    busybox: PathBuf,
    cases: Vec<String>,
    reps: usize,
}

/// A runtime's command line.
pub(crate) struct Runtime {
    name: String,
    words: Vec<String>,
}

impl Runtime {
    fn new(name: &str, command: &str) -> Self {
        Self { name: name.into(), words: command.split_whitespace().map(str::to_owned).collect() }
    }

    /// The runtime with its state folder, for further arguments.
    fn command(&self, bundle: &Bundle) -> Command {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).arg("--root").arg(bundle.state(&self.name));
        // Not to pipes: what stays in the container would hold them open.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        command
    }

    /// Runs a command to its end.
    fn call(&self, bundle: &Bundle, args: &[&str]) -> Result<(), String> {
        let status = self.command(bundle).args(args).status().map_err(|e| format!("{}: {e}", self.name))?;
        if status.success() { Ok(()) } else { Err(format!("{} {}: {status}", self.name, args.join(" "))) }
    }

    fn version(&self) -> Option<String> {
        let Output { status, stdout, .. } =
            Command::new(&self.words[0]).args(&self.words[1..]).arg("--version").output().ok()?;
        let text = String::from_utf8_lossy(&stdout);
        status.success().then(|| text.lines().next().unwrap_or_default().to_owned())
    }
}

/// Runs the benchmark; `args` come after `runtime`.
pub(crate) fn main(args: impl Iterator<Item = String>) -> Result<(), String> {
    let options = options(args)?;
    let bundle = Bundle::new(&options.busybox)?;
    for runtime in &options.runtimes {
        println!("{:<10}{}", runtime.name, runtime.version().unwrap_or_default());
    }
    let wanted = |name: &str| options.cases.is_empty() || options.cases.iter().any(|n| n == name);
    for case in cases::ALL.iter().filter(|case| wanted(case.name)) {
        for runtime in &options.runtimes {
            (case.before)(runtime, &bundle)?;
        }
        let mut times = vec![Vec::with_capacity(options.reps); options.runtimes.len()];
        // The first round warms up and is not counted.
        for round in 0..=case.rounds(options.reps) {
            for (runtime, times) in options.runtimes.iter().zip(&mut times) {
                let begun = Instant::now();
                (case.body)(runtime, &bundle)?;
                if round > 0 {
                    times.push(begun.elapsed().as_secs_f64() * 1e3 / case.each as f64);
                }
            }
        }
        for runtime in &options.runtimes {
            (case.after)(runtime, &bundle)?;
        }
        print_row(&options.runtimes, case.name, "ms", times.into_iter().map(median).collect());
    }
    if wanted("memory") {
        let peaks = options.runtimes.iter().map(|r| memory::peak_mib(r, &bundle));
        print_row(&options.runtimes, "memory", "MiB", peaks.collect::<Result<_, _>>()?);
    }
    if wanted("seccomp") {
        seccomp::measure(options.reps)?;
    }
    Ok(())
}

fn print_row(runtimes: &[Runtime], name: &str, unit: &str, values: Vec<f64>) {
    let cell = |(runtime, value): (&Runtime, &f64)| {
        format!("{} {value:7.2} {unit} ({:4.2}x)", runtime.name, value / values[0])
    };
    let row: Vec<String> = runtimes.iter().zip(&values).map(cell).collect();
    println!("{name:<24}{}", row.join("   "));
}

fn options(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
    let own = std::env::current_exe().map_err(|e| format!("own path: {e}"))?.with_file_name("brig");
    let mut options = Options {
        runtimes: vec![Runtime::new("brig", &format!("{} oci", own.display()))],
        busybox: "/bin/busybox".into(),
        cases: Vec::new(),
        reps: 31,
    };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value\n\n{HELP}"));
        match arg.as_str() {
            "--peer" => {
                let peer = value()?;
                let (name, command) = peer.split_once('=').unwrap_or((&peer, &peer));
                options.runtimes.push(Runtime::new(name, command));
            }
            "--brig" => options.runtimes[0] = Runtime::new("brig", &value()?),
            "--busybox" => options.busybox = value()?.into(),
            "--case" => options.cases.push(value()?),
            "--reps" => options.reps = value()?.parse::<usize>().map_err(|e| format!("--reps: {e}"))?.max(1),
            _ => return Err(format!("unknown option: {arg}\n\n{HELP}")),
        }
    }
    for name in ["runc", "crun", "youki"] {
        let found = Runtime::new(name, name);
        if options.runtimes.iter().all(|r| r.name != name) && found.version().is_some() {
            options.runtimes.push(found);
        }
    }
    Ok(options)
}
