//! Volumes as archives, out and in, and copies of volumes: brig's own.

use super::{Claim, VolumeRecord, parse};
use crate::{
    core::Core,
    engine::Engine,
    error::{Error, Result},
    files::bytes::{BodyReader, CHUNK, CHUNKS, ChunkWriter},
    streams::{Body, ByteStream},
};
use brig_api::{Volume, VolumeCloneRequest};
use brig_core::{Id, atomic::Durability, failpoint};
use brig_store::{
    Batch,
    archive::{Extraction, Packing, extract, pack},
};
use rustix::fs::{CWD, Mode, OFlags, openat};
use std::{
    io::{self, BufWriter, Write},
    os::fd::{AsFd, OwnedFd},
    path::Path,
};
use tokio::sync::{mpsc, oneshot};

impl Engine {
    /// All that is in a volume as an archive, the folder itself first.
    ///
    /// # Errors
    /// When there is no such volume, or it can't be mounted; later ones are in the stream.
    pub async fn volume_export(&self, name: &str) -> Result<ByteStream> {
        let (chunks, stream) = ByteStream::channel(CHUNKS);
        let (opened, begins) = oneshot::channel();
        let (core, name) = (self.core().clone(), name.to_owned());
        tokio::spawn(async move {
            let last = chunks.clone();
            let done = core.blocking(move |core| Ok(export(core, &name, opened, chunks))).await;
            if let Err(error) = done.and_then(|done| done) {
                // A client that went away needs no explanation.
                let _ = last.send(Err(io::Error::other(error.to_string()))).await;
            }
        });
        begins.await.map_err(|_| Error::System("the export ended before it began".to_owned()))??;
        Ok(stream)
    }

    /// Fills a volume from an archive. One that is not there is made; one that is must be empty, unless its files are to be
    /// merged with the archive's. On failure an empty one is empty again, and a new one is not there.
    ///
    /// # Errors
    /// When the name is none, the volume is not empty, or the archive is broken or means harm.
    pub async fn volume_import(&self, name: &str, merge: bool, body: Body) -> Result<Volume> {
        parse::volume_name(name).map_err(Error::Invalid)?;
        let (name, mut archive) = (name.to_owned(), BodyReader::new(body));
        self.core()
            .blocking(move |core| {
                let unpack = |folder: &Path| {
                    let root = open_folder(folder)?;
                    let how = Extraction {
                        root: root.as_fd(),
                        folder: "/",
                        keep_kinds: false,
                        owner: None,
                        top: true,
                    };
                    Ok(extract(&mut archive, how)?)
                };
                loop {
                    let shared = core.volume_claims.share(&name);
                    if let Some(volume) = super::find(core, &name)? {
                        return import_into(core, volume, merge, unpack);
                    }
                    drop(shared);
                    let alone = core.volume_claims.alone_at_last(&name);
                    if super::find(core, &name)?.is_none() {
                        return new(core, &name, &alone, None, unpack);
                    }
                }
            })
            .await
    }

    /// Copies a volume.
    ///
    /// # Errors
    /// When there is no such volume, or one of the copy's name.
    pub async fn volume_clone(&self, name: &str, request: VolumeCloneRequest) -> Result<Volume> {
        let source = name.to_owned();
        let is_named = !request.name.is_empty();
        let name = if is_named { request.name } else { Id::random().to_string() };
        parse::volume_name(&name).map_err(|e| Error::Invalid(format!("create {name}: {e}")))?;
        self.core()
            .blocking(move |core| {
                let _shared = core.volume_claims.share(&source);
                let volume = super::find(core, &source)?.ok_or(Error::NoSuchVolume(source))?;
                // Who waits here while holding the other might wait for ever.
                let alone = core.volume_claims.alone(&name);
                let taken =
                    || Error::Conflict(format!("create {name}: a volume of that name is there already"));
                let alone = alone.ok_or_else(taken)?;
                if super::find(core, &name)?.is_some() {
                    return Err(taken());
                }
                new(core, &name, &alone, request.labels, |folder| {
                    let using = super::using(core, &volume)?;
                    let failed = |e| Error::file("copy volume to", folder, e);
                    brig_store::copy_folder(open_folder(&using.folder)?, &open_folder(folder)?)
                        .map_err(failed)
                })
            })
            .await
    }
}

fn open_folder(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty()).map_err(|e| Error::file("open", path, e.into()))
}

fn export(
    core: &Core,
    name: &str,
    opened: oneshot::Sender<Result<()>>,
    chunks: mpsc::Sender<io::Result<bytes::Bytes>>,
) -> Result<()> {
    // Nobody removes it meanwhile.
    let _shared = core.volume_claims.share(name);
    let found = super::find(core, name).and_then(|found| found.ok_or(Error::NoSuchVolume(name.to_owned())));
    let using = found.and_then(|volume| super::using(core, &volume));
    let folder = using.and_then(|using| Ok((open_folder(&using.folder)?, using)));
    let (folder, _using) = match folder {
        Ok(folder) => folder,
        Err(error) => {
            // Who asked has gone: nobody is to be told.
            let _ = opened.send(Err(error));
            return Ok(());
        }
    };
    let _ = opened.send(Ok(()));
    let mut out = BufWriter::with_capacity(CHUNK, ChunkWriter(chunks));
    pack(folder.as_fd(), Packing { name: b".", skip_kernel: false }, &mut out)?;
    out.flush().map_err(|e| brig_store::Error::Output(e).into())
}

fn import_into(
    core: &Core,
    volume: VolumeRecord,
    merge: bool,
    unpack: impl FnOnce(&Path) -> Result<()>,
) -> Result<Volume> {
    let using = super::using(core, &volume)?;
    let folder = using.folder.as_path();
    let failed = |e: io::Error| Error::file("read folder", folder, e);
    let is_empty = folder.read_dir().map_err(failed)?.next().is_none();
    if !is_empty && !merge {
        return Err(Error::Conflict(format!("import {}: the volume is not empty", volume.name)));
    }
    let unpacked = unpack(folder);
    if unpacked.is_err() && is_empty {
        for entry in folder.read_dir().map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            brig_store::remove_path(&path).map_err(|e| Error::file("remove", path, e))?;
        }
    }
    unpacked?;
    Ok(super::shape(core, volume))
}

/// A new volume with what `fill` puts into its folder. Its record comes last: a crash before it leaves a folder that the
/// next start removes.
fn new(
    core: &Core,
    name: &str,
    _alone: &Claim,
    labels: Option<std::collections::BTreeMap<String, String>>,
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<Volume> {
    let volume = super::prepare(core, name, super::Wish { labels, ..super::Wish::default() })?;
    let made = [volume];
    let filled = fill(&super::folder(core, name)).and_then(|()| {
        failpoint::hit("engine.before_volume_record")?;
        let mut batch = Batch::new();
        super::record(&mut batch, &made)?;
        Ok(core.store.records().batch(batch, Durability::Power)?)
    });
    if let Err(error) = filled {
        super::remove_folder(core, name)?;
        return Err(error);
    }
    super::tell_made(core, &made);
    let [volume] = made;
    Ok(super::shape(core, volume))
}
