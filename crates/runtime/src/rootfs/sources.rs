//! What bind mounts show, taken hold of before the mounts are made.

use crate::error::Errno;
use crate::mountfd::{Depth, Detached};
use crate::plan::Plan;
use crate::plan::mount::{MountKind, MountPlan};
use std::collections::BTreeMap;
use std::ops::Deref;

/// Clones of sources, by the mount's place in the plan.
#[derive(Debug, Default)]
pub(super) struct Sources(BTreeMap<usize, Result<Detached, Errno>>);

/// The source of one mount.
pub(super) enum Source<'p> {
    /// Cloned here.
    Own(Detached),
    /// Made before this process.
    Prepared(&'p Detached),
}

impl Deref for Source<'_> {
    type Target = Detached;

    fn deref(&self) -> &Detached {
        match self {
            Self::Own(source) => source,
            Self::Prepared(source) => source,
        }
    }
}

impl Sources {
    /// Clones all of them. What fails is said when the mount's turn comes.
    pub(super) fn gather(plan: &Plan) -> Self {
        let binds = plan.mounts.iter().enumerate().filter_map(|(index, mount)| match mount.kind {
            MountKind::Bind(depth) if mount.idmap.is_none() => Some((index, clone(mount, depth))),
            _ => None,
        });
        Self(binds.collect())
    }

    /// The source of a mount.
    pub(super) fn take<'p>(
        &mut self,
        plan: &'p Plan,
        index: usize,
        depth: Depth,
    ) -> Result<Source<'p>, Errno> {
        match plan.idmapped.get(&index) {
            Some(source) => Ok(Source::Prepared(source)),
            None => {
                self.0.remove(&index).unwrap_or_else(|| clone(&plan.mounts[index], depth)).map(Source::Own)
            }
        }
    }
}

fn clone(mount: &MountPlan, depth: Depth) -> Result<Detached, Errno> {
    mount.clone_source(depth)
}
