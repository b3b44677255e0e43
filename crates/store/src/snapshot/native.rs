//! Layers as whole file trees, for places where overlay does not work (overlay on overlay): each layer starts as a copy
//! of its parent, reflinked where the file system can, and so does each writable snapshot.

use super::{Snapshotter, Usage};
use crate::{
    layer::{
        mount_points,
        unpack::{Hides, Unpacked},
        whiteout,
    },
    tree::{
        self, copy,
        meta::{self, Xattr},
        walk::{self, Step},
    },
};
use brig_core::RootFs;
use rustix::fs::{FileType, Mode, OFlags, Stat};
use std::{
    ffi::{CStr, OsStr},
    io,
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

/// The native backend: `fs` is the whole tree.
#[derive(Debug)]
pub(crate) struct Native;

impl Native {
    pub(crate) const NAME: &'static str = "native";
}

impl Snapshotter for Native {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn finish_layer(&self, dir: &Path, unpacked: &Unpacked, parent: Option<&Path>) -> io::Result<()> {
        if parent.is_none() && unpacked.hides == Hides::Nothing {
            return Ok(());
        }
        let (fs, merged) = (dir.join("fs"), dir.join("merged"));
        std::fs::create_dir(&merged)?;
        let target = walk::open(&merged)?;
        if let Some(parent) = parent {
            copy::copy_tree(walk::open(parent)?, &target)?;
        }
        merge(walk::open(&fs)?, &target)?;
        let top = walk::open(dir)?;
        tree::remove(&top, OsStr::new("fs"))?;
        std::fs::rename(&merged, &fs)
    }

    fn shown(&self, layers: Vec<PathBuf>) -> Vec<PathBuf> {
        layers.into_iter().take(1).collect()
    }

    fn prepare(&self, dir: &Path, layers: &[PathBuf]) -> io::Result<()> {
        let fs = dir.join("fs");
        std::fs::create_dir(&fs)?;
        let target = walk::open(&fs)?;
        match layers.first() {
            Some(top) => copy::copy_tree(walk::open(top)?, &target)?,
            None => rustix::fs::fchmod(&target, meta::permissions(0o755))?,
        }
        mount_points::make(&fs, &[])
    }

    fn has_init_layers(&self) -> bool {
        false
    }

    fn mount(&self, dir: &Path, _layers: Vec<PathBuf>) -> RootFs {
        RootFs::Directory { path: dir.join("fs") }
    }

    /// What the tree holds more than its image: a copy does not know which of its files were written.
    fn usage(&self, dir: &Path, layers: &[PathBuf]) -> io::Result<Usage> {
        let all = tree::usage(&dir.join("fs"))?;
        let image = layers.first().map(|top| tree::usage(top)).transpose()?.unwrap_or_default();
        Ok(Usage {
            bytes: all.bytes.saturating_sub(image.bytes),
            inodes: all.inodes.saturating_sub(image.inodes),
        })
    }
}

/// Moves a layer in overlay's form onto a tree: what overlayfs would show, made real.
fn merge(layer: OwnedFd, target: &OwnedFd) -> io::Result<()> {
    let stat = rustix::fs::fstat(&layer)?;
    let xattrs = whiteout::public_xattrs(&layer)?;
    let mut merge = Merge { here: target.try_clone()?, pending: Vec::new() };
    walk::walk(layer, &mut |step| merge.step(step))?;
    meta::apply(target, &stat, &xattrs)
}

struct Merge {
    here: OwnedFd,
    /// Looks of the open folders, set on leaving.
    pending: Vec<(Stat, Vec<Xattr>)>,
}

impl Merge {
    fn step(&mut self, step: Step<'_>) -> io::Result<()> {
        match step {
            Step::Node { dir, name, stat } => {
                tree::remove(&self.here, OsStr::from_bytes(name.to_bytes()))?;
                if !whiteout::is_whiteout(stat) {
                    rustix::fs::renameat(dir, name, &self.here, name)?;
                }
                Ok(())
            }
            Step::Enter { dir, name, stat } => self.enter(dir, name, stat),
            Step::Leave { .. } => {
                if let Some((stat, xattrs)) = self.pending.pop() {
                    meta::apply(&self.here, &stat, &xattrs)?;
                }
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                self.here = rustix::fs::openat(&self.here, "..", flags, Mode::empty())?;
                Ok(())
            }
        }
    }

    fn enter(&mut self, dir: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> io::Result<()> {
        let folder = tree::open_child(dir, name)?;
        let os_name = OsStr::from_bytes(name.to_bytes());
        let there = whiteout::stat_at(&self.here, os_name)?;
        let is_folder = there.is_some_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::Directory);
        if !is_folder || whiteout::is_opaque(&folder)? {
            tree::remove(&self.here, os_name)?;
            rustix::fs::mkdirat(&self.here, name, Mode::from(0o700))?;
        }
        self.pending.push((*stat, whiteout::public_xattrs(&folder)?));
        self.here = tree::open_child(&self.here, name)?;
        // What the folder below had and this one has not is gone, as overlayfs shows it.
        for (key, _) in meta::fd_xattrs(&self.here)? {
            rustix::fs::fremovexattr(&self.here, key.as_slice())?;
        }
        Ok(())
    }
}
