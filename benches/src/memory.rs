//! The memory of an engine's own processes, without those of the containers.

use crate::engine::Engine;
use std::os::unix::fs::MetadataExt;

/// The sum of the proportional set sizes of all processes of an engine, in MiB.
pub fn pss_mib(engine: &Engine) -> Result<f64, String> {
    let mut kib = 0.0;
    for entry in std::fs::read_dir("/proc").map_err(|e| format!("/proc: {e}"))?.filter_map(|e| e.ok()) {
        // A process may end while it is looked at: then it has no size.
        let Ok(command) = std::fs::read(entry.path().join("cmdline")) else { continue };
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let ours = match engine.private_binary() {
            // Other daemons of brig may run on the machine: only those of the very binary under measurement count.
            Some(own) => {
                let running = std::fs::metadata(entry.path().join("exe"));
                running.is_ok_and(|r| (r.dev(), r.ino()) == (own.dev(), own.ino()))
            }
            None => belongs(&engine.name, &command),
        };
        if ours {
            let sizes = std::fs::read_to_string(entry.path().join("smaps_rollup")).unwrap_or_default();
            kib += sizes
                .lines()
                .find_map(|l| l.strip_prefix("Pss:"))
                .and_then(|l| l.split_whitespace().next()?.parse::<f64>().ok())
                .unwrap_or_default();
        }
    }
    Ok(kib / 1024.0)
}

fn belongs(engine: &str, command: &str) -> bool {
    let program = command.split(' ').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    match engine {
        "docker" => {
            ["dockerd", "containerd", "docker-proxy"].contains(&program)
                || program.starts_with("containerd-shim")
        }
        "podman" => ["podman", "conmon", "aardvark-dns", "netavark"].contains(&program),
        other => program == other,
    }
}

#[cfg(test)]
mod tests {
    use super::belongs;

    #[test]
    fn shims_belong_to_their_engine() {
        assert!(!belongs("docker", "sleep 1000"));
        assert!(belongs("docker", "/usr/bin/containerd-shim-runc-v2 -namespace moby"));
    }
}
