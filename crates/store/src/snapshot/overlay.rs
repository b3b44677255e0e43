//! Layers as folders joined by overlayfs. The store never mounts one: the runtime does, in the container's own mount
//! namespace.

use super::{Snapshotter, Usage};
use crate::{
    layer::{mount_points, unpack::Unpacked, whiteout},
    tree::{self, meta},
};
use brig_core::RootFs;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
use std::{
    fs::DirBuilder,
    io,
    os::{fd::AsFd, unix::fs::DirBuilderExt},
    path::{Path, PathBuf},
};

/// The overlay backend: `fs` is the upper folder, `work` overlayfs' own.
#[derive(Debug)]
pub(crate) struct Overlay;

impl Overlay {
    pub(crate) const NAME: &'static str = "overlay";
}

impl Snapshotter for Overlay {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn finish_layer(&self, _dir: &Path, _unpacked: &Unpacked, _parent: Option<&Path>) -> io::Result<()> {
        Ok(())
    }

    fn shown(&self, layers: Vec<PathBuf>) -> Vec<PathBuf> {
        layers
    }

    fn prepare(&self, dir: &Path, layers: &[PathBuf]) -> io::Result<()> {
        let fs = dir.join("fs");
        DirBuilder::new().mode(0o755).create(&fs)?;
        if !layers.is_empty() {
            DirBuilder::new().mode(0o700).create(dir.join("work"))?;
        }
        // The upper folder's looks are those of the container's root.
        let upper = tree::walk::open(&fs)?;
        match layers.first() {
            Some(top) => {
                let top = tree::walk::open(top)?;
                meta::apply(&upper, &rustix::fs::fstat(&top)?, &whiteout::public_xattrs(&top)?)
            }
            None => {
                rustix::fs::fchmod(&upper, meta::permissions(0o755))?;
                mount_points::make(&fs, &[])
            }
        }
    }

    fn has_init_layers(&self) -> bool {
        true
    }

    fn mount(&self, dir: &Path, layers: Vec<PathBuf>) -> RootFs {
        if layers.is_empty() {
            return RootFs::Directory { path: dir.join("fs") };
        }
        RootFs::Overlay { lower: layers, upper: dir.join("fs"), work: dir.join("work"), volatile: false }
    }

    fn usage(&self, dir: &Path, _layers: &[PathBuf]) -> io::Result<Usage> {
        tree::usage(&dir.join("fs"))
    }
}

/// Tries whether overlay works with folders in the empty folder `dir`: marks, whiteouts and a mount that is attached
/// nowhere.
pub(super) fn probe(dir: &Path) -> io::Result<()> {
    for name in ["lower", "upper", "work"] {
        std::fs::create_dir(dir.join(name))?;
    }
    let lower = tree::walk::open(&dir.join("lower"))?;
    whiteout::make(&lower, "whiteout".as_ref())?;
    whiteout::set_opaque(&lower)?;
    let fs = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let fs = fs.as_fd();
    rustix::mount::fsconfig_set_string(fs, "lowerdir", dir.join("lower"))?;
    rustix::mount::fsconfig_set_string(fs, "upperdir", dir.join("upper"))?;
    rustix::mount::fsconfig_set_string(fs, "workdir", dir.join("work"))?;
    rustix::mount::fsconfig_create(fs)?;
    rustix::mount::fsmount(fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    Ok(())
}
