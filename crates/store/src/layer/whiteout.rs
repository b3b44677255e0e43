//! Whiteouts: `.wh.NAME` in archives, a character device 0/0 in overlay's folders; and opaque folders.

use crate::tree::meta;
use rustix::{
    fs::{AtFlags, FileType, Mode, Stat},
    io::Errno,
};
use std::{
    ffi::OsStr,
    io,
    os::{fd::AsFd, unix::ffi::OsStrExt},
};

const PREFIX: &[u8] = b".wh.";
const META_PREFIX: &[u8] = b".wh..wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Marks an opaque folder. Without rights over `trusted.`, overlay is mounted with `userxattr` and reads
/// `user.overlay.opaque` instead.
const OPAQUE_XATTR: &[u8] = b"trusted.overlay.opaque";

/// What the last part of an archive's name means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meaning<'a> {
    /// A name like any other.
    Plain,
    /// Hides what the layers below have under this name.
    Hide(&'a OsStr),
    /// Hides all that the layers below have in this folder.
    Opaque,
    /// AUFS's own bookkeeping, which Docker leaves out.
    Skip,
}

/// Reads the last part of a name.
pub(crate) fn meaning(last: &[u8]) -> Result<Meaning<'_>, String> {
    if last == OPAQUE {
        return Ok(Meaning::Opaque);
    }
    if last.starts_with(META_PREFIX) {
        return Ok(Meaning::Skip);
    }
    match last.strip_prefix(PREFIX) {
        None => Ok(Meaning::Plain),
        Some(b"" | b"." | b"..") => Err("a whiteout that names no file of its folder".to_owned()),
        Some(name) => Ok(Meaning::Hide(OsStr::from_bytes(name))),
    }
}

/// Attributes with which overlay steers itself: never taken from an image, never copied between layers.
pub(crate) fn is_private(xattr: &[u8]) -> bool {
    xattr.starts_with(b"trusted.overlay.") || xattr.starts_with(b"user.overlay.")
}

/// The extended attributes of an open folder that are its own and not overlay's.
pub(crate) fn public_xattrs(folder: impl AsFd) -> io::Result<Vec<meta::Xattr>> {
    let mut xattrs = meta::fd_xattrs(folder)?;
    xattrs.retain(|(name, _)| !is_private(name));
    Ok(xattrs)
}

/// Whether a node is a whiteout.
pub(crate) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// Makes a whiteout; what is there already stays.
pub(crate) fn make(dir: impl AsFd, name: &OsStr) -> io::Result<()> {
    match rustix::fs::mknodat(dir, name, FileType::CharacterDevice, Mode::empty(), 0) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Marks a folder as opaque.
pub(crate) fn set_opaque(dir: impl AsFd) -> io::Result<()> {
    Ok(meta::set_xattr(dir, OPAQUE_XATTR, b"y")?)
}

/// Whether a folder is opaque.
pub(crate) fn is_opaque(dir: impl AsFd) -> io::Result<bool> {
    let mut value = [0; 1];
    match rustix::fs::fgetxattr(dir, OPAQUE_XATTR, &mut value) {
        Ok(n) => Ok(n == 1 && value[0] == b'y'),
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// What is at a name, if anything.
pub(crate) fn stat_at(dir: impl AsFd, name: &OsStr) -> io::Result<Option<Stat>> {
    match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_what_the_image_spec_says() {
        assert_eq!(meaning(b"a"), Ok(Meaning::Plain));
        assert_eq!(meaning(b".wh.a"), Ok(Meaning::Hide(OsStr::new("a"))));
        assert_eq!(meaning(b".wh..a"), Ok(Meaning::Hide(OsStr::new(".a"))));
        assert_eq!(meaning(b".wh..wh..opq"), Ok(Meaning::Opaque));
        assert_eq!(meaning(b".wh..wh.plnk"), Ok(Meaning::Skip));
        for outside in [&b".wh."[..], b".wh..", b".wh..."] {
            assert!(meaning(outside).is_err());
        }
    }
}
