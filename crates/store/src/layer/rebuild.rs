//! Rebuilds a layer's exact uncompressed archive from its record and its files.

use super::{
    record::{Item, RecordReader},
    root::{Below, Root},
};
use crate::error::{At, Error, Result};
use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// Writes the archive of the layer in `dir` (with `fs`, `record` and perhaps `kept` in it).
pub(crate) fn rebuild(dir: &Path, out: &mut dyn Write) -> Result<()> {
    let record = dir.join("record");
    let damaged =
        |e: io::Error| Error::Damaged { what: format!("layer {}", dir.display()), reason: e.to_string() };
    let fs = dir.join("fs");
    let mut files = Files {
        fs: Root::new(crate::layout::open_dir(&fs)?, Below::NOTHING).at("open", &fs)?,
        kept_root: None,
        kept: Vec::new(),
    };
    let kept_dir = dir.join("kept");
    if kept_dir.try_exists().at("stat", &kept_dir)? {
        files.kept = read_kept(&record).map_err(damaged)?;
        files.kept_root =
            Some(Root::new(crate::layout::open_dir(&kept_dir)?, Below::NOTHING).at("open", &kept_dir)?);
    }
    let mut reader = RecordReader::open(&record).map_err(damaged)?;
    let mut buffer = vec![0; 1 << 18];
    // What has been put aside so far no longer is where its path says.
    let mut passed = 0;
    while let Some(item) = reader.next().map_err(damaged)? {
        match item {
            Item::Raw(bytes) => out.write_all(&bytes).map_err(Error::Output)?,
            Item::Kept { .. } => passed += 1,
            Item::Content { path, segments } => {
                let file = files.open(&path, passed).map_err(|e| {
                    damaged(io::Error::new(e.kind(), format!("{}: {e}", String::from_utf8_lossy(&path))))
                })?;
                for (offset, length) in segments {
                    copy(&file, offset, length, &mut buffer, out, &damaged)?;
                }
            }
        }
    }
    Ok(())
}

fn copy(
    file: &File,
    mut offset: u64,
    length: u64,
    buffer: &mut [u8],
    out: &mut dyn Write,
    damaged: &dyn Fn(io::Error) -> Error,
) -> Result<()> {
    let end = offset.saturating_add(length);
    while offset < end {
        let want = usize::try_from(end - offset).unwrap_or(usize::MAX).min(buffer.len());
        match file.read_at(&mut buffer[..want], offset) {
            Ok(0) => return Err(damaged(io::ErrorKind::UnexpectedEof.into())),
            Ok(n) => {
                out.write_all(&buffer[..n]).map_err(Error::Output)?;
                offset += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(damaged(e)),
        }
    }
    Ok(())
}

/// All that was put aside, in order.
fn read_kept(record: &Path) -> io::Result<Vec<(u64, Vec<u8>)>> {
    let mut reader = RecordReader::open(record)?;
    let mut kept = Vec::new();
    while let Some(item) = reader.next()? {
        if let Item::Kept { number, path } = item {
            kept.push((number, path));
        }
    }
    Ok(kept)
}

struct Files {
    fs: Root,
    kept_root: Option<Root>,
    kept: Vec<(u64, Vec<u8>)>,
}

impl Files {
    /// Opens the file that was at `path` after `passed` things had been put aside.
    fn open(&self, path: &[u8], passed: usize) -> io::Result<File> {
        // The first thing put aside later that is the file, or a folder around it, took it along. Inside that folder,
        // nothing is put aside any more.
        for (number, kept) in self.kept.iter().skip(passed) {
            let inside = match path.strip_prefix(kept.as_slice()) {
                Some(b"") => PathBuf::new(),
                Some([b'/', rest @ ..]) => crate::tree::path_of(rest).to_owned(),
                _ => continue,
            };
            let mut at = PathBuf::from(number.to_string());
            if !inside.as_os_str().is_empty() {
                at.push(inside);
            }
            let root = self.kept_root.as_ref().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
            return Ok(root.file(at.as_os_str().as_encoded_bytes())?.into());
        }
        Ok(self.fs.file(path)?.into())
    }
}
