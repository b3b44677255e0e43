//! Reads a tar stream entry by entry and hands out every byte that is not file content, so that the stream can be
//! rebuilt from those bytes and the files.

use super::{
    BLOCK, EXTENSION_MAX, TarError,
    header::{self, Dialect, Header},
    pax,
    sparse::{self, Segment},
};
use std::{
    collections::HashMap,
    io::{self, Read},
};

/// Most extension bytes before one entry.
const EXTENSIONS_MAX: usize = 4 << 20;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    Regular,
    HardLink,
    Symlink,
    CharacterDevice,
    BlockDevice,
    Directory,
    Fifo,
    /// A pax header for all later entries. Go, and so Docker, does not apply it.
    GlobalHeader,
    /// A type that this reader does not know.
    Other(u8),
}

/// One entry, extensions applied.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) kind: EntryKind,
    pub(crate) mode: u32,
    pub(crate) uid: i64,
    pub(crate) gid: i64,
    /// Seconds and nanoseconds.
    pub(crate) mtime: (i64, u32),
    pub(crate) atime: Option<(i64, u32)>,
    pub(crate) major: i64,
    pub(crate) minor: i64,
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Length of the file on disk.
    pub(crate) size: u64,
    /// Bytes of content that follow in the stream.
    pub(crate) stored: u64,
    /// The parts of a sparse file that are stored; `None` when all of it is.
    pub(crate) segments: Option<Vec<Segment>>,
}

/// A tar stream.
#[derive(Debug)]
pub(crate) struct TarReader<R> {
    input: R,
    /// Bytes read so far.
    at: u64,
    /// Content bytes of the present entry that have not been read.
    left: u64,
    /// Padding after them.
    padding: u64,
    /// Bytes since the last [`TarReader::take_raw`] that are not content.
    raw: Vec<u8>,
}

impl<R: Read> TarReader<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, at: 0, left: 0, padding: 0, raw: Vec::new() }
    }

    /// The stream below, wherever it stands.
    pub(crate) fn into_inner(self) -> R {
        self.input
    }

    /// All bytes since the last call that are not content: padding, headers, extensions.
    pub(crate) fn take_raw(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.raw)
    }

    /// Reads content of the present entry; 0 at its end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if want == 0 {
            return Ok(0);
        }
        let n = self.some(&mut buffer[..want])?;
        if n == 0 {
            return Err(TarError::Truncated { at: self.at });
        }
        self.left -= n as u64;
        Ok(n)
    }

    /// The next entry; `None` after the last. The content of the one before must have been read.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, TarError> {
        debug_assert_eq!(self.left, 0, "content left unread");
        let padding = std::mem::take(&mut self.padding);
        self.extension(padding)?;
        let mut extended = Extended::default();
        loop {
            let start = self.at;
            let bad = |reason: String| TarError::Format { at: start, reason };
            let Some(block) = self.block()? else { return Ok(None) };
            if block == [0; BLOCK] {
                return self.end_marker(start);
            }
            let header = header::parse(&block).map_err(bad)?;
            let size = u64::try_from(header.size).map_err(|_| bad("the size is negative".to_owned()))?;
            if matches!(header.kind, b'x' | b'L' | b'K') {
                if size > EXTENSION_MAX || self.raw.len() > EXTENSIONS_MAX {
                    return Err(bad("an extension is too long".to_owned()));
                }
                let body = self.extension(size)?;
                self.extension(padding_of(size))?;
                extended.add(header.kind, body).map_err(bad)?;
                continue;
            }
            return self.entry(header, &block, extended, start).map(Some);
        }
    }

    /// Reads the rest of the stream after the last entry, in pieces.
    pub(crate) fn drain(&mut self, piece: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), TarError> {
        piece(&self.take_raw()).map_err(TarError::Io)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match self.some(&mut buffer)? {
                0 => return Ok(()),
                n => piece(&buffer[..n]).map_err(TarError::Io)?,
            }
        }
    }

    fn entry(
        &mut self,
        header: Header,
        block: &[u8; BLOCK],
        extended: Extended,
        start: u64,
    ) -> Result<Entry, TarError> {
        let bad = |reason: String| TarError::Format { at: start, reason };
        let mut entry = Entry {
            name: extended.long_name.unwrap_or(header.name),
            link: extended.long_link.unwrap_or(header.link),
            kind: kind_of(header.kind),
            mode: u32::try_from(header.mode & 0o7777).unwrap_or(0),
            uid: header.uid,
            gid: header.gid,
            mtime: (header.mtime, 0),
            atime: None,
            major: header.major,
            minor: header.minor,
            xattrs: Vec::new(),
            size: u64::try_from(header.size).map_err(|_| bad("the size is negative".to_owned()))?,
            stored: 0,
            segments: None,
        };
        let pax = PaxSparse::apply(&mut entry, &extended.pax).map_err(bad)?;
        entry.stored = if has_content(entry.kind) { entry.size } else { 0 };
        self.left = entry.stored;
        self.padding = padding_of(entry.stored);
        if header.kind == b'S' {
            if header.dialect != Dialect::Gnu {
                return Err(bad("a sparse file in an archive that is not GNU's".to_owned()));
            }
            self.gnu_sparse(&mut entry, block, start)?;
        } else if entry.kind == EntryKind::Regular {
            self.pax_sparse(&mut entry, pax, start)?;
        }
        // Archives older than POSIX mark a folder by its slash alone.
        if header.kind == 0 && entry.name.ends_with(b"/") {
            entry.kind = EntryKind::Directory;
        }
        if entry.name.contains(&0) || entry.link.contains(&0) {
            return Err(bad("a name contains a NUL byte".to_owned()));
        }
        Ok(entry)
    }

    fn gnu_sparse(&mut self, entry: &mut Entry, block: &[u8; BLOCK], start: u64) -> Result<(), TarError> {
        let bad = |reason: String| TarError::Format { at: start, reason };
        let mut segments = Vec::new();
        sparse::gnu_entries(&block[386..482], 4, &mut segments).map_err(bad)?;
        let size = header::number(&block[483..495], "real size").map_err(bad)?;
        let mut more = block[482] != 0;
        while more {
            if self.raw.len() > EXTENSIONS_MAX {
                return Err(bad("the sparse map is too long".to_owned()));
            }
            let next = self.block()?.ok_or(TarError::Truncated { at: self.at })?;
            sparse::gnu_entries(&next[..504], 21, &mut segments).map_err(bad)?;
            more = next[504] != 0;
        }
        entry.size = u64::try_from(size).map_err(|_| bad("the real size is negative".to_owned()))?;
        sparse::check(&segments, entry.size, entry.stored).map_err(bad)?;
        entry.segments = Some(segments);
        Ok(())
    }

    fn pax_sparse(&mut self, entry: &mut Entry, pax: PaxSparse, start: u64) -> Result<(), TarError> {
        let bad = |reason: String| TarError::Format { at: start, reason };
        let segments = if pax.version == (Some(1), Some(0)) {
            let mut map = sparse::Map10::default();
            loop {
                if self.raw.len() > EXTENSIONS_MAX {
                    return Err(bad("the sparse map is too long".to_owned()));
                }
                if entry.stored < BLOCK as u64 {
                    return Err(bad("the sparse map is longer than the data".to_owned()));
                }
                let block = self.block()?.ok_or(TarError::Truncated { at: self.at })?;
                entry.stored -= BLOCK as u64;
                self.left = entry.stored;
                if let Some(segments) = map.feed(&block).map_err(bad)? {
                    break segments;
                }
            }
        } else if let Some(segments) = pax.segments {
            segments
        } else {
            return Ok(());
        };
        entry.size = pax.size.unwrap_or(entry.stored);
        sparse::check(&segments, entry.size, entry.stored).map_err(bad)?;
        entry.segments = Some(segments);
        Ok(())
    }

    /// After one zero block: another one, or the end of the stream.
    fn end_marker(&mut self, start: u64) -> Result<Option<Entry>, TarError> {
        match self.block()? {
            None => Ok(None),
            Some(block) if block == [0; BLOCK] => Ok(None),
            Some(_) => Err(TarError::Format { at: start, reason: "data after an empty block".to_owned() }),
        }
    }

    /// Reads a block into `raw`; `None` at the end of the stream.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, TarError> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.some(&mut block[filled..])? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(TarError::Truncated { at: self.at }),
                n => filled += n,
            }
        }
        self.raw.extend_from_slice(&block);
        Ok(Some(block))
    }

    /// Reads `length` bytes into `raw`, and answers them.
    fn extension(&mut self, length: u64) -> Result<Vec<u8>, TarError> {
        let mut body = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        let mut filled = 0;
        while filled < body.len() {
            match self.some(&mut body[filled..])? {
                0 => return Err(TarError::Truncated { at: self.at }),
                n => filled += n,
            }
        }
        self.raw.extend_from_slice(&body);
        Ok(body)
    }

    fn some(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        loop {
            match self.input.read(buffer) {
                Ok(n) => {
                    self.at += n as u64;
                    return Ok(n);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(TarError::Truncated { at: self.at });
                }
                Err(e) => return Err(TarError::Io(e)),
            }
        }
    }
}

fn padding_of(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

fn kind_of(flag: u8) -> EntryKind {
    match flag {
        0 | b'0' | b'7' | b'S' => EntryKind::Regular,
        b'1' => EntryKind::HardLink,
        b'2' => EntryKind::Symlink,
        b'3' => EntryKind::CharacterDevice,
        b'4' => EntryKind::BlockDevice,
        b'5' => EntryKind::Directory,
        b'6' => EntryKind::Fifo,
        b'g' => EntryKind::GlobalHeader,
        other => EntryKind::Other(other),
    }
}

/// Links, devices, folders and pipes have none, whatever their size field says.
fn has_content(kind: EntryKind) -> bool {
    matches!(kind, EntryKind::Regular | EntryKind::GlobalHeader | EntryKind::Other(_))
}

/// Extensions in front of an entry.
#[derive(Debug, Default)]
struct Extended {
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    pax: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Extended {
    fn add(&mut self, kind: u8, body: Vec<u8>) -> Result<(), String> {
        match kind {
            b'L' => self.long_name = Some(header::text(&body).to_vec()),
            b'K' => self.long_link = Some(header::text(&body).to_vec()),
            _ => {
                let records = pax::parse(&body)?;
                self.pax.extend(records.into_iter().map(|(k, v)| (k.to_vec(), v.to_vec())));
            }
        }
        Ok(())
    }
}

/// What the pax records say of a sparse file.
#[derive(Debug, Default)]
struct PaxSparse {
    version: (Option<i64>, Option<i64>),
    size: Option<u64>,
    segments: Option<Vec<Segment>>,
}

impl PaxSparse {
    /// Applies the records to the entry.
    fn apply(entry: &mut Entry, records: &[(Vec<u8>, Vec<u8>)]) -> Result<Self, String> {
        let mut sparse = Self::default();
        let mut name = None;
        let mut offset = None;
        // The place of an attribute in the list, by its name: a hostile archive has a hundred thousand of them.
        let mut attributes = HashMap::new();
        for (key, value) in records {
            match key.as_slice() {
                // An empty value takes a record back.
                b"path" if !value.is_empty() => entry.name.clone_from(value),
                b"linkpath" if !value.is_empty() => entry.link.clone_from(value),
                b"size" if !value.is_empty() => {
                    entry.size =
                        u64::try_from(pax::decimal(value, "size")?).map_err(|_| "the size is negative")?;
                }
                b"uid" if !value.is_empty() => entry.uid = pax::decimal(value, "uid")?,
                b"gid" if !value.is_empty() => entry.gid = pax::decimal(value, "gid")?,
                b"mtime" if !value.is_empty() => entry.mtime = pax::time(value)?,
                b"atime" if !value.is_empty() => entry.atime = Some(pax::time(value)?),
                b"GNU.sparse.major" => sparse.version.0 = Some(pax::decimal(value, "sparse version")?),
                b"GNU.sparse.minor" => sparse.version.1 = Some(pax::decimal(value, "sparse version")?),
                b"GNU.sparse.name" => name = Some(value),
                b"GNU.sparse.size" | b"GNU.sparse.realsize" => {
                    let size = pax::decimal(value, "sparse size")?;
                    sparse.size = Some(u64::try_from(size).map_err(|_| "the sparse size is negative")?);
                }
                b"GNU.sparse.map" => sparse.segments = Some(sparse::pax_list(value)?),
                b"GNU.sparse.numblocks" => {
                    sparse.segments.get_or_insert_default();
                }
                b"GNU.sparse.offset" => offset = Some(pax::decimal(value, "sparse map")?),
                b"GNU.sparse.numbytes" => {
                    let (Ok(offset), Ok(length)) = (
                        u64::try_from(offset.take().ok_or("the sparse map is malformed")?),
                        u64::try_from(pax::decimal(value, "sparse map")?),
                    ) else {
                        return Err("the sparse map has a negative number".to_owned());
                    };
                    sparse.segments.get_or_insert_default().push(Segment { offset, length });
                }
                key => {
                    if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                        let at = *attributes.entry(name).or_insert(entry.xattrs.len());
                        match entry.xattrs.get_mut(at) {
                            // The later one wins.
                            Some((_, known)) => known.clone_from(value),
                            None => entry.xattrs.push((name.to_vec(), value.clone())),
                        }
                    }
                }
            }
        }
        if let Some(name) = name {
            entry.name.clone_from(name);
        }
        Ok(sparse)
    }
}
