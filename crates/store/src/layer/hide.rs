//! Hiding what the layers below have.
//!
//! A whiteout is made only where there is something to hide: in a folder that is not merged with one below, overlayfs
//! would list the whiteout's name. What this layer itself has under the name stays (image spec, layer.md).

use super::{
    root::{DIRECTORY, Folder, Root, open2},
    whiteout,
};
use crate::tree::{
    self,
    walk::{self, Step},
};
use rustix::{
    fs::{AtFlags, FileType, OFlags, ResolveFlags},
    io::Errno,
};
use std::{
    ffi::OsStr,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::PathBuf,
};

/// Hides one name in a folder.
pub(super) fn one_below(root: &Root, folder: &Folder, name: &OsStr) -> io::Result<()> {
    match whiteout::stat_at(&folder.fd, name)? {
        None if is_below(root, folder, name)? => whiteout::make(&folder.fd, name),
        None => Ok(()),
        Some(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
            make_opaque(&tree::open_child(&folder.fd, name)?)
        }
        Some(_) => Ok(()),
    }
}

/// Hides all names in a folder.
pub(super) fn all_below(root: &mut Root, folder: &Folder) -> io::Result<()> {
    if folder.real.is_empty() {
        root.set_opaque();
        return purge(&folder.fd);
    }
    make_opaque(&folder.fd)
}

/// Where the root hides all that is below, each name there is hidden by itself.
pub(super) fn finish(root: &Root) -> io::Result<()> {
    if !root.is_opaque() {
        return Ok(());
    }
    for below in root.below()? {
        for entry in rustix::fs::Dir::read_from(walk::open(below)?)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            match whiteout::stat_at(root.fd(), name)? {
                None => whiteout::make(root.fd(), name)?,
                Some(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
                    make_opaque(&tree::open_child(root.fd(), name)?)?;
                }
                Some(_) => {}
            }
        }
    }
    Ok(())
}

fn make_opaque(folder: &impl AsFd) -> io::Result<()> {
    // Inside an opaque folder no whiteout is made.
    if whiteout::is_opaque(folder)? {
        return Ok(());
    }
    purge(folder)?;
    whiteout::set_opaque(folder)
}

/// Takes whiteouts out of a tree under which nothing is merged any more.
fn purge(folder: &impl AsFd) -> io::Result<()> {
    walk::walk(folder.as_fd().try_clone_to_owned()?, &mut |step| match step {
        Step::Node { dir, name, stat } if whiteout::is_whiteout(stat) => {
            Ok(rustix::fs::unlinkat(dir, name, AtFlags::empty())?)
        }
        _ => Ok(()),
    })
}

/// Whether the layers below show anything under this name.
fn is_below(root: &Root, folder: &Folder, name: &OsStr) -> io::Result<bool> {
    if root.is_opaque() {
        return Ok(false);
    }
    for ancestor in ancestors(&folder.real).chain([&*folder.real]).filter(|a| !a.is_empty()) {
        if whiteout::is_opaque(open2(root.fd(), ancestor, DIRECTORY, PLAIN)?)? {
            return Ok(false);
        }
    }
    Ok(visible(root.below()?, &folder.join(name.as_bytes()))?.is_some())
}

const PLAIN: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);

/// What a stack of layers (topmost first) shows at a path, opened as a path.
pub(crate) fn visible(layers: &[PathBuf], path: &[u8]) -> io::Result<Option<OwnedFd>> {
    for layer in layers {
        let layer = walk::open(layer)?;
        let mut opaque = false;
        let mut missing = false;
        for ancestor in ancestors(path) {
            match open2(&layer, ancestor, DIRECTORY, PLAIN) {
                Ok(fd) => opaque |= whiteout::is_opaque(fd)?,
                Err(Errno::NOENT) => {
                    missing = true;
                    break;
                }
                // A file, a link or a whiteout there hides whatever is further below.
                Err(Errno::NOTDIR | Errno::LOOP) => return Ok(None),
                Err(e) => return Err(e.into()),
            }
        }
        if !missing {
            match open2(&layer, path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, PLAIN) {
                Ok(fd) => {
                    let hidden = whiteout::is_whiteout(&rustix::fs::fstat(&fd)?);
                    return Ok(Some(fd).filter(|_| !hidden));
                }
                Err(Errno::NOENT) => {}
                Err(e) => return Err(e.into()),
            }
        }
        if opaque {
            break;
        }
    }
    Ok(None)
}

/// The folders on the way to a path, outermost first, without the root.
fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(end, _)| &path[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ancestors_are_the_folders_on_the_way() {
        assert_eq!(ancestors(b"a/b/c").collect::<Vec<_>>(), [&b"a"[..], b"a/b"]);
        assert_eq!(ancestors(b"a").count(), 0);
    }
}
