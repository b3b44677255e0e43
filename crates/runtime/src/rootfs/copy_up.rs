//! Copying what an image has at a mount point into the fresh tmpfs that covers it: with two open folders a side and
//! no recursion, for an image's folders may be deeper than any stack.

use crate::error::Errno;
use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Uid, fchmod, fchown, fstat, openat, statat,
};
use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A folder and its copy, both open.
struct Pair {
    source: OwnedFd,
    copy: OwnedFd,
}

/// A pair that was left for one in it.
struct Level {
    /// Folders in it that are still to be copied.
    pending: Vec<CString>,
    /// The source's device and inode: `..` must lead back there.
    identity: (u64, u64),
    /// Whose the folder in it that was entered is, set when nothing is made there any more.
    looks: Stat,
}

/// Copies a tree into a fresh tmpfs: folders, files, links, and who owns them. Nothing of the container runs yet,
/// but the tree is the image's: links are copied, never followed.
pub(super) fn copy_up(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), Errno> {
    let open = |fd: BorrowedFd<'_>| openat(fd, c".", FOLDER, Mode::empty());
    let mut here = Pair { source: open(from)?, copy: open(to)? };
    let mut pending = copy_nodes(&here)?;
    let mut stack: Vec<Level> = Vec::new();
    loop {
        if let Some(name) = pending.pop() {
            let open = |fd: &OwnedFd| openat(fd, &name, FOLDER | OFlags::NOFOLLOW, Mode::empty());
            let source = open(&here.source)?;
            rustix::fs::mkdirat(&here.copy, &name, Mode::RWXU)?;
            let inside = Pair { copy: open(&here.copy)?, source };
            let (identity, looks) = (identity(&here.source)?, fstat(&inside.source)?);
            let found = copy_nodes(&inside)?;
            stack.push(Level { pending: std::mem::replace(&mut pending, found), identity, looks });
            here = inside;
        } else if let Some(level) = stack.pop() {
            own(here.copy.as_fd(), &level.looks)?;
            let up = |fd: &OwnedFd| openat(fd, c"..", FOLDER, Mode::empty());
            here = Pair { source: up(&here.source)?, copy: up(&here.copy)? };
            if identity(&here.source)? != level.identity {
                return Err(Errno(libc::ESTALE));
            }
            pending = level.pending;
        } else {
            return Ok(());
        }
    }
}

fn identity(fd: &OwnedFd) -> Result<(u64, u64), Errno> {
    let stat = fstat(fd)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// Copies all but the folders of a folder, and answers those.
fn copy_nodes(pair: &Pair) -> Result<Vec<CString>, Errno> {
    let mut folders = Vec::new();
    for entry in Dir::read_from(&pair.source)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let stat = statat(&pair.source, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => folders.push(name.to_owned()),
            FileType::RegularFile => copy_file(pair, name, &stat)?,
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(&pair.source, name, Vec::new())?;
                rustix::fs::symlinkat(target.as_c_str(), &pair.copy, name)?;
                let (uid, gid) = owners(&stat);
                let flags = AtFlags::SYMLINK_NOFOLLOW;
                mapped(rustix::fs::chownat(&pair.copy, name, Some(uid), Some(gid), flags))?;
            }
            // Devices, sockets and pipes in an image's folder are nothing that a tmpfs is started with.
            _ => {}
        }
    }
    Ok(folders)
}

fn copy_file(pair: &Pair, name: &CStr, stat: &Stat) -> Result<(), Errno> {
    // Whoever shares the folder may have put a pipe in its place, which nobody must wait for, or a device.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let source = openat(&pair.source, name, flags, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&source)?.st_mode) != FileType::RegularFile {
        return Err(Errno(libc::ESTALE));
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let copy = openat(&pair.copy, name, flags, Mode::RUSR)?;
    std::io::copy(&mut File::from(source), &mut File::from(copy.try_clone()?))?;
    own(copy.as_fd(), stat)
}

/// Who is not mapped in a user namespace can own nothing there: the copy then belongs to who made it.
fn mapped(changed: Result<(), rustix::io::Errno>) -> Result<(), rustix::io::Errno> {
    match changed {
        Err(rustix::io::Errno::INVAL) => Ok(()),
        other => other,
    }
}

fn owners(stat: &Stat) -> (Uid, Gid) {
    (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid))
}

fn own(fd: BorrowedFd<'_>, stat: &Stat) -> Result<(), Errno> {
    let (uid, gid) = owners(stat);
    mapped(fchown(fd, Some(uid), Some(gid)))?;
    Ok(fchmod(fd, Mode::from_raw_mode(stat.st_mode & 0o7777))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::Path;

    fn copy(from: &Path, to: &Path) -> Result<(), Errno> {
        copy_up(File::open(from).unwrap().as_fd(), File::open(to).unwrap().as_fd())
    }

    #[test]
    fn folders_files_and_links_are_copied() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for folder in ["a/x", "a/y", "b"] {
            fs::create_dir_all(from.path().join(folder)).unwrap();
        }
        fs::write(from.path().join("a/x/f"), "deep").unwrap();
        fs::write(from.path().join("b/f"), "flat").unwrap();
        fs::set_permissions(from.path().join("a"), fs::Permissions::from_mode(0o1711)).unwrap();
        fs::set_permissions(from.path().join("b/f"), fs::Permissions::from_mode(0o600)).unwrap();
        symlink("/etc/passwd", from.path().join("a/link")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, from.path().join("pipe"), FileType::Fifo, Mode::RUSR, 0)
            .unwrap();
        copy(from.path(), to.path()).unwrap();
        assert_eq!(fs::read_to_string(to.path().join("a/x/f")).unwrap(), "deep");
        assert_eq!(fs::read_to_string(to.path().join("b/f")).unwrap(), "flat");
        assert!(to.path().join("a/y").is_dir() && !to.path().join("pipe").exists());
        assert_eq!(fs::read_link(to.path().join("a/link")).unwrap(), Path::new("/etc/passwd"));
        let mode = |path: &str| to.path().join(path).symlink_metadata().unwrap().mode() & 0o7777;
        assert_eq!((mode("a"), mode("b/f")), (0o1711, 0o600));
    }

    #[test]
    fn a_tree_deeper_than_stack_and_descriptors_is_copied() {
        const DEPTH: usize = 3_000;
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir(&from).unwrap();
        fs::create_dir(&to).unwrap();
        let down = |fd: &OwnedFd| openat(fd, c"d", FOLDER, Mode::empty());
        let mut here = OwnedFd::from(File::open(&from).unwrap());
        for _ in 0..DEPTH {
            rustix::fs::mkdirat(&here, c"d", Mode::RWXU).unwrap();
            here = down(&here).unwrap();
        }
        let (source, target) = (from.clone(), to.clone());
        let small = std::thread::Builder::new().stack_size(64 << 10);
        small.spawn(move || copy(&source, &target).unwrap()).unwrap().join().unwrap();
        for tree in [&from, &to] {
            let mut here = OwnedFd::from(File::open(tree).unwrap());
            for _ in 0..DEPTH {
                here = down(&here).unwrap();
            }
            for _ in 0..DEPTH {
                here = openat(&here, c"..", FOLDER, Mode::empty()).unwrap();
                rustix::fs::unlinkat(&here, c"d", AtFlags::REMOVEDIR).unwrap();
            }
        }
    }
}
