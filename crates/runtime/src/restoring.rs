//! What CRIU needs of a runtime to put a container back: a root that is a mount, in a mount namespace that is nobody
//! else's, and something at every mount point.

use crate::clone::unshare;
use crate::error::{Errno, Error};
use crate::inroot::{Links, Node, Root};
use crate::mountfd::{self, Depth, Detached};
use crate::plan::mount::{MountKind, MountPlan};
use oci_spec::runtime::Spec;
use rustix::fs::{CWD, Mode, OFlags, openat};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// Starts a program in a mount namespace of its own, in which `root` is the root of a mount.
///
/// The calling process must have one thread.
///
/// # Errors
/// What [`Command::spawn`] says; without CAP_SYS_ADMIN.
pub fn spawn_apart(command: &mut Command, root: &Path) -> std::io::Result<Child> {
    let root = root.to_owned();
    let work = move || enter(&root).map_err(|errno| std::io::Error::from_raw_os_error(errno.0));
    // SAFETY: the caller has one thread, so that no lock is held in the child which it would wait for.
    unsafe { command.pre_exec(work) };
    command.spawn()
}

fn enter(root: &Path) -> Result<(), Errno> {
    let open = |path: &Path| openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    unshare(libc::CLONE_NEWNS)?;
    mountfd::propagate(open(Path::new("/"))?.as_fd(), libc::MS_SLAVE, Depth::Recursive)?;
    let clone = Detached::clone_path(root, Depth::Recursive)?;
    mountfd::propagate(clone.as_fd(), libc::MS_PRIVATE, Depth::Recursive)?;
    clone.attach(open(root)?.as_fd())
}

/// Makes the mount points of a spec that are not there and lie in no other mount of it.
///
/// # Errors
/// A malformed mount; what the file system says.
pub fn make_mount_points(spec: &Spec, rootfs: &Path) -> Result<(), Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, rootfs, flags, Mode::empty()).map_err(|e| Error::path("open", rootfs, e))?;
    let root = Root::new(root);
    let mut covered: Vec<PathBuf> = Vec::new();
    for mount in spec.mounts().iter().flatten() {
        let mount = MountPlan::new(mount)?;
        if covered.iter().any(|above| mount.target.starts_with(above)) {
            continue;
        }
        let node = match &mount.kind {
            MountKind::Bind(_) if !Path::new(&mount.source).is_dir() => Node::File,
            _ => Node::Folder,
        };
        root.make(&mount.target, node, Links::Follow)
            .map_err(|e| Error::path("make mount point", &mount.target, e))?;
        covered.push(mount.target);
    }
    Ok(())
}
