//! Native copies of file trees: reflinked where the file system can, holes kept, hard links kept.

use super::{
    meta, open_child,
    walk::{self, Step},
};
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, SeekFrom, Stat},
    io::Errno,
};
use std::{
    collections::HashMap,
    ffi::CStr,
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// Copies everything in the folder `from` into the empty folder `to`, and the folder's own metadata.
pub(crate) fn copy_tree(from: OwnedFd, to: &OwnedFd) -> io::Result<()> {
    let root_stat = rustix::fs::fstat(&from)?;
    let root_xattrs = meta::fd_xattrs(&from)?;
    let mut copy = Copy {
        here: to.try_clone()?,
        path: Vec::new(),
        links: HashMap::new(),
        root: to.as_fd(),
        pending: Vec::new(),
    };
    walk::walk(from, &mut |step| copy.step(step))?;
    meta::apply(to, &root_stat, &root_xattrs)
}

struct Copy<'a> {
    root: BorrowedFd<'a>,
    here: OwnedFd,
    /// Path of `here` under the root, each part followed by a slash.
    path: Vec<u8>,
    /// Inodes with several names -> path of their copy.
    links: HashMap<u64, Vec<u8>>,
    /// Metadata of the folders that are open, set on leaving, when nothing changes their times any more.
    pending: Vec<(Stat, Vec<meta::Xattr>)>,
}

impl Copy<'_> {
    fn step(&mut self, step: Step<'_>) -> io::Result<()> {
        match step {
            Step::Node { dir, name, stat } => self.node(dir, name, stat),
            Step::Enter { dir, name, stat } => {
                let xattrs = meta::fd_xattrs(open_child(dir, name)?)?;
                rustix::fs::mkdirat(&self.here, name, Mode::from(0o700))?;
                self.here = open_child(&self.here, name)?;
                self.path.extend_from_slice(name.to_bytes());
                self.path.push(b'/');
                self.pending.push((*stat, xattrs));
                Ok(())
            }
            Step::Leave { name, .. } => {
                if let Some((stat, xattrs)) = self.pending.pop() {
                    meta::apply(&self.here, &stat, &xattrs)?;
                }
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                self.here = rustix::fs::openat(&self.here, "..", flags, Mode::empty())?;
                self.path.truncate(self.path.len() - name.to_bytes().len() - 1);
                Ok(())
            }
        }
    }

    fn node(&mut self, dir: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> io::Result<()> {
        if stat.st_nlink > 1 {
            if let Some(first) = self.links.get(&stat.st_ino) {
                rustix::fs::linkat(self.root, super::path_of(first), &self.here, name, AtFlags::empty())?;
                return Ok(());
            }
            self.links.insert(stat.st_ino, [self.path.as_slice(), name.to_bytes()].concat());
        }
        let kind = FileType::from_raw_mode(stat.st_mode);
        match kind {
            FileType::RegularFile => return self.file(dir, name, stat),
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(dir, name, Vec::new())?;
                rustix::fs::symlinkat(target, &self.here, name)?;
            }
            // A socket without its listener means nothing in a copy, but keeps its name.
            FileType::Fifo | FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice => {
                rustix::fs::mknodat(&self.here, name, kind, Mode::from(0o600), stat.st_rdev)?;
            }
            FileType::Directory | FileType::Unknown => return Err(Errno::INVAL.into()),
        }
        meta::apply_at(self.here.as_fd(), name, stat, &meta::xattrs(dir, name)?)
    }

    fn file(&mut self, dir: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> io::Result<()> {
        let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let from = rustix::fs::openat(dir, name, flags | OFlags::RDONLY, Mode::empty())?;
        let create = flags | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let to = rustix::fs::openat(&self.here, name, create, Mode::from(0o600))?;
        copy_content(&from, &to, u64::try_from(stat.st_size).unwrap_or(0))?;
        meta::apply(&to, stat, &meta::fd_xattrs(&from)?)
    }
}

/// Copies a file's content: a reflink, or its data segments with the holes between them.
fn copy_content(from: &OwnedFd, to: &OwnedFd, size: u64) -> io::Result<()> {
    if size == 0 {
        return Ok(());
    }
    match rustix::fs::ioctl_ficlone(to, from) {
        Ok(()) => return Ok(()),
        Err(Errno::OPNOTSUPP | Errno::NOTTY | Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::PERM) => {}
        Err(e) => return Err(e.into()),
    }
    rustix::fs::ftruncate(to, size)?;
    let mut at = 0;
    while at < size {
        let start = match rustix::fs::seek(from, SeekFrom::Data(at)) {
            Ok(start) => start,
            // Nothing but a hole up to the end.
            Err(Errno::NXIO) => break,
            Err(e) => return Err(e.into()),
        };
        let end = rustix::fs::seek(from, SeekFrom::Hole(start))?.min(size);
        copy_range(from, to, start, end)?;
        at = end;
    }
    Ok(())
}

fn copy_range(from: &OwnedFd, to: &OwnedFd, start: u64, end: u64) -> io::Result<()> {
    let (mut read_at, mut write_at) = (start, start);
    while read_at < end {
        let want = usize::try_from(end - read_at).unwrap_or(usize::MAX).min(1 << 30);
        match rustix::fs::copy_file_range(from, Some(&mut read_at), to, Some(&mut write_at), want) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(Errno::OPNOTSUPP | Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::PERM) => {
                return copy_by_hand(from, to, read_at, end);
            }
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

fn copy_by_hand(from: &OwnedFd, to: &OwnedFd, start: u64, end: u64) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    let (from, to) = (File::from(from.try_clone()?), File::from(to.try_clone()?));
    let mut buffer = vec![0; 1 << 17];
    let mut at = start;
    while at < end {
        let want = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
        let n = from.read_at(&mut buffer[..want], at)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        to.write_all_at(&buffer[..n], at)?;
        at += n as u64;
    }
    Ok(())
}
