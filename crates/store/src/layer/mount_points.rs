//! What every container finds in its root file system before anything is mounted there: the mount points of its
//! file systems and of the files that are written for it, the mark of a container, and `/etc/mtab`. Docker keeps the
//! same ones in a layer of their own ("init layer"), so that no container has to make them and none shows them as its
//! changes.
//!
//! What the image has under one of these names stays, of whatever kind it is, and nothing is made in a folder that it
//! has as a symlink: no link is followed here. Whoever mounts there makes what is missing then.

use super::{hide::visible, whiteout};
use crate::tree::{self, meta, walk};
use rustix::{
    fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid},
    io::Errno,
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

/// What an entry is made as. Owner 0:0 and mode 0755, as Docker makes them, files too.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Folder,
    File,
    Link(&'static str),
}

/// Folder -> what is made in it.
const ENTRIES: [(&str, &[(&str, Kind)]); 3] = [
    ("dev", &[("console", Kind::File), ("pts", Kind::Folder), ("shm", Kind::Folder)]),
    (
        "etc",
        &[
            ("hostname", Kind::File),
            ("hosts", Kind::File),
            ("mtab", Kind::Link("/proc/mounts")),
            ("resolv.conf", Kind::File),
        ],
    ),
    ("", &[(".dockerenv", Kind::File), ("proc", Kind::Folder), ("sys", Kind::Folder)]),
];

const MODE: u32 = 0o755;

/// Owner, mode, attributes and times of a folder.
type Looks = (Stat, Vec<meta::Xattr>);

/// Whether a path is one of the entries, or the folder of some.
pub(crate) fn is_one(path: &[u8]) -> bool {
    ENTRIES.iter().any(|(parent, entries)| {
        path == parent.as_bytes()
            || entries.iter().any(|(name, _)| match path.strip_prefix(parent.as_bytes()) {
                Some(rest) if parent.is_empty() => rest == name.as_bytes(),
                Some(rest) => rest.strip_prefix(b"/") == Some(name.as_bytes()),
                None => false,
            })
    })
}

/// Makes the entries in the folder `fs`, which shows the image itself when `below` is empty, and otherwise lies on top of
/// the layers `below` (topmost first). Folders that the image has look as they do there, the root too.
pub(crate) fn make(fs: &Path, below: &[PathBuf]) -> io::Result<()> {
    let own = [fs.to_owned()];
    let shown = if below.is_empty() { &own } else { below };
    let top = walk::open(fs)?;
    let root_looks = looks(&walk::open(&shown[0])?)?;
    for (parent, entries) in ENTRIES {
        let mut missing = Vec::with_capacity(entries.len());
        for entry in entries {
            let path = if parent.is_empty() { entry.0.to_owned() } else { format!("{parent}/{}", entry.0) };
            if visible(shown, path.as_bytes())?.is_none() {
                missing.push(*entry);
            }
        }
        if parent.is_empty() {
            fill(top.as_fd(), &missing, Some(&root_looks))?;
            continue;
        }
        let looks = match visible(shown, parent.as_bytes())? {
            None => None,
            Some(fd) if !is_folder(&fd)? => continue,
            Some(fd) => Some(looks(&rustix::fs::openat(fd, ".", READ, Mode::empty())?)?),
        };
        if missing.is_empty() {
            continue;
        }
        match rustix::fs::mkdirat(&top, parent, Mode::from(MODE)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
        let folder = tree::open_child(&top, parent)?;
        fill(folder.as_fd(), &missing, looks.as_ref())?;
    }
    Ok(())
}

const READ: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

fn is_folder(fd: &OwnedFd) -> io::Result<bool> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode) == FileType::Directory)
}

fn looks(folder: &OwnedFd) -> io::Result<Looks> {
    Ok((rustix::fs::fstat(folder)?, whiteout::public_xattrs(folder)?))
}

/// Makes entries in a folder, and gives it its looks once nothing changes its times any more.
fn fill(folder: BorrowedFd<'_>, entries: &[(&str, Kind)], looks: Option<&Looks>) -> io::Result<()> {
    for (name, kind) in entries {
        make_one(folder, name, *kind)?;
    }
    match looks {
        Some((stat, xattrs)) => meta::apply(folder, stat, xattrs),
        None => own(folder),
    }
}

fn make_one(folder: BorrowedFd<'_>, name: &str, kind: Kind) -> io::Result<()> {
    match kind {
        Kind::Folder => {
            rustix::fs::mkdirat(folder, name, Mode::from(MODE))?;
            own(tree::open_child(folder, name)?.as_fd())
        }
        Kind::File => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            own(rustix::fs::openat(folder, name, flags, Mode::from(MODE))?.as_fd())
        }
        Kind::Link(target) => {
            rustix::fs::symlinkat(target, folder, name)?;
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            Ok(rustix::fs::chownat(folder, name, Some(Uid::ROOT), Some(Gid::ROOT), flags)?)
        }
    }
}

/// Neither the umask nor a folder that hands its group on decides here.
fn own(fd: BorrowedFd<'_>) -> io::Result<()> {
    rustix::fs::fchown(fd, Some(Uid::ROOT), Some(Gid::ROOT))?;
    Ok(rustix::fs::fchmod(fd, Mode::from(MODE))?)
}
