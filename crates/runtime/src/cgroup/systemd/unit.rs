//! A scope: being made, changed, removed.

use super::super::devices::Rule;
use super::super::plan::Write;
use super::error::SystemdError;
use super::manager::Manager;
use super::names::{self, Scope};
use super::{Property, device_list, properties, property, text, yes};
use crate::cgroup::Version;
use crate::dbus::Value;
use oci_spec::runtime::LinuxResources;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Whose systemd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// The machine's.
    System,
    /// The calling user's own, without root.
    User,
}

/// A scope that is there, or was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Its name.
    pub name: String,
    /// Whose systemd made it.
    pub owner: Owner,
}

impl Unit {
    /// Stops it, and has it forgotten. One that is not there is good: a scope goes by itself when its last process
    /// ends, unless that was for want of memory.
    ///
    /// # Errors
    /// No systemd, or what it refuses.
    pub fn remove(&self) -> Result<(), SystemdError> {
        Manager::reach(self.owner)?.stop(&self.name)
    }

    /// Has its failure forgotten, if it failed: systemd keeps one whose processes were killed for want of memory. One
    /// that runs stays.
    ///
    /// # Errors
    /// No systemd, or what it refuses.
    pub fn forget(&self) -> Result<(), SystemdError> {
        Manager::reach(self.owner)?.forget(&self.name)
    }

    /// Changes limits: those of a plan for what [`rounded`] gave.
    ///
    /// # Errors
    /// No systemd, or what it refuses.
    pub(in super::super) fn update(&self, writes: &[Write]) -> Result<(), SystemdError> {
        let mut manager = Manager::reach(self.owner)?;
        let properties = properties::of_writes(writes, manager.version)?;
        if properties.is_empty() { Ok(()) } else { manager.set(&self.name, &properties) }
    }

    /// Moves a process into it that may not be moved by the caller.
    ///
    /// # Errors
    /// No systemd, or what it refuses.
    pub(in super::super) fn attach(&self, pid: i32) -> Result<(), SystemdError> {
        Manager::reach(self.owner)?.attach(&self.name, pid.unsigned_abs())
    }
}

/// The limits as both drivers keep them.
pub(in super::super) fn rounded(resources: &LinuxResources) -> LinuxResources {
    properties::round_quota(resources)
}

/// A scope that can be started: systemd has been reached, and says where its groups are.
#[derive(Debug)]
pub(crate) struct Starting {
    manager: Manager,
    scope: Scope,
}

impl Starting {
    pub(in super::super) fn new(manager: Manager, scope: &Scope) -> Self {
        Self { manager, scope: scope.clone() }
    }

    /// The scope's group below each hierarchy's root.
    pub(in super::super) fn path(&self) -> PathBuf {
        names::below(&self.manager.group, &self.scope.path)
    }

    /// What it will be.
    pub(in super::super) fn unit(&self) -> Unit {
        Unit { name: self.scope.unit.clone(), owner: self.scope.owner }
    }

    /// Starts it around a process, with limits from the first moment.
    pub(in super::super) fn start(
        &mut self,
        pid: i32,
        version: Version,
        limits: &Limits<'_>,
    ) -> Result<(), SystemdError> {
        let properties = properties_of(&self.scope, pid, version, self.manager.version, limits)?;
        self.manager.start(&self.scope.unit, &properties)
    }
}

/// What a scope is started with.
#[derive(Debug, Default)]
pub(in super::super) struct Limits<'a> {
    pub(in super::super) resources: Option<&'a LinuxResources>,
    pub(in super::super) writes: &'a [Write],
    /// None: devices are not restricted.
    pub(in super::super) devices: Option<&'a [Rule]>,
}

fn properties_of(
    scope: &Scope,
    pid: i32,
    version: Version,
    systemd: u32,
    limits: &Limits<'_>,
) -> Result<Vec<Property>, SystemdError> {
    let mut all = vec![
        text("Description", &format!("brig container {}", scope.name)),
        text("Slice", &scope.slice),
        yes("Delegate"),
        property("PIDs", Value::Array("u".into(), vec![Value::U32(pid.unsigned_abs())])),
        yes("MemoryAccounting"),
        yes("CPUAccounting"),
        yes(if version == Version::V2 { "IOAccounting" } else { "BlockIOAccounting" }),
        yes("TasksAccounting"),
        property("DefaultDependencies", Value::Bool(false)),
    ];
    // Before the limits, which a bundle can't loosen by naming them twice.
    all.extend(scope.properties.iter().cloned());
    all.extend(properties::at_start(limits.resources, systemd));
    all.extend(limits.devices.into_iter().flat_map(|rules| device_list::properties(rules, version, systemd)));
    all.extend(properties::of_writes(limits.writes, systemd)?);
    Ok(all)
}
