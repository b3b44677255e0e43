//! Images coming in and going out: load, save, import.

use super::{reference, resolve, tell};
use crate::{
    core::Core,
    engine::Engine,
    error::{Error, Result},
    files::{BodyReader, CHUNK, CHUNKS, ChunkWriter},
    options::ImportOptions,
    streams::{Body, ByteStream, ProgressStream},
};
use brig_api::{JsonMessage, ProgressDetail};
use brig_core::Digest;
use brig_store::{Loaded, Platform, Progress};
use std::io::{self, BufWriter, Read, Write};
use tokio::sync::mpsc;

/// How many lines of progress wait for a slow client.
const LINES: usize = 64;

impl Engine {
    /// Loads the images of an archive (`docker save`, OCI layout; gzip, zstd or plain).
    ///
    /// # Errors
    /// None before the first byte is read; later ones are in the stream.
    pub async fn image_load(&self, body: Body, quiet: bool) -> Result<ProgressStream> {
        let (lines, stream) = ProgressStream::channel(LINES);
        let core = self.core().clone();
        tokio::spawn(async move {
            let last = lines.clone();
            let mut archive = BodyReader::new(body);
            let done = core.blocking(move |core| load(core, &mut archive, quiet, &lines)).await;
            if let Err(error) = done {
                // A client that went away needs no explanation.
                let _ = last.send(JsonMessage::failure(error.to_string())).await;
            }
        });
        Ok(stream)
    }

    /// Writes images as an archive.
    ///
    /// # Errors
    /// When there is no such image.
    pub async fn image_save(&self, names: &[String]) -> Result<ByteStream> {
        let names = names.to_vec();
        let core = self.core().clone();
        let names = core
            .blocking(move |core| {
                for name in &names {
                    resolve(core, name)?;
                }
                Ok(names)
            })
            .await?;
        let (chunks, stream) = ByteStream::channel(CHUNKS);
        tokio::spawn(async move {
            let last = chunks.clone();
            let done = core.blocking(move |core| {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let mut out = BufWriter::with_capacity(CHUNK, ChunkWriter(chunks));
                core.store.save(&names, &mut out)?;
                out.flush().map_err(|e| brig_store::Error::Output(e).into())
            });
            if let Err(error) = done.await {
                // Likewise.
                let _ = last.send(Err(io::Error::other(error.to_string()))).await;
            }
        });
        Ok(stream)
    }

    /// Makes an image of a root file system's archive.
    ///
    /// # Errors
    /// When the reference or a change is none; later errors are in the stream.
    pub async fn image_import(&self, options: ImportOptions, body: Body) -> Result<ProgressStream> {
        let given = options.repository.as_deref().filter(|repository| !repository.is_empty());
        let tag = options.tag.as_deref().unwrap_or_default();
        let reference = given.map(|repository| reference(repository, tag)).transpose()?;
        let message = if options.message.is_empty() { "Imported from -".to_owned() } else { options.message };
        let platform = options.platform.as_deref().filter(|p| !p.is_empty()).map(platform).transpose()?;
        let import = brig_store::ImportOptions { reference, message, changes: options.changes, platform };
        let (lines, stream) = ProgressStream::channel(LINES);
        let core = self.core().clone();
        tokio::spawn(async move {
            let mut archive = BodyReader::new(body);
            let done = core.blocking(move |core| {
                let id = core.store.import(&mut archive, &import)?;
                tell(core, "import", &id, &id.to_string());
                if let Some(reference) = &import.reference {
                    tell(core, "tag", &id, &reference.familiar());
                }
                Ok(id)
            });
            let line = match done.await {
                Ok(id) => JsonMessage::status(id.to_string()),
                Err(error) => JsonMessage::failure(error.to_string()),
            };
            // Likewise.
            let _ = lines.send(line).await;
        });
        Ok(stream)
    }
}

/// `os[/architecture[/variant]]`; what is missing is this machine's.
pub(super) fn platform(text: &str) -> Result<Platform> {
    let mut parts = text.split('/');
    let host = Platform::host();
    let os = parts.next().unwrap_or_default().to_owned();
    let architecture = parts.next().map_or(host.architecture, str::to_owned);
    let variant = parts.next().unwrap_or_default().to_owned();
    if os != "linux" || architecture.is_empty() || parts.next().is_some() {
        return Err(Error::Invalid(format!("unsupported platform: {text}")));
    }
    Ok(Platform { architecture, os, variant })
}

fn load(core: &Core, archive: &mut dyn Read, quiet: bool, lines: &mpsc::Sender<JsonMessage>) -> Result<()> {
    let mut progress = |progress: Progress| {
        if !quiet {
            // Progress that a slow client has no room for is left out; the end is told below.
            let _ = lines.try_send(progress_line(progress));
        }
    };
    for loaded in core.store.load(archive, &mut progress)? {
        let (id, text) = match &loaded {
            Loaded::Named { reference, id, replaced } => {
                let name = reference.familiar();
                if let Some(old) = replaced {
                    let line = format!(
                        "The image {name} already exists, renaming the old one with ID {old} to empty string\n"
                    );
                    // A client that went away has its images all the same.
                    let _ = lines.blocking_send(JsonMessage::stream(line));
                }
                (id, format!("Loaded image: {name}\n"))
            }
            Loaded::Unnamed { id } => (id, format!("Loaded image ID: {id}\n")),
        };
        tell_loaded(core, id, &loaded);
        // Likewise.
        let _ = lines.blocking_send(JsonMessage::stream(text));
    }
    Ok(())
}

fn tell_loaded(core: &Core, id: &Digest, loaded: &Loaded) {
    tell(core, "load", id, &id.to_string());
    if let Loaded::Named { reference, .. } = loaded {
        tell(core, "tag", id, &reference.familiar());
    }
}

fn progress_line(progress: Progress) -> JsonMessage {
    let line = |layer: Digest, status: &str, detail: ProgressDetail| JsonMessage {
        id: layer.short(),
        progress_detail: Some(detail),
        ..JsonMessage::status(status)
    };
    let whole = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    match progress {
        Progress::Layer { layer, current, total } => {
            let detail =
                ProgressDetail { current: whole(current), total: whole(total), ..ProgressDetail::default() };
            line(layer, "Loading layer", detail)
        }
        Progress::LayerDone { layer } => line(layer, "Loading layer", ProgressDetail::default()),
    }
}
