//! Who the process is: user, groups, capabilities, and that it can't become more.

use crate::capabilities::{self, CapabilitySet, ProcessCapabilities};
use crate::error::{Errno, Error};
use crate::plan::process::ProcessPlan;
use rustix::fs::{Gid, Uid};
use rustix::thread::{
    set_keep_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

/// Becomes somebody that the user namespace knows, so that what is made belongs to somebody: the first of `owners`
/// (user and group) who is mapped. Until then the process is who it was outside, with the rights of the namespace's
/// root.
pub(crate) fn become_owner(owners: [(u32, u32); 2]) -> Result<(), Error> {
    use rustix::io::Errno;
    match set_thread_groups(&[]) {
        // Denied where a user has mapped a single group: those of the user stay.
        Ok(()) | Err(Errno::PERM) => {}
        Err(e) => return Err(Error::step("give up additional groups", e)),
    }
    let mut refused = None;
    for (uid, gid) in owners {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        let set = set_thread_res_gid(gid, gid, gid).and_then(|()| set_thread_res_uid(uid, uid, uid));
        match set {
            Ok(()) => return Ok(()),
            Err(Errno::INVAL) => refused = Some(Errno::INVAL),
            Err(e) => return Err(Error::step("become root of the user namespace", e)),
        }
    }
    let reason = "become root of the user namespace (neither it nor the program's user is mapped)";
    Err(Error::step(reason, refused.unwrap_or(Errno::INVAL)))
}

/// What is put into force at the very end: seccomp without `no_new_privs` takes a capability that the program must
/// not have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Final {
    /// The program's sets.
    pub(super) sets: ProcessCapabilities,
    /// The sets that load the filter; `None` when the program's are in force already.
    pub(super) to_load: Option<ProcessCapabilities>,
    /// The kernel's highest capability.
    pub(super) last: u32,
}

/// Becomes the user of the plan. A warning names capabilities that could not be had.
pub(super) fn assume(process: &ProcessPlan) -> Result<(Final, Option<String>), Error> {
    let failed = |step: &'static str| move |e: rustix::io::Errno| Error::step(step, e);
    let last = capabilities::last();
    let own = capabilities::permitted().map_err(failed("read own capabilities"))?;
    let (sets, warning) = process.capabilities.limit(own);
    if process.no_new_privileges {
        set_no_new_privs(true).map_err(failed("set no_new_privs"))?;
    }
    sets.apply_bounding(last).map_err(failed("drop capabilities from the bounding set"))?;
    set_keep_capabilities(true).map_err(failed("keep capabilities"))?;
    let groups: Vec<Gid> = process.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    let (uid, gid) = (Uid::from_raw(process.uid), Gid::from_raw(process.gid));
    match set_thread_groups(&groups) {
        Ok(()) => {}
        Err(rustix::io::Errno::PERM) if process.in_user_namespace && groups.is_empty() => {}
        Err(e @ rustix::io::Errno::PERM) if process.in_user_namespace => {
            return Err(Error::Namespace(format!(
                "set additional groups: {}: a user namespace of a single group denies them; leave additionalGids out, \
                 or map several groups",
                Errno::from(e)
            )));
        }
        Err(e) => return Err(Error::step("set additional groups", e)),
    }
    let unmapped = |what: &str, id: u32, e: rustix::io::Errno| match e {
        rustix::io::Errno::INVAL if process.in_user_namespace => {
            Error::step(format!("set {what} {id} (is it mapped in the container's user namespace?)"), e)
        }
        _ => Error::step(format!("set {what} {id}"), e),
    };
    set_thread_res_gid(gid, gid, gid).map_err(|e| unmapped("gid", process.gid, e))?;
    set_thread_res_uid(uid, uid, uid).map_err(|e| unmapped("uid", process.uid, e))?;
    let admin = CapabilitySet::named("SYS_ADMIN").unwrap_or(CapabilitySet::EMPTY);
    let needs_admin =
        process.seccomp.is_some() && !process.no_new_privileges && !sets.effective.contains(admin);
    if !needs_admin {
        sets.apply(last).map_err(failed("apply capabilities"))?;
        return Ok((Final { sets, to_load: None, last }, warning));
    }
    // What is looked up from here on is looked up with the program's rights: the extra one is there, not in force.
    // The change of user has taken the effective set away, and keeps the permitted one.
    let held = ProcessCapabilities {
        permitted: sets.permitted.union(admin.intersection(own)),
        ambient: CapabilitySet::EMPTY,
        ..sets
    };
    held.apply(last).map_err(failed("apply capabilities"))?;
    let to_load = ProcessCapabilities { effective: held.permitted, ..held };
    Ok((Final { sets, to_load: Some(to_load), last }, warning))
}

impl Final {
    /// Gets the right to load a filter, where it takes one.
    pub(super) fn before_filter(&self) -> Result<(), Errno> {
        self.to_load.map_or(Ok(()), |sets| sets.apply(self.last).map_err(Errno::from))
    }

    /// Puts the program's sets into force, under the filter.
    pub(super) fn after_filter(&self) -> Result<(), Errno> {
        match self.to_load {
            Some(_) => self.sets.apply(self.last).map_err(Errno::from),
            None => Ok(()),
        }
    }
}
