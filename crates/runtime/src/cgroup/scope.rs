//! A group that systemd makes. It comes in two steps, too: before the clone systemd is reached, which says where the
//! group will be; the scope is started around the clone, which waits for that.

use super::create::{self, Existing};
use super::error::CgroupError;
use super::hierarchy::{Hierarchies, Version};
use super::plan::{self, Present};
use super::systemd::{self, Limits, Manager, Owner, Scope, Starting, SystemdError, Unit};
use super::{Cgroup, devices};
use oci_spec::runtime::LinuxResources;
use std::path::Path;

impl Cgroup {
    /// The first half of making a scope: no group is there yet.
    ///
    /// # Errors
    /// No systemd, or none for this user.
    pub(crate) fn begin_scope(
        hierarchies: &Hierarchies,
        scope: &Scope,
    ) -> Result<(Self, Starting), CgroupError> {
        if scope.owner() == Owner::User && !hierarchies.is_unified() {
            return Err(SystemdError::RootlessV1.into());
        }
        let starting = Starting::new(Manager::reach(scope.owner())?, scope);
        let below = create::below_root(&starting.path())?;
        Ok((Self { below, groups: Vec::new(), unit: None }, starting))
    }

    /// The other half: starts the scope around a process, makes the groups that systemd does not, and sets the limits
    /// that it does not know.
    ///
    /// # Errors
    /// What systemd refuses, or the kernel; what was made so far is left to the caller to remove.
    pub(crate) fn complete_scope(
        &mut self,
        hierarchies: &Hierarchies,
        mut starting: Starting,
        pid: i32,
        resources: Option<&LinuxResources>,
        warnings: &mut Vec<String>,
    ) -> Result<(), CgroupError> {
        let resources = resources.map(systemd::rounded);
        let (writes, _) = resources.as_ref().map_or_else(Default::default, |resources| {
            plan::plan(resources, |controller| hierarchies.version_of(controller), Present::default())
        });
        let rules = devices::rules(resources.as_ref().map_or(&[], list_of))?;
        let limits = Limits {
            resources: resources.as_ref(),
            writes: &writes,
            devices: (!rules.is_empty()).then_some(&*rules),
        };
        let version = if hierarchies.is_unified() { Version::V2 } else { Version::V1 };
        starting.start(pid, version, &limits)?;
        self.unit = Some(starting.unit());
        for version in [Version::V1, Version::V2] {
            self.groups.extend(create::make(hierarchies, version, &self.below, Existing::Ours, warnings)?);
        }
        if self.groups.is_empty() {
            return Err(CgroupError::None);
        }
        if let Some(group) = self.v2() {
            create::hand_down_to(group, &self.below)?;
            // systemd has moved it, but for a hierarchy that is none of its business (version 1 alone is).
            if !group.pids()?.contains(&pid) {
                group.set("cgroup.procs", &pid.to_string())?;
            }
        }
        let Some(resources) = resources else { return Ok(()) };
        self.set(self.plan(&resources, Present::default()), warnings)?;
        self.set_devices(list_of(&resources), warnings)
    }

    /// The group of a scope by what it was asked for.
    ///
    /// # Errors
    /// No systemd; as [`Cgroup::open`].
    pub fn open_scope(scope: &Scope) -> Result<Self, CgroupError> {
        let starting = Starting::new(Manager::reach(scope.owner())?, scope);
        Self::open_of(&starting.path(), Some(&starting.unit()))
    }

    /// As [`Cgroup::open`], for one that systemd's driver may have made.
    ///
    /// # Errors
    /// As [`Cgroup::open`].
    pub fn open_of(path: &Path, unit: Option<&Unit>) -> Result<Self, CgroupError> {
        Ok(Self { unit: unit.cloned(), ..Self::open(path)? })
    }

    /// The scope that it is of.
    pub fn unit(&self) -> Option<&Unit> {
        self.unit.as_ref()
    }
}

fn list_of(resources: &LinuxResources) -> &[oci_spec::runtime::LinuxDeviceCgroup] {
    resources.devices().as_deref().unwrap_or_default()
}
