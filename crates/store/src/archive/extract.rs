//! A tar stream as files: what Docker's copying does with an archive, in its words.

use super::{open_in_root, pack::entry_error, pack::stat_at};
use crate::{
    compression,
    error::{Error, Result},
    layer::{name::PATH_MAX, whiteout},
    tar::{Entry, EntryKind, TarError, TarReader},
    tree::{self, meta},
};
use rustix::{
    fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid},
    io::Errno,
};
use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::File,
    io::{self, BufReader, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    rc::Rc,
};

/// Where and how to extract.
#[derive(Debug, Clone, Copy)]
pub struct Extraction<'a> {
    /// The root that nothing leads out of.
    pub root: BorrowedFd<'a>,
    /// The folder in it, as an absolute path.
    pub folder: &'a str,
    /// Refuse to put a file where a folder is, and the other way round.
    pub keep_kinds: bool,
    /// Who all files belong to; those that the archive says when absent.
    pub owner: Option<(u32, u32)>,
    /// What the archive says of the folder itself holds for it, too.
    pub top: bool,
}

/// Reads an archive (plain, gzip or zstd) and makes its files.
///
/// # Errors
/// Docker's words for archives that mean harm; what the file system says.
pub fn extract(archive: &mut dyn Read, how: Extraction<'_>) -> Result<()> {
    let input = BufReader::with_capacity(1 << 16, compression::decompress(archive)?);
    let mut extractor = Extractor {
        reader: TarReader::new(input),
        how,
        folders: HashMap::new(),
        last: None,
        buffer: vec![0; 128 << 10],
    };
    while let Some(entry) = extractor.reader.next().map_err(tar_error)? {
        extractor.reader.take_raw();
        extractor.entry(&entry)?;
        extractor.skip_content()?;
    }
    // The rest is read so that the sender need not see its connection break.
    extractor.reader.drain(&mut |_| Ok(())).map_err(tar_error)?;
    extractor.set_folder_times()
}

struct Extractor<'a, R> {
    reader: TarReader<R>,
    how: Extraction<'a>,
    /// Folders whose times are set at the end, when nothing is put into them any more.
    folders: HashMap<Vec<u8>, Timestamps>,
    /// The folder that was opened last; archives come folder by folder.
    last: Option<(Vec<u8>, Rc<OwnedFd>)>,
    buffer: Vec<u8>,
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl<R: Read> Extractor<'_, R> {
    fn entry(&mut self, entry: &Entry) -> Result<()> {
        if entry.kind == EntryKind::GlobalHeader {
            return Ok(());
        }
        let folder = self.how.folder;
        let Some(name) = clean(&entry.name) else {
            return Err(Error::Refused(format!("{:?} is outside of {folder:?}", lossy(&entry.name))));
        };
        let path = self.path_of(&name);
        if path.len() > PATH_MAX {
            return Err(entry_error("open", &path, Errno::NAMETOOLONG));
        }
        if name.is_empty() {
            return match entry.kind {
                EntryKind::Directory if self.how.top => {
                    let folder = self.folder(&name)?;
                    self.looks(entry, folder.as_fd(), &path)?;
                    self.folders.insert(name, times(entry));
                    Ok(())
                }
                // The folder itself stays as it is.
                EntryKind::Directory => Ok(()),
                _ => Err(entry_error("open", &path, Errno::ISDIR)),
            };
        }
        let (parent, last) = split(&name);
        let parent = self.folder(parent)?;
        let last = OsStr::from_bytes(last);
        let there = self.make_room(entry, &parent, last, &path)?;
        match entry.kind {
            EntryKind::Regular => self.regular(entry, &parent, last, &path),
            EntryKind::Directory => {
                if !there {
                    rustix::fs::mkdirat(&parent, last, Mode::from(0o700))
                        .map_err(|e| entry_error("mkdir", &path, e))?;
                }
                let made = tree::open_child(&parent, last).map_err(|e| entry_error("open", &path, e))?;
                self.looks(entry, made.as_fd(), &path)?;
                self.folders.insert(name, times(entry));
                Ok(())
            }
            EntryKind::HardLink => self.hard_link(entry, &parent, last, &path),
            EntryKind::Symlink => {
                rustix::fs::symlinkat(OsStr::from_bytes(&entry.link), &parent, last)
                    .map_err(|e| entry_error("symlink", &path, e))?;
                self.node_looks(entry, &parent, last, &path)
            }
            EntryKind::CharacterDevice | EntryKind::BlockDevice | EntryKind::Fifo => {
                self.special(entry, &parent, last, &path)?;
                self.node_looks(entry, &parent, last, &path)
            }
            EntryKind::GlobalHeader => Ok(()),
            EntryKind::Other(flag) => {
                Err(Error::Refused(format!("unhandled tar header type {:?}", char::from(flag))))
            }
        }
    }

    /// Where a name of the archive is under the root.
    fn path_of(&self, name: &[u8]) -> Vec<u8> {
        let folder = self.how.folder.trim_end_matches('/').as_bytes();
        match name {
            b"" if folder.is_empty() => b"/".to_vec(),
            b"" => folder.to_vec(),
            name => [folder, b"/", name].concat(),
        }
    }

    /// Opens a folder of the archive, made when it is missing. Links on the way are followed inside the root.
    fn folder(&mut self, name: &[u8]) -> Result<Rc<OwnedFd>> {
        if let Some((last, folder)) = &self.last
            && last == name
        {
            return Ok(folder.clone());
        }
        let path = self.path_of(name);
        let fail = |e: io::Error| entry_error("mkdir", &path, e);
        let folder = match open_in_root(self.how.root, &path, FOLDER) {
            Ok(folder) => folder,
            Err(e) if e.kind() == io::ErrorKind::NotFound && !name.is_empty() => {
                let (above, last) = split(name);
                // As deep as a name is long, which is bounded.
                let above = self.folder(above)?;
                match rustix::fs::mkdirat(&above, OsStr::from_bytes(last), Mode::from(0o755)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(e) => return Err(fail(e.into())),
                }
                open_in_root(self.how.root, &path, FOLDER).map_err(fail)?
            }
            Err(e) => return Err(fail(e)),
        };
        let folder = Rc::new(folder);
        self.last = Some((name.to_vec(), folder.clone()));
        Ok(folder)
    }

    /// Clears the way for an entry. Whether a folder is there that the entry, a folder too, is merged with.
    fn make_room(&mut self, entry: &Entry, parent: &OwnedFd, last: &OsStr, path: &[u8]) -> Result<bool> {
        let stat = stat_at(parent.as_fd(), last).map_err(|e| entry_error("lstat", path, e))?;
        let Some(stat) = stat else { return Ok(false) };
        let folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let wants_folder = entry.kind == EntryKind::Directory;
        if folder && wants_folder {
            return Ok(true);
        }
        if self.how.keep_kinds && folder != wants_folder {
            let name = |is_folder| if is_folder { "directory" } else { "non-directory" };
            return Err(Error::Refused(format!(
                "cannot overwrite {} {:?} with {} {:?}",
                name(folder),
                lossy(path),
                name(wants_folder),
                self.how.folder
            )));
        }
        self.last = None;
        tree::remove(parent, last).map_err(|e| entry_error("unlinkat", path, e))?;
        Ok(false)
    }

    fn regular(&mut self, entry: &Entry, parent: &OwnedFd, last: &OsStr, path: &[u8]) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(parent, last, flags, Mode::from(0o600))
            .map_err(|e| entry_error("open", path, e))?;
        let mut file = File::from(fd);
        let whole = [(0, entry.size)];
        let segments: Vec<(u64, u64)> = match &entry.segments {
            None => whole.to_vec(),
            Some(segments) => {
                file.set_len(entry.size).map_err(|e| entry_error("truncate", path, e))?;
                segments.iter().map(|s| (s.offset, s.length)).collect()
            }
        };
        for (offset, length) in segments {
            if entry.segments.is_some() {
                io::Seek::seek(&mut file, io::SeekFrom::Start(offset))
                    .map_err(|e| entry_error("seek", path, e))?;
            }
            self.content(&mut file, length, path)?;
        }
        self.looks(entry, file.as_fd(), path)?;
        rustix::fs::futimens(&file, &times(entry)).map_err(|e| entry_error("chtimes", path, e))
    }

    fn content(&mut self, file: &mut File, length: u64, path: &[u8]) -> Result<()> {
        let mut left = length;
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
            let n = self.reader.read(&mut self.buffer[..want]).map_err(tar_error)?;
            if n == 0 {
                return Err(Error::Refused("archive/tar: invalid tar header".to_owned()));
            }
            file.write_all(&self.buffer[..n]).map_err(|e| entry_error("write", path, e))?;
            left -= n as u64;
        }
        Ok(())
    }

    /// Reads over content that became no file.
    fn skip_content(&mut self) -> Result<()> {
        while self.reader.read(&mut self.buffer).map_err(tar_error)? > 0 {}
        Ok(())
    }

    fn hard_link(&mut self, entry: &Entry, parent: &OwnedFd, last: &OsStr, path: &[u8]) -> Result<()> {
        let Some(target) = clean(&entry.link).filter(|target| !target.is_empty()) else {
            return Err(Error::Refused(format!(
                "invalid hardlink {:?} -> {:?}",
                lossy(&self.path_of(clean(&entry.link).as_deref().unwrap_or(last.as_bytes()))),
                lossy(&entry.link)
            )));
        };
        let (folder, name) = split(&target);
        let from = open_in_root(self.how.root, &self.path_of(folder), FOLDER)
            .map_err(|e| entry_error("link", path, e))?;
        // Without AT_SYMLINK_FOLLOW a symlink is linked itself.
        rustix::fs::linkat(&from, OsStr::from_bytes(name), parent, last, AtFlags::empty())
            .map_err(|e| entry_error("link", path, e))
    }

    fn special(&self, entry: &Entry, parent: &OwnedFd, last: &OsStr, path: &[u8]) -> Result<()> {
        let kind = match entry.kind {
            EntryKind::CharacterDevice => FileType::CharacterDevice,
            EntryKind::BlockDevice => FileType::BlockDevice,
            _ => FileType::Fifo,
        };
        let device = match (u32::try_from(entry.major), u32::try_from(entry.minor)) {
            _ if kind == FileType::Fifo => 0,
            // Twelve bits and twenty: the kernel would cut off more without a word.
            (Ok(major @ ..=0xfff), Ok(minor @ ..=0xf_ffff)) => rustix::fs::makedev(major, minor),
            _ => return Err(entry_error("mknod", path, Errno::INVAL)),
        };
        rustix::fs::mknodat(parent, last, kind, Mode::from(0o600), device)
            .map_err(|e| entry_error("mknod", path, e))
    }

    fn owner(&self, entry: &Entry, path: &[u8]) -> Result<(Uid, Gid)> {
        if let Some((uid, gid)) = self.how.owner {
            return Ok((Uid::from_raw(uid), Gid::from_raw(gid)));
        }
        // The largest number means "unchanged" to chown.
        let id = |n: i64| match u32::try_from(n) {
            Ok(n) if n != u32::MAX => Ok(n),
            _ => Err(entry_error("lchown", path, Errno::INVAL)),
        };
        Ok((Uid::from_raw(id(entry.uid)?), Gid::from_raw(id(entry.gid)?)))
    }

    /// Owner, mode and attributes of an open file or folder. chown clears setuid bits and capabilities: it comes first.
    fn looks(&self, entry: &Entry, fd: BorrowedFd<'_>, path: &[u8]) -> Result<()> {
        let (uid, gid) = self.owner(entry, path)?;
        rustix::fs::fchown(fd, Some(uid), Some(gid)).map_err(|e| entry_error("lchown", path, e))?;
        rustix::fs::fchmod(fd, meta::permissions(entry.mode)).map_err(|e| entry_error("chmod", path, e))?;
        for (name, value) in &entry.xattrs {
            if whiteout::is_private(name) {
                continue;
            }
            match meta::set_xattr(fd, name, value) {
                // As Docker: not every file system takes every attribute.
                Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
                Err(e) => return Err(entry_error("setxattr", path, e)),
            }
        }
        Ok(())
    }

    /// Looks of a node that is not opened for reading: by a descriptor that says only where it is, so that nobody can
    /// put a link in its place.
    fn node_looks(&self, entry: &Entry, parent: &OwnedFd, last: &OsStr, path: &[u8]) -> Result<()> {
        let (uid, gid) = self.owner(entry, path)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let node = rustix::fs::openat(parent, last, flags, Mode::empty())
            .map_err(|e| entry_error("open", path, e))?;
        rustix::fs::chownat(&node, c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH)
            .map_err(|e| entry_error("lchown", path, e))?;
        if entry.kind != EntryKind::Symlink {
            let mode = meta::permissions(entry.mode);
            rustix::fs::chmod(tree::proc_path(&node), mode).map_err(|e| entry_error("chmod", path, e))?;
        }
        rustix::fs::utimensat(&node, c"", &times(entry), AtFlags::EMPTY_PATH)
            .map_err(|e| entry_error("chtimes", path, e))
    }

    fn set_folder_times(&self) -> Result<()> {
        for (name, times) in &self.folders {
            let path = self.path_of(name);
            match open_in_root(self.how.root, &path, FOLDER) {
                Ok(folder) => {
                    rustix::fs::futimens(&folder, times).map_err(|e| entry_error("chtimes", &path, e))?;
                }
                // A later entry, or somebody else, has replaced it.
                Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(e) => return Err(entry_error("chtimes", &path, e)),
            }
        }
        Ok(())
    }
}

/// A name without empty, `.` and `..` parts; `None` when it climbs out. A slash before it means nothing.
fn clean(name: &[u8]) -> Option<Vec<u8>> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in name.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join(&b'/'))
}

/// The folder and the last part.
fn split(name: &[u8]) -> (&[u8], &[u8]) {
    match name.iter().rposition(|b| *b == b'/') {
        Some(slash) => (&name[..slash], &name[slash + 1..]),
        None => (b"", name),
    }
}

fn times(entry: &Entry) -> Timestamps {
    let time = |(seconds, nanos): (i64, u32)| Timespec { tv_sec: seconds, tv_nsec: i64::from(nanos) };
    Timestamps { last_access: time(entry.atime.unwrap_or(entry.mtime)), last_modification: time(entry.mtime) }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A broken archive in Go's words.
fn tar_error(error: TarError) -> Error {
    match error {
        TarError::Io(e) => Error::Input(e),
        TarError::Truncated { .. } => Error::Refused("unexpected EOF".to_owned()),
        TarError::Format { .. } => Error::Refused("archive/tar: invalid tar header".to_owned()),
    }
}
