//! The layers of an image on their way to a registry, several at once.

use super::{Lines, distinct};
use crate::{
    core::Core,
    error::{Error, Result},
    images::pull::Meter,
};
use brig_core::{Digest, Reference, digest::Hashing};
use brig_registry::{Mounted, Repository, Upload};
use brig_store::{Form, Outgoing, manifest};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use futures_util::stream;
use std::{
    collections::HashMap,
    io::{self, BufWriter, Write},
    sync::Arc,
};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// Layers that are sent at once.
const AT_ONCE: usize = 3;
/// Bytes of a piece, and how many wait for the network.
const PIECE: usize = 128 << 10;
const PIECES: usize = 8;
/// Beyond this, more time brings hardly less.
const LEVEL: u32 = 4;

/// Sees to it that the registry has all layers; answers the forms in which it has them, bottom first.
pub(super) async fn layers(
    core: &Arc<Core>,
    target: &Repository,
    reference: &Reference,
    image: &Arc<Outgoing>,
    lines: &Lines,
    cancelled: &CancellationToken,
) -> Result<Vec<Form>> {
    let diffs = image.image().layers().to_vec();
    // Docker tells of the topmost first.
    for number in distinct(&diffs).into_iter().rev() {
        lines.layer(&diffs[number], "Preparing").await;
    }
    let stop = cancelled.child_token();
    let mut waiting = distinct(&diffs).into_iter().rev();
    let mut tasks: JoinSet<Result<(Digest, Form)>> = JoinSet::new();
    let mut forms: HashMap<Digest, Form> = HashMap::new();
    let mut failed = None;
    loop {
        while failed.is_none()
            && tasks.len() < AT_ONCE
            && let Some(number) = waiting.next()
        {
            let job = Job {
                core: core.clone(),
                target: target.clone(),
                reference: reference.clone(),
                image: image.clone(),
                diff: diffs[number],
                number,
                lines: lines.clone(),
                stop: stop.clone(),
            };
            tasks.spawn(async move { Ok((job.diff, job.run().await?)) });
        }
        let Some(done) = tasks.join_next().await else { break };
        match done.map_err(|e| Error::System(format!("a push's task failed: {e}"))).and_then(|done| done) {
            Ok((diff, form)) => drop(forms.insert(diff, form)),
            Err(error) => {
                stop.cancel();
                failed.get_or_insert(error);
            }
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    let form = |diff: &Digest| forms.get(diff).cloned();
    diffs
        .iter()
        .map(|diff| form(diff).ok_or_else(|| Error::System(format!("layer {diff} was not sent"))))
        .collect()
}

struct Job {
    core: Arc<Core>,
    target: Repository,
    reference: Reference,
    image: Arc<Outgoing>,
    diff: Digest,
    number: usize,
    lines: Lines,
    stop: CancellationToken,
}

impl Job {
    async fn run(&self) -> Result<Form> {
        let stop = self.stop.clone();
        tokio::select! {
            done = self.bring() => done,
            () = stop.cancelled() => Err(Error::Registry(brig_registry::Error::Cancelled)),
        }
    }

    async fn bring(&self) -> Result<Form> {
        let (image, number) = (self.image.clone(), self.number);
        let forms = self.core.blocking(move |_| Ok(image.forms(number)?)).await?;
        // Forms that a layer can't be sent in are none of ours.
        let forms: Vec<Form> = forms
            .into_iter()
            .filter(|form| form.media_type.contains('+') || form.media_type.ends_with("gzip"))
            .collect();
        for form in &forms {
            if self.target.has_blob(&form.digest).await? {
                self.lines.layer(&self.diff, "Layer already exists").await;
                return Ok(form.clone());
            }
        }
        let mut upload = None;
        if !forms.is_empty() {
            match self.mount(&forms).await? {
                (Some(form), _) => return Ok(form),
                (None, begun) => upload = begun,
            }
        }
        let upload = match upload {
            Some(upload) => upload,
            None => self.target.begin_upload().await?,
        };
        let form = self.send(upload).await?;
        self.lines.layer(&self.diff, "Pushed").await;
        let (image, number, kept) = (self.image.clone(), self.number, form.clone());
        self.core.blocking(move |_| Ok(image.remember(number, &kept)?)).await?;
        Ok(form)
    }

    /// Tries the registry's other repositories that may have the layer.
    async fn mount(&self, forms: &[Form]) -> Result<(Option<Form>, Option<Upload>)> {
        /// So many are asked for.
        const MOST: usize = 3;
        let (domain, diff) = (self.reference.domain().to_owned(), self.diff);
        let others =
            self.core.blocking(move |core| Ok(core.store.repositories_with(&domain, &diff)?)).await?;
        for from in others.iter().filter(|name| *name != self.reference.path()).take(MOST) {
            for form in forms {
                match self.target.mount(&form.digest, from).await? {
                    Mounted::Yes => {
                        self.lines.layer(&self.diff, &format!("Mounted from {from}")).await;
                        return Ok((Some(form.clone()), None));
                    }
                    // One session is enough.
                    Mounted::No(upload) => upload.cancel().await,
                }
            }
        }
        Ok((None, None))
    }

    /// Rebuilds, compresses and sends.
    async fn send(&self, upload: Upload) -> Result<Form> {
        let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(PIECES);
        let (image, number, stop) = (self.image.clone(), self.number, self.stop.clone());
        let (lines, diff) = (self.lines.clone(), self.diff);
        let packing = self.core.blocking(move |_| {
            let total = image.tar_size(number)?;
            let last = sender.clone();
            let out = BufWriter::with_capacity(PIECE, Pieces { sender, stop });
            let mut packed = GzEncoder::new(Hashing::new(out), Compression::new(LEVEL));
            let meter = Meter::new(lines, diff, "Pushing", total);
            let done =
                image.write_layer(number, &mut Metered { out: &mut packed, meter, at: 0 }).and_then(|()| {
                    let mut hashing = packed.finish().map_err(brig_store::Error::Output)?;
                    hashing.flush().map_err(brig_store::Error::Output)?;
                    Ok(hashing)
                });
            match done {
                Ok(hashing) => {
                    let (_, digest, size) = hashing.finish();
                    Ok(Form { digest, size, media_type: manifest::DOCKER_LAYER_GZIP.to_owned() })
                }
                Err(error) => {
                    // The request must not end as if this were all.
                    let _ = last.blocking_send(Err(io::Error::other(error.to_string())));
                    Err(error.into())
                }
            }
        });
        let pieces =
            stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
        let (packed, sent) = tokio::join!(packing, upload.send(pieces));
        // When the registry hangs up, packing fails too, but for that reason.
        let sent = match (sent, packed) {
            (Ok(sent), Ok(form)) => (sent, form),
            (Err(_), Err(Error::Store(error))) if !matches!(error, brig_store::Error::Output(_)) => {
                return Err(error.into());
            }
            (Err(error), _) => return Err(error.into()),
            (Ok(_), Err(error)) => return Err(error),
        };
        let (upload, form) = sent;
        upload.finish(&form.digest).await?;
        Ok(form)
    }
}

/// Hands what is written to the network.
struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
    stop: CancellationToken,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.stop.is_cancelled() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.sender.blocking_send(Ok(Bytes::copy_from_slice(bytes))).map_err(gone)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Tells how far the layer is.
struct Metered<'a, W> {
    out: &'a mut W,
    meter: Meter,
    at: u64,
}

impl<W: Write> Write for Metered<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.at += n as u64;
        self.meter.at(self.at);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
