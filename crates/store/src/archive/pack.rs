//! Files as a tar stream.

use crate::{
    error::{Error, Result},
    tar::{
        EntryKind,
        member::{self, Member},
    },
    tree::{
        self, meta,
        sorted::{self, Descend, Met},
    },
};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use std::{
    collections::HashMap,
    ffi::CStr,
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// How to pack.
#[derive(Debug, Clone, Copy)]
pub struct Packing<'a> {
    /// What the top is called in the archive; empty for an archive of what is in it, without the top itself.
    pub name: &'a [u8],
    /// Folders on which kernel interfaces are mounted (`proc`, `sysfs`, …) stay empty.
    pub skip_kernel: bool,
}

/// Writes what `top` (open as a path at least) is, and all in it, as a tar stream. Sockets are left out.
///
/// # Errors
/// [`Error::Output`] when nobody reads; what the file system says.
pub fn pack(top: BorrowedFd<'_>, how: Packing<'_>, out: &mut dyn Write) -> Result<()> {
    let mut packer = Packer::new(how.name, out);
    let stat = rustix::fs::fstat(top).map_err(|e| entry_error("stat", how.name, e))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        packer.node(&Node::Open(top), b"", &stat)?;
        return packer.finish();
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root =
        rustix::fs::openat(top, ".", flags, Mode::empty()).map_err(|e| entry_error("open", how.name, e))?;
    if !how.name.is_empty() {
        let xattrs = meta::fd_xattrs(&root).map_err(|e| entry_error("listxattr", how.name, e))?;
        packer.header(b"", &stat, EntryKind::Directory, b"", &wanted(xattrs), 0)?;
    }
    let device = stat.st_dev;
    packer.tree(root, &mut |met| {
        let mount =
            met.stat.st_dev != device && FileType::from_raw_mode(met.stat.st_mode) == FileType::Directory;
        if how.skip_kernel && mount && is_kernel(met)? { Ok(Descend::No) } else { Ok(Descend::Yes) }
    })?;
    packer.finish()
}

/// Whether a folder is the root of a file system that shows the kernel's own state, or a container's devices.
fn is_kernel(met: &Met<'_>) -> io::Result<bool> {
    /// `linux/magic.h`: proc, sysfs, cgroup, cgroup2, devpts, mqueue, securityfs, debugfs, tracefs, bpf, pstore.
    const MAGICS: [u64; 11] = [
        0x9fa0,
        0x6265_6572,
        0x0027_e0eb,
        0x6367_7270,
        0x1cd1,
        0x1980_0202,
        0x7363_6673,
        0x6462_6720,
        0x7472_6163,
        0xcafe_4a11,
        0x6165_676c,
    ];
    let folder = match tree::open_child(met.dir, met.name) {
        Ok(folder) => folder,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(e),
    };
    let magic = rustix::fs::fstatfs(&folder)?.f_type;
    Ok(MAGICS.contains(&(magic as u64)) || met.path == b"dev")
}

/// An archive being written.
pub(crate) struct Packer<'a> {
    /// What comes before every name.
    prefix: &'a [u8],
    out: &'a mut dyn Write,
    /// Files with several names: the first of them, by device and number.
    linked: HashMap<(u64, u64), Vec<u8>>,
    buffer: Vec<u8>,
}

/// Something that is not a folder.
pub(crate) enum Node<'a> {
    /// A path-only descriptor of it.
    Open(BorrowedFd<'a>),
    /// Its name in a folder.
    At(BorrowedFd<'a>, &'a CStr),
}

impl<'a> Packer<'a> {
    pub(crate) fn new(prefix: &'a [u8], out: &'a mut dyn Write) -> Self {
        Self { prefix, out, linked: HashMap::new(), buffer: vec![0; 128 << 10] }
    }

    /// Packs what is in a folder; `visit` may look at everything first, and says which folders stay empty.
    pub(crate) fn tree(
        &mut self,
        root: OwnedFd,
        visit: &mut dyn FnMut(&Met<'_>) -> io::Result<Descend>,
    ) -> Result<()> {
        let mut failed = None;
        let walked = sorted::walk(root, &mut |met| {
            let descend = visit(met)?;
            match self.met(met) {
                Ok(()) => Ok(descend),
                Err(error) => {
                    failed = Some(error);
                    Err(io::ErrorKind::Other.into())
                }
            }
        });
        match (failed, walked) {
            (Some(error), _) => Err(error),
            (None, walked) => walked.map_err(|e| entry_error("read", self.prefix, e)),
        }
    }

    /// Packs one thing that a walk has met.
    pub(crate) fn met(&mut self, met: &Met<'_>) -> Result<()> {
        if FileType::from_raw_mode(met.stat.st_mode) == FileType::Directory {
            let xattrs = match meta::xattrs(met.dir, met.name) {
                Ok(xattrs) => wanted(xattrs),
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(e) => return Err(entry_error("listxattr", met.path, e)),
            };
            return self.header(met.path, met.stat, EntryKind::Directory, b"", &xattrs, 0);
        }
        self.node(&Node::At(met.dir, met.name), met.path, met.stat)
    }

    /// Packs something that is open as a path only, without what is in it.
    pub(crate) fn opened(&mut self, found: BorrowedFd<'_>, path: &[u8]) -> Result<()> {
        let stat = rustix::fs::fstat(found).map_err(|e| entry_error("stat", path, e))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return self.node(&Node::Open(found), path, &stat);
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder =
            rustix::fs::openat(found, ".", flags, Mode::empty()).map_err(|e| entry_error("open", path, e))?;
        let xattrs = wanted(meta::fd_xattrs(folder).map_err(|e| entry_error("listxattr", path, e))?);
        self.header(path, &stat, EntryKind::Directory, b"", &xattrs, 0)
    }

    /// An empty file of that name, as whiteouts are in archives.
    pub(crate) fn marker(&mut self, path: &[u8], mtime: i64) -> Result<()> {
        let member = Member {
            name: path,
            link: b"",
            kind: EntryKind::Regular,
            mode: 0o600,
            uid: 0,
            gid: 0,
            size: 0,
            mtime,
            major: 0,
            minor: 0,
            xattrs: &[],
        };
        member.write(self.out).map_err(Error::Output)
    }

    pub(crate) fn finish(self) -> Result<()> {
        member::finish(self.out).map_err(Error::Output)
    }

    fn name(&self, path: &[u8]) -> Vec<u8> {
        match (self.prefix, path) {
            (prefix, b"") => prefix.to_vec(),
            (b"", path) => path.to_vec(),
            (prefix, path) if prefix.ends_with(b"/") => [prefix, path].concat(),
            (prefix, path) => [prefix, b"/", path].concat(),
        }
    }

    fn node(&mut self, node: &Node<'_>, path: &[u8], stat: &Stat) -> Result<()> {
        let fail = |step, e: io::Error| entry_error(step, path, e);
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => return self.regular(node, path),
            FileType::Symlink => EntryKind::Symlink,
            FileType::CharacterDevice => EntryKind::CharacterDevice,
            FileType::BlockDevice => EntryKind::BlockDevice,
            FileType::Fifo => EntryKind::Fifo,
            // Sockets mean nothing without who listens.
            _ => return Ok(()),
        };
        let link = if kind == EntryKind::Symlink {
            let read = match node {
                Node::Open(fd) => rustix::fs::readlinkat(fd, c"", Vec::new()),
                Node::At(dir, name) => rustix::fs::readlinkat(dir, *name, Vec::new()),
            };
            read.map_err(|e| fail("readlink", e.into()))?.into_bytes()
        } else {
            Vec::new()
        };
        self.header(path, stat, kind, &link, &[], 0)
    }

    /// A file: looked at without being opened, then opened as what was looked at. A device that takes its place
    /// meanwhile is not touched, and a pipe makes nobody wait.
    fn regular(&mut self, node: &Node<'_>, path: &[u8]) -> Result<()> {
        let fail = |step, e: io::Error| entry_error(step, path, e);
        let found = match node {
            Node::Open(fd) => fd.try_clone_to_owned().map_err(|e| fail("open", e))?,
            Node::At(dir, name) => {
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                match rustix::fs::openat(dir, *name, flags, Mode::empty()) {
                    Ok(found) => found,
                    Err(rustix::io::Errno::NOENT) => return Ok(()),
                    Err(e) => return Err(fail("open", e.into())),
                }
            }
        };
        let stat = rustix::fs::fstat(&found).map_err(|e| fail("stat", e.into()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return self.node(&Node::Open(found.as_fd()), path, &stat);
        }
        let name = self.name(path);
        if stat.st_nlink > 1 {
            if let Some(first) = self.linked.get(&(stat.st_dev, stat.st_ino)).cloned() {
                return self.header(path, &stat, EntryKind::HardLink, &first, &[], 0);
            }
            self.linked.insert((stat.st_dev, stat.st_ino), name);
        }
        let file = rustix::fs::open(tree::proc_path(&found), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|e| fail("open", e.into()))?;
        let xattrs = wanted(meta::fd_xattrs(&file).map_err(|e| fail("listxattr", e))?);
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        self.header(path, &stat, EntryKind::Regular, b"", &xattrs, size)?;
        let mut content = File::from(file).take(size);
        let mut written = 0;
        loop {
            let n = match content.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(fail("read", e)),
            };
            self.out.write_all(&self.buffer[..n]).map_err(Error::Output)?;
            written += n as u64;
        }
        if written < size {
            return Err(fail("read", io::Error::other("the file became shorter meanwhile")));
        }
        member::pad(self.out, size).map_err(Error::Output)
    }

    fn header(
        &mut self,
        path: &[u8],
        stat: &Stat,
        kind: EntryKind,
        link: &[u8],
        xattrs: &[meta::Xattr],
        size: u64,
    ) -> Result<()> {
        let mut name = self.name(path);
        if kind == EntryKind::Directory && !name.ends_with(b"/") {
            name.push(b'/');
        }
        let member = Member {
            name: &name,
            link,
            kind,
            mode: stat.st_mode,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size,
            mtime: stat.st_mtime,
            major: rustix::fs::major(stat.st_rdev),
            minor: rustix::fs::minor(stat.st_rdev),
            xattrs,
        };
        member.write(self.out).map_err(Error::Output)
    }
}

/// The attributes that an archive takes: capabilities and users' own.
fn wanted(mut xattrs: Vec<meta::Xattr>) -> Vec<meta::Xattr> {
    xattrs.retain(|(name, _)| {
        name == b"security.capability"
            || (name.starts_with(b"user.") && !crate::layer::whiteout::is_private(name))
    });
    xattrs
}

pub(super) fn entry_error(step: &'static str, path: &[u8], source: impl Into<io::Error>) -> Error {
    let path = String::from_utf8_lossy(path).into_owned();
    Error::Entry { step, path, source: source.into() }
}

/// What is at a path-only descriptor, without following it.
pub(super) fn stat_at(dir: BorrowedFd<'_>, name: &std::ffi::OsStr) -> io::Result<Option<Stat>> {
    match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(e) => Err(e.into()),
    }
}
