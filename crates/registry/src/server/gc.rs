//! What nothing leads to goes, some time after somebody last wanted it.

use super::{
    manifests::Manifest,
    route::Name,
    storage::{Kind, Storage, names},
};
use brig_core::Digest;
use std::{
    collections::BTreeSet,
    io,
    path::Path,
    time::{Duration, SystemTime},
};

/// What a collection has removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blobs and manifests.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Uploads that nobody went on with.
    pub uploads: u64,
}

/// To be called when nobody adds or removes links.
pub(super) fn collect(storage: &Storage, grace: Duration) -> io::Result<Collected> {
    let mut collected = Collected::default();
    let mut wanted = BTreeSet::new();
    for name in storage.catalog()? {
        mark(storage, &name, grace, &mut wanted)?;
    }
    for hex in names(&storage.blobs())? {
        let path = storage.blobs().join(&hex);
        let Ok(digest) = format!("sha256:{hex}").parse::<Digest>() else { continue };
        if wanted.contains(&digest) || !is_old(&path, grace)? {
            continue;
        }
        collected.bytes += std::fs::metadata(&path)?.len();
        std::fs::remove_file(&path)?;
        collected.blobs += 1;
    }
    for id in names(&storage.uploads())? {
        let path = storage.uploads().join(id);
        // Much longer than any upload pauses.
        if is_old(&path, grace.max(Duration::from_secs(24 * 3600)))? {
            std::fs::remove_file(&path)?;
            collected.uploads += 1;
        }
    }
    Ok(collected)
}

/// Notes what a repository needs; its links to blobs that none of its manifests needs go.
fn mark(storage: &Storage, name: &Name, grace: Duration, wanted: &mut BTreeSet<Digest>) -> io::Result<()> {
    let mut needed = BTreeSet::new();
    for digest in storage.all(name, Kind::Manifests)? {
        wanted.insert(digest);
        let Some((_, bytes)) = storage.manifest(name, &digest)? else { continue };
        // Only what could be read was put here.
        let Ok(manifest) = Manifest::parse(&bytes) else { continue };
        needed.extend(manifest.blobs().map(|part| part.digest));
    }
    for digest in storage.all(name, Kind::Blobs)? {
        if needed.contains(&digest) || !is_old(&storage.link(name, Kind::Blobs, &digest), grace)? {
            wanted.insert(digest);
        } else {
            storage.remove_link(name, Kind::Blobs, &digest)?;
        }
    }
    Ok(())
}

fn is_old(path: &Path, grace: Duration) -> io::Result<bool> {
    let modified = match std::fs::metadata(path) {
        Ok(found) => found.modified()?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(e),
    };
    Ok(SystemTime::now().duration_since(modified).is_ok_and(|age| age >= grace))
}
