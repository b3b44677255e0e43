//! Control groups, versions 1 and 2 (and both at once), behind one type.
//!
//! A container has one group of the same path in every mounted hierarchy: its processes are in all of them, so that
//! each controller counts and limits them wherever the machine has it. Version 2's group is there even when version
//! 1 has all the controllers: killing, freezing and waiting for the end are one write and one event there.
//!
//! - [`Hierarchies`]: what the machine has, probed once.
//! - `plan*`: from the runtime spec's limits to files and texts; pure.
//! - `devices`, `device_bpf`: which devices may be used.
//! - [`Entrance`]: how a process enters version 1's groups.
//! - [`systemd`]: the driver that has systemd make the group, as a scope; `scope`: how a group comes of one.
//! - `processes`: freezing, killing, waiting, removing.
//! - [`Stats`] and [`Details`]: what was used.
//!
//! A limit that was asked for and can't be had is an error; everything else that a machine lacks is a warning.

mod create;
mod details;
mod device_bpf;
mod devices;
mod entrance;
mod error;
mod group;
mod hierarchy;
mod inside;
mod oom;
mod plan;
mod plan_v1;
mod plan_v2;
mod processes;
mod scope;
mod stats;
pub mod systemd;
mod watch;

pub use details::{Counter, Cpuset, Details};
pub use entrance::Entrance;
pub use error::CgroupError;
pub use hierarchy::{Controller, Controllers, Hierarchies, Hierarchy, Version};
pub use inside::Inside;
pub use oom::OomWatch;
pub(crate) use systemd::Starting;
pub use watch::HierarchyWatch;

pub use stats::{BlockIoEntry, BlockIoStats, CpuStats, MemoryStats, PidsStats, Stats};

use create::Existing;
use group::Group;
use oci_spec::runtime::{LinuxDeviceCgroup, LinuxResources};
use plan::{Plan, Present, Refused, Write};
use rustix::io::Errno;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use systemd::Unit;

/// A container's group in all hierarchies. Dropping it leaves the group; [`Cgroup::remove`] removes it.
#[derive(Debug)]
pub struct Cgroup {
    /// Below each hierarchy's root.
    below: PathBuf,
    /// One a hierarchy; version 2's comes last.
    groups: Vec<Group>,
    /// The scope that it is of, with systemd's driver.
    unit: Option<Unit>,
}

impl Cgroup {
    /// Makes a container's group with its limits, without any process in it.
    ///
    /// `path` is an OCI `cgroupsPath`: it is taken from each hierarchy's root. A group of that path without
    /// processes is taken for one that a crash left over, and is made anew. Adds to `warnings` what the machine
    /// lacks and nobody asked for. On an error nothing is left over.
    ///
    /// # Errors
    /// A bad path, a group in use, a limit that can't be had.
    pub fn create(
        path: &Path,
        resources: Option<&LinuxResources>,
        warnings: &mut Vec<String>,
    ) -> Result<Self, CgroupError> {
        Self::create_in(&Hierarchies::get(), path, resources, warnings)
    }

    fn create_in(
        hierarchies: &Hierarchies,
        path: &Path,
        resources: Option<&LinuxResources>,
        warnings: &mut Vec<String>,
    ) -> Result<Self, CgroupError> {
        let mut cgroup = Self::begin(hierarchies, path, warnings)?;
        match cgroup.complete(hierarchies, resources, warnings) {
            Ok(()) => Ok(cgroup),
            Err(error) => {
                cgroup.remove_now();
                Err(error)
            }
        }
    }

    /// The first half of [`Self::create`]: makes version 2's group, which a process has to be cloned into.
    ///
    /// # Errors
    /// As [`Self::create`]; nothing is left over.
    pub(crate) fn begin(
        hierarchies: &Hierarchies,
        path: &Path,
        warnings: &mut Vec<String>,
    ) -> Result<Self, CgroupError> {
        let below = create::below_root(path)?;
        let groups = create::make(hierarchies, Version::V2, &below, Existing::Foreign, warnings)?;
        Ok(Self { below, groups, unit: None })
    }

    /// The other half: makes the other groups and sets the limits.
    ///
    /// # Errors
    /// As [`Self::create`], but what was made so far is left to the caller to remove.
    pub(crate) fn complete(
        &mut self,
        hierarchies: &Hierarchies,
        resources: Option<&LinuxResources>,
        warnings: &mut Vec<String>,
    ) -> Result<(), CgroupError> {
        let v1 = create::make(hierarchies, Version::V1, &self.below, Existing::Foreign, warnings)?;
        self.groups.splice(0..0, v1);
        if self.groups.is_empty() {
            return Err(CgroupError::None);
        }
        if let Some(group) = self.v2() {
            create::hand_down_to(group, &self.below)?;
        }
        let Some(resources) = resources else { return Ok(()) };
        self.set(self.plan(resources, Present::default()), warnings)?;
        self.set_devices(resources.devices().as_deref().unwrap_or_default(), warnings)
    }

    /// The group of a container that is there already, in as many hierarchies as it is in.
    ///
    /// # Errors
    /// A bad path; no such group anywhere.
    pub fn open(path: &Path) -> Result<Self, CgroupError> {
        Self::open_in(&Hierarchies::get(), path)
    }

    fn open_in(hierarchies: &Hierarchies, path: &Path) -> Result<Self, CgroupError> {
        let below = create::below_root(path)?;
        let mut groups = Vec::with_capacity(hierarchies.all.len());
        for hierarchy in hierarchies.iter() {
            match Group::open(hierarchy, &below) {
                Ok(group) => groups.push(group),
                Err(Errno::NOENT) => {}
                Err(errno) => {
                    return Err(CgroupError::io("open cgroup", &hierarchy.mount.join(&below), errno));
                }
            }
        }
        if groups.is_empty() {
            return Err(CgroupError::io("open cgroup", &below, Errno::NOENT));
        }
        Ok(Self { below, groups, unit: None })
    }

    /// The path below each hierarchy's root, without a leading `/`.
    pub fn path(&self) -> &Path {
        &self.below
    }

    /// What tells its folders from others of the same path, made later: the numbers that the kernel gave them.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn identity(&self) -> Result<Vec<u64>, CgroupError> {
        let number = |group: &Group| match rustix::fs::fstat(group.fd()) {
            Ok(stat) => Ok(stat.st_ino),
            Err(errno) => Err(CgroupError::io("stat cgroup", &group.path, errno)),
        };
        self.groups.iter().map(number).collect()
    }

    /// The group of [`Self::open`], if it is still the one of an earlier [`Self::identity`] in each hierarchy that it
    /// is in.
    #[must_use]
    pub fn if_still(self, identity: &[u64]) -> Option<Self> {
        self.identity().is_ok_and(|now| now.iter().all(|number| identity.contains(number))).then_some(self)
    }

    /// Moves a process, with all its threads, into the group.
    ///
    /// # Errors
    /// What the kernel says; ESRCH for a process that is gone.
    pub fn add_pid(&self, pid: i32) -> Result<(), CgroupError> {
        self.groups.iter().try_for_each(|group| group.set("cgroup.procs", &pid.to_string()))
    }

    /// The group's folder in version 2's hierarchy, for `CLONE_INTO_CGROUP`.
    pub fn unified(&self) -> Option<BorrowedFd<'_>> {
        self.v2().map(Group::fd)
    }

    /// Moves a process that was made to join a running container to where that container's process `init` is in
    /// version 2's hierarchy, when it could not be cloned into [`Self::unified`]: an init that made groups of its
    /// own has left the container's group, which then takes no process.
    ///
    /// # Errors
    /// As [`Self::add_pid`].
    pub fn add_exec_pid(&self, pid: i32, init: i32) -> Result<(), CgroupError> {
        let text = pid.to_string();
        if let Some(group) = self.v2() {
            match group.write("cgroup.procs", &text) {
                Ok(()) => {}
                Err(Errno::BUSY | Errno::OPNOTSUPP) => {
                    let path = format!("/proc/{init}/cgroup");
                    let own = std::fs::read_to_string(&path)
                        .map_err(|error| CgroupError::io("read", Path::new(&path), error))?;
                    let inner = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
                    // Only further inside: the file's text is the container's to shape.
                    if !Path::new(inner).starts_with(&self.below) {
                        return Err(CgroupError::io("add process to cgroup", &group.path, Errno::BUSY));
                    }
                    let inner = create::below_root(Path::new(inner))?;
                    let inner = Group::open(&group.hierarchy, &inner)
                        .map_err(|errno| CgroupError::io("open cgroup", &inner, errno))?;
                    inner.set("cgroup.procs", &text)?;
                }
                // A user may move processes only within what is delegated to them. Their systemd may do more.
                Err(errno @ (Errno::ACCESS | Errno::PERM)) => match &self.unit {
                    Some(unit) => unit.attach(pid)?,
                    None => return Err(CgroupError::io("add process to cgroup", &group.path, errno)),
                },
                Err(errno) => return Err(CgroupError::io("add process to cgroup", &group.path, errno)),
            }
        }
        Ok(())
    }

    /// Puts other limits into force; what `resources` does not speak of stays, devices always.
    ///
    /// # Errors
    /// A limit that can't be had; those before it are in force then.
    pub fn update(&self, resources: &LinuxResources, warnings: &mut Vec<String>) -> Result<(), CgroupError> {
        let memory = self.with(Controller::Memory);
        let number =
            |v1: &str, v2: &str| memory.and_then(|group| group.number(if group.is_v2() { v2 } else { v1 }));
        let present = Present {
            memory_and_swap: number("memory.memsw.limit_in_bytes", ""),
            memory: number("memory.limit_in_bytes", "memory.max"),
        };
        let Some(unit) = &self.unit else { return self.set(self.plan(resources, present), warnings) };
        let plan = self.plan(&systemd::rounded(resources), present);
        unit.update(&plan.0)?;
        self.set(plan, warnings)
    }

    fn v2(&self) -> Option<&Group> {
        self.groups.last().filter(|group| group.is_v2())
    }

    /// The group that a controller is reached by.
    fn with(&self, controller: Controller) -> Option<&Group> {
        self.groups.iter().find(|group| group.hierarchy.controllers.contains(controller))
    }

    fn plan(&self, resources: &LinuxResources, present: Present) -> Plan {
        let version_of = |controller| self.with(controller).map(|group| group.hierarchy.version);
        plan::plan(resources, version_of, present)
    }

    /// Makes a plan's writes.
    fn set(&self, (writes, left_out): Plan, warnings: &mut Vec<String>) -> Result<(), CgroupError> {
        warnings.extend(left_out);
        let mut again = None;
        for write in &writes {
            match self.write(write) {
                // A shorter period than the quota that is in force allows: the new quota first.
                Err(CgroupError::Refused { errno, .. })
                    if errno.0 == libc::EINVAL
                        && write.files[0] == "cpu.cfs_period_us"
                        && again.is_none() =>
                {
                    again = Some(write);
                }
                Err(error) if write.refused == Refused::Warn => {
                    // A file that a kernel lacks is not worth a word when nobody asked for it.
                    if !matches!(&error, CgroupError::Refused { errno, .. } if errno.0 == libc::ENOENT) {
                        warnings.push(error.to_string());
                    }
                }
                other => other?,
            }
        }
        again.map_or(Ok(()), |write| self.write(write))
    }

    fn write(&self, write: &Write) -> Result<(), CgroupError> {
        let Some(group) = self.with(write.controller) else {
            return Err(CgroupError::Controller {
                controller: write.controller.name(),
                file: write.files[0].clone(),
            });
        };
        let mut missing = None;
        for (file, value) in write.files.iter().zip(&write.values) {
            match group.set(file, value) {
                Err(error @ CgroupError::Refused { .. }) if is_missing(&error) => {
                    missing.get_or_insert(error);
                }
                other => return other,
            }
        }
        missing.map_or(Ok(()), Err)
    }

    fn set_devices(&self, list: &[LinuxDeviceCgroup], warnings: &mut Vec<String>) -> Result<(), CgroupError> {
        if list.is_empty() {
            return Ok(());
        }
        let mut rules = devices::rules(list)?;
        if let Some(group) = self.with(Controller::Devices) {
            // A fresh group has its parent's rights: there is nothing to allow, only to deny.
            if rules
                .first()
                .is_some_and(|rule| rule.allow && *rule == (devices::Rule { allow: true, ..ANY_DEVICE }))
            {
                rules.remove(0);
            }
            return group.set_all(&devices::v1_writes(&rules));
        }
        if rules == [devices::Rule { allow: true, ..ANY_DEVICE }] {
            return Ok(());
        }
        match self.v2() {
            Some(group) => match device_bpf::attach(group.fd(), &device_bpf::program(&rules)) {
                Ok(()) => {}
                // As rootless, or in a container without CAP_BPF: devices then are what the mounts and the file
                // modes leave.
                Err(errno @ (Errno::PERM | Errno::ACCESS | Errno::NOSYS | Errno::INVAL)) => {
                    warnings.push(format!(
                        "access to devices is not restricted by cgroup: {}",
                        crate::error::Errno::from(errno)
                    ))
                }
                Err(errno) => {
                    return Err(CgroupError::io("attach device program to cgroup", &group.path, errno));
                }
            },
            None => warnings.push("access to devices is not restricted: no devices controller".to_owned()),
        }
        Ok(())
    }
}

const ANY_DEVICE: devices::Rule = devices::Rule {
    allow: false,
    kind: devices::Kind::Any,
    major: None,
    minor: None,
    access: devices::access::ALL,
};

fn is_missing(error: &CgroupError) -> bool {
    matches!(error, CgroupError::Refused { errno, .. } if errno.0 == libc::ENOENT)
}

#[cfg(test)]
mod tests;
