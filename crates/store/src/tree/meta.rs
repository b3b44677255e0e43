//! Owner, mode, extended attributes and times of files, by descriptor.

use rustix::{
    fs::{AtFlags, FileType, Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags},
    io::Errno,
};
use std::{
    ffi::CStr,
    io,
    os::fd::{AsFd, BorrowedFd},
};

/// An extended attribute.
pub(crate) type Xattr = (Vec<u8>, Vec<u8>);

/// Both times of a file as they are in `stat`.
pub(crate) fn times(stat: &Stat) -> Timestamps {
    let time = |sec, nsec: u64| Timespec { tv_sec: sec, tv_nsec: i64::try_from(nsec).unwrap_or(0) };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}

/// The permission bits of a mode, with setuid, setgid and sticky.
pub(crate) fn permissions(mode: u32) -> Mode {
    Mode::from_bits_truncate(mode & 0o7777)
}

/// The owner in a `stat`.
pub(crate) fn owner(stat: &Stat) -> (Uid, Gid) {
    (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid))
}

/// All extended attributes of a node in a folder, read without following a symlink.
pub(crate) fn xattrs(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<Vec<Xattr>> {
    let path = format!("{}/", super::proc_path(dir)).into_bytes();
    let path = super::path_of(&[path.as_slice(), name.to_bytes()].concat()).to_owned();
    read_xattrs(&mut |buffer| rustix::fs::llistxattr(&path, buffer), &mut |key, buffer| {
        rustix::fs::lgetxattr(&path, key, buffer)
    })
}

/// All extended attributes of an open file.
pub(crate) fn fd_xattrs(fd: impl AsFd) -> io::Result<Vec<Xattr>> {
    let fd = fd.as_fd();
    read_xattrs(&mut |buffer| rustix::fs::flistxattr(fd, buffer), &mut |key, buffer| {
        rustix::fs::fgetxattr(fd, key, buffer)
    })
}

type List<'a> = &'a mut dyn FnMut(&mut [u8]) -> rustix::io::Result<usize>;
type Get<'a> = &'a mut dyn FnMut(&[u8], &mut [u8]) -> rustix::io::Result<usize>;

fn read_xattrs(list: List<'_>, get: Get<'_>) -> io::Result<Vec<Xattr>> {
    let names = match grow(list) {
        Ok(names) => names,
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(e) => return Err(e.into()),
    };
    let mut out = Vec::new();
    for name in names.split(|b| *b == 0).filter(|n| !n.is_empty()) {
        match grow(&mut |buffer| get(name, buffer)) {
            Ok(value) => out.push((name.to_owned(), value)),
            Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(out)
}

/// The kernel bounds lists and values at 64 KiB.
fn grow(call: List<'_>) -> rustix::io::Result<Vec<u8>> {
    let mut buffer = vec![0; 1024];
    loop {
        match call(&mut buffer) {
            Ok(n) => {
                buffer.truncate(n);
                return Ok(buffer);
            }
            Err(Errno::RANGE) if buffer.len() < 1 << 17 => buffer.resize(buffer.len() * 8, 0),
            Err(e) => return Err(e),
        }
    }
}

/// Sets extended attributes through the magic link of any open file, symlinks and devices included.
pub(crate) fn set_xattr(fd: impl AsFd, name: &[u8], value: &[u8]) -> rustix::io::Result<()> {
    rustix::fs::setxattr(super::proc_path(fd), name, value, XattrFlags::empty())
}

/// Gives an open file or folder the owner, mode, attributes and times of another.
pub(crate) fn apply(fd: impl AsFd, stat: &Stat, xattrs: &[Xattr]) -> io::Result<()> {
    let fd = fd.as_fd();
    let (uid, gid) = owner(stat);
    // chown clears setuid bits and capabilities: it comes first.
    rustix::fs::fchown(fd, Some(uid), Some(gid))?;
    rustix::fs::fchmod(fd, permissions(stat.st_mode))?;
    for (name, value) in xattrs {
        rustix::fs::fsetxattr(fd, name.as_slice(), value, XattrFlags::empty())?;
    }
    rustix::fs::futimens(fd, &times(stat))?;
    Ok(())
}

/// The same for a node that can't be opened, by its name in a folder that nobody else changes.
pub(crate) fn apply_at(dir: BorrowedFd<'_>, name: &CStr, stat: &Stat, xattrs: &[Xattr]) -> io::Result<()> {
    let (uid, gid) = owner(stat);
    rustix::fs::chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
        rustix::fs::chmodat(dir, name, permissions(stat.st_mode), AtFlags::empty())?;
    }
    if !xattrs.is_empty() {
        let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC;
        let fd = rustix::fs::openat(dir, name, flags, Mode::empty())?;
        for (key, value) in xattrs {
            set_xattr(&fd, key, value)?;
        }
    }
    rustix::fs::utimensat(dir, name, &times(stat), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}
