//! What the machine has, as far as containers' limits and rights depend on it.

use super::cpulist;
use brig_runtime::{
    capabilities::{self, CapabilitySet},
    cgroup::{Controller, Hierarchies, Version},
};
use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// What the machine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// The capabilities that brig can hand on.
    pub capabilities: CapabilitySet,
    /// Major and minor version of the kernel.
    pub kernel: (u32, u32),
    /// Whether there is nothing but cgroup version 2.
    pub cgroup_v2: bool,
    /// Whether memory can be limited.
    pub memory_limit: bool,
    /// Whether swap can be limited.
    pub swap_limit: bool,
    /// Whether memory can be reserved.
    pub memory_reservation: bool,
    /// Whether swappiness can be set.
    pub memory_swappiness: bool,
    /// Whether the OOM killer can be disabled.
    pub oom_kill_disable: bool,
    /// Whether CPU shares can be set.
    pub cpu_shares: bool,
    /// Whether a CPU quota can be set.
    pub cpu_quota: bool,
    /// Whether realtime CPU time can be set.
    pub cpu_realtime: bool,
    /// Whether CPUs and memory nodes can be chosen.
    pub cpuset: bool,
    /// The CPUs there are, as a list.
    pub cpus: String,
    /// The memory nodes there are, as a list.
    pub mems: String,
    /// How many CPUs brig itself may use.
    pub cpu_count: u32,
    /// Whether block I/O has weights.
    pub blkio_weight: bool,
    /// Whether block I/O has weights by device.
    pub blkio_weight_device: bool,
    /// Whether block I/O can be throttled.
    pub blkio_throttle: bool,
    /// Whether processes can be limited.
    pub pids_limit: bool,
    /// Whether IPv4 forwarding is on.
    pub ipv4_forwarding: bool,
    /// See [`crate::spec::SpecHost::thermal_paths`].
    pub thermal_paths: Vec<String>,
    /// Whether the kernel has `net.ipv4.ping_group_range`.
    pub has_ping_group_range: bool,
    /// Whether the kernel has `net.ipv4.ip_unprivileged_port_start`.
    pub has_unprivileged_port_start: bool,
}

impl Machine {
    /// This machine, read at the first call.
    pub fn get() -> &'static Self {
        static MACHINE: OnceLock<Machine> = OnceLock::new();
        MACHINE.get_or_init(Self::read)
    }

    fn read() -> Self {
        let hierarchies = Hierarchies::get();
        let version = |controller| hierarchies.version_of(controller);
        let has = |controller| version(controller).is_some();
        // Of version 1 the root's files tell what the kernel can; version 2's root has few, and every kernel that
        // brig runs on has what is asked for here.
        let file = |controller, v1: &str, in_v2: bool| match version(controller) {
            Some(Version::V1) => root_of(&hierarchies, controller).is_some_and(|root| root.join(v1).exists()),
            Some(Version::V2) => in_v2,
            None => false,
        };
        let weight = "blkio.bfq.io_service_bytes";
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        Self {
            // None at all is what a refused question comes to: then only containers without any can be made.
            capabilities: capabilities::permitted().unwrap_or_default(),
            kernel: kernel(&rustix::system::uname().release().to_string_lossy()),
            cgroup_v2: hierarchies.is_unified(),
            memory_limit: file(Controller::Memory, "memory.limit_in_bytes", true),
            swap_limit: file(Controller::Memory, "memory.memsw.limit_in_bytes", true),
            memory_reservation: file(Controller::Memory, "memory.soft_limit_in_bytes", true),
            memory_swappiness: file(Controller::Memory, "memory.swappiness", false),
            oom_kill_disable: file(Controller::Memory, "memory.oom_control", false),
            cpu_shares: file(Controller::Cpu, "cpu.shares", true),
            cpu_quota: file(Controller::Cpu, "cpu.cfs_quota_us", true),
            cpu_realtime: file(Controller::Cpu, "cpu.rt_runtime_us", false),
            cpuset: has(Controller::Cpuset),
            cpus: read("/sys/devices/system/cpu/online"),
            mems: Some(read("/sys/devices/system/node/online"))
                .filter(|list| !list.is_empty())
                .unwrap_or("0".into()),
            cpu_count: std::thread::available_parallelism().map_or(1, |count| count.get() as u32),
            blkio_weight: file(Controller::Io, weight, true),
            blkio_weight_device: file(Controller::Io, weight, true),
            blkio_throttle: file(Controller::Io, "blkio.throttle.read_bps_device", true),
            pids_limit: has(Controller::Pids),
            ipv4_forwarding: read("/proc/sys/net/ipv4/ip_forward") != "0",
            thermal_paths: thermal_paths(&read("/sys/devices/system/cpu/possible")),
            has_ping_group_range: Path::new("/proc/sys/net/ipv4/ping_group_range").exists(),
            has_unprivileged_port_start: Path::new("/proc/sys/net/ipv4/ip_unprivileged_port_start").exists(),
        }
    }
}

fn root_of(hierarchies: &Hierarchies, controller: Controller) -> Option<PathBuf> {
    hierarchies.iter().find(|h| h.controllers.contains(controller)).map(|h| h.mount.clone())
}

/// "6.18.44-fc" is (6, 18).
fn kernel(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|digits| digits.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn thermal_paths(possible: &str) -> Vec<String> {
    let cpus = cpulist::parse(possible).unwrap_or_default();
    let path = |cpu| format!("/sys/devices/system/cpu/cpu{cpu}/thermal_throttle");
    cpus.into_iter().map(path).filter(|path| Path::new(path).exists()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_versions() {
        assert_eq!(kernel("6.18.44-fc-v595"), (6, 18));
        assert_eq!(kernel("5.15"), (5, 15));
        assert_eq!(kernel("7-rc1"), (7, 0));
        assert_eq!(kernel(""), (0, 0));
    }

    #[test]
    fn this_machine_can_be_read() {
        let machine = Machine::get();
        assert!(machine.kernel >= (5, 0));
        assert!(cpulist::parse(&machine.cpus).is_some_and(|cpus| !cpus.is_empty()));
        assert!(cpulist::parse(&machine.mems).is_some_and(|mems| !mems.is_empty()));
    }
}
