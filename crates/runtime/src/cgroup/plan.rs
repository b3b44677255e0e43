//! From the runtime spec's limits to the files that say them: pure.

use super::hierarchy::{Controller, Version};
use super::{plan_v1, plan_v2};
use oci_spec::runtime::LinuxResources;

/// What to do when a write is refused or the file is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It was asked for: fail.
    Fail,
    /// Go on with a warning.
    Warn,
}

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Write {
    /// Whose file it is.
    pub(super) controller: Controller,
    /// The file; where several are given, the first that is there (kernels and schedulers name some differently).
    pub(super) files: Vec<String>,
    /// The text. Where files differ in units, the text belongs to the file at the same place.
    pub(super) values: Vec<String>,
    /// What a refusal means.
    pub(super) refused: Refused,
}

impl Write {
    pub(super) fn new(controller: Controller, file: impl Into<String>, value: impl ToString) -> Self {
        let (files, values) = (vec![file.into()], vec![value.to_string()]);
        Self { controller, files, values, refused: Refused::Fail }
    }

    /// Another file (and text) to try when the ones before are not there.
    pub(super) fn or(mut self, file: impl Into<String>, value: impl ToString) -> Self {
        self.files.push(file.into());
        self.values.push(value.to_string());
        self
    }
}

/// What the plan depends on beside the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Present {
    /// The limit on memory and swap together that is in force; version 1. `None` in a fresh group: unlimited.
    pub(super) memory_and_swap: Option<u64>,
    /// The limit on memory that is in force. `None` in a fresh group: unlimited.
    pub(super) memory: Option<u64>,
}

/// Writes, and warnings.
pub(super) type Plan = (Vec<Write>, Vec<String>);

/// All writes for these limits, in the order that they have to come in, and what can't be said at all.
pub(super) fn plan(
    resources: &LinuxResources,
    version_of: impl Fn(Controller) -> Option<Version>,
    present: Present,
) -> Plan {
    let (mut writes, mut warnings) = (Vec::new(), Vec::new());
    // A controller that is nowhere gets version 1's names; that it is missing shows when the writes are made.
    let v2 = |controller| version_of(controller) == Some(Version::V2);
    if let Some(cpu) = resources.cpu() {
        if v2(Controller::Cpu) {
            plan_v2::cpu(cpu, &mut writes, &mut warnings);
        } else {
            plan_v1::cpu(cpu, &mut writes);
        }
        // Both versions have the same files.
        for (file, value) in [("cpuset.cpus", cpu.cpus()), ("cpuset.mems", cpu.mems())] {
            if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
                writes.push(Write::new(Controller::Cpuset, file, value));
            }
        }
    }
    if let Some(memory) = resources.memory() {
        if v2(Controller::Memory) {
            plan_v2::memory(memory, present, &mut writes, &mut warnings);
        } else {
            plan_v1::memory(memory, present, &mut writes);
        }
    }
    if let Some(pids) = resources.pids() {
        // Docker and runc: everything that is not a positive number means no limit.
        let limit = if pids.limit() > 0 { pids.limit().to_string() } else { "max".to_owned() };
        writes.push(Write::new(Controller::Pids, "pids.max", limit));
    }
    if let Some(io) = resources.block_io() {
        if v2(Controller::Io) { plan_v2::io(io, &mut writes) } else { plan_v1::io(io, &mut writes) }
    }
    for limit in resources.hugepage_limits().iter().flatten() {
        let suffix = if v2(Controller::Hugetlb) { "max" } else { "limit_in_bytes" };
        let size = limit.page_size();
        writes.push(Write::new(Controller::Hugetlb, format!("hugetlb.{size}.{suffix}"), limit.limit()));
        // Reserved pages are counted apart since 5.7; runc limits them alike, and older kernels have no such file.
        let mut reserved =
            Write::new(Controller::Hugetlb, format!("hugetlb.{size}.rsvd.{suffix}"), limit.limit());
        reserved.refused = Refused::Warn;
        writes.push(reserved);
    }
    if let Some(network) = resources.network() {
        if let Some(class) = network.class_id() {
            writes.push(Write::new(Controller::NetCls, "net_cls.classid", class));
        }
        for priority in network.priorities().iter().flatten() {
            let value = format!("{} {}", priority.name(), priority.priority());
            writes.push(Write::new(Controller::NetPrio, "net_prio.ifpriomap", value));
        }
    }
    let mut rdma: Vec<_> = resources.rdma().iter().flatten().collect();
    rdma.sort_by_key(|(device, _)| *device);
    for (device, limits) in rdma {
        let part =
            |name, value: Option<u32>| value.map(|value| format!(" {name}={value}")).unwrap_or_default();
        let (handles, objects) =
            (part("hca_handle", limits.hca_handles()), part("hca_object", limits.hca_objects()));
        writes.push(Write::new(Controller::Rdma, "rdma.max", format!("{device}{handles}{objects}")));
    }
    plan_v2::unified(resources.unified().as_ref(), &mut writes, &mut warnings);
    (writes, warnings)
}
