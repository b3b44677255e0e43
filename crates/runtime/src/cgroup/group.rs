//! One group in one hierarchy: a folder whose files are opened relative to its descriptor.

use super::error::CgroupError;
use super::hierarchy::{Hierarchy, Version};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// How deep groups inside a container's group are followed; the kernel allows more, nobody nests so far.
const DEEPEST: usize = 64;

/// A group's folder.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) hierarchy: Hierarchy,
    /// Whole path, for messages and for removing.
    pub(super) path: PathBuf,
    fd: OwnedFd,
}

impl Group {
    /// Opens a group that is there.
    pub(super) fn open(hierarchy: &Hierarchy, relative: &Path) -> Result<Self, Errno> {
        let path = hierarchy.mount.join(relative);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = rustix::fs::open(&path, flags, Mode::empty())?;
        Ok(Self { hierarchy: hierarchy.clone(), path, fd })
    }

    pub(super) fn is_v2(&self) -> bool {
        self.hierarchy.version == Version::V2
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Opens one of its files.
    pub(super) fn open_file(&self, file: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        rustix::fs::openat(&self.fd, file, flags | OFlags::CLOEXEC, Mode::empty())
    }

    /// Writes one of its files in one go; the kernel reads no further.
    pub(super) fn write(&self, file: &str, value: &str) -> Result<(), Errno> {
        let fd = self.open_file(file, OFlags::WRONLY)?;
        let written = rustix::io::write(&fd, value.as_bytes())?;
        if written == value.len() { Ok(()) } else { Err(Errno::IO) }
    }

    /// The same, with an error that names the file.
    pub(super) fn set(&self, file: &str, value: &str) -> Result<(), CgroupError> {
        self.write(file, value).map_err(|errno| CgroupError::Refused {
            path: self.path.join(file),
            value: value.to_owned(),
            errno: errno.into(),
        })
    }

    /// Several writes; a file is opened once for those that follow each other.
    pub(super) fn set_all(&self, writes: &[(&'static str, String)]) -> Result<(), CgroupError> {
        for same in writes.chunk_by(|a, b| a.0 == b.0) {
            let file = same[0].0;
            let refused = |value: &str, errno: Errno| CgroupError::Refused {
                path: self.path.join(file),
                value: value.to_owned(),
                errno: errno.into(),
            };
            let fd = self.open_file(file, OFlags::WRONLY).map_err(|errno| refused(&same[0].1, errno))?;
            for (_, value) in same {
                rustix::io::write(&fd, value.as_bytes()).map_err(|errno| refused(value, errno))?;
            }
        }
        Ok(())
    }

    /// The text of one of its files.
    pub(super) fn read(&self, file: &str) -> Result<String, Errno> {
        read_at(self.fd(), file)
    }

    /// A number in one of its files; `None` for "max" and for a file that is not there.
    pub(super) fn number(&self, file: &str) -> Option<u64> {
        self.read(file).ok()?.trim().parse().ok()
    }

    /// All processes in it and in the groups inside it. One that moves meanwhile may be missing or come twice.
    pub(super) fn pids(&self) -> Result<Vec<i32>, CgroupError> {
        let mut all = Vec::new();
        collect_pids(self.fd(), DEEPEST, &mut all)
            .map_err(|errno| CgroupError::io("read the processes of cgroup", &self.path, errno))?;
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    /// Removes the groups inside it and then itself. Not there is good.
    pub(super) fn remove(&self) -> Result<(), Errno> {
        // The common case first: nothing inside.
        match rustix::fs::rmdir(&self.path) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::BUSY | Errno::NOTEMPTY) => {}
            Err(errno) => return Err(errno),
        }
        remove_inside(self.fd(), DEEPEST)?;
        match rustix::fs::rmdir(&self.path) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno),
        }
    }
}

fn read_at(dir: BorrowedFd<'_>, file: &str) -> Result<String, Errno> {
    let fd = rustix::fs::openat(dir, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = Vec::with_capacity(4096);
    loop {
        if text.len() == text.capacity() {
            text.reserve(4096);
        }
        if rustix::io::read(&fd, rustix::buffer::spare_capacity(&mut text))? == 0 {
            break;
        }
    }
    String::from_utf8(text).map_err(|_| Errno::ILSEQ)
}

/// Calls `with` for each group directly inside `dir`.
fn each_inside(
    dir: BorrowedFd<'_>,
    mut with: impl FnMut(&std::ffi::CStr) -> Result<(), Errno>,
) -> Result<(), Errno> {
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type() == FileType::Directory && name != c"." && name != c".." {
            with(name)?;
        }
    }
    Ok(())
}

fn open_inside(dir: BorrowedFd<'_>, name: &std::ffi::CStr) -> Result<Option<OwnedFd>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    match rustix::fs::openat(dir, name, flags, Mode::empty()) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn collect_pids(dir: BorrowedFd<'_>, deepest: usize, all: &mut Vec<i32>) -> Result<(), Errno> {
    match read_at(dir, "cgroup.procs") {
        Ok(text) => {
            all.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0))
        }
        // The group went meanwhile, or it is a threaded one, whose processes its parent lists.
        Err(Errno::NODEV | Errno::NOENT | Errno::OPNOTSUPP) => return Ok(()),
        Err(errno) => return Err(errno),
    }
    if deepest == 0 {
        return Ok(());
    }
    each_inside(dir, |name| match open_inside(dir, name)? {
        Some(inside) => collect_pids(inside.as_fd(), deepest - 1, all),
        None => Ok(()),
    })
}

fn remove_inside(dir: BorrowedFd<'_>, deepest: usize) -> Result<(), Errno> {
    each_inside(dir, |name| {
        if deepest > 0
            && let Some(inside) = open_inside(dir, name)?
        {
            remove_inside(inside.as_fd(), deepest - 1)?;
        }
        match rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno),
        }
    })
}
