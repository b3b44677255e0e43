//! Looking into a container: its own mount namespace while it runs, one made for it while it does not.

use crate::{
    actor::{Handle, Snapshot},
    core::Core,
    error::{Error, Result},
    record::{ContainerRecord, MountOrigin, State},
    start, volumes,
};
use brig_core::RootFs;
use brig_runtime::{Scope, View, ViewMount};
use rustix::fs::OFlags;
use std::{fs::File, io, sync::Arc};
use tokio::sync::OwnedMutexGuard;

/// A look into a container. One that does not run can't be started or removed while there is one.
#[derive(Debug)]
pub(crate) struct Looking {
    /// The container when the look began.
    pub(crate) snapshot: Arc<Snapshot>,
    view: View,
    _still: Option<OwnedMutexGuard<()>>,
}

/// A container that stays as it is, as long as this lives: running, or not.
pub(crate) struct Held {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) still: Option<OwnedMutexGuard<()>>,
}

/// Waits until nobody else works on the layers of a container that does not run, and holds it.
pub(crate) async fn hold(handle: &Handle) -> Result<Held> {
    let snapshot = handle.snapshot();
    if snapshot.record.state.run().is_some() {
        return Ok(Held { snapshot, still: None });
    }
    let still = handle.still().await;
    // It may have been started or removed meanwhile.
    let snapshot = handle.snapshot();
    match &snapshot.record.state {
        State::Removing { .. } | State::Dead { .. } => {
            Err(Error::Conflict(format!("container {} is marked for removal", snapshot.record.id)))
        }
        state if state.run().is_some() => Ok(Held { snapshot, still: None }),
        _ => Ok(Held { snapshot, still: Some(still) }),
    }
}

impl Looking {
    /// Looks at a container.
    pub(crate) async fn at(core: &Arc<Core>, handle: &Handle, scope: Scope) -> Result<Self> {
        loop {
            let Held { snapshot, still } = hold(handle).await?;
            let seen = snapshot.clone();
            let looked = core
                .blocking(move |core| match still {
                    Some(still) => Ok(Some((resting(core, &seen.record, scope)?, Some(still)))),
                    None => Ok(running(&seen, scope)?.map(|view| (view, None))),
                })
                .await?;
            if let Some((view, still)) = looked {
                return Ok(Self { snapshot, view, _still: still });
            }
            // It has ended, which its shim is about to tell.
            let ended = snapshot.record.runs;
            let mut watch = handle.watch();
            let told = watch.wait_for(|now| now.record.runs != ended || now.record.state.run().is_none());
            told.await.map_err(|_| Error::Gone(handle.id()))?;
        }
    }

    /// Does `work` with the container's root; see [`View::enter`].
    pub(crate) fn enter<T: Send>(
        &self,
        work: impl FnOnce(std::os::fd::BorrowedFd<'_>) -> Result<T> + Send,
    ) -> Result<T> {
        self.view.enter(work).map_err(failed)?
    }
}

fn failed(error: brig_runtime::Error) -> Error {
    Error::System(error.to_string())
}

/// The namespace of a container that runs; `None` when it has ended.
fn running(snapshot: &Snapshot, scope: Scope) -> Result<Option<View>> {
    let Some(run) = snapshot.record.state.run() else { return Ok(None) };
    let path = format!("/proc/{}/ns/mnt", run.pid);
    let namespace = match File::open(&path) {
        Ok(namespace) => namespace,
        Err(e) if e.kind() == io::ErrorKind::NotFound || e.raw_os_error() == Some(3) => return Ok(None),
        Err(e) => return Err(Error::file("open namespace", path, e)),
    };
    // Opened first, checked then: a number that was given to another process since does not pass.
    if !start::same_process(run.pid, run.start_time) {
        return Ok(None);
    }
    View::of_namespace(namespace.into(), scope).map(Some).map_err(failed)
}

/// A container that does not run, with what would be mounted in it.
fn resting(core: &Core, record: &ContainerRecord, scope: Scope) -> Result<View> {
    let mut layers = core.store.snapshot_mount(&record.id.to_string())?;
    if let RootFs::Overlay { volatile, .. } = &mut layers {
        *volatile = false;
    }
    let (mut mounts, mut using) = (Vec::new(), Vec::new());
    if scope == Scope::Everything {
        start::make_sources(record)?;
        for mount in record.mounts.iter().filter(|m| m.origin != MountOrigin::Tmpfs) {
            // The view keeps what it shows, whoever unmounts it on the host.
            let used = volumes::using_mount(core, mount)?;
            let source = match &used {
                Some(used) => used.folder.clone(),
                None => mount.point.source.clone().into(),
            };
            using.extend(used);
            if !mount.subpath.is_empty() {
                volumes::subpath::open(&source, &mount.subpath, OFlags::PATH)?;
            }
            mounts.push(ViewMount {
                source,
                beneath: (!mount.subpath.is_empty()).then(|| mount.subpath.clone().into()),
                target: mount.point.destination.clone().into(),
                read_only: !mount.point.rw,
                recursive: !mount.non_recursive,
            });
        }
        mounts.sort_by_key(|mount| mount.target.components().count());
    }
    View::of_layers(&layers, &mounts, record.host_config.readonly_rootfs).map_err(failed)
}
