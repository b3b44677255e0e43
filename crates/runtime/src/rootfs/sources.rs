//! What bind mounts show, taken hold of before the mounts are made.

use crate::error::Errno;
use crate::mountfd::{Depth, Detached};
use crate::plan::Plan;
use crate::plan::mount::{MountKind, MountPlan};
use std::collections::HashMap;
use std::path::Path;

/// Clones of sources, by the mount's place in the plan.
#[derive(Debug, Default)]
pub(super) struct Sources(HashMap<usize, Result<Detached, Errno>>);

impl Sources {
    /// Clones all of them. What fails is said when the mount's turn comes.
    pub(super) fn gather(plan: &Plan) -> Self {
        let binds = plan.mounts.iter().enumerate().filter_map(|(index, mount)| match mount.kind {
            MountKind::Bind(depth) => Some((index, clone(mount, depth))),
            _ => None,
        });
        Self(binds.collect())
    }

    /// The source of a mount.
    pub(super) fn take(&mut self, index: usize, mount: &MountPlan, depth: Depth) -> Result<Detached, Errno> {
        self.0.remove(&index).unwrap_or_else(|| clone(mount, depth))
    }
}

fn clone(mount: &MountPlan, depth: Depth) -> Result<Detached, Errno> {
    Detached::clone_path(Path::new(&mount.source), depth)
}
