//! A walk in the order of names, each folder before what is in it, as Go's `filepath.Walk`.

use super::{open_child, walk::identity};
use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat},
    io::Errno,
};
use std::{
    ffi::{CStr, CString},
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// Something that a walk has met.
pub(crate) struct Met<'a> {
    /// The folder that it is in.
    pub(crate) dir: BorrowedFd<'a>,
    /// Its name there.
    pub(crate) name: &'a CStr,
    /// Its path below the walk's root, without a slash before it.
    pub(crate) path: &'a [u8],
    /// What it is.
    pub(crate) stat: &'a Stat,
}

/// Whether what is in a folder is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Descend {
    Yes,
    No,
}

struct Level {
    /// Names that are still to come, the next one last.
    pending: Vec<CString>,
    /// How long the path was before this folder's name.
    path: usize,
    /// The parent's device and inode: `..` must lead back there.
    parent: (u64, u64),
}

/// Walks a tree with two open folders at any depth. Fails with ESTALE when somebody moves a folder while the walk is in
/// it; what goes away meanwhile was not there.
pub(crate) fn walk(root: OwnedFd, visit: &mut dyn FnMut(&Met<'_>) -> io::Result<Descend>) -> io::Result<()> {
    let mut pending = names(root.as_fd())?;
    let mut here = root;
    let mut path: Vec<u8> = Vec::new();
    let mut stack: Vec<Level> = Vec::new();
    loop {
        let Some(name) = pending.pop() else {
            let Some(level) = stack.pop() else { return Ok(()) };
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let up = rustix::fs::openat(&here, "..", flags, Mode::empty())?;
            if identity(up.as_fd())? != level.parent {
                return Err(Errno::STALE.into());
            }
            (here, pending) = (up, level.pending);
            path.truncate(level.path);
            continue;
        };
        let stat = match rustix::fs::statat(&here, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => continue,
            Err(e) => return Err(e.into()),
        };
        let before = path.len();
        if before > 0 {
            path.push(b'/');
        }
        path.extend_from_slice(name.to_bytes());
        let descend = visit(&Met { dir: here.as_fd(), name: &name, path: &path, stat: &stat })?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory && descend == Descend::Yes {
            match open_child(&here, &name) {
                Ok(child) => {
                    let parent = identity(here.as_fd())?;
                    let inside = names(child.as_fd())?;
                    stack.push(Level {
                        pending: std::mem::replace(&mut pending, inside),
                        path: before,
                        parent,
                    });
                    here = child;
                    continue;
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        path.truncate(before);
    }
}

/// All names in a folder, the first one last.
fn names(dir: BorrowedFd<'_>) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable_by(|a, b| b.cmp(a));
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_order_and_not_where_it_is_not_wanted() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["b/c", "a", "skip/in"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        for file in ["a.txt", "b/a", "b/c/z", "c"] {
            std::fs::write(dir.path().join(file), "").unwrap();
        }
        let mut met = Vec::new();
        walk(super::super::walk::open(dir.path()).unwrap(), &mut |step| {
            met.push(String::from_utf8(step.path.to_vec()).unwrap());
            Ok(if step.path == b"skip" { Descend::No } else { Descend::Yes })
        })
        .unwrap();
        assert_eq!(met, ["a", "a.txt", "b", "b/a", "b/c", "b/c/z", "c", "skip"]);
    }
}
