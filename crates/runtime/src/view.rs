//! A container's files for a process outside of it: to copy in and out, to export.
//!
//! Nothing of a container is executed and no process enters it. A thread of the caller's joins the mount namespace
//! alone, and keeps the host's root as its own root and working folder: an absolute path of the caller's own, such
//! as `/proc/self/fd`, never leads to what a container has put there (CVE-2019-14271). What is in the container is
//! reached from the descriptor of its root, by `openat2(RESOLVE_IN_ROOT)` (CVE-2018-15664). That the thread is in
//! the namespace keeps the kernel's care for mount points: what is mounted over can't be removed.
//!
//! The namespace of a container that does not run is made for it, with its layers and what would be mounted, and
//! goes when the [`View`] does, or the process.

use crate::clone::{set_namespace, unshare};
use crate::error::{Errno, Error};
use crate::inroot::{self, Links, Node, Root};
use crate::mountfd::{self, Change, Depth, Detached, attr};
use crate::rootfs;
use brig_core::RootFs;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::{chroot, fchdir};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread;

/// A mount namespace and a root in it. Both live as long as this does.
#[derive(Debug)]
pub struct View {
    namespace: OwnedFd,
    root: OwnedFd,
}

/// What of a running container is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All that it sees itself.
    Everything,
    /// Its root file system as if nothing were mounted in it.
    RootOnly,
}

/// Something of the host that is mounted in a container that does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewMount {
    /// What.
    pub source: PathBuf,
    /// What in it: a path that never leads out of it.
    pub beneath: Option<PathBuf>,
    /// Where in the container.
    pub target: PathBuf,
    /// Nothing can be written there.
    pub read_only: bool,
    /// With what is mounted below the source.
    pub recursive: bool,
}

impl View {
    /// Looks into the mount namespace of a running container, as opened from `/proc/<pid>/ns/mnt`.
    ///
    /// # Errors
    /// Without the rights to enter it.
    pub fn of_namespace(namespace: OwnedFd, scope: Scope) -> Result<Self, Error> {
        let root = apart(|| {
            set_namespace(namespace.as_fd(), libc::CLONE_NEWNS)
                .map_err(|e| Error::step("join the container's mount namespace", e))?;
            match scope {
                Scope::Everything => open("/"),
                Scope::RootOnly => Detached::clone_path(Path::new("/"), Depth::Top)
                    .map(Detached::into_fd)
                    .map_err(|e| Error::step("clone the container's root", e)),
            }
        })?;
        Ok(Self { namespace, root })
    }

    /// Mounts the layers of a container that does not run, and what is mounted in it; parents before what lies in
    /// them. Mount points that are missing are made. Nobody else may mount the layers meanwhile.
    ///
    /// # Errors
    /// When something can't be mounted.
    pub fn of_layers(layers: &RootFs, mounts: &[ViewMount], read_only: bool) -> Result<Self, Error> {
        // The host's mounts as they are here, before there is a copy of them.
        let mut sources = Vec::with_capacity(mounts.len());
        for mount in mounts {
            let depth = if mount.recursive { Depth::Recursive } else { Depth::Top };
            let source = match &mount.beneath {
                Some(inner) => Detached::clone_beneath(&mount.source, inner, depth),
                None => Detached::clone_path(&mount.source, depth),
            };
            let source = source.map_err(|e| Error::path("mount", &mount.source, e))?;
            sources.push((mount, source));
        }
        let (namespace, root) = apart(|| {
            unshare(libc::CLONE_NEWNS).map_err(|e| Error::step("make a mount namespace", e))?;
            let host = open("/")?;
            // What the host unmounts goes here too; nothing that is mounted here shows there.
            mountfd::propagate(host.as_fd(), libc::MS_SLAVE, Depth::Recursive)
                .map_err(|e| Error::step("set the propagation of mounts", e))?;
            let namespace =
                openat(CWD, "/proc/thread-self/ns/mnt", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                    .map_err(|e| Error::step("open the mount namespace", Errno::from(e)))?;
            let root = Root::new(rootfs::mount_root(layers)?);
            for (mount, source) in &sources {
                attach(&root, mount, source)?;
            }
            if read_only {
                mountfd::change(root.as_fd(), Change { set: attr::RDONLY, clear: 0 }, Depth::Top)
                    .map_err(|e| Error::step("make the root read-only", e))?;
            }
            Ok((namespace, root.into_fd()))
        })?;
        Ok(Self { namespace, root })
    }

    /// Does `work` on a thread that is in the namespace, with a descriptor of the container's root. Absolute paths mean
    /// the host's there.
    ///
    /// # Errors
    /// When the namespace can't be joined.
    pub fn enter<T: Send>(&self, work: impl FnOnce(BorrowedFd<'_>) -> T + Send) -> Result<T, Error> {
        apart(|| {
            let host = open("/")?;
            let failed = |step| move |e: rustix::io::Errno| Error::step(step, Errno::from(e));
            set_namespace(self.namespace.as_fd(), libc::CLONE_NEWNS)
                .map_err(|e| Error::step("join the container's mount namespace", e))?;
            fchdir(&host).map_err(failed("go back to the host's root"))?;
            chroot(".").map_err(failed("keep the host's root"))?;
            Ok(work(self.root.as_fd()))
        })
    }
}

fn open(path: &str) -> Result<OwnedFd, Error> {
    openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| Error::path("open", path, Errno::from(e)))
}

fn attach(root: &Root, mount: &ViewMount, source: &Detached) -> Result<(), Error> {
    let failed = |e: Errno| Error::path("mount", &mount.target, e);
    let is_folder = inroot::is_folder(source.as_fd()).map_err(failed)?;
    let node = if is_folder { Node::Folder } else { Node::File };
    mountfd::propagate(source.as_fd(), libc::MS_PRIVATE, Depth::Recursive).map_err(failed)?;
    let target = root.make(&mount.target, node, Links::Follow).map_err(failed)?;
    if mount.read_only {
        let read_only = Change { set: attr::RDONLY, clear: 0 };
        mountfd::change(source.as_fd(), read_only, Depth::Recursive).map_err(failed)?;
    }
    source.attach(target.as_fd()).map_err(failed)
}

/// Does `work` on a thread of its own, whose root and working folder nobody else shares.
fn apart<T: Send>(work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    thread::scope(|scope| {
        let spawned = thread::Builder::new().name("view".to_owned()).spawn_scoped(scope, || {
            unshare(libc::CLONE_FS).map_err(|e| Error::step("have a root of its own", e))?;
            work()
        });
        match spawned.map_err(|e| Error::step("start a thread", Errno::from(e)))?.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Read;

    fn read(root: BorrowedFd<'_>, path: &str) -> String {
        let root = Root::new(root.try_clone_to_owned().unwrap());
        let file = root.open(Path::new(path), OFlags::RDONLY, Links::Follow).unwrap();
        let mut text = String::new();
        fs::File::from(file).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn layers_and_mounts_are_seen_by_nobody_else_and_go_with_the_view() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let [lower, upper, work, volume] = ["lower", "upper", "work", "volume"].map(|name| {
            let path = dir.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        });
        fs::write(lower.join("file"), "lower").unwrap();
        fs::write(volume.join("inside"), "volume").unwrap();
        let layers =
            RootFs::Overlay { lower: vec![lower.clone()], upper: upper.clone(), work, volatile: false };
        let mount = ViewMount {
            source: volume.clone(),
            beneath: None,
            target: "/data/here".into(),
            read_only: true,
            recursive: true,
        };
        let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let view = View::of_layers(&layers, &[mount], false).unwrap();
        let own = fs::canonicalize("/proc/self").unwrap();
        view.enter(|root| {
            assert_eq!(read(root, "/file"), "lower");
            assert_eq!(read(root, "/data/here/inside"), "volume");
            assert_eq!(fs::canonicalize("/proc/self").unwrap(), own, "absolute paths are the host's");
            let create = OFlags::WRONLY | OFlags::CREATE;
            let in_volume = openat(root, "data/here/new", create, Mode::RUSR).unwrap_err();
            assert_eq!(in_volume, rustix::io::Errno::ROFS);
            let mount_point = rustix::fs::unlinkat(root, "data/here", rustix::fs::AtFlags::REMOVEDIR);
            assert_eq!(mount_point, Err(rustix::io::Errno::BUSY));
            openat(root, "new", create, Mode::RUSR).unwrap();
        })
        .unwrap();
        assert!(upper.join("new").exists() && upper.join("data/here").is_dir());
        assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), before);
        drop(view);
        let read_only = View::of_layers(&layers, &[], true).unwrap();
        let refused =
            read_only.enter(|root| openat(root, "x", OFlags::WRONLY | OFlags::CREATE, Mode::RUSR).err());
        assert_eq!(refused.unwrap(), Some(rustix::io::Errno::ROFS));
        drop(read_only);
        fs::remove_dir_all(dir.path()).unwrap();
    }
}
