//! An image archive, spooled into the staging area: image archives say at their end what they hold.

use crate::{
    Inner,
    blob::DOCUMENT_MAX,
    compression,
    error::{At, Error, Result},
    layer::name::CleanPath,
    layout::Staging,
    tar::{EntryKind, TarError, TarReader},
};
use brig_core::{Digest, digest::Hashing};
use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufReader, Read, Write},
    path::PathBuf,
};

/// Most entries in an image archive.
const ENTRIES_MAX: usize = 1 << 16;
/// Symlinks followed for one name.
const LINKS_MAX: usize = 16;

/// A spooled archive.
#[derive(Debug)]
pub(super) struct Archive {
    staging: Staging,
    nodes: HashMap<Vec<u8>, Node>,
}

#[derive(Debug, Clone)]
enum Node {
    File(Spooled),
    /// Another name in the archive (older archives link to layers that they already hold).
    Link(CleanPath),
}

/// A file of the archive.
#[derive(Debug, Clone)]
pub(super) struct Spooled {
    number: usize,
    /// Length in bytes.
    pub(super) size: u64,
    /// Digest of its bytes.
    pub(super) digest: Digest,
}

impl Archive {
    /// Reads a whole archive (plain, gzip or zstd).
    pub(super) fn spool(inner: &Inner, input: &mut dyn Read) -> Result<Self> {
        let staging = inner.layout.stage()?;
        let mut archive = Self { staging, nodes: HashMap::new() };
        let mut reader = TarReader::new(BufReader::with_capacity(1 << 16, compression::decompress(input)?));
        let mut count = 0;
        while let Some(entry) = reader.next().map_err(tar_error)? {
            drop(reader.take_raw());
            let shown = String::from_utf8_lossy(&entry.name).into_owned();
            let bad = |reason: &str| Error::BadArchive(format!("{shown:?}: {reason}"));
            let path = CleanPath::parse(&entry.name).map_err(|e| bad(&e))?;
            count += 1;
            if count > ENTRIES_MAX {
                return Err(bad("too many entries"));
            }
            let node = match entry.kind {
                EntryKind::Regular if entry.segments.is_some() => return Err(bad("a sparse file")),
                EntryKind::Regular => Node::File(archive.file(count, &mut reader)?),
                EntryKind::Symlink => {
                    let target = [path.split().0, &b"/"[..], &entry.link].concat();
                    let target = if entry.link.starts_with(b"/") { entry.link.clone() } else { target };
                    Node::Link(CleanPath::parse(&target).map_err(|e| bad(&e))?)
                }
                EntryKind::HardLink => Node::Link(CleanPath::parse(&entry.link).map_err(|e| bad(&e))?),
                EntryKind::Directory => continue,
                EntryKind::GlobalHeader => {
                    skip(&mut reader)?;
                    continue;
                }
                _ => return Err(bad("neither file, folder nor link")),
            };
            archive.nodes.insert(path.as_bytes().to_vec(), node);
        }
        // To the end: a compressed stream tells only there whether it is whole.
        reader.drain(&mut |_| Ok(())).map_err(tar_error)?;
        Ok(archive)
    }

    fn file(&self, number: usize, reader: &mut TarReader<impl Read>) -> Result<Spooled> {
        let path = self.path(number);
        let mut out = Hashing::new(File::create_new(&path).at("make", &path)?);
        let mut buffer = vec![0; 1 << 18];
        loop {
            match reader.read(&mut buffer).map_err(tar_error)? {
                0 => break,
                n => out.write_all(&buffer[..n]).at("write", &path)?,
            }
        }
        let (_, digest, size) = out.finish();
        Ok(Spooled { number, size, digest })
    }

    fn path(&self, number: usize) -> PathBuf {
        self.staging.path().join(number.to_string())
    }

    /// The file with this name, links followed.
    pub(super) fn get(&self, name: &str) -> Result<Option<&Spooled>> {
        let bad = |reason: &str| Error::BadArchive(format!("{name:?}: {reason}"));
        let mut path = CleanPath::parse(name.as_bytes()).map_err(|e| bad(&e))?;
        for _ in 0..LINKS_MAX {
            match self.nodes.get(path.as_bytes()) {
                None => return Ok(None),
                Some(Node::File(file)) => return Ok(Some(file)),
                Some(Node::Link(target)) => path = target.clone(),
            }
        }
        Err(bad("too many links"))
    }

    /// The same; it must be there.
    pub(super) fn need(&self, name: &str) -> Result<&Spooled> {
        self.get(name)?.ok_or_else(|| Error::BadArchive(format!("{name:?} is missing")))
    }

    /// The blob of a digest in `blobs/`, verified.
    pub(super) fn blob(&self, digest: &Digest, size: Option<u64>) -> Result<&Spooled> {
        let file = self.need(&format!("blobs/sha256/{}", digest.hex()))?;
        if let Some(expected) = size.filter(|size| *size != file.size) {
            return Err(Error::SizeMismatch { what: format!("blob {digest}"), expected, actual: file.size });
        }
        check(&format!("blob {digest}"), digest, &file.digest)?;
        Ok(file)
    }

    /// A file's bytes.
    pub(super) fn document(&self, file: &Spooled) -> Result<Vec<u8>> {
        if file.size > DOCUMENT_MAX {
            return Err(Error::BadArchive(format!("a document of {} bytes", file.size)));
        }
        let path = self.path(file.number);
        std::fs::read(&path).at("read", &path)
    }

    /// A file to read from.
    pub(super) fn open(&self, file: &Spooled) -> Result<File> {
        let path = self.path(file.number);
        File::open(&path).at("open", &path)
    }
}

/// Two digests must be one.
pub(super) fn check(what: &str, expected: &Digest, actual: &Digest) -> Result<()> {
    if expected == actual {
        return Ok(());
    }
    Err(Error::DigestMismatch { what: what.to_owned(), expected: *expected, actual: *actual })
}

fn skip(reader: &mut TarReader<impl Read>) -> Result<()> {
    let mut buffer = [0; 4096];
    while reader.read(&mut buffer).map_err(tar_error)? > 0 {}
    Ok(())
}

fn tar_error(error: TarError) -> Error {
    match error {
        TarError::Io(e)
            if e.kind() == io::ErrorKind::InvalidInput || e.kind() == io::ErrorKind::InvalidData =>
        {
            Error::BadArchive(e.to_string())
        }
        TarError::Io(e) => Error::Input(e),
        e => Error::BadArchive(e.to_string()),
    }
}
