//! The layers of an image, from the bottom up, several at once.
//!
//! A layer begins only when the one below it has begun or is there: who waits for a layer below waits for somebody who
//! is at work. Whoever fails ends the others.

use super::progress::{Lines, Meter};
use crate::{
    core::Core,
    error::{Error, Result},
};
use brig_core::Digest;
use brig_registry::{BlobReader, Repository};
use brig_store::{Incoming, manifest::Descriptor};
use std::{
    io::{self, Read},
    sync::Arc,
};
use tokio::{sync::oneshot, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// Brings all layers that are missing.
pub(super) async fn layers(
    core: &Arc<Core>,
    repository: &Repository,
    incoming: &Arc<Incoming>,
    layers: &[Descriptor],
    known: bool,
    lines: &Lines,
    cancelled: &CancellationToken,
) -> Result<()> {
    let there = {
        let incoming = incoming.clone();
        core.blocking(move |_| {
            // The topmost that is there holds those below it.
            for number in (0..incoming.layers().len()).rev() {
                if incoming.hold(number)? {
                    return Ok(number + 1);
                }
            }
            Ok(0)
        })
        .await?
    };
    let told = if known && there == layers.len() { 0 } else { layers.len() };
    for (number, layer) in layers.iter().enumerate().take(told) {
        let status = if number < there { "Already exists" } else { "Pulling fs layer" };
        lines.layer(&layer.digest, status).await;
    }
    // Who cancels all ends this, but who fails here does not end others.
    let stop = cancelled.child_token();
    let mut tasks = JoinSet::new();
    let (begun, mut below) = oneshot::channel();
    // The layer below the first is there.
    let _ = begun.send(());
    for (number, layer) in layers.iter().enumerate().skip(there) {
        let (begun, next) = oneshot::channel();
        let job = Job {
            core: core.clone(),
            repository: repository.clone(),
            incoming: incoming.clone(),
            number,
            layer: layer.clone(),
            lines: lines.clone(),
            stop: stop.clone(),
        };
        tasks.spawn(job.run(std::mem::replace(&mut below, next), begun));
    }
    let mut failed = None;
    while let Some(done) = tasks.join_next().await {
        let done =
            done.map_err(|e| Error::System(format!("a pull's task failed: {e}"))).and_then(|done| done);
        if let Err(error) = done {
            stop.cancel();
            incoming.give_up();
            // The first failure is the reason of the others.
            failed.get_or_insert(error);
        }
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

struct Job {
    core: Arc<Core>,
    repository: Repository,
    incoming: Arc<Incoming>,
    number: usize,
    layer: Descriptor,
    lines: Lines,
    stop: CancellationToken,
}

impl Job {
    async fn run(self, below: oneshot::Receiver<()>, begun: oneshot::Sender<()>) -> Result<()> {
        let stop = self.stop.clone();
        let turns = async {
            // An error means that the layer below failed, which ends this one, too.
            if below.await.is_err() {
                return Err(Error::Registry(brig_registry::Error::Cancelled));
            }
            let chain = self.incoming.chains()[self.number];
            let turn = self.core.registries.turns.take(chain).await;
            Ok(turn)
        };
        let turn = tokio::select! {
            turn = turns => turn?,
            () = stop.cancelled() => return Err(Error::Registry(brig_registry::Error::Cancelled)),
        };
        let (incoming, number) = (self.incoming.clone(), self.number);
        if self.core.blocking(move |_| Ok(incoming.hold(number)?)).await? {
            // Another pull has brought it meanwhile.
            let _ = begun.send(());
            self.lines.layer(&self.layer.digest, "Download complete").await;
            self.lines.layer(&self.layer.digest, "Pull complete").await;
            return Ok(());
        }
        let permits = self.core.registries.downloads.clone();
        let permit = match permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                self.lines.layer(&self.layer.digest, "Waiting").await;
                tokio::select! {
                    permit = permits.acquire_owned() => {
                        permit.map_err(|e| Error::System(format!("no more downloads: {e}")))?
                    }
                    () = stop.cancelled() => return Err(Error::Registry(brig_registry::Error::Cancelled)),
                }
            }
        };
        // Nobody may wait for it when all that wait have failed.
        let _ = begun.send(());
        let core = self.core.clone();
        let done = core.blocking(move |_| self.fetch()).await;
        drop((permit, turn));
        done
    }

    /// Downloads and unpacks. What an earlier try has left is used once: if it turns out wrong, all is fetched anew.
    fn fetch(&self) -> Result<()> {
        match self.attempt() {
            Err((Error::Registry(brig_registry::Error::Unverified { .. }), resumed)) if resumed > 0 => {
                tracing::info!(layer = %self.layer.digest, "what was left of an earlier try was wrong");
                self.attempt().map_err(|(error, _)| error)
            }
            done => done.map_err(|(error, _)| error),
        }
    }

    /// Fails with how much was there of an earlier try.
    fn attempt(&self) -> Result<(), (Error, u64)> {
        let layer = &self.layer;
        let early = |error: Error| (error, 0);
        let partial = self.core.store.partial(&layer.digest).map_err(|e| early(e.into()))?;
        let kept = partial.as_ref().map(|partial| partial.file.try_clone()).transpose();
        let io_error = |e: io::Error| early(Error::file("open", "a partial blob", e));
        let blob = self.repository.blob(layer.digest, layer.size).with_urls(layer.urls.clone());
        let blob = blob.reader(kept.map_err(io_error)?, self.stop.clone()).map_err(io_error)?;
        let resumed = blob.resumed();
        let meter = Meter::new(self.lines.clone(), layer.digest, "Downloading", layer.size);
        let mut source = Source { blob, meter, lines: &self.lines, layer: &layer.digest, told: false };
        let unpacked = self.incoming.unpack(self.number, &mut source);
        // Why reading failed says more than that it did.
        let done = match (source.blob.failure(), unpacked) {
            (Some(error), _) => Err(Error::Registry(error)),
            (None, Err(error)) => Err(error.into()),
            (None, Ok(())) => Ok(()),
        };
        let worth_keeping = match &done {
            Err(Error::Registry(error)) => {
                matches!(error, brig_registry::Error::Cancelled) || error.is_passing()
            }
            // Nobody asked for all of it, as when the layer below failed or the disk is full.
            Err(_) => !source.blob.is_complete() && self.stop.is_cancelled(),
            Ok(()) => false,
        };
        if let Some(partial) = partial.filter(|_| !worth_keeping)
            && let Err(error) = partial.remove()
        {
            tracing::warn!(%error, "a partial blob could not be removed");
        }
        done.map_err(|error| (error, resumed))?;
        self.lines.layer_blocking(&layer.digest, "Pull complete");
        Ok(())
    }
}

/// A blob on its way into the store, with its progress.
struct Source<'a> {
    blob: BlobReader,
    meter: Meter,
    lines: &'a Lines,
    layer: &'a Digest,
    told: bool,
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.blob.read(buffer)?;
        if n > 0 {
            self.meter.at(self.blob.position());
        } else if !buffer.is_empty() && !self.told {
            self.told = true;
            self.lines.layer_blocking(self.layer, "Verifying Checksum");
            self.lines.layer_blocking(self.layer, "Download complete");
        }
        Ok(n)
    }
}
