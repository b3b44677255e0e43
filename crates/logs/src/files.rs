//! The files of one log, current and rotated.

use crate::Error;
use std::{
    ffi::OsString,
    fs::{File, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Where rotation `n` of the log at `path` lies; 0 is the current file.
pub(crate) fn rotated(path: &Path, n: u32) -> PathBuf {
    if n == 0 {
        return path.to_owned();
    }
    let mut name = OsString::from(path);
    name.push(format!(".{n}"));
    PathBuf::from(name)
}

/// What makes a file that file, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

impl From<&Metadata> for Identity {
    fn from(m: &Metadata) -> Self {
        Self { device: m.dev(), inode: m.ino() }
    }
}

/// A log file opened for reading; stays the same file when it is renamed.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) file: File,
    pub(crate) identity: Identity,
    /// Its size when it was opened.
    pub(crate) size: u64,
}

/// Opens the current file and its rotations, newest first, up to but without the file `known`.
///
/// Rotation makes numbers larger only, so going from newest to oldest may meet a file twice, which is noticed, but
/// misses none.
pub(crate) fn open_newer(path: &Path, max_file: u32, known: Option<Identity>) -> Result<Vec<Opened>, Error> {
    let mut files: Vec<Opened> = Vec::new();
    let mut gaps = 0;
    for n in 0..max_file {
        let name = rotated(path, n);
        let file = match File::open(&name) {
            Ok(file) => file,
            // While a rotation is under way, one number is free.
            Err(e) if e.kind() == io::ErrorKind::NotFound && gaps == 0 => {
                gaps += 1;
                continue;
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => break,
            Err(e) => return Err(Error::io(name, "open")(e)),
        };
        gaps = 0;
        let metadata = file.metadata().map_err(Error::io(name, "stat"))?;
        let identity = Identity::from(&metadata);
        if known == Some(identity) {
            break;
        }
        if files.iter().all(|f| f.identity != identity) {
            files.push(Opened { file, identity, size: metadata.len() });
        }
    }
    Ok(files)
}
