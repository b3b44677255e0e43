//! Paths of /proc and /sys that are hidden or read-only.

use super::SpecInput;

/// Hidden from containers. Source: moby's defaults, 28.x.
const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Read-only in containers. Source: moby's defaults, 28.x.
const READ_ONLY: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// What Docker hides. `thermal` are the paths of [`super::SpecHost::thermal_paths`].
#[must_use]
pub fn default_masked_paths(thermal: &[String]) -> Vec<String> {
    MASKED.iter().map(|path| (*path).to_owned()).chain(thermal.iter().cloned()).collect()
}

/// What Docker makes read-only.
#[must_use]
pub fn default_readonly_paths() -> Vec<String> {
    READ_ONLY.iter().map(|path| (*path).to_owned()).collect()
}

/// The paths to hide: the user's list, none with `--privileged`, else Docker's.
pub(super) fn masked(input: &SpecInput<'_>) -> Option<Vec<String>> {
    let given = input.host_config.masked_paths.clone();
    paths(input, given, || default_masked_paths(&input.host.thermal_paths))
}

/// The paths to make read-only, likewise.
pub(super) fn read_only(input: &SpecInput<'_>) -> Option<Vec<String>> {
    paths(input, input.host_config.readonly_paths.clone(), default_readonly_paths)
}

fn paths(
    input: &SpecInput<'_>,
    given: Option<Vec<String>>,
    docker_s: impl FnOnce() -> Vec<String>,
) -> Option<Vec<String>> {
    let list = match given {
        _ if input.host_config.privileged => Vec::new(),
        Some(list) => list,
        None => docker_s(),
    };
    Some(list).filter(|list| !list.is_empty())
}
