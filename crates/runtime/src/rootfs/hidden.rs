//! Paths that a container must not see or not write.
//!
//! A masked file is covered by `/dev/null`, and only by a real one: an image or a racing container that puts
//! something else there would have it bind-mounted over, say, a sysctl, with rights to write (CVE-2025-31133).

use crate::error::{Errno, Error};
use crate::inroot::{Links, Root, is_device, is_folder};
use crate::mountfd::{self, Change, Depth, Detached, Setting, attr};
use rustix::fs::OFlags;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Where paths are looked for.
pub(super) struct Places<'a> {
    /// The root.
    pub(super) root: &'a Root,
    /// What shows the kernel, by where it was mounted.
    pub(super) kernel: &'a [(PathBuf, Root)],
}

impl Places<'_> {
    /// What is at a path: in what was mounted to show the kernel, whatever its name is by now, else in the root.
    fn find(&self, path: &Path) -> Result<Option<OwnedFd>, Errno> {
        // The last one covers those before it.
        let mut mounts = self.kernel.iter().rev();
        let found = match mounts.find_map(|(place, mount)| Some((path.strip_prefix(place).ok()?, mount))) {
            Some((below, mount)) => mount.resolve(below),
            None => self.root.resolve(path),
        };
        match found {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno(libc::ENOENT | libc::ENOTDIR)) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// Makes paths read-only, each with what is mounted below seen as it is; those that are not there are passed over.
pub(super) fn make_read_only(paths: &[PathBuf], places: &Places<'_>) -> Result<(), Error> {
    for path in paths {
        let failed = |e: Errno| Error::path("make read-only", path, e);
        let Some(target) = places.find(path).map_err(failed)? else { continue };
        let clone = Detached::clone_fd(target.as_fd(), Depth::Recursive).map_err(failed)?;
        mountfd::change(clone.as_fd(), Change { set: attr::RDONLY, clear: 0 }, Depth::Top).map_err(failed)?;
        clone.attach(target.as_fd()).map_err(failed)?;
    }
    Ok(())
}

/// Covers files by `/dev/null` and folders by an empty, read-only tmpfs; those that are not there are passed over.
pub(super) fn mask(paths: &[PathBuf], places: &Places<'_>) -> Result<(), Error> {
    let mut null: Option<OwnedFd> = None;
    let mut empty: Option<OwnedFd> = None;
    for path in paths {
        let failed = |e: Errno| Error::path("mask", path, e);
        let Some(target) = places.find(path).map_err(failed)? else { continue };
        let cover = if is_folder(target.as_fd()).map_err(failed)? {
            cover_folder(&mut empty).map_err(failed)?
        } else {
            let source = match &null {
                Some(fd) => fd,
                None => null.insert(real_null(places.root)?),
            };
            let clone = Detached::clone_fd(source.as_fd(), Depth::Top).map_err(failed)?;
            check_null(&clone)?;
            // The node is the container's /dev/null itself: its mode must not be changed through here.
            let bits = Change { set: attr::RDONLY | attr::NOSUID | attr::NOEXEC, clear: 0 };
            mountfd::change(clone.as_fd(), bits, Depth::Top).map_err(failed)?;
            clone
        };
        cover.attach(target.as_fd()).map_err(failed)?;
        if !is_folder(cover.as_fd()).map_err(failed)? {
            check_null(&cover)?;
        } else if empty.is_none() {
            // Attached, it can be cloned for the next folder.
            empty = Some(cover.into_fd());
        }
    }
    Ok(())
}

fn cover_folder(empty: &mut Option<OwnedFd>) -> Result<Detached, Errno> {
    if let Some(known) = empty {
        return Detached::clone_fd(known.as_fd(), Depth::Top);
    }
    let text = |key: &str, value: &str| Setting::Text(key.into(), value.into());
    let settings = [text("nr_blocks", "1"), text("nr_inodes", "1"), text("mode", "755")];
    let bits = attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC;
    Detached::filesystem("tmpfs", "tmpfs", &settings, bits).map_err(|failure| failure.errno)
}

fn real_null(root: &Root) -> Result<OwnedFd, Error> {
    let path = Path::new("/dev/null");
    let null = root.open(path, OFlags::PATH, Links::Refuse).map_err(|e| Error::path("open", path, e))?;
    check_null(&null)?;
    Ok(null)
}

fn check_null(fd: &impl AsFd) -> Result<(), Error> {
    match is_device(fd.as_fd(), 1, 3) {
        Ok(true) => Ok(()),
        Ok(false) => {
            Err(Error::Breakout { what: "is not the null device:".into(), path: "/dev/null".into() })
        }
        Err(e) => Err(Error::path("stat", "/dev/null", e)),
    }
}
