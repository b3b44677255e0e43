//! What a container has changed of its image's files: `diff`, and what `commit` packs.

use crate::{
    Store,
    error::{At, Result},
    layer::{hide, mount_points, whiteout},
    tree::{
        self,
        sorted::{self, Descend, Met},
        walk,
    },
};
use brig_core::RootFs;
use rustix::{
    fs::{FileType, OFlags, ResolveFlags, Stat},
    io::Errno,
};
use std::{
    collections::{BTreeSet, HashMap},
    ffi::{OsStr, OsString},
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// Something that a container has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its path below the root, without a slash before it.
    pub path: PathBuf,
    /// What was done to it.
    pub kind: ChangeKind,
}

/// What was done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// Changed itself, or something in it was.
    Modified,
    /// Made.
    Added,
    /// Removed.
    Deleted,
}

impl Store {
    /// What a snapshot has changed of what it is on, in the order of paths, folders before what is in them.
    ///
    /// # Errors
    /// [`crate::Error::NoSuchSnapshot`], or what the file system says.
    pub fn snapshot_changes(&self, key: &str) -> Result<Vec<Change>> {
        let (dir, layers) = self.inner.db.read(|tx| self.inner.snapshot_row(tx, key))?;
        let snapshot = match self.inner.backend.mount(&dir, layers.clone()) {
            RootFs::Overlay { lower, upper, .. } => Snapshot { top: upper, below: lower, whole: false },
            RootFs::Directory { path } => {
                Snapshot { top: path, below: self.inner.backend.shown(layers), whole: true }
            }
        };
        // A container may move a folder while we are in it, which the walk notices: begin again then.
        let mut tries = 0;
        loop {
            match snapshot.changes() {
                Err(e) if e.raw_os_error() == Some(Errno::STALE.raw_os_error()) && tries < 3 => tries += 1,
                result => return result.at("compare", &snapshot.top),
            }
        }
    }

    /// The folder in which a snapshot's own files are.
    pub(crate) fn snapshot_top(&self, key: &str) -> Result<PathBuf> {
        match self.snapshot_mount(key)? {
            RootFs::Overlay { upper, .. } => Ok(upper),
            RootFs::Directory { path } => Ok(path),
        }
    }
}

/// A snapshot's files and those that they are compared with.
struct Snapshot {
    top: PathBuf,
    /// The layers below, topmost first.
    below: Vec<PathBuf>,
    /// The snapshot shows all files; else those alone that were written, and marks of what was removed.
    whole: bool,
}

/// The changes so far, and folders that are changed only if something in them is.
#[derive(Default)]
struct List {
    changes: Vec<(Change, bool)>,
    /// Where a folder is in the list.
    folders: HashMap<Vec<u8>, usize>,
}

impl List {
    fn push(&mut self, path: &[u8], kind: ChangeKind) {
        self.changes.push((Change { path: tree::path_of(path).to_owned(), kind }, true));
        let mut above = path;
        while let Some(slash) = above.iter().rposition(|b| *b == b'/') {
            above = &above[..slash];
            match self.folders.get(above) {
                // What is above it is told already.
                Some(at) if self.changes[*at].1 => break,
                Some(at) => self.changes[*at].1 = true,
                None => {}
            }
        }
    }

    fn maybe(&mut self, path: &[u8]) {
        self.folders.insert(path.to_vec(), self.changes.len());
        let change = Change { path: tree::path_of(path).to_owned(), kind: ChangeKind::Modified };
        self.changes.push((change, false));
    }

    fn finish(self) -> Vec<Change> {
        self.changes.into_iter().filter(|(_, told)| *told).map(|(change, _)| change).collect()
    }
}

impl Snapshot {
    fn changes(&self) -> io::Result<Vec<Change>> {
        let mut list = List::default();
        let root = walk::open(&self.top)?;
        if self.whole || whiteout::is_opaque(&root)? {
            self.deleted(&mut list, b"")?;
        }
        sorted::walk(root, &mut |met| {
            self.met(&mut list, met)?;
            Ok(Descend::Yes)
        })?;
        Ok(list.finish())
    }

    fn met(&self, list: &mut List, met: &Met<'_>) -> io::Result<()> {
        let is_folder = FileType::from_raw_mode(met.stat.st_mode) == FileType::Directory;
        let before = hide::visible(&self.below, met.path)?;
        if !self.whole && whiteout::is_whiteout(met.stat) {
            if before.is_some() {
                list.push(met.path, ChangeKind::Deleted);
            }
            return Ok(());
        }
        let Some(before) = before else {
            if !(self.whole && mount_points::is_one(met.path)) {
                list.push(met.path, ChangeKind::Added);
            }
            return Ok(());
        };
        let stat = rustix::fs::fstat(&before)?;
        if differs(&stat, met.stat) {
            list.push(met.path, ChangeKind::Modified);
        } else if is_folder {
            list.maybe(met.path);
        }
        let was_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if is_folder && was_folder {
            let opaque = || match tree::open_child(met.dir, met.name) {
                Ok(folder) => whiteout::is_opaque(folder),
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
                Err(e) => Err(e),
            };
            if self.whole || opaque()? {
                self.deleted(list, met.path)?;
            }
        }
        Ok(())
    }

    /// Tells of what is below a folder that shows no more.
    fn deleted(&self, list: &mut List, path: &[u8]) -> io::Result<()> {
        for name in names_below(&self.below, path)? {
            let path = match path {
                b"" => name.as_bytes().to_vec(),
                path => [path, b"/", name.as_bytes()].concat(),
            };
            let there = self.top.join(Path::new(OsStr::from_bytes(&path)));
            match rustix::fs::lstat(&there) {
                Ok(_) => {}
                Err(Errno::NOENT | Errno::NOTDIR) => list.push(&path, ChangeKind::Deleted),
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }
}

/// Whether a file was changed, as Docker tells it: a folder's size and time say nothing of it.
fn differs(old: &Stat, new: &Stat) -> bool {
    let is_folder = FileType::from_raw_mode(new.st_mode) == FileType::Directory;
    let looks = |s: &Stat| (s.st_mode, s.st_uid, s.st_gid, s.st_rdev);
    let content = |s: &Stat| (s.st_size, s.st_mtime, s.st_mtime_nsec);
    looks(old) != looks(new) || (!is_folder && content(old) != content(new))
}

/// The names that layers together show in a folder.
fn names_below(layers: &[PathBuf], path: &[u8]) -> io::Result<BTreeSet<OsString>> {
    let mut names = BTreeSet::new();
    let mut hidden = BTreeSet::new();
    for (depth, layer) in layers.iter().enumerate() {
        // Where the layers above hide the folder itself, what is here shows no more.
        if depth > 0 && !path.is_empty() && is_cut(&layers[..depth], path)? {
            break;
        }
        let layer = walk::open(layer)?;
        let plain = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let at = if path.is_empty() { &b"."[..] } else { path };
        let folder =
            match rustix::fs::openat2(&layer, tree::path_of(at), flags, rustix::fs::Mode::empty(), plain) {
                Ok(folder) => folder,
                Err(Errno::NOENT) => continue,
                Err(Errno::NOTDIR | Errno::LOOP) => break,
                Err(e) => return Err(e.into()),
            };
        let mut dir = rustix::fs::Dir::read_from(&folder)?;
        while let Some(entry) = dir.read() {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes()).to_owned();
            if name == "." || name == ".." || hidden.contains(&name) || names.contains(&name) {
                continue;
            }
            let stat = whiteout::stat_at(&folder, &name)?;
            match stat {
                Some(stat) if whiteout::is_whiteout(&stat) => hidden.insert(name),
                Some(_) => names.insert(name),
                None => false,
            };
        }
        if whiteout::is_opaque(&folder)? {
            break;
        }
    }
    Ok(names)
}

/// Whether one of `layers` hides what lies below a folder in further layers: by an opaque folder, or something that is
/// no folder, on the way to it.
fn is_cut(layers: &[PathBuf], path: &[u8]) -> io::Result<bool> {
    for layer in layers {
        let layer = walk::open(layer)?;
        let mut end = 0;
        while end < path.len() {
            let start = if end == 0 { 0 } else { end + 1 };
            end = path[start..].iter().position(|b| *b == b'/').map_or(path.len(), |n| start + n);
            let plain = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let ancestor = tree::path_of(&path[..end]);
            match rustix::fs::openat2(&layer, ancestor, flags, rustix::fs::Mode::empty(), plain) {
                Ok(folder) if whiteout::is_opaque(&folder)? => return Ok(true),
                Ok(_) => {}
                Err(Errno::NOENT) => break,
                Err(Errno::NOTDIR | Errno::LOOP) => return Ok(true),
                Err(e) => return Err(e.into()),
            }
        }
    }
    Ok(false)
}

/// Opens something that was changed, as a path only; `None` when it is gone by now.
pub(crate) fn open_changed(top: &std::os::fd::OwnedFd, path: &Path) -> Result<Option<std::os::fd::OwnedFd>> {
    let plain = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat2(top, path, flags, rustix::fs::Mode::empty(), plain) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(e) => Err(e).at("open", path),
    }
}
