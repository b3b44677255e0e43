//! The engine with real containers, as root, from the machine's static busybox, in a network namespace of its own.
//!
//! This binary is its own `brig`: with the argument `zygote` it is the zygote, with `net` the network process, with
//! `daemon` a daemon that a failpoint is going to kill. So it has no test harness; `cargo test -p brig-engine --test
//! containers NAME` runs the tests whose names contain NAME.

mod attaching;
mod crashes;
mod execing;
mod host;
mod images;
mod lifecycle;
mod networking;

use host::Host;
use std::time::Instant;

type Test = (&'static str, fn(&Host));

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next().as_ref().and_then(|a| a.to_str()) {
        Some(brig_shim::zygote::ARGUMENT) => brig_shim::zygote::main(),
        Some("net") => std::process::exit(brig_net::process::main(arguments)),
        Some("daemon") => crashes::daemon(arguments),
        _ => {}
    }
    // In a network namespace of its own: the main thread's, before there are others. What is started is in it too.
    // SAFETY: this is the only thread.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }.unwrap();
    host::loopback_up();
    if std::env::var_os("BRIG_LOG").is_some() {
        tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_env("BRIG_LOG"))
            .with_span_events(tracing_subscriber::fmt::format::FmtSpan::CLOSE)
            .init();
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    if std::env::args().any(|a| a == "--list") {
        return;
    }
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|w| name.contains(w.as_str()));
    let mut failed = Vec::new();
    let groups = [lifecycle::TESTS, attaching::TESTS, execing::TESTS, networking::TESTS, images::TESTS];
    let tests: Vec<&Test> =
        groups.iter().flat_map(|group| group.iter()).filter(|(n, _)| is_wanted(n)).collect();
    if !tests.is_empty() {
        let host = Host::new();
        for (name, test) in tests {
            run(name, || test(&host), &mut failed);
        }
        run("nothing_is_left_over", || host.end(), &mut failed);
    }
    for (name, test) in crashes::TESTS.iter().filter(|(n, _)| is_wanted(n)) {
        run(name, test, &mut failed);
    }
    if !failed.is_empty() {
        println!("failed: {}", failed.join(", "));
        std::process::exit(101);
    }
}

fn run(name: &'static str, test: impl FnOnce(), failed: &mut Vec<&'static str>) {
    let start = Instant::now();
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(test));
    println!(
        "test {name} ... {} ({} ms)",
        if done.is_ok() { "ok" } else { "FAILED" },
        start.elapsed().as_millis()
    );
    if done.is_err() {
        failed.push(name);
    }
}
