//! Mounts whose files are shown as belonging to others. Only who has rights over a file system may do that, which the
//! container's process has lost when it has a user namespace: so the mounts are made before it, detached, and attached
//! by it.

use crate::channel;
use crate::clone::{self, Side};
use crate::error::{Errno, Error};
use crate::id_maps;
use crate::mountfd::{self, Depth, Detached};
use crate::plan::Plan;
use crate::plan::idmap::IdMaps;
use crate::plan::mount::{Idmap, MountKind, MountPlan};
use crate::process;
use oci_spec::runtime::LinuxNamespaceType::User;
use rustix::fs::{Mode, OFlags};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Makes all id-mapped mounts of a plan, by their place in it.
pub(crate) fn prepare(plan: &Plan) -> Result<BTreeMap<usize, Detached>, Error> {
    let mut made = BTreeMap::new();
    let mut namespaces = Namespaces { plan, known: Vec::new() };
    for (index, mount) in plan.mounts.iter().enumerate() {
        if let (Some(idmap), MountKind::Bind(depth)) = (&mount.idmap, &mount.kind) {
            let users = namespaces.of(mount, idmap)?;
            made.insert(index, make(plan, mount, *depth, idmap.depth, users)?);
        }
    }
    Ok(made)
}

fn make(
    plan: &Plan,
    mount: &MountPlan,
    depth: Depth,
    mapped: Depth,
    users: BorrowedFd<'_>,
) -> Result<Detached, Error> {
    let failed = |step: &str, errno: Errno| Error::Mount {
        source_path: mount.source.clone(),
        target: mount.target.to_string_lossy().into_owned(),
        reason: format!("{step}: {errno}"),
        errno,
    };
    let clone = mount.clone_source(depth).map_err(|e| failed("bind source", e))?;
    // It comes from the caller's mount namespace, and is cut off that one as all others are.
    mountfd::propagate(clone.as_fd(), plan.propagation, Depth::Recursive)
        .map_err(|e| failed("set propagation", e))?;
    mountfd::idmap(clone.as_fd(), users, mapped).map_err(|e| match e {
        Errno(libc::EINVAL) => failed("map ids of the mount (its file system may not support that)", e),
        Errno(libc::EPERM) => failed("map ids of the mount (which takes root on the machine)", e),
        e => failed("map ids of the mount", e),
    })?;
    Ok(clone)
}

/// User namespaces that ids are taken from.
struct Namespaces<'a> {
    plan: &'a Plan,
    known: Vec<(IdMaps, OwnedFd)>,
}

impl Namespaces<'_> {
    fn of(&mut self, mount: &MountPlan, idmap: &Idmap) -> Result<BorrowedFd<'_>, Error> {
        let own = &self.plan.namespaces;
        let maps = match (&idmap.maps, own.joined(User), &own.ids) {
            (Some(maps), _, _) => maps,
            (None, Some(joined), _) => return Ok(joined.as_fd()),
            (None, None, Some(maps)) => maps,
            (None, None, None) => {
                return Err(Error::Spec(format!(
                    "mount {}: idmap without uidMappings and gidMappings takes a user namespace to have them from",
                    mount.target.display()
                )));
            }
        };
        let index = match self.known.iter().position(|(known, _)| known == maps) {
            Some(index) => index,
            None => {
                self.known.push((maps.clone(), user_namespace(maps)?));
                self.known.len() - 1
            }
        };
        Ok(self.known[index].1.as_fd())
    }
}

/// A user namespace that nobody is in, to say by it which id is which.
fn user_namespace(maps: &IdMaps) -> Result<OwnedFd, Error> {
    let (ours, theirs) = channel::pair()?;
    let child = match clone::clone(libc::CLONE_NEWUSER as u64, None)? {
        Side::Parent(child) => child,
        Side::Child => {
            drop(ours);
            // Ends when it is killed, or when the parent is gone.
            let _ = theirs.await_order();
            process::exit(0)
        }
    };
    drop(theirs);
    id_maps::write(child.pid(), maps)?;
    let path = format!("/proc/{}/ns/user", child.pid());
    rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| Error::path("open", path, e))
}
