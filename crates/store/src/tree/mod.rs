//! File trees that others have made: walked, counted, removed and copied without following a symlink, without
//! recursion and with a bounded number of open files, however deep they are.

pub(crate) mod copy;
mod empty;
pub(crate) mod meta;
mod remove;
pub(crate) mod sorted;
pub(crate) mod walk;

pub(crate) use empty::empty_files;
pub(crate) use remove::remove;
pub use remove::remove_path;

use crate::snapshot::Usage;
use rustix::{
    fs::{FileType, Mode, OFlags},
    io::Errno,
};
use std::{
    collections::HashSet,
    ffi::OsStr,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};
use walk::Step;

/// Opens a folder in a folder; a symlink there is an error.
pub(crate) fn open_child(dir: impl AsFd, name: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(dir, name, flags, Mode::empty())?)
}

/// Copies everything in the folder `from` into the empty folder `to`, and the folder's own owner, mode, times and
/// attributes. Blocks are shared where the file system can; holes and hard links are kept.
///
/// # Errors
/// What the file system says.
pub fn copy_folder(from: OwnedFd, to: &OwnedFd) -> io::Result<()> {
    copy::copy_tree(from, to)
}

/// Counts what is in a folder, hard links once; the folder itself does not count.
///
/// # Errors
/// What the file system says.
pub fn usage(path: &Path) -> io::Result<Usage> {
    // A container may move a folder while we are in it, which the walk notices: begin again then.
    let mut tries = 0;
    loop {
        match usage_once(path) {
            Err(e) if e.raw_os_error() == Some(Errno::STALE.raw_os_error()) && tries < 3 => tries += 1,
            result => return result,
        }
    }
}

fn usage_once(path: &Path) -> io::Result<Usage> {
    let root = rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut usage = Usage::default();
    let mut linked = HashSet::new();
    walk::walk(root, &mut |step| {
        match step {
            Step::Node { stat, .. } => {
                if stat.st_nlink > 1 && !linked.insert(stat.st_ino) {
                    return Ok(());
                }
                usage.inodes += 1;
                if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
                    usage.bytes += u64::try_from(stat.st_size).unwrap_or(0);
                }
            }
            Step::Enter { .. } => usage.inodes += 1,
            Step::Leave { .. } => {}
        }
        Ok(())
    })?;
    Ok(usage)
}

/// The path by which the kernel knows an open file, for naming it in messages and records.
pub(crate) fn real_path(fd: impl AsFd) -> io::Result<Vec<u8>> {
    Ok(rustix::fs::readlink(proc_path(fd), Vec::new())?.into_bytes())
}

/// The magic link to an open file, for system calls that take a path only.
pub(crate) fn proc_path(fd: impl AsFd) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

/// A path from bytes.
pub(crate) fn path_of(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_deeper_than_any_path_is_counted_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let top = walk::open(dir.path()).unwrap();
        rustix::fs::mkdirat(&top, "t", Mode::from(0o755)).unwrap();
        let mut here = open_child(&top, "t").unwrap();
        for _ in 0..1100 {
            rustix::fs::mkdirat(&here, "deep", Mode::from(0o755)).unwrap();
            here = open_child(&here, "deep").unwrap();
        }
        assert_eq!(usage(&dir.path().join("t")).unwrap().inodes, 1100);
        remove(&top, OsStr::new("t")).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_tree_deeper_than_any_stack_is_removed_by_its_path() {
        // A disk's file system takes most of a millisecond for each folder.
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let path = dir.path().join("volume");
        std::fs::create_dir(&path).unwrap();
        let mut here = walk::open(&path).unwrap();
        for _ in 0..8_000 {
            rustix::fs::mkdirat(&here, "d", Mode::from(0o755)).unwrap();
            here = open_child(&here, "d").unwrap();
        }
        drop(here);
        remove_path(&path).unwrap();
        assert!(!path.exists());
        remove_path(&path).unwrap();
        remove_path(&path.join("absent")).unwrap();
    }

    #[test]
    fn a_folder_of_many_that_are_not_empty_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..1_100 {
            std::fs::create_dir_all(dir.path().join(format!("t/{n}/in"))).unwrap();
        }
        std::fs::write(dir.path().join("t/1099/in/f"), "x").unwrap();
        remove_path(&dir.path().join("t")).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn removal_does_not_follow_symlinks() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("kept")).unwrap();
        std::fs::write(dir.path().join("kept/f"), b"x").unwrap();
        std::fs::create_dir(dir.path().join("t")).unwrap();
        std::os::unix::fs::symlink("../kept", dir.path().join("t/link")).unwrap();
        std::os::unix::fs::symlink("kept", dir.path().join("top")).unwrap();
        let top = walk::open(dir.path()).unwrap();
        remove(&top, OsStr::new("t")).unwrap();
        remove(&top, OsStr::new("top")).unwrap();
        remove(&top, OsStr::new("absent")).unwrap();
        assert!(dir.path().join("kept/f").exists());
    }
}
