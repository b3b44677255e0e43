//! What is at a path of a container, in the terms of Docker's API.

use crate::error::{Error, Result};
use brig_api::{ContainerPathStat, Time};
use brig_store::archive::open_in_root;
use rustix::fs::{FileType, OFlags, Stat};
use std::{
    collections::VecDeque,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
};

/// How many links one path may lead through, as in the kernel.
const MAX_LINKS: usize = 40;

/// A path of a container as a client gave it: absolute, without `..`, and whether it must be a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AskedPath {
    /// As asked for, for messages.
    pub(super) given: String,
    /// Begins with a slash; ends with `/` or `/.` where the client's does.
    pub(super) whole: String,
}

impl AskedPath {
    /// Cleans a path by its text, as Docker does.
    pub(super) fn parse(given: &str) -> Result<Self> {
        if given.is_empty() {
            return Err(Error::Invalid("bad parameter: pathcannot be empty".to_owned()));
        }
        if given.contains('\0') {
            return Err(Error::Invalid("bad parameter: the path contains a NUL byte".to_owned()));
        }
        let mut parts: Vec<&str> = Vec::new();
        for part in given.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        let mut whole = format!("/{}", parts.join("/"));
        let last = given.rsplit('/').next().unwrap_or_default();
        match last {
            "." if whole != "/" => whole.push_str("/."),
            "." => whole.push('.'),
            "" if whole != "/" => whole.push('/'),
            _ => {}
        }
        Ok(Self { given: given.to_owned(), whole })
    }

    /// Its last part, as Go's `filepath.Base`.
    pub(super) fn base(&self) -> &str {
        match self.whole.trim_end_matches('/').rsplit('/').next() {
            None | Some("") => "/",
            Some(base) => base,
        }
    }

    /// Whether only a folder can be meant.
    pub(super) fn is_folder(&self) -> bool {
        self.whole.ends_with('/') || self.whole.ends_with("/.")
    }

    /// Opens what is there, as a path only; a link at its end is opened itself, unless a folder is meant.
    pub(super) fn open(&self, root: BorrowedFd<'_>, container: &str) -> Result<OwnedFd> {
        let flags = OFlags::PATH | if self.is_folder() { OFlags::DIRECTORY } else { OFlags::NOFOLLOW };
        let opened = open_in_root(root, self.whole.as_bytes(), flags);
        let opened = opened.map_err(|e| self.failed("lstat", &e, container))?;
        // A container's own /proc is no part of its files: it shows whoever looks.
        let kind = rustix::fs::fstatfs(&opened).map_err(|e| self.failed("statfs", &e.into(), container))?;
        if kind.f_type as u64 == PROC_SUPER_MAGIC {
            return Err(self.missing(container));
        }
        Ok(opened)
    }

    /// A failed look at it, in Docker's words.
    pub(super) fn failed(&self, step: &str, error: &io::Error, container: &str) -> Error {
        if error.kind() == io::ErrorKind::NotFound {
            return self.missing(container);
        }
        let text = brig_runtime::Errno(error.raw_os_error().unwrap_or(5));
        Error::System(format!("{step} {}: {text}", self.whole))
    }

    pub(super) fn missing(&self, container: &str) -> Error {
        Error::NoSuchFile { path: self.given.clone(), container: container.to_owned() }
    }
}

/// `linux/magic.h`
const PROC_SUPER_MAGIC: u64 = 0x9fa0;

/// What is at a path, for the API.
pub(super) fn describe(root: BorrowedFd<'_>, path: &AskedPath, fd: &OwnedFd) -> Result<ContainerPathStat> {
    let stat = rustix::fs::fstat(fd).map_err(|e| Error::file("stat", &path.whole, e.into()))?;
    let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
    let nanos = i32::try_from(stat.st_mtime_nsec).unwrap_or(0);
    let link_target = if is_link {
        evaluate(root, &path.whole).map_err(|e| Error::file("readlink", &path.whole, e))?
    } else {
        String::new()
    };
    Ok(ContainerPathStat {
        name: path.base().to_owned(),
        size: stat.st_size,
        mode: go_mode(&stat),
        mtime: jiff::Timestamp::new(stat.st_mtime, nanos).map_or(Time::ZERO, Time),
        link_target,
    })
}

/// `os.FileMode`: Go's own bits, not the system's.
fn go_mode(stat: &Stat) -> u32 {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => 1 << 31,
        FileType::Symlink => 1 << 27,
        FileType::BlockDevice => 1 << 26,
        FileType::CharacterDevice => 1 << 26 | 1 << 21,
        FileType::Fifo => 1 << 25,
        FileType::Socket => 1 << 24,
        _ => 0,
    };
    let special = [(0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20)];
    let bits = special.iter().filter(|(bit, _)| stat.st_mode & bit != 0).map(|(_, go)| go);
    bits.fold(kind | (stat.st_mode & 0o777), |mode, bit| mode | bit)
}

/// Where a path leads when all links are followed, as far as something is there. For showing only: nothing is opened
/// by it later without being resolved again.
fn evaluate(root: BorrowedFd<'_>, path: &str) -> io::Result<String> {
    let mut todo: VecDeque<Vec<u8>> = path.split('/').map(|part| part.as_bytes().to_vec()).collect();
    let mut at: Vec<Vec<u8>> = Vec::new();
    let mut links = 0;
    while let Some(part) = todo.pop_front() {
        match part.as_slice() {
            b"" | b"." => continue,
            b".." => {
                at.pop();
                continue;
            }
            _ => at.push(part),
        }
        let here = [b"/".as_slice(), &at.join(&b'/')].concat();
        let Ok(node) = open_in_root(root, &here, OFlags::PATH | OFlags::NOFOLLOW) else { continue };
        let stat = rustix::fs::fstat(&node)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(rustix::io::Errno::LOOP.into());
        }
        let target = rustix::fs::readlinkat(node.as_fd(), c"", Vec::new())?.into_bytes();
        if target.starts_with(b"/") {
            at.clear();
        } else {
            at.pop();
        }
        for part in target.split(|b| *b == b'/').rev() {
            todo.push_front(part.to_vec());
        }
    }
    let whole = [b"/".as_slice(), &at.join(&b'/')].concat();
    Ok(std::ffi::OsStr::from_bytes(&whole).to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_docker_does() {
        for (given, whole, base, folder) in [
            ("/etc/passwd", "/etc/passwd", "passwd", false),
            ("etc/", "/etc/", "etc", true),
            ("/etc/.", "/etc/.", ".", true),
            ("/", "/", "/", true),
            (".", "/.", ".", true),
            ("/a/../../b//c", "/b/c", "c", false),
            ("/..", "/", "/", true),
        ] {
            let path = AskedPath::parse(given).unwrap();
            assert_eq!(
                (path.whole.as_str(), path.base(), path.is_folder()),
                (whole, base, folder),
                "{given}"
            );
        }
        assert!(AskedPath::parse("").is_err());
    }

    #[test]
    fn links_are_evaluated_inside_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, dir.path().join(name)).unwrap();
        std::fs::create_dir_all(dir.path().join("real/dir")).unwrap();
        link("real", "a");
        link("/a/dir", "b");
        link("../../../../etc/shadow", "c");
        link("d", "d");
        let root = std::fs::File::open(dir.path()).unwrap();
        let of = |path| evaluate(root.as_fd(), path);
        assert_eq!(of("/b").unwrap(), "/real/dir");
        assert_eq!(of("/a/dir").unwrap(), "/real/dir");
        assert_eq!(of("/c").unwrap(), "/etc/shadow");
        assert!(of("/d").is_err());
    }
}
