//! A walk over a tree with two open folders at any depth: down by name, up by `..`.

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat},
    io::Errno,
};
use std::{
    ffi::{CStr, CString},
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

/// What a walk meets. Within a folder all nodes come before its subfolders.
pub(crate) enum Step<'a> {
    /// Anything but a folder.
    Node { dir: BorrowedFd<'a>, name: &'a CStr, stat: &'a Stat },
    /// A subfolder is about to be entered.
    Enter { dir: BorrowedFd<'a>, name: &'a CStr, stat: &'a Stat },
    /// A subfolder has been left.
    Leave { name: &'a CStr },
}

struct Level {
    name: CString,
    /// Subfolders of the parent that are still to come.
    pending: Vec<CString>,
    /// The parent's device and inode: `..` must lead back there.
    parent: (u64, u64),
}

/// Opens the root of a walk.
pub(crate) fn open(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Walks a tree. Fails with ESTALE when somebody moves a folder while the walk is in it.
pub(crate) fn walk(root: OwnedFd, visit: &mut dyn FnMut(Step<'_>) -> io::Result<()>) -> io::Result<()> {
    let mut here = root;
    let mut pending = scan(here.as_fd(), visit)?;
    let mut stack: Vec<Level> = Vec::new();
    loop {
        if let Some(name) = pending.pop() {
            let stat = match rustix::fs::statat(&here, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => continue,
                Err(e) => return Err(e.into()),
            };
            let child = match super::open_child(&here, &name) {
                Ok(child) => child,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(e),
            };
            let parent = identity(here.as_fd())?;
            visit(Step::Enter { dir: here.as_fd(), name: &name, stat: &stat })?;
            let inside = scan(child.as_fd(), visit)?;
            stack.push(Level { name, pending: std::mem::replace(&mut pending, inside), parent });
            here = child;
        } else if let Some(level) = stack.pop() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let up = rustix::fs::openat(&here, "..", flags, Mode::empty())?;
            if identity(up.as_fd())? != level.parent {
                return Err(Errno::STALE.into());
            }
            here = up;
            pending = level.pending;
            visit(Step::Leave { name: &level.name })?;
        } else {
            return Ok(());
        }
    }
}

/// A folder's device and inode.
pub(super) fn identity(fd: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
    let stat = rustix::fs::fstat(fd)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// Visits the nodes of one folder and answers its subfolders.
fn scan(dir: BorrowedFd<'_>, visit: &mut dyn FnMut(Step<'_>) -> io::Result<()>) -> io::Result<Vec<CString>> {
    let mut folders = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if entry.file_type() == FileType::Directory {
            folders.push(name.to_owned());
            continue;
        }
        let stat = match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => continue,
            Err(e) => return Err(e.into()),
        };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            folders.push(name.to_owned());
        } else {
            visit(Step::Node { dir, name, stat: &stat })?;
        }
    }
    Ok(folders)
}
