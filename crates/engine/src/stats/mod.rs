//! `GET /containers/{id}/stats`: one sampler a container, and only while somebody listens.

mod counters;
mod sampler;

pub(crate) use sampler::Samplers;

use crate::{
    actor::Snapshot,
    engine::Engine,
    error::{Error, Result},
    options::StatsOptions,
    streams::StatsStream,
};
use brig_api::{ContainerStatsResponse, CpuStats, Time};
use std::sync::Arc;

/// How many samples wait for a slow client. One is enough: who is slow gets the newest.
const SAMPLES: usize = 1;

impl Engine {
    /// What a container uses: one sample, two of which the later one is sent, or one each second until the client
    /// leaves or the container is removed. One that does not run has an empty sample.
    ///
    /// # Errors
    /// When there is no such container, or a stream of one sample is asked for.
    pub async fn container_stats(&self, name: &str, options: StatsOptions) -> Result<StatsStream> {
        if options.stream && options.one_shot {
            return Err(Error::Invalid("cannot have stream=true and one-shot=true".to_owned()));
        }
        let handle = self.core().registry.resolve(name)?;
        let (sender, stream) = StatsStream::channel(SAMPLES);
        let snapshot = handle.snapshot();
        if !options.stream && snapshot.record.state.run().is_none() {
            // The channel is empty and its other end is here.
            let _ = sender.try_send(empty(&snapshot));
            return Ok(stream);
        }
        if options.one_shot {
            let sample = self.core().blocking(move |core| Ok(counters::read_once(core, &snapshot))).await?;
            let _ = sender.try_send(sample);
            return Ok(stream);
        }
        let mut samples = self.core().samplers.listen(self.core(), &handle);
        tokio::spawn(async move {
            let mut before: Option<Arc<ContainerStatsResponse>> = None;
            loop {
                let sample = tokio::select! {
                    () = sender.closed() => return,
                    sample = samples.wait_for(Option::is_some) => match sample {
                        Ok(sample) => sample.clone(),
                        // The container is gone.
                        Err(_) => return,
                    },
                };
                let Some(sample) = sample else { return };
                let first = before.is_none();
                if options.stream || !first {
                    let answer = after(before.as_deref(), &sample);
                    if sender.send(answer).await.is_err() || !options.stream {
                        return;
                    }
                }
                before = Some(sample);
                // The next one, whichever that is when the client has taken this one.
                tokio::select! {
                    () = sender.closed() => return,
                    changed = samples.changed() => if changed.is_err() { return },
                }
            }
        });
        Ok(stream)
    }
}

/// A sample with what the one before it says of the CPUs.
fn after(before: Option<&ContainerStatsResponse>, now: &ContainerStatsResponse) -> ContainerStatsResponse {
    let (preread, precpu_stats) =
        before.map_or((Time::ZERO, CpuStats::default()), |before| (before.read, before.cpu_stats.clone()));
    ContainerStatsResponse { preread, precpu_stats, ..now.clone() }
}

/// That of a container that does not run.
fn empty(snapshot: &Snapshot) -> ContainerStatsResponse {
    ContainerStatsResponse {
        name: format!("/{}", snapshot.record.name),
        id: snapshot.record.id.to_string(),
        ..ContainerStatsResponse::default()
    }
}
