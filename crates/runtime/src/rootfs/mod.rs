//! Building a container's root file system, in the child's own mount namespace, before anything of the
//! container runs. Nothing here is ever seen by the host.

mod cgroup_mounts;
mod copy_up;
mod devices;
mod hidden;
mod mounts;
mod overlay;
mod pivot;
mod sources;

pub(crate) use cgroup_mounts::CgroupView;

use crate::error::{Errno, Error};
use crate::inroot::Root;
use crate::mountfd::{self, Change, Depth, Detached, attr};
use crate::plan::Plan;
use crate::terminal::Terminal;
use brig_core::RootFs;
use mounts::Mounted;
use rustix::fs::{CWD, Mode, OFlags, openat};
use sources::Sources;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// A root file system that is ready to be entered.
#[derive(Debug)]
pub(crate) struct Built {
    /// Its root folder, which is the root of a mount.
    root: Root,
    /// The container's terminal, when it has one.
    pub(crate) terminal: Option<Terminal>,
    /// Whether the plan's sysctls are in force.
    pub(crate) sysctls_set: bool,
}

/// What building needs from outside, and gives to outside.
pub(crate) trait Site {
    /// Called before anything that depends on the network namespace: waits until the process is in its own.
    fn settle_network(&mut self) -> Result<(), Error>;
    /// Called before anything that depends on the cgroup that the process is in: waits until it is in its own, and
    /// enters its cgroup namespace. Answers where the cgroup was before the namespace hid it.
    fn settle_cgroup(&mut self) -> Result<&CgroupView, Error>;
    /// Something was left out.
    fn warn(&mut self, warning: String);
}

/// What is done first, by who the calling process was before it became the root of a user namespace.
pub(crate) struct Begun {
    root: Root,
    sources: Sources,
}

/// Begins it: the root mount and, in a user namespace, the sources of bind mounts, which may lie in folders that are
/// closed to all but the machine's root.
pub(crate) fn begin(plan: &Plan, rootfs: &RootFs) -> Result<Begun, Error> {
    set_propagation(plan, rootfs)?;
    let sources = match plan.owners() {
        None => Sources::default(),
        Some(_) => Sources::gather(plan),
    };
    Ok(Begun { root: Root::new(mount_root(rootfs)?), sources })
}

/// Builds it: mounts of the spec, devices, terminal, hidden and read-only paths.
pub(crate) fn build(plan: &Plan, begun: Begun, site: &mut dyn Site) -> Result<Built, Error> {
    let Begun { root, sources } = begun;
    let Mounted { late_read_only, proc, kernel } = mounts::mount_all(plan, &root, sources, site)?;
    site.settle_network()?;
    let sysctls_set = match proc {
        // The interfaces that sysctls are for may be made by hooks, or come later.
        Some(proc) if !plan.has_create_hooks() && plan.net_devices.is_empty() => {
            plan.write_sysctls(&proc)?;
            true
        }
        _ => plan.sysctls.is_empty(),
    };
    if plan.fills_dev() {
        devices::make_all(plan, &root)?;
    }
    let terminal = match plan.process.terminal {
        false => None,
        true => {
            let terminal = Terminal::open(&root, plan.process.console_size)?;
            terminal.mount_console(&root)?;
            Some(terminal)
        }
    };
    let places = hidden::Places { root: &root, kernel: &kernel };
    hidden::make_read_only(&plan.read_only, &places)?;
    hidden::mask(&plan.masked, &places)?;
    for mount in late_read_only {
        let read_only = Change { set: attr::RDONLY, clear: 0 };
        mountfd::change(mount.as_fd(), read_only, Depth::Top)
            .map_err(|e| Error::step("make a tmpfs read-only", e))?;
    }
    Ok(Built { root, terminal, sysctls_set })
}

impl Built {
    /// Makes it the root of the calling process and lets go of the host's.
    pub(crate) fn enter(self, plan: &Plan) -> Result<(Root, Option<Terminal>), Error> {
        match plan.process.departures.no_pivot {
            false => pivot::pivot(&self.root)?,
            true => pivot::move_over(&self.root)?,
        }
        // What is not there is no use: without /proc and the like inside, mkdir has to come before read-only.
        if let Some(propagation) = plan.root_propagation {
            mountfd::propagate(self.root.as_fd(), propagation, Depth::Top)
                .map_err(|e| Error::step("set the propagation of the root", e))?;
        }
        Ok((self.root, self.terminal))
    }
}

/// Cuts the mount namespace off the host's, as far as the spec wants.
fn set_propagation(plan: &Plan, rootfs: &RootFs) -> Result<(), Error> {
    let failed = |e: Errno| Error::step("set the propagation of mounts", e);
    if plan.propagation != libc::MS_SHARED {
        let host =
            openat(CWD, "/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(|e| failed(e.into()))?;
        return mountfd::propagate(host.as_fd(), plan.propagation, Depth::Recursive).map_err(failed);
    }
    // Mounts stay peers of the host's, so that a shared bind mount is shared with it. But the mount that the root
    // is attached to must not be one, or the host would see the container's root.
    let below = mount_point(rootfs);
    let point = pivot::mount_point_of(below)?;
    let mount = openat(CWD, &point, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| Error::path("open", &point, e))?;
    mountfd::propagate(mount.as_fd(), libc::MS_PRIVATE, Depth::Top).map_err(failed)
}

/// A folder of the host that is covered by the root in the container's mount namespace.
fn mount_point(rootfs: &RootFs) -> &Path {
    match rootfs {
        // overlayfs never looks at this path again, and nobody binds anything from there.
        RootFs::Overlay { work, .. } => work,
        RootFs::Directory { path } => path,
    }
}

/// Mounts a root file system, and attaches it where it is in nobody's way; answers its root.
pub(crate) fn mount_root(rootfs: &RootFs) -> Result<OwnedFd, Error> {
    let place = mount_point(rootfs);
    let failed = |e: Errno| Error::path("mount the root file system to", place, e);
    let mount = match rootfs {
        RootFs::Overlay { lower, upper, work, volatile } => {
            match overlay::mount(lower, upper, work, *volatile)? {
                overlay::Mounted::Detached(mount) => mount,
                overlay::Mounted::At(root) => return Ok(root),
            }
        }
        RootFs::Directory { path } => {
            let clone = Detached::clone_path(path, Depth::Recursive).map_err(failed)?;
            // Whatever its propagation was: mounts made in the container must not show in the host's folder.
            mountfd::propagate(clone.as_fd(), libc::MS_PRIVATE, Depth::Recursive).map_err(failed)?;
            clone
        }
    };
    let target = openat(CWD, place, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let target = target.map_err(|e| failed(e.into()))?;
    mount.attach(target.as_fd()).map_err(failed)?;
    Ok(mount.into_fd())
}
