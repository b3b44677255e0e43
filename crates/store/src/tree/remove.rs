//! Removing trees with two open folders at any depth, a bounded list of names a level however many there are, and few
//! system calls for what is small: a folder that is empty goes without being looked into.

use super::{open_child, walk};
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, RawDir, SeekFrom},
    io::Errno,
};
use std::{
    ffi::{CStr, CString, OsStr},
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

/// How much of a folder is read at once.
const ENTRIES: usize = 8 << 10;
/// How many folders that are not empty are remembered of one folder; it is read again when they are gone.
const FOLDERS: usize = 512;

/// Removes a file or a folder with all in it. Nothing happens when it is not there.
pub(crate) fn remove(dir: impl AsFd, name: &OsStr) -> io::Result<()> {
    let dir = dir.as_fd();
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(e) => return Err(e.into()),
    }
    remove_inside(open_child(dir, name)?)?;
    unlink(dir, name, AtFlags::REMOVEDIR)
}

/// Removes a file or a folder with all in it, of any depth, by its path. Nothing happens when it is not there.
/// `std::fs::remove_dir_all` is not for trees that containers wrote: it recurses, a container makes folders deeper than
/// any stack, and a daemon that overflows its stack is gone.
///
/// # Errors
/// What the file system says.
pub fn remove_path(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno::INVAL.into());
    };
    match walk::open(parent) {
        Ok(parent) => remove(&parent, name),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

/// A folder that was left for one in it.
struct Level {
    /// The one in it.
    name: CString,
    /// What else is in it.
    pending: Pending,
    /// Its device and inode: `..` must lead back there.
    identity: (u64, u64),
}

/// What is still in a folder.
struct Pending {
    /// Folders that are not empty.
    folders: Vec<CString>,
    /// There may be more of them.
    more: bool,
}

/// Fails with ESTALE when somebody moves a folder that is being emptied.
fn remove_inside(root: OwnedFd) -> io::Result<()> {
    let mut here = root;
    let mut identity = walk::identity(here.as_fd())?;
    let mut pending = clear(here.as_fd())?;
    let mut stack: Vec<Level> = Vec::new();
    loop {
        if let Some(name) = pending.folders.pop() {
            let child = match open_child(&here, &name) {
                Ok(child) => child,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(e),
            };
            let inside = clear(child.as_fd())?;
            let of_child = walk::identity(child.as_fd())?;
            stack.push(Level { name, pending: std::mem::replace(&mut pending, inside), identity });
            (here, identity) = (child, of_child);
        } else if pending.more {
            pending = clear(here.as_fd())?;
        } else if let Some(level) = stack.pop() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let up = rustix::fs::openat(&here, "..", flags, Mode::empty())?;
            if walk::identity(up.as_fd())? != level.identity {
                return Err(Errno::STALE.into());
            }
            (here, identity, pending) = (up, level.identity, level.pending);
            unlink(here.as_fd(), &level.name, AtFlags::REMOVEDIR)?;
        } else {
            return Ok(());
        }
    }
}

/// Removes what can be removed from a folder at once, and answers the folders in it that are not empty.
fn clear(dir: BorrowedFd<'_>) -> io::Result<Pending> {
    // Once more from the beginning.
    rustix::fs::seek(dir, SeekFrom::Start(0))?;
    let mut folders = Vec::new();
    let mut buffer = [MaybeUninit::uninit(); ENTRIES];
    let mut entries = RawDir::new(dir, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if !remove_one(dir, name, entry.file_type())? {
            folders.push(name.to_owned());
            if folders.len() == FOLDERS {
                return Ok(Pending { folders, more: true });
            }
        }
    }
    Ok(Pending { folders, more: false })
}

/// Removes a file or an empty folder; false for a folder that is not empty.
fn remove_one(dir: BorrowedFd<'_>, name: &CStr, kind: FileType) -> io::Result<bool> {
    if kind != FileType::Directory {
        match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(true),
            // A file system that does not tell what its entries are.
            Err(Errno::ISDIR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    match rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

fn unlink(dir: BorrowedFd<'_>, name: impl rustix::path::Arg, flags: AtFlags) -> io::Result<()> {
    match rustix::fs::unlinkat(dir, name, flags) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(e.into()),
    }
}
