//! Filling an empty volume with what the image has at its path.

use super::{resolve::Fill, subpath};
use crate::{
    core::Core,
    error::{Error, Result},
    layers::{self, Entry, Folder},
};
use brig_core::RootFs;
use rustix::{
    fs::{
        AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags, chownat, fchmod,
        fchown, fgetxattr, flistxattr, fsetxattr, futimens, linkat, mkdirat, mknodat, openat, symlinkat,
        utimensat,
    },
    io::Errno,
};
use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    rc::Rc,
};

/// Deeper trees are refused: no image has them, and each level holds descriptors.
const MAX_DEPTH: usize = 256;

/// Copies what the image has at the volumes' paths into those that are empty.
pub(crate) fn fill(core: &Core, rootfs: &RootFs, volumes: &[Fill]) -> Result<()> {
    for Fill { volume, subpath, path } in volumes {
        let failed =
            |e: io::Error| Error::file("failed to populate volume", super::folder(core, &volume.name), e);
        let Some(source) = layers::folder(rootfs, path).map_err(failed)? else { continue };
        let using = super::using(core, volume)?;
        match subpath::open(&using.folder, subpath, OFlags::RDONLY) {
            Ok(target) => fill_one(&source, target).map_err(failed)?,
            // The start tells of it: it may be there by then.
            Err(Error::Missing(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Copies a folder of the image into one that is empty. What is no folder stays.
fn fill_one(source: &Folder, target: OwnedFd) -> io::Result<()> {
    let is_folder = FileType::from_raw_mode(rustix::fs::fstat(&target)?.st_mode) == FileType::Directory;
    if is_folder && is_empty(&target)? { Copy::new().folder(source, &Rc::new(target), 0) } else { Ok(()) }
}

fn is_empty(folder: &OwnedFd) -> io::Result<bool> {
    for entry in rustix::fs::Dir::read_from(folder)? {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A copy under way. Everything is made relative to descriptors of folders, never through a link.
struct Copy {
    /// Files with several names: where their first copy is, by device and number. A folder's descriptor is held
    /// once however many such files it has: an image may have any number of them.
    linked: HashMap<(u64, u64), (Rc<OwnedFd>, OsString)>,
}

impl Copy {
    fn new() -> Self {
        Self { linked: HashMap::new() }
    }

    fn folder(&mut self, source: &Folder, target: &Rc<OwnedFd>, depth: usize) -> io::Result<()> {
        if depth == MAX_DEPTH {
            return Err(Errno::NAMETOOLONG.into());
        }
        for name in source.names()? {
            match source.entry(&name)? {
                Entry::Missing => {}
                Entry::Folder(inner) => {
                    mkdirat(target, &name, Mode::RWXU)?;
                    self.folder(&inner, &Rc::new(open_folder(target, &name)?), depth + 1)?;
                }
                Entry::File(file) => self.file(&file, target, &name)?,
                Entry::Link(to) => {
                    symlinkat(to.as_os_str(), target, &name)?;
                    let stat = source.lstat(&name)?;
                    chownat(target, &name, uid(&stat), gid(&stat), AtFlags::SYMLINK_NOFOLLOW)?;
                    utimensat(target, &name, &times(&stat), AtFlags::SYMLINK_NOFOLLOW)?;
                }
                Entry::Node(stat) => node(&stat, target, &name)?,
            }
        }
        let stat = source.stat()?;
        attributes(source.top(), target)?;
        owner(target, &stat)
    }

    fn file(&mut self, source: &OwnedFd, target: &Rc<OwnedFd>, name: &OsStr) -> io::Result<()> {
        let stat = rustix::fs::fstat(source)?;
        let key = (stat.st_dev, stat.st_ino);
        if let Some((folder, first)) = self.linked.get(&key) {
            return Ok(linkat(folder, first.as_os_str(), target, name, AtFlags::empty())?);
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let copy = openat(target, name, flags, Mode::RUSR | Mode::WUSR)?;
        io::copy(&mut File::from(source.try_clone()?), &mut File::from(copy.try_clone()?))?;
        owner(&copy, &stat)?;
        // After the owner: a change of that takes capabilities away.
        attributes(source, &copy)?;
        futimens(&copy, &times(&stat))?;
        if stat.st_nlink > 1 {
            self.linked.insert(key, (Rc::clone(target), name.to_owned()));
        }
        Ok(())
    }
}

fn open_folder(at: impl std::os::fd::AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(at, name, flags, Mode::empty())?)
}

fn node(stat: &Stat, target: &OwnedFd, name: &OsStr) -> io::Result<()> {
    let kind = rustix::fs::FileType::from_raw_mode(stat.st_mode);
    mknodat(target, name, kind, Mode::from_raw_mode(stat.st_mode), stat.st_rdev)?;
    chownat(target, name, uid(stat), gid(stat), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(utimensat(target, name, &times(stat), AtFlags::SYMLINK_NOFOLLOW)?)
}

fn uid(stat: &Stat) -> Option<Uid> {
    Some(Uid::from_raw(stat.st_uid))
}

fn gid(stat: &Stat) -> Option<Gid> {
    Some(Gid::from_raw(stat.st_gid))
}

fn times(stat: &Stat) -> Timestamps {
    let nanos = |n: u64| i64::try_from(n).unwrap_or(0);
    Timestamps {
        last_access: Timespec { tv_sec: stat.st_atime, tv_nsec: nanos(stat.st_atime_nsec) },
        last_modification: Timespec { tv_sec: stat.st_mtime, tv_nsec: nanos(stat.st_mtime_nsec) },
    }
}

/// Owner, permissions and times, in the order in which none undoes the other.
fn owner(target: &OwnedFd, stat: &Stat) -> io::Result<()> {
    fchown(target, uid(stat), gid(stat))?;
    fchmod(target, Mode::from_raw_mode(stat.st_mode))?;
    Ok(futimens(target, &times(stat))?)
}

/// Extended attributes, save overlayfs' own; none where one side has none.
fn attributes(source: &OwnedFd, target: &OwnedFd) -> io::Result<()> {
    let mut names = vec![0u8; 64 << 10];
    let length = match flistxattr(source, &mut names[..]) {
        Ok(length) => length,
        Err(Errno::NOTSUP) => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    for name in names[..length].split(|b| *b == 0).filter(|name| !name.is_empty()) {
        let name = OsStr::from_bytes(name);
        if name.as_bytes().starts_with(b"trusted.overlay.") || name.as_bytes().starts_with(b"user.overlay.") {
            continue;
        }
        let mut value = vec![0u8; 64 << 10];
        let length = fgetxattr(source, name, &mut value[..])?;
        match fsetxattr(target, name, &value[..length], XattrFlags::empty()) {
            Ok(()) | Err(Errno::NOTSUP) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::CWD;
    use std::{
        fs,
        os::unix::fs::{MetadataExt, PermissionsExt, symlink},
        path::Path,
    };

    #[test]
    fn layers_are_copied_as_one_tree() {
        let dir = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.join("data/inner")).unwrap();
            path
        };
        let (upper, lower, volume) = (make("upper"), make("lower"), dir.path().join("volume"));
        fs::create_dir(&volume).unwrap();
        fs::write(lower.join("data/low"), "low").unwrap();
        fs::write(lower.join("data/gone"), "gone").unwrap();
        fs::write(lower.join("data/inner/deep"), "deep").unwrap();
        fs::hard_link(lower.join("data/low"), lower.join("data/second")).unwrap();
        fs::write(upper.join("data/up"), "up").unwrap();
        symlink("/etc/passwd", upper.join("data/link")).unwrap();
        let character = rustix::fs::FileType::CharacterDevice;
        mknodat(CWD, upper.join("data/gone"), character, Mode::empty(), 0).unwrap();
        fs::set_permissions(upper.join("data"), fs::Permissions::from_mode(0o2750)).unwrap();
        std::os::unix::fs::chown(upper.join("data/up"), Some(7), Some(8)).unwrap();
        let rootfs =
            RootFs::Overlay { lower: vec![lower], upper, work: dir.path().join("work"), volatile: false };
        let fill = || {
            let source = layers::folder(&rootfs, "/data").unwrap().unwrap();
            fill_one(&source, open_folder(CWD, volume.as_os_str()).unwrap()).unwrap();
        };
        fill();
        let mut names: Vec<_> = fs::read_dir(&volume).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["inner", "link", "low", "second", "up"]);
        assert_eq!(fs::read_to_string(volume.join("inner/deep")).unwrap(), "deep");
        let up = fs::metadata(volume.join("up")).unwrap();
        assert_eq!((up.uid(), up.gid()), (7, 8));
        assert_eq!(fs::metadata(&volume).unwrap().mode() & 0o7777, 0o2750);
        assert_eq!(fs::read_link(volume.join("link")).unwrap(), Path::new("/etc/passwd"));
        let number = |name: &str| fs::metadata(volume.join(name)).unwrap().ino();
        assert_eq!(number("low"), number("second"));
        // What is in it already stays.
        fs::write(volume.join("up"), "own").unwrap();
        fs::remove_file(volume.join("low")).unwrap();
        fill();
        assert!(!volume.join("low").exists());
        assert_eq!(fs::read_to_string(volume.join("up")).unwrap(), "own");
    }
}
