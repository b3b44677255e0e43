//! What is there of blobs whose download was broken off: `partial/HEX`, named for the blob's digest. The bytes are as
//! they came and not verified; whoever goes on with them verifies the whole.

use crate::{
    Store,
    error::{At, Result},
};
use brig_core::Digest;
use rustix::fs::FlockOperation;
use std::{
    fs::File,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// How long a broken-off download is worth keeping.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// The file of a blob that is on its way. It is left for the next try unless it is [removed](Partial::remove).
#[derive(Debug)]
pub struct Partial {
    /// Its file, open for reading and writing.
    pub file: File,
    path: PathBuf,
}

impl Partial {
    /// The blob is complete, or worth nothing.
    ///
    /// # Errors
    /// What the file system says.
    pub fn remove(self) -> Result<()> {
        std::fs::remove_file(&self.path).at("remove", &self.path)
    }
}

impl Store {
    /// What is there of a blob, perhaps nothing; `None` when somebody is at it already.
    ///
    /// # Errors
    /// What the file system says.
    pub fn partial(&self, digest: &Digest) -> Result<Option<Partial>> {
        let folder = &self.inner.layout.partial;
        if !folder.is_dir() {
            std::fs::create_dir_all(folder).at("make", folder)?;
        }
        let path = folder.join(digest.hex());
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .at("open", &path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            // Whoever had it may have removed it meanwhile: then this file has no name any more.
            Ok(()) if !is_named(&file, &path) => Ok(None),
            Ok(()) => Ok(Some(Partial { file, path })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(e) => Err(e).at("lock", path),
        }
    }

    /// Removes what was broken off so long ago that nobody will go on with it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn forget_old_partials(&self) -> Result<()> {
        let folder = &self.inner.layout.partial;
        if !folder.is_dir() {
            return Ok(());
        }
        for name in crate::layout::names(folder)? {
            let path = folder.join(name);
            let old = std::fs::metadata(&path)
                .and_then(|found| found.modified())
                .is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > KEPT));
            if old {
                std::fs::remove_file(&path).at("remove", &path)?;
            }
        }
        Ok(())
    }
}

fn is_named(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(named)) => open.ino() == named.ino(),
        _ => false,
    }
}
