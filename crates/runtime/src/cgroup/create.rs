//! Making a group in every hierarchy.

use super::error::CgroupError;
use super::group::Group;
use super::hierarchy::{Controller, Hierarchies, Hierarchy, Version};
use rustix::fs::Mode;
use rustix::io::Errno;
use std::path::{Component, Path, PathBuf};

/// The path below a hierarchy's root that an OCI `cgroupsPath` means. A leading `/` is the hierarchy's root; a
/// relative path means the same to brig.
///
/// # Errors
/// A path that names the root itself or climbs.
pub(super) fn below_root(path: &Path) -> Result<PathBuf, CgroupError> {
    let mut below = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => below.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return Err(CgroupError::Path(path.to_owned())),
        }
    }
    if below.as_os_str().is_empty() { Err(CgroupError::Path(path.to_owned())) } else { Ok(below) }
}

/// What a group is that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    /// Left over, or somebody else's.
    Foreign,
    /// The container's: systemd has made it.
    Ours,
}

/// Makes the group (and its parents) in every hierarchy of a version. What was made is removed again on an error.
pub(super) fn make(
    hierarchies: &Hierarchies,
    version: Version,
    below: &Path,
    existing: Existing,
    warnings: &mut Vec<String>,
) -> Result<Vec<Group>, CgroupError> {
    let mut groups = Vec::with_capacity(hierarchies.all.len());
    for hierarchy in hierarchies.iter().filter(|hierarchy| hierarchy.version == version) {
        match make_one(hierarchy, below, existing) {
            Ok(group) => groups.push(group),
            // A hierarchy that we may not write (read-only in a container, say) is as good as a missing one: limits
            // that need it fail later, by name.
            Err(CgroupError::Io { errno, path, .. }) if is_denied(errno.0) => {
                warnings
                    .push(format!("cgroup hierarchy {} can't be used: {errno}", hierarchy.mount.display()));
                drop(path);
            }
            Err(error) => {
                remove_made(&groups);
                return Err(error);
            }
        }
    }
    Ok(groups)
}

fn is_denied(errno: i32) -> bool {
    [libc::EACCES, libc::EPERM, libc::EROFS].contains(&errno)
}

/// Undoes [`make`]; what is refused here is reported by the error that led here.
fn remove_made(groups: &[Group]) {
    for group in groups {
        let _ = group.remove();
    }
}

fn make_one(hierarchy: &Hierarchy, below: &Path, existing: Existing) -> Result<Group, CgroupError> {
    let path = hierarchy.mount.join(below);
    let failed = |errno: Errno| CgroupError::io("make cgroup", &path, errno);
    match rustix::fs::mkdir(&path, Mode::from_raw_mode(0o755)) {
        Ok(()) => {}
        Err(Errno::NOENT) => {
            make_parents(hierarchy, below).map_err(failed)?;
            rustix::fs::mkdir(&path, Mode::from_raw_mode(0o755)).map_err(failed)?;
        }
        Err(Errno::EXIST) if existing == Existing::Ours => {}
        // Left over from a crash, if nobody is in it.
        Err(Errno::EXIST) => {
            let group = Group::open(hierarchy, below).map_err(failed)?;
            if !group.pids()?.is_empty() {
                return Err(CgroupError::InUse(path));
            }
            // Its limits would stay in force.
            match group.remove() {
                Ok(()) => rustix::fs::mkdir(&path, Mode::from_raw_mode(0o755)).map_err(failed)?,
                // The tests' hierarchies are plain folders, which keep their files.
                Err(Errno::NOTEMPTY) if cfg!(test) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
        Err(errno) => return Err(failed(errno)),
    }
    let made = Group::open(hierarchy, below).map_err(failed).and_then(|group| {
        if hierarchy.controllers.contains(Controller::Cpuset) && hierarchy.version == Version::V1 {
            init_cpuset(hierarchy, below, &group).map_err(failed)?;
        }
        Ok(group)
    });
    if made.is_err() {
        let _ = rustix::fs::rmdir(&path);
    }
    made
}

/// The groups between the root and the group itself.
fn parents(below: &Path) -> impl Iterator<Item = PathBuf> {
    let mut parents: Vec<PathBuf> =
        below.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty()).map(Path::to_owned).collect();
    parents.reverse();
    parents.into_iter()
}

fn make_parents(hierarchy: &Hierarchy, below: &Path) -> Result<(), Errno> {
    for parent in parents(below) {
        match rustix::fs::mkdir(hierarchy.mount.join(&parent), Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Version 2: sees to it that a group has the controllers that its hierarchy has. Its parents may have no processes,
/// but they must hand their controllers down.
pub(super) fn hand_down_to(group: &Group, below: &Path) -> Result<(), CgroupError> {
    const FILE: &str = "cgroup.controllers";
    let has = group.read(FILE).map_err(|errno| CgroupError::io("read", &group.path.join(FILE), errno))?;
    if group.hierarchy.controllers != has.split_whitespace().filter_map(Controller::from_v2).collect() {
        hand_down(&group.hierarchy, below);
    }
    Ok(())
}

/// Lets the group's parents hand down every controller that they have. What a parent refuses (because processes are
/// in it, as in a container) shows when a limit is set and its file is not there.
fn hand_down(hierarchy: &Hierarchy, below: &Path) {
    for parent in std::iter::once(PathBuf::new()).chain(parents(below)) {
        let Ok(group) = Group::open(hierarchy, &parent) else { continue };
        let (Ok(has), Ok(gives)) = (group.read("cgroup.controllers"), group.read("cgroup.subtree_control"))
        else {
            continue;
        };
        let missing: Vec<String> = has
            .split_whitespace()
            .filter(|name| !gives.split_whitespace().any(|given| given == *name))
            .map(|name| format!("+{name}"))
            .collect();
        if missing.is_empty() || group.write("cgroup.subtree_control", &missing.join(" ")).is_ok() {
            continue;
        }
        // All or nothing is what the kernel does; one by one, those that can be had are.
        for name in &missing {
            let _ = group.write("cgroup.subtree_control", name);
        }
    }
}

/// Version 1: a fresh cpuset has no CPUs and no memory, and no process can enter it. It gets its parent's: the kernel
/// does so by itself where the parent says `cgroup.clone_children`, which brig's parents are made to say.
fn init_cpuset(hierarchy: &Hierarchy, below: &Path, group: &Group) -> Result<(), Errno> {
    const FILES: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];
    let is_empty = |group: &Group, file| Ok::<_, Errno>(group.read(file)?.trim().is_empty());
    if !is_empty(group, FILES[0])? && !is_empty(group, FILES[1])? {
        return Ok(());
    }
    let mut outer = Group::open(hierarchy, Path::new(""))?;
    for path in parents(below).chain(std::iter::once(below.to_owned())) {
        let inner = Group::open(hierarchy, &path)?;
        for file in FILES {
            if is_empty(&inner, file)? {
                inner.write(file, outer.read(file)?.trim())?;
            }
        }
        if path != below {
            // Only a way to be quicker the next time.
            let _ = inner.write("cgroup.clone_children", "1");
        }
        outer = inner;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_root() {
        for (path, expected) in [("/brig/x", "brig/x"), ("brig/x", "brig/x"), ("/a//b/./c/", "a/b/c")] {
            assert_eq!(below_root(Path::new(path)).unwrap(), Path::new(expected));
        }
        for path in ["", "/", ".", "..", "/../x", "a/../b", "/brig/.."] {
            let error = below_root(Path::new(path)).unwrap_err();
            assert!(matches!(error, CgroupError::Path(_)), "{path}");
        }
    }

    #[test]
    fn parents_come_from_the_outside_in() {
        let all: Vec<_> = parents(Path::new("a/b/c")).collect();
        assert_eq!(all, [PathBuf::from("a"), PathBuf::from("a/b")]);
        assert_eq!(parents(Path::new("a")).count(), 0);
    }
}
