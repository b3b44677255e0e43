//! Unpacks a layer's archive into a staged folder, in one pass that also computes the layer's digest and writes its
//! record. Names are resolved inside the folder only (see [`super::root`]).
//!
//! The staged folder: `fs` the files, whiteouts in overlay's form; `record` the record; `kept/N` what later entries of
//! the same archive have replaced, which the record needs.

use super::{
    hide,
    name::{CleanPath, PATH_MAX},
    record::RecordWriter,
    root::{Below, Folder, Root, parent_of},
    whiteout::{self, Meaning},
};
use crate::{
    error::{At, Error, Result},
    layout::Staging,
    tar::{Entry, EntryKind, TarError, TarReader},
    tree::{self, meta},
};
use brig_core::{Digest, digest::Hashing};
use rustix::{
    fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid},
    io::Errno,
};
use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::PathBuf,
};

/// Copy buffer.
const BUFFER: usize = 1 << 18;

/// What came out of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unpacked {
    /// Digest of the uncompressed archive.
    pub(crate) diff: Digest,
    /// Length of the uncompressed archive in bytes.
    pub(crate) tar_size: u64,
    /// Sum of the sizes of its files in bytes.
    pub(crate) size: u64,
    /// Whether it has whiteouts or opaque folders.
    pub(crate) hides: Hides,
}

/// Whether a layer hides anything of those below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hides {
    /// It has whiteouts or opaque folders.
    Something,
    /// It has none.
    Nothing,
}

/// Unpacks `archive` (uncompressed) into the empty folder `staging`. `below` are the `fs` folders of the layers below.
pub(crate) fn unpack(archive: impl Read, staging: &Staging, below: Below) -> Result<Unpacked> {
    let top = staging.path();
    let fs = top.join("fs");
    std::fs::create_dir(&fs).at("make", &fs)?;
    let record_path = top.join("record");
    let record = RecordWriter::create(&record_path).at("make", &record_path)?;
    let unpacker = Unpacker {
        reader: TarReader::new(BufReader::with_capacity(1 << 16, Hashing::new(archive))),
        root: Root::new(crate::layout::open_dir(&fs)?, below).at("open", &fs)?,
        top: crate::layout::open_dir(top)?,
        record,
        record_path,
        kept: 0,
        folders: HashMap::new(),
        root_looks: false,
        size: 0,
        hides: Hides::Nothing,
        buffer: vec![0; BUFFER],
    };
    unpacker.run()
}

struct Unpacker<R: Read> {
    reader: TarReader<BufReader<Hashing<R>>>,
    root: Root,
    /// The staged folder.
    top: OwnedFd,
    record: RecordWriter,
    record_path: PathBuf,
    /// How many things lie in `kept`.
    kept: u64,
    /// Folders whose times are set at the end, when nothing is put into them any more.
    /// A folder that comes often counts once: memory grows with the tree, not with the archive.
    folders: HashMap<Vec<u8>, Timestamps>,
    /// The archive says how the root looks.
    root_looks: bool,
    size: u64,
    hides: Hides,
    buffer: Vec<u8>,
}

/// What `make_room` found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    /// Nothing is there (any more).
    Free,
    /// A folder is there and the entry is one too.
    Folder,
    /// There was a whiteout: a folder that takes its place hides what is below.
    Whiteout,
}

impl<R: Read> Unpacker<R> {
    fn run(mut self) -> Result<Unpacked> {
        while let Some(entry) = self.reader.next().map_err(|e| tar_error(e, b""))? {
            let raw = self.reader.take_raw();
            self.note(|record| record.raw(&raw))?;
            self.size = self.size.saturating_add(entry.size_for_sum());
            self.entry(&entry)?;
        }
        let record = &mut self.record;
        let path = &self.record_path;
        let mut failed = None;
        let drained =
            self.reader.drain(&mut |piece| record.raw(piece).inspect_err(|e| failed = Some(e.kind())));
        if let Err(e) = drained {
            return match (failed, e) {
                (Some(_), TarError::Io(source)) => {
                    Err(Error::Io { step: "write", path: path.clone(), source })
                }
                (_, e) => Err(tar_error(e, b"")),
            };
        }
        self.record.finish().at("write", path)?;
        hide::finish(&self.root).map_err(|e| unpack_error(b"/", "mknod", e))?;
        if !self.root_looks {
            // At the end, when the layer below is most likely there.
            let root = self.root.folder(b"").map_err(|e| unpack_error(b"/", "open", e))?;
            self.root.look_like_below(&root).map_err(|e| unpack_error(b"/", "set up", e))?;
        }
        for (real, times) in &self.folders {
            match self.root.folder(real) {
                Ok(folder) => {
                    rustix::fs::futimens(&folder.fd, times)
                        .map_err(|e| unpack_error(real, "set times", e))?;
                }
                // A later entry has replaced it.
                Err(e)
                    if matches!(
                        e.raw_os_error().map(Errno::from_raw_os_error),
                        Some(Errno::NOENT | Errno::NOTDIR)
                    ) => {}
                Err(e) => return Err(unpack_error(real, "open", e)),
            }
        }
        let (_, diff, tar_size) = self.reader.into_inner().into_inner().finish();
        Ok(Unpacked { diff, tar_size, size: self.size, hides: self.hides })
    }

    fn note(&mut self, write: impl FnOnce(&mut RecordWriter) -> std::io::Result<()>) -> Result<()> {
        write(&mut self.record).at("write", &self.record_path)
    }

    fn entry(&mut self, entry: &Entry) -> Result<()> {
        let bad = |reason: String| bad_layer(&entry.name, reason);
        if entry.kind == EntryKind::GlobalHeader {
            return self.content_into_record(entry);
        }
        let path = CleanPath::parse(&entry.name).map_err(bad)?;
        if path.is_root() {
            return match entry.kind {
                EntryKind::Directory => self.root_folder(entry),
                _ => Err(bad("only a folder can be the archive's root".to_owned())),
            };
        }
        match whiteout::meaning(path.split().1).map_err(bad)? {
            Meaning::Plain => self.plain(entry, &path),
            Meaning::Skip => self.content_into_record(entry),
            Meaning::Hide(name) => {
                self.hide(entry, &path, name)?;
                self.content_into_record(entry)
            }
            Meaning::Opaque => {
                let folder = self.parent(entry, &path)?;
                self.hides = Hides::Something;
                hide::all_below(&mut self.root, &folder)
                    .map_err(|e| unpack_error(&entry.name, "setxattr", e))?;
                self.content_into_record(entry)
            }
        }
    }

    fn parent(&mut self, entry: &Entry, path: &CleanPath) -> Result<Folder> {
        parent_of(&mut self.root, path).map_err(|e| unpack_error(&entry.name, "open the folder of", e))
    }

    fn root_folder(&mut self, entry: &Entry) -> Result<()> {
        let root = self.root.folder(b"").map_err(|e| unpack_error(&entry.name, "open", e))?;
        self.root_looks = true;
        self.folder_looks(entry, &root)?;
        self.content_into_record(entry)
    }

    fn plain(&mut self, entry: &Entry, path: &CleanPath) -> Result<()> {
        let folder = self.parent(entry, path)?;
        let name = OsStr::from_bytes(path.split().1);
        // Links can add up to paths that no system call takes: those files could not be found again.
        if folder.join(name.as_bytes()).len() > PATH_MAX {
            return Err(bad_layer(&entry.name, "the path is too long".to_owned()));
        }
        let fail = |step, e: Errno| Err(unpack_error(&entry.name, step, e));
        let room = self.make_room(entry, &folder, name)?;
        match entry.kind {
            EntryKind::Regular => return self.regular(entry, &folder, name),
            EntryKind::Directory => {
                if room != Room::Folder
                    && let Err(e) = rustix::fs::mkdirat(&folder.fd, name, Mode::from(0o700))
                {
                    return fail("mkdir", e);
                }
                let made = Folder {
                    fd: tree::open_child(&folder.fd, name)
                        .map_err(|e| unpack_error(&entry.name, "open", e))?
                        .into(),
                    real: folder.join(name.as_bytes()).into(),
                };
                if room == Room::Whiteout {
                    whiteout::set_opaque(&made.fd).map_err(|e| unpack_error(&entry.name, "setxattr", e))?;
                }
                self.folder_looks(entry, &made)?;
            }
            EntryKind::HardLink => self.hard_link(entry, &folder, name)?,
            EntryKind::Symlink => {
                if let Err(e) = rustix::fs::symlinkat(OsStr::from_bytes(&entry.link), &folder.fd, name) {
                    return fail("symlink", e);
                }
                self.node_looks(entry, &folder, name)?;
            }
            EntryKind::CharacterDevice | EntryKind::BlockDevice | EntryKind::Fifo => {
                self.special(entry, &folder, name)?;
                self.node_looks(entry, &folder, name)?;
            }
            EntryKind::GlobalHeader | EntryKind::Other(_) => {
                let EntryKind::Other(flag) = entry.kind else { return self.content_into_record(entry) };
                return Err(bad_layer(&entry.name, format!("unknown entry type {:?}", char::from(flag))));
            }
        }
        self.content_into_record(entry)
    }

    /// Clears the way for an entry. What this same archive put there goes aside, because the record may need it.
    fn make_room(&mut self, entry: &Entry, folder: &Folder, name: &OsStr) -> Result<Room> {
        let there = whiteout::stat_at(&folder.fd, name).map_err(|e| unpack_error(&entry.name, "stat", e))?;
        let Some(stat) = there else { return Ok(Room::Free) };
        if whiteout::is_whiteout(&stat) {
            rustix::fs::unlinkat(&folder.fd, name, AtFlags::empty())
                .map_err(|e| unpack_error(&entry.name, "unlink", e))?;
            return Ok(Room::Whiteout);
        }
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Directory && entry.kind == EntryKind::Directory {
            return Ok(Room::Folder);
        }
        self.root.forget();
        if !matches!(kind, FileType::Directory | FileType::RegularFile) {
            rustix::fs::unlinkat(&folder.fd, name, AtFlags::empty())
                .map_err(|e| unpack_error(&entry.name, "unlink", e))?;
            return Ok(Room::Free);
        }
        if self.kept == 0 {
            rustix::fs::mkdirat(&self.top, "kept", Mode::from(0o700))
                .map_err(|e| unpack_error(&entry.name, "mkdir", e))?;
        }
        let number = self.kept;
        self.kept += 1;
        rustix::fs::renameat(&folder.fd, name, &self.top, format!("kept/{number}"))
            .map_err(|e| unpack_error(&entry.name, "rename", e))?;
        let real = folder.join(name.as_bytes());
        self.note(|record| record.kept(number, &real))?;
        Ok(Room::Free)
    }

    fn hide(&mut self, entry: &Entry, path: &CleanPath, name: &OsStr) -> Result<()> {
        let folder = self.parent(entry, path)?;
        self.hides = Hides::Something;
        hide::one_below(&self.root, &folder, name).map_err(|e| unpack_error(&entry.name, "mknod", e))
    }

    fn regular(&mut self, entry: &Entry, folder: &Folder, name: &OsStr) -> Result<()> {
        let fail = |step, e: std::io::Error| unpack_error(&entry.name, step, e);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&folder.fd, name, flags, Mode::from(0o600))
            .map_err(|e| fail("create", e.into()))?;
        let mut file = File::from(fd);
        let whole = [(0, entry.size)];
        let segments: Vec<(u64, u64)> = match &entry.segments {
            None => whole.to_vec(),
            Some(segments) => {
                self.check_holes(entry)?;
                file.set_len(entry.size).map_err(|e| fail("truncate", e))?;
                segments.iter().map(|s| (s.offset, s.length)).collect()
            }
        };
        for (offset, length) in &segments {
            if entry.segments.is_some() {
                file.seek(SeekFrom::Start(*offset)).map_err(|e| fail("seek", e))?;
            }
            self.copy_content(entry, &mut file, *length)?;
        }
        self.looks(entry, &file)?;
        rustix::fs::futimens(&file, &times(entry)).map_err(|e| fail("set times", e.into()))?;
        if entry.stored > 0 {
            let real = folder.join(name.as_bytes());
            self.note(|record| record.content(&real, &segments))?;
        }
        Ok(())
    }

    /// Holes cost nothing here, but they do wherever the file is copied: together with the data they must fit on the
    /// disk, as they would have to in Docker, which writes them out.
    fn check_holes(&self, entry: &Entry) -> Result<()> {
        let stat =
            rustix::fs::fstatvfs(self.root.fd()).map_err(|e| unpack_error(&entry.name, "statvfs", e))?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if entry.size > free {
            let reason =
                format!("a sparse file of {} bytes, more than the {free} bytes that are free", entry.size);
            return Err(bad_layer(&entry.name, reason));
        }
        Ok(())
    }

    fn copy_content(&mut self, entry: &Entry, file: &mut File, length: u64) -> Result<()> {
        let mut left = length;
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
            let n = self.reader.read(&mut self.buffer[..want]).map_err(|e| tar_error(e, &entry.name))?;
            if n == 0 {
                return Err(bad_layer(&entry.name, "the sparse map does not match the data".to_owned()));
            }
            file.write_all(&self.buffer[..n]).map_err(|e| unpack_error(&entry.name, "write", e))?;
            left -= n as u64;
        }
        Ok(())
    }

    /// Content that becomes no file stays in the record.
    fn content_into_record(&mut self, entry: &Entry) -> Result<()> {
        loop {
            let n = self.reader.read(&mut self.buffer).map_err(|e| tar_error(e, &entry.name))?;
            if n == 0 {
                return Ok(());
            }
            self.record.raw(&self.buffer[..n]).at("write", &self.record_path)?;
        }
    }

    fn hard_link(&mut self, entry: &Entry, folder: &Folder, name: &OsStr) -> Result<()> {
        let target = CleanPath::parse(&entry.link).map_err(|reason| {
            bad_layer(&entry.name, format!("hard link to {}: {reason}", lossy(&entry.link)))
        })?;
        if target.is_root() {
            return Err(bad_layer(&entry.name, "a hard link to the archive's root".to_owned()));
        }
        let (dir, last) = target.split();
        let linked = self.root.folder(dir).and_then(|dir| {
            let last = OsStr::from_bytes(last);
            // Without AT_SYMLINK_FOLLOW a symlink is linked itself.
            Ok(rustix::fs::linkat(&dir.fd, last, &folder.fd, name, AtFlags::empty())?)
        });
        linked.map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => bad_layer(
                &entry.name,
                format!("hard link to {}, which is not in this layer", lossy(&entry.link)),
            ),
            _ => unpack_error(&entry.name, "link", e),
        })
    }

    fn special(&mut self, entry: &Entry, folder: &Folder, name: &OsStr) -> Result<()> {
        let kind = match entry.kind {
            EntryKind::CharacterDevice => FileType::CharacterDevice,
            EntryKind::BlockDevice => FileType::BlockDevice,
            _ => FileType::Fifo,
        };
        let device = if kind == FileType::Fifo {
            0
        } else {
            // Twelve bits and twenty: the kernel would cut off more without a word.
            match (u32::try_from(entry.major), u32::try_from(entry.minor)) {
                (Ok(major @ ..=0xfff), Ok(minor @ ..=0xf_ffff)) => rustix::fs::makedev(major, minor),
                _ => return Err(bad_layer(&entry.name, "a device number out of range".to_owned())),
            }
        };
        rustix::fs::mknodat(&folder.fd, name, kind, Mode::from(0o600), device)
            .map_err(|e| unpack_error(&entry.name, "mknod", e))
    }

    /// Looks of a folder now, its times at the end.
    fn folder_looks(&mut self, entry: &Entry, folder: &Folder) -> Result<()> {
        self.looks(entry, folder.fd.as_fd())?;
        self.folders.insert(folder.real.to_vec(), times(entry));
        Ok(())
    }

    /// Owner, mode and attributes of an open file or folder. chown clears setuid bits and capabilities: it comes first.
    fn looks(&self, entry: &Entry, fd: impl AsFd) -> Result<()> {
        let (uid, gid) = owner(entry)?;
        rustix::fs::fchown(&fd, Some(uid), Some(gid)).map_err(|e| unpack_error(&entry.name, "chown", e))?;
        rustix::fs::fchmod(&fd, meta::permissions(entry.mode))
            .map_err(|e| unpack_error(&entry.name, "chmod", e))?;
        self.xattrs(entry, fd)
    }

    fn xattrs(&self, entry: &Entry, fd: impl AsFd) -> Result<()> {
        for (name, value) in &entry.xattrs {
            if whiteout::is_private(name) {
                tracing::warn!(entry = %lossy(&entry.name), xattr = %lossy(name), "left out an attribute of overlay's own");
                continue;
            }
            match meta::set_xattr(&fd, name, value) {
                Ok(()) => {}
                // As Docker: not every file system and not every kind of file takes every attribute.
                Err(error @ (Errno::OPNOTSUPP | Errno::PERM)) => {
                    tracing::warn!(entry = %lossy(&entry.name), xattr = %lossy(name), %error, "left out an attribute");
                }
                Err(e) => return Err(unpack_error(&entry.name, "setxattr", e)),
            }
        }
        Ok(())
    }

    /// Looks of a node that can't be opened. Nobody else changes this folder, so its name is safe to use.
    fn node_looks(&self, entry: &Entry, folder: &Folder, name: &OsStr) -> Result<()> {
        let fail = |step, e: Errno| unpack_error(&entry.name, step, e);
        let (uid, gid) = owner(entry)?;
        rustix::fs::chownat(&folder.fd, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| fail("chown", e))?;
        if entry.kind != EntryKind::Symlink {
            rustix::fs::chmodat(&folder.fd, name, meta::permissions(entry.mode), AtFlags::empty())
                .map_err(|e| fail("chmod", e))?;
        }
        if !entry.xattrs.is_empty() {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd =
                rustix::fs::openat(&folder.fd, name, flags, Mode::empty()).map_err(|e| fail("open", e))?;
            self.xattrs(entry, fd)?;
        }
        rustix::fs::utimensat(&folder.fd, name, &times(entry), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| fail("set times", e))
    }
}

impl Entry {
    /// What this entry adds to the layer's size.
    fn size_for_sum(&self) -> u64 {
        if self.kind == EntryKind::Regular { self.size } else { 0 }
    }
}

fn owner(entry: &Entry) -> Result<(Uid, Gid)> {
    // The largest number means "unchanged" to chown.
    let id = |n: i64, what: &str| match u32::try_from(n) {
        Ok(n) if n != u32::MAX => Ok(n),
        _ => Err(bad_layer(&entry.name, format!("the {what} {n} is out of range"))),
    };
    Ok((Uid::from_raw(id(entry.uid, "uid")?), Gid::from_raw(id(entry.gid, "gid")?)))
}

fn times(entry: &Entry) -> Timestamps {
    let time = |(seconds, nanos): (i64, u32)| Timespec { tv_sec: seconds, tv_nsec: i64::from(nanos) };
    Timestamps { last_access: time(entry.atime.unwrap_or(entry.mtime)), last_modification: time(entry.mtime) }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn bad_layer(entry: &[u8], reason: String) -> Error {
    Error::BadLayer { reason, entry: lossy(entry) }
}

fn unpack_error(entry: &[u8], step: &'static str, source: impl Into<std::io::Error>) -> Error {
    Error::Unpack { entry: lossy(entry), step, source: source.into() }
}

fn tar_error(error: TarError, entry: &[u8]) -> Error {
    match error {
        TarError::Io(e) => Error::Input(e),
        e => bad_layer(entry, e.to_string()),
    }
}
