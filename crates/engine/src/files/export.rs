//! `GET /containers/{name}/export` and `/changes`.

use super::{
    bytes::{CHUNK, CHUNKS, ChunkWriter},
    view::Looking,
};
use crate::{engine::Engine, error::Result, streams::ByteStream};
use brig_api::FilesystemChange;
use brig_runtime::Scope;
use brig_store::{
    ChangeKind,
    archive::{Packing, pack},
};
use std::{
    collections::BTreeMap,
    io::{self, BufWriter, Write},
};

impl Engine {
    /// The root file system of a container as an archive, without what is mounted in it.
    ///
    /// # Errors
    /// When there is no such container; later ones are in the stream.
    pub async fn container_export(&self, name: &str) -> Result<ByteStream> {
        let handle = self.core().registry.resolve(name)?;
        let looking = Looking::at(self.core(), &handle, Scope::RootOnly).await?;
        self.core().tell_container(&looking.snapshot.record, "export", BTreeMap::new());
        let (chunks, stream) = ByteStream::channel(CHUNKS);
        let core = self.core().clone();
        tokio::spawn(async move {
            let last = chunks.clone();
            let done = core.blocking(move |_| {
                looking.enter(|root| {
                    let mut out = BufWriter::with_capacity(CHUNK, ChunkWriter(chunks));
                    pack(root, Packing { name: b"", skip_kernel: false }, &mut out)?;
                    out.flush().map_err(|e| brig_store::Error::Output(e).into())
                })
            });
            if let Err(error) = done.await {
                // A client that went away needs no explanation.
                let _ = last.send(Err(io::Error::other(error.to_string()))).await;
            }
        });
        Ok(stream)
    }

    /// What a container has changed of its image's files; `None` when nothing.
    ///
    /// # Errors
    /// When there is no such container.
    pub async fn container_changes(&self, name: &str) -> Result<Option<Vec<FilesystemChange>>> {
        let key = self.core().registry.resolve(name)?.id().to_string();
        let changes = self.core().blocking(move |core| Ok(core.store.snapshot_changes(&key)?)).await?;
        let shape = |change: brig_store::Change| FilesystemChange {
            path: format!("/{}", change.path.to_string_lossy()),
            kind: match change.kind {
                ChangeKind::Modified => 0,
                ChangeKind::Added => 1,
                ChangeKind::Deleted => 2,
            },
        };
        Ok(Some(changes.into_iter().map(shape).collect::<Vec<_>>()).filter(|changes| !changes.is_empty()))
    }
}
