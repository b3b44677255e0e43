//! The memory of an engine's own processes, without those of the containers.

use crate::engine::Engine;

/// The sum of the proportional set sizes of all processes of an engine, in MiB.
pub fn pss_mib(engine: &Engine) -> Result<f64, String> {
    let mut kib = 0.0;
    for entry in std::fs::read_dir("/proc").map_err(|e| format!("/proc: {e}"))?.filter_map(|e| e.ok()) {
        // A process may end while it is looked at: then it has no size.
        let Ok(command) = std::fs::read(entry.path().join("cmdline")) else { continue };
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        if belongs(&engine.name, &command) {
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
        "brig" => program == "brig" || command.starts_with("brig:"),
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
    fn shims_and_the_network_process_belong_to_brig() {
        for command in
            ["/usr/bin/brig daemon", "brig: shim 0123456789ab", "brig net --socket /x", "brig: zygote"]
        {
            assert!(belongs("brig", command), "{command}");
        }
        assert!(!belongs("brig", "sleep 1000"));
        assert!(belongs("docker", "/usr/bin/containerd-shim-runc-v2 -namespace moby"));
    }
}
