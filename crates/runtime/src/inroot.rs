//! Paths inside a container's root, resolved by the kernel so that nothing leads out of it.
//!
//! The image, a volume and other containers that share it may change any path at any moment (CVE-2021-30465). A
//! path is therefore resolved once, with `openat2(RESOLVE_IN_ROOT)`, into a descriptor, and everything after that
//! uses the descriptor.

use crate::error::Errno;
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, mkdirat, openat, openat2, readlinkat,
};
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Symlinks followed before a path counts as a loop, as the kernel does.
const MAX_LINKS: u32 = 40;
/// Attempts at a resolution that the kernel breaks off because something was renamed meanwhile.
const MAX_RETRIES: u32 = 128;

/// The root folder of a container.
#[derive(Debug)]
pub(crate) struct Root(OwnedFd);

/// What [`Root::make`] makes when nothing is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Node {
    /// A folder, mode 0755.
    Folder,
    /// An empty file, mode 0644 less the umask.
    File,
}

/// Whether symlinks in a path are followed (inside the root) or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    /// Followed, never out of the root.
    Follow,
    /// Refused with ELOOP, wherever in the path they are.
    Refuse,
}

impl Root {
    /// Takes a descriptor of the root folder.
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Gives the descriptor back.
    pub(crate) fn into_fd(self) -> OwnedFd {
        self.0
    }

    /// Opens a path inside the root with these flags; close-on-exec is added.
    pub(crate) fn open(&self, path: &Path, flags: OFlags, links: Links) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::IN_ROOT
            | ResolveFlags::NO_MAGICLINKS
            | match links {
                Links::Follow => ResolveFlags::empty(),
                Links::Refuse => ResolveFlags::NO_SYMLINKS,
            };
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        for _ in 0..MAX_RETRIES {
            match openat2(&self.0, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
                other => return Ok(other?),
            }
        }
        Err(Errno(libc::EAGAIN))
    }

    /// A path-only descriptor of what is at `path`, following symlinks inside the root.
    pub(crate) fn resolve(&self, path: &Path) -> Result<OwnedFd, Errno> {
        self.open(path, OFlags::PATH, Links::Follow)
    }

    /// A path-only descriptor of what is at `path`; when nothing is there, it and the folders above it are made.
    ///
    /// # Errors
    /// EEXIST-like races are settled by going on with what is there; a file where a folder is needed is ENOTDIR.
    pub(crate) fn make(&self, path: &Path, node: Node, links: Links) -> Result<OwnedFd, Errno> {
        match self.open(path, OFlags::PATH, links) {
            Err(Errno(libc::ENOENT)) => self.make_missing(path, node, links),
            other => other,
        }
    }

    /// The folder that holds `path`, made when missing, and the last component.
    pub(crate) fn make_parent<'p>(&self, path: &'p Path) -> Result<(OwnedFd, &'p OsStr), Errno> {
        let name = path.file_name().ok_or(Errno(libc::EINVAL))?;
        let parent = path.parent().unwrap_or(Path::new("/"));
        Ok((self.make(parent, Node::Folder, Links::Follow)?, name))
    }

    /// Walks component by component, each opened without following it, and makes what is missing.
    fn make_missing(&self, path: &Path, node: Node, links: Links) -> Result<OwnedFd, Errno> {
        let mut pending: VecDeque<OsString> = components(path);
        let mut here = PathBuf::new();
        let mut fd = self.open(Path::new("."), OFlags::PATH | OFlags::DIRECTORY, Links::Refuse)?;
        let mut links_left = MAX_LINKS;
        while let Some(name) = pending.pop_front() {
            if name == ".." {
                // Never relative to `fd`, which may have been moved: always from the root, which has no parent.
                here.pop();
                fd = self.open(&here, OFlags::PATH | OFlags::DIRECTORY, Links::Refuse)?;
                continue;
            }
            let last = pending.is_empty();
            let kind = if last { node } else { Node::Folder };
            let (next, stat) = open_or_make(fd.as_fd(), &name, kind)?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Symlink if links == Links::Refuse => return Err(Errno(libc::ELOOP)),
                FileType::Symlink => {
                    links_left = links_left.checked_sub(1).ok_or(Errno(libc::ELOOP))?;
                    let target = readlinkat(&next, c"", Vec::new())?;
                    let target = Path::new(OsStr::from_bytes(target.as_bytes())).to_owned();
                    if target.is_absolute() {
                        here.clear();
                        fd = self.open(Path::new("."), OFlags::PATH | OFlags::DIRECTORY, Links::Refuse)?;
                    }
                    for component in components(&target).into_iter().rev() {
                        pending.push_front(component);
                    }
                    if pending.is_empty() {
                        return Ok(fd);
                    }
                }
                FileType::Directory => {
                    here.push(&name);
                    fd = next;
                }
                _ if last => return Ok(next),
                _ => return Err(Errno(libc::ENOTDIR)),
            }
        }
        Ok(fd)
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Names and `..` of a path; the root and `.` mean nothing inside a root.
fn components(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|c| match c {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect()
}

/// Opens one name of a folder without following it; makes it first when it is not there.
fn open_or_make(folder: BorrowedFd<'_>, name: &OsStr, node: Node) -> Result<(OwnedFd, Stat), Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for _ in 0..MAX_RETRIES {
        match openat(folder, name, flags, Mode::empty()) {
            Ok(fd) => {
                let stat = fstat(&fd)?;
                return Ok((fd, stat));
            }
            Err(rustix::io::Errno::NOENT) => {}
            Err(e) => return Err(e.into()),
        }
        let made = match node {
            Node::Folder => mkdirat(folder, name, Mode::from_raw_mode(0o755)),
            Node::File => {
                let flags =
                    OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::WRONLY;
                openat(folder, name, flags, Mode::from_raw_mode(0o644)).map(drop)
            }
        };
        match made {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(Errno(libc::EAGAIN))
}

/// Whether `fd` is a folder.
pub(crate) fn is_folder(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    Ok(FileType::from_raw_mode(fstat(fd)?.st_mode) == FileType::Directory)
}

/// Whether `fd` is the character device `major:minor`.
pub(crate) fn is_device(fd: BorrowedFd<'_>, major: u32, minor: u32) -> Result<bool, Errno> {
    let stat = fstat(fd)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
        && stat.st_rdev == rustix::fs::makedev(major, minor))
}

/// `chown` of a descriptor, path-only ones too.
pub(crate) fn chown(fd: BorrowedFd<'_>, uid: u32, gid: u32) -> Result<(), Errno> {
    use rustix::fs::{Gid, Uid, chownat};
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    Ok(chownat(fd, c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::CWD;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    fn root(dir: &Path) -> Root {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Root::new(openat(CWD, dir, flags, Mode::empty()).unwrap())
    }

    fn same(fd: &OwnedFd, path: &Path) -> bool {
        fstat(fd).unwrap().st_ino == fs::symlink_metadata(path).unwrap().ino()
    }

    #[test]
    fn missing_folders_are_made_inside() {
        let dir = tempfile::tempdir().unwrap();
        let r = root(dir.path());
        let fd = r.make(Path::new("/a/b/c"), Node::Folder, Links::Follow).unwrap();
        assert!(same(&fd, &dir.path().join("a/b/c")));
        let fd = r.make(Path::new("/a/f"), Node::File, Links::Follow).unwrap();
        assert!(same(&fd, &dir.path().join("a/f")));
        assert!(same(&r.make(Path::new("/"), Node::Folder, Links::Follow).unwrap(), dir.path()));
    }

    #[test]
    fn links_that_point_out_end_inside() {
        let outside = tempfile::tempdir().unwrap();
        let dir = tempfile::tempdir().unwrap();
        symlink(outside.path(), dir.path().join("abs")).unwrap();
        symlink("../../../../../../etc", dir.path().join("up")).unwrap();
        symlink("/run/lock", dir.path().join("dangling")).unwrap();
        let r = root(dir.path());
        r.make(Path::new("/abs/x"), Node::Folder, Links::Follow).unwrap();
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0, "nothing made outside");
        let inside = dir.path().join(outside.path().strip_prefix("/").unwrap()).join("x");
        assert!(inside.is_dir());
        let fd = r.make(Path::new("/up/passwd"), Node::File, Links::Follow).unwrap();
        assert!(same(&fd, &dir.path().join("etc/passwd")));
        let fd = r.make(Path::new("/dangling"), Node::Folder, Links::Follow).unwrap();
        assert!(same(&fd, &dir.path().join("run/lock")));
    }

    #[test]
    fn a_dangling_link_to_a_file_is_made_where_it_points() {
        let dir = tempfile::tempdir().unwrap();
        symlink("/etc/real", dir.path().join("link")).unwrap();
        let fd = root(dir.path()).make(Path::new("/link"), Node::File, Links::Follow).unwrap();
        assert!(same(&fd, &dir.path().join("etc/real")));
    }

    #[test]
    fn loops_and_files_on_the_way_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        symlink("loop", dir.path().join("loop")).unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        let r = root(dir.path());
        let make = |p: &str, l| r.make(Path::new(p), Node::Folder, l).unwrap_err();
        assert_eq!(make("/loop/x", Links::Follow), Errno(libc::ELOOP));
        assert_eq!(make("/file/x", Links::Follow), Errno(libc::ENOTDIR));
        symlink("file", dir.path().join("link")).unwrap();
        assert_eq!(make("/link", Links::Refuse), Errno(libc::ELOOP));
        symlink("/nowhere", dir.path().join("dangling")).unwrap();
        assert_eq!(make("/dangling/x", Links::Refuse), Errno(libc::ELOOP));
    }

    #[test]
    fn parents_beyond_the_root_stay_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let r = root(dir.path());
        let fd = r.make(Path::new("/../../new/../other"), Node::Folder, Links::Follow).unwrap();
        assert!(same(&fd, &dir.path().join("other")));
    }
}
