//! Reading files of a container's root file system that is not mounted, by looking through its layers as
//! overlayfs would: the topmost wins, whiteouts hide, opaque folders hide what is below, links lead on.
//!
//! Everything is opened relative to a layer's own descriptors and no link is ever followed by the kernel, so
//! nothing outside of the layers can be reached.

use brig_core::RootFs;
use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, openat, statat},
    io::Errno,
};
use std::{
    collections::{BTreeSet, VecDeque},
    ffi::{OsStr, OsString},
    io::{self, Read},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Component, Path, PathBuf},
};

/// How many symbolic links one path may lead through, as in the kernel.
const MAX_LINKS: usize = 40;

/// How many folders of layers one path may hold open: images choose how deep their links lead, and descriptors are the
/// daemon's.
const MAX_OPEN: usize = 4096;

/// The first `limit` bytes of a regular file; `None` when there is none.
///
/// # Errors
/// What the file system says, and a loop of links.
pub(crate) fn read(rootfs: &RootFs, path: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
    match find(&roots(rootfs), path)? {
        Entry::File(file) => {
            let mut bytes = Vec::new();
            std::fs::File::from(file).take(limit).read_to_end(&mut bytes)?;
            Ok(Some(bytes))
        }
        Entry::Missing | Entry::Folder(_) | Entry::Link(_) | Entry::Node(_) => Ok(None),
    }
}

/// A folder; `None` when there is none.
///
/// # Errors
/// What the file system says, and a loop of links.
pub(crate) fn folder(rootfs: &RootFs, path: &str) -> io::Result<Option<Folder>> {
    Ok(match find(&roots(rootfs), path)? {
        Entry::Folder(folder) => Some(folder),
        Entry::Missing | Entry::File(_) | Entry::Link(_) | Entry::Node(_) => None,
    })
}

fn roots(rootfs: &RootFs) -> Vec<&Path> {
    match rootfs {
        RootFs::Directory { path } => vec![path],
        RootFs::Overlay { lower, upper, .. } => {
            std::iter::once(upper.as_path()).chain(lower.iter().map(PathBuf::as_path)).collect()
        }
    }
}

/// A folder as the layers that have a part of it, topmost first. Never empty.
#[derive(Debug)]
pub(crate) struct Folder(Vec<OwnedFd>);

/// What a name in a folder is.
#[derive(Debug)]
pub(crate) enum Entry {
    /// Nothing, or hidden.
    Missing,
    /// A folder.
    Folder(Folder),
    /// A regular file, open for reading.
    File(OwnedFd),
    /// A symbolic link and where it leads.
    Link(OsString),
    /// A device, a pipe or a socket.
    Node(Stat),
}

impl Folder {
    /// Who owns it and what it allows: as the topmost part says.
    pub(crate) fn stat(&self) -> io::Result<Stat> {
        Ok(rustix::fs::fstat(self.top())?)
    }

    /// Its topmost part.
    pub(crate) fn top(&self) -> &OwnedFd {
        // Made with one part at least.
        &self.0[0]
    }

    /// All names in it, hidden ones too.
    pub(crate) fn names(&self) -> io::Result<BTreeSet<OsString>> {
        let mut names = BTreeSet::new();
        for part in &self.0 {
            for entry in rustix::fs::Dir::read_from(part)? {
                let entry = entry?;
                let name = entry.file_name().to_bytes();
                if name != b"." && name != b".." {
                    names.insert(OsStr::from_bytes(name).to_owned());
                }
            }
        }
        Ok(names)
    }

    /// What a name is. A link is not followed; its own owner is in `lstat`.
    pub(crate) fn entry(&self, name: &OsStr) -> io::Result<Entry> {
        look(self, name)
    }

    /// The owner and times of a name, as the topmost layer that has it says.
    pub(crate) fn lstat(&self, name: &OsStr) -> io::Result<Stat> {
        let mut missing = Errno::NOENT;
        for part in &self.0 {
            match statat(part, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => return Ok(stat),
                Err(e) => missing = e,
            }
        }
        Err(missing.into())
    }
}

fn open_roots(roots: &[&Path]) -> io::Result<Folder> {
    let open = |root: &&Path| {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(CWD, *root, flags, Mode::empty()).map_err(io::Error::from)
    };
    roots.iter().map(open).collect::<io::Result<Vec<_>>>().map(Folder)
}

fn components(path: &Path) -> VecDeque<OsString> {
    let names = path.components().filter_map(|c| match c {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    names.collect()
}

fn find(roots: &[&Path], path: &str) -> io::Result<Entry> {
    let mut todo = components(Path::new(path));
    // The folders walked through, so that `..` leads back and never out.
    let mut walked: Vec<Folder> = vec![open_roots(roots)?];
    let mut links = 0;
    let mut open = roots.len();
    while let Some(name) = todo.pop_front() {
        if name == ".." {
            if walked.len() > 1 {
                open -= walked.pop().map_or(0, |folder| folder.0.len());
            }
            continue;
        }
        let Some(here) = walked.last() else { return Ok(Entry::Missing) };
        match look(here, &name)? {
            Entry::Folder(folder) => {
                open += folder.0.len();
                if open > MAX_OPEN + roots.len() {
                    return Err(Errno::NAMETOOLONG.into());
                }
                walked.push(folder);
            }
            found @ (Entry::File(_) | Entry::Node(_)) => {
                return Ok(if todo.is_empty() { found } else { Entry::Missing });
            }
            Entry::Missing => return Ok(Entry::Missing),
            Entry::Link(target) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::LOOP.into());
                }
                let target = Path::new(&target);
                if target.is_absolute() {
                    walked.truncate(1);
                    open = roots.len();
                }
                for name in components(target).into_iter().rev() {
                    todo.push_front(name);
                }
            }
        }
    }
    Ok(walked.pop().map_or(Entry::Missing, Entry::Folder))
}

fn look(here: &Folder, name: &OsStr) -> io::Result<Entry> {
    let mut parts = Vec::new();
    for layer in &here.0 {
        // What is looked at is what is opened, whatever the container that runs puts in its place meanwhile.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let node = match openat(layer, name, flags, Mode::empty()) {
            Ok(node) => node,
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            Err(e) => return Err(e.into()),
        };
        let stat = rustix::fs::fstat(&node)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let part = match openat(&node, c".", flags, Mode::empty()) {
                    Ok(part) => part,
                    // Removed meanwhile.
                    Err(Errno::NOENT) => continue,
                    Err(e) => return Err(e.into()),
                };
                let opaque = is_opaque(&part);
                parts.push(part);
                if opaque {
                    break;
                }
            }
            // What is below a thing that is no folder does not show through it.
            _ if !parts.is_empty() => break,
            FileType::RegularFile => {
                let path = format!("/proc/self/fd/{}", node.as_raw_fd());
                let file = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
                return Ok(Entry::File(file));
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(&node, c"", Vec::new())?;
                return Ok(Entry::Link(OsStr::from_bytes(target.as_bytes()).to_owned()));
            }
            // A whiteout.
            FileType::CharacterDevice if stat.st_rdev == 0 => return Ok(Entry::Missing),
            _ => return Ok(Entry::Node(stat)),
        }
    }
    Ok(if parts.is_empty() { Entry::Missing } else { Entry::Folder(Folder(parts)) })
}

fn is_opaque(folder: &OwnedFd) -> bool {
    ["trusted.overlay.opaque", "user.overlay.opaque"].into_iter().any(|name| {
        let mut value = [0u8; 1];
        rustix::fs::fgetxattr(folder, name, &mut value[..]).is_ok_and(|n| n == 1 && value[0] == b'y')
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    struct Tree {
        _dir: tempfile::TempDir,
        rootfs: RootFs,
        upper: PathBuf,
        lower: PathBuf,
    }

    fn tree() -> Tree {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        };
        let (upper, middle, lower, work) = (path("upper"), path("middle"), path("lower"), path("work"));
        for layer in [&upper, &middle, &lower] {
            fs::create_dir(layer.join("etc")).unwrap();
        }
        let rootfs = RootFs::Overlay {
            lower: vec![middle, lower.clone()],
            upper: upper.clone(),
            work,
            volatile: false,
        };
        Tree { _dir: dir, rootfs, upper, lower }
    }

    fn text(tree: &Tree, path: &str) -> Option<String> {
        read(&tree.rootfs, path, 100).unwrap().map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn the_topmost_layer_wins_and_others_show_through() {
        let tree = tree();
        fs::write(tree.lower.join("etc/passwd"), "low").unwrap();
        assert_eq!(text(&tree, "/etc/passwd").as_deref(), Some("low"));
        fs::write(tree.upper.join("etc/passwd"), "up").unwrap();
        assert_eq!(text(&tree, "etc/passwd").as_deref(), Some("up"));
        assert_eq!(text(&tree, "etc/group"), None);
        assert_eq!(text(&tree, "etc"), None);
        assert_eq!(text(&tree, "etc/passwd/x"), None);
    }

    #[test]
    fn whiteouts_and_opaque_folders_hide() {
        let tree = tree();
        fs::write(tree.lower.join("etc/passwd"), "low").unwrap();
        let whiteout = tree.upper.join("etc/passwd");
        rustix::fs::mknodat(CWD, &whiteout, FileType::CharacterDevice, Mode::empty(), 0).unwrap();
        assert_eq!(text(&tree, "etc/passwd"), None);
        fs::remove_file(&whiteout).unwrap();
        let upper = fs::File::open(tree.upper.join("etc")).unwrap();
        let flags = rustix::fs::XattrFlags::empty();
        if rustix::fs::fsetxattr(&upper, "trusted.overlay.opaque", b"y", flags).is_ok() {
            assert_eq!(text(&tree, "etc/passwd"), None);
        }
    }

    #[test]
    fn links_lead_through_layers_and_never_out() {
        let tree = tree();
        fs::create_dir(tree.lower.join("real")).unwrap();
        fs::write(tree.lower.join("real/passwd"), "real").unwrap();
        symlink("/real/passwd", tree.upper.join("etc/passwd")).unwrap();
        symlink("../../../../real/passwd", tree.upper.join("etc/up")).unwrap();
        symlink("loop", tree.upper.join("etc/loop")).unwrap();
        symlink("/etc/hostname", tree.upper.join("etc/host")).unwrap();
        assert_eq!(text(&tree, "etc/passwd").as_deref(), Some("real"));
        assert_eq!(text(&tree, "etc/up").as_deref(), Some("real"));
        assert_eq!(text(&tree, "etc/host"), None);
        assert_eq!(
            read(&tree.rootfs, "etc/loop", 9).unwrap_err().raw_os_error(),
            Some(Errno::LOOP.raw_os_error())
        );
    }

    #[test]
    fn links_that_lead_ever_deeper_do_not_use_up_descriptors() {
        let tree = tree();
        let mut here = fs::File::open(&tree.upper).map(OwnedFd::from).unwrap();
        for _ in 0..3 {
            for _ in 0..2000 {
                rustix::fs::mkdirat(&here, "a", Mode::RWXU).unwrap();
                here = openat(&here, "a", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
            }
            rustix::fs::symlinkat("a/".repeat(2000), &here, "l").unwrap();
        }
        symlink(format!("{}l/l/l", "a/".repeat(2000)), tree.upper.join("passwd")).unwrap();
        let error = read(&tree.rootfs, "passwd", 100).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::NAMETOOLONG.raw_os_error()));
    }

    #[test]
    fn what_changes_while_it_is_looked_at_is_one_thing_or_the_other() {
        let tree = tree();
        let (one, other) = (tree.upper.join("x"), tree.upper.join("y"));
        fs::write(&one, "file").unwrap();
        std::thread::scope(|scope| {
            let (looked, stop) = std::sync::mpsc::channel::<()>();
            let (one, other) = (&one, &other);
            scope.spawn(move || {
                for round in 0u64.. {
                    match round % 4 {
                        0 => fs::create_dir(other).unwrap(),
                        1 => rustix::fs::mknodat(CWD, other, FileType::Fifo, Mode::RUSR, 0).unwrap(),
                        2 => symlink("nowhere", other).unwrap(),
                        _ => fs::write(other, "file").unwrap(),
                    }
                    let exchange = rustix::fs::RenameFlags::EXCHANGE;
                    rustix::fs::renameat_with(CWD, one, CWD, other, exchange).unwrap();
                    // What was there before.
                    if fs::remove_dir(other).is_err() {
                        fs::remove_file(other).unwrap();
                    }
                    if stop.try_recv() == Err(std::sync::mpsc::TryRecvError::Disconnected) {
                        break;
                    }
                }
            });
            for _ in 0..2_000 {
                let text = text(&tree, "x");
                assert!(text.is_none() || text.as_deref() == Some("file") || text.as_deref() == Some(""));
            }
            drop(looked);
        });
    }

    #[test]
    fn no_more_than_the_limit_is_read_and_devices_not_at_all() {
        let tree = tree();
        fs::write(tree.upper.join("big"), "x".repeat(1000)).unwrap();
        assert_eq!(text(&tree, "big").unwrap().len(), 100);
        let pipe = tree.upper.join("pipe");
        rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert_eq!(text(&tree, "pipe"), None);
    }
}
