//! Docker's default seccomp profile: from the rules of a spec to a filter in force.

use crate::cases::median;
use brig_runtime::capabilities::CapabilitySet;
use brig_runtime::seccomp::{Abi, ProfileFacts, compile, default_profile};
use std::time::Instant;

/// The profile as Docker puts it into a spec of a container without further rights.
pub(super) fn docker_default() -> Result<oci_spec::runtime::LinuxSeccomp, String> {
    let abi = Abi::NATIVE.ok_or("brig knows no system calls of this machine")?;
    let capabilities = CapabilitySet::DOCKER_DEFAULT;
    Ok(default_profile(&ProfileFacts { abi, capabilities, kernel: (6, 1) }))
}

/// Prints the medians of compiling it and of loading it, each time into a thread of its own.
pub(super) fn measure(reps: usize) -> Result<(), String> {
    let profile = docker_default()?;
    let (mut compiled, mut loaded, mut both) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..=reps {
        let begun = Instant::now();
        let program = compile(&profile).map_err(|e| e.to_string())?;
        let compiling = begun.elapsed().as_secs_f64() * 1e3;
        // The filter is this thread's alone and ends with it.
        let loading = std::thread::scope(|scope| {
            let load = || {
                let begun = Instant::now();
                program.load().map(|_| begun.elapsed().as_secs_f64() * 1e3)
            };
            scope.spawn(load).join()
        });
        let loading =
            loading.map_err(|_| "a thread panicked")?.map_err(|e| format!("load the filter: {e}"))?;
        compiled.push(compiling);
        loaded.push(loading);
        both.push(compiling + loading);
    }
    println!(
        "{:<24}brig {:.3} ms: compiled in {:.3} ms, loaded in {:.3} ms",
        "seccomp",
        median(both),
        median(compiled),
        median(loaded)
    );
    Ok(())
}
