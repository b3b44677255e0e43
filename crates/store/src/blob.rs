//! Content-addressed files, `blobs/sha256/HEX`: written in the staging area, verified, synced, moved into place.

use crate::{
    Inner,
    error::{At, Error, Result},
    layout::Staging,
};
use brig_core::{Digest, atomic::Durability, digest::Hashing};
use std::{
    io::{self, Read, Write},
    path::PathBuf,
};

/// Longest document (configuration, manifest, index) in bytes.
pub(crate) const DOCUMENT_MAX: u64 = 8 << 20;

/// A verified blob that is not in its place yet. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct StagedBlob {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) staging: Staging,
}

impl Inner {
    /// Writes a blob into the staging area.
    pub(crate) fn stage_blob(&self, input: &mut dyn Read) -> Result<StagedBlob> {
        let (staging, file) = self.layout.stage_file()?;
        let mut out = Hashing::new(io::BufWriter::with_capacity(1 << 17, file));
        let mut buffer = vec![0; 1 << 17];
        loop {
            match input.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => out.write_all(&buffer[..n]).at("write", staging.path())?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::Input(e)),
            }
        }
        let (out, digest, size) = out.finish();
        let file = out.into_inner().map_err(io::IntoInnerError::into_error).at("write", staging.path())?;
        if self.durability == Durability::Power {
            file.sync_all().at("sync", staging.path())?;
        }
        Ok(StagedBlob { digest, size, staging })
    }

    /// The file of a blob.
    pub(crate) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.layout.blobs.join(digest.hex())
    }

    /// Moves a blob into place; answers whether it is new there. To be called with the write lock held.
    pub(crate) fn publish_blob(&self, blob: StagedBlob) -> Result<bool> {
        let path = self.blob_path(&blob.digest);
        if std::fs::symlink_metadata(&path).is_ok_and(|m| m.is_file() && m.len() == blob.size) {
            return Ok(false);
        }
        blob.staging.publish(&path)?;
        if self.durability == Durability::Power {
            brig_core::atomic::sync_parent(&path).at("sync the folder of", &path)?;
        }
        Ok(true)
    }

    /// Removes a blob. To be called with the write lock held.
    pub(crate) fn remove_blob(&self, digest: &Digest) -> Result<()> {
        let path = self.blob_path(digest);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).at("remove", path),
            _ => Ok(()),
        }
    }

    /// A document's verified bytes.
    pub(crate) fn read_document(&self, digest: &Digest) -> Result<Vec<u8>> {
        let path = self.blob_path(digest);
        let file = std::fs::File::open(&path).at("open", &path)?;
        let mut bytes = Vec::new();
        file.take(DOCUMENT_MAX + 1).read_to_end(&mut bytes).at("read", &path)?;
        let actual = Digest::of(&bytes);
        if actual != *digest {
            return Err(Error::Damaged {
                what: format!("blob {digest}"),
                reason: format!("its digest is {actual}"),
            });
        }
        Ok(bytes)
    }
}
