//! One task a container that is listened to: it reads the kernel's counters each second, for all who listen.

use super::counters::Counters;
use crate::{actor::Handle, core::Core};
use brig_api::ContainerStatsResponse;
use brig_core::Id;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// The pace, which is Docker's.
const PACE: Duration = Duration::from_secs(1);

/// The newest sample; `None` before the first.
type Newest = Option<Arc<ContainerStatsResponse>>;

/// The samplers at work, by container.
#[derive(Debug, Default)]
pub(crate) struct Samplers {
    at_work: Mutex<HashMap<Id, Arc<watch::Sender<Newest>>>>,
}

impl Samplers {
    // Each change under the lock is one insertion or removal: a panic leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, HashMap<Id, Arc<watch::Sender<Newest>>>> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens to a container's sampler, and starts it when nobody did. It closes when the container is removed.
    pub(super) fn listen(&self, core: &Arc<Core>, handle: &Handle) -> watch::Receiver<Newest> {
        let mut at_work = self.lock();
        if let Some(sampler) = at_work.get(&handle.id()) {
            return sampler.subscribe();
        }
        let (sampler, newest) = watch::channel(None);
        let sampler = Arc::new(sampler);
        at_work.insert(handle.id(), sampler.clone());
        tokio::spawn(sample(core.clone(), handle.clone(), sampler));
        newest
    }

    /// Takes a sampler away if nobody listens to it any more.
    fn end_if_unheard(&self, id: &Id, sampler: &watch::Sender<Newest>) -> bool {
        let mut at_work = self.lock();
        // Looked at under the lock, under which others begin to listen.
        let unheard = sampler.receiver_count() == 0;
        if unheard {
            at_work.remove(id);
        }
        unheard
    }

    fn end(&self, id: &Id) {
        self.lock().remove(id);
    }
}

async fn sample(core: Arc<Core>, handle: Handle, sampler: Arc<watch::Sender<Newest>>) {
    let id = handle.id();
    let mut state = handle.watch();
    let mut counters = Counters::default();
    let mut next = Instant::now();
    loop {
        let snapshot = handle.snapshot();
        let read = core.blocking(move |core| {
            let sample = counters.read(core, &snapshot);
            Ok((counters, sample))
        });
        match read.await {
            Ok((kept, sample)) => {
                counters = kept;
                sampler.send_replace(Some(Arc::new(sample)));
            }
            Err(error) => {
                tracing::error!(container = %id, %error, "statistics");
                return core.samplers.end(&id);
            }
        }
        // Of time that was lost, no sample is made up for.
        next = (next + PACE).max(Instant::now());
        let removed = async { while state.changed().await.is_ok() {} };
        tokio::select! {
            () = sleep_until(next) => {}
            () = sampler.closed() => {
                if core.samplers.end_if_unheard(&id, &sampler) {
                    return;
                }
            }
            () = removed => return core.samplers.end(&id),
        }
    }
}
