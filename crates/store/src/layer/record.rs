//! The record of a layer's archive: all of its bytes but the content of its files, which are on disk. From both, the
//! exact uncompressed stream is rebuilt.
//!
//! On disk: zstd around a magic line and items, integers as LEB128:
//! `0 length bytes` raw bytes; `1 length path segments (offset length)*` content of a file, path under the layer's
//! root; `2 number length path` whatever was at `path` until here is now `kept/NUMBER`; `3` the end.

use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    path::Path,
};

const MAGIC: &[u8] = b"brig-layer-record-1\n";
/// zstd level: the record is mostly zeroes and repetition.
const LEVEL: i32 = 1;

/// A piece of an archive.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// Bytes as they are.
    Raw(Vec<u8>),
    /// Content of the file at this path.
    Content { path: Vec<u8>, segments: Vec<(u64, u64)> },
    /// What was at this path until here lies aside.
    Kept { number: u64, path: Vec<u8> },
}

/// Writes a record.
pub(crate) struct RecordWriter {
    out: zstd::stream::write::Encoder<'static, File>,
}

impl RecordWriter {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let mut out = zstd::stream::write::Encoder::new(File::create_new(path)?, LEVEL)?;
        out.write_all(MAGIC)?;
        Ok(Self { out })
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.out.write_all(&[0])?;
        self.bytes(bytes)
    }

    pub(crate) fn content(&mut self, path: &[u8], segments: &[(u64, u64)]) -> io::Result<()> {
        self.out.write_all(&[1])?;
        self.bytes(path)?;
        self.number(segments.len() as u64)?;
        for (offset, length) in segments {
            self.number(*offset)?;
            self.number(*length)?;
        }
        Ok(())
    }

    pub(crate) fn kept(&mut self, number: u64, path: &[u8]) -> io::Result<()> {
        self.out.write_all(&[2])?;
        self.number(number)?;
        self.bytes(path)
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.out.write_all(&[3])?;
        self.out.finish()?;
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.number(bytes.len() as u64)?;
        self.out.write_all(bytes)
    }

    fn number(&mut self, mut n: u64) -> io::Result<()> {
        while n >= 0x80 {
            self.out.write_all(&[n.to_le_bytes()[0] | 0x80])?;
            n >>= 7;
        }
        self.out.write_all(&[n.to_le_bytes()[0]])
    }
}

/// Reads a record.
pub(crate) struct RecordReader {
    input: BufReader<zstd::stream::read::Decoder<'static, BufReader<File>>>,
}

/// Longest raw piece or path in one item; the writer's pieces are shorter.
const ITEM_MAX: u64 = 16 << 20;

impl RecordReader {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut input = BufReader::new(zstd::stream::read::Decoder::new(File::open(path)?)?);
        let mut magic = [0; MAGIC.len()];
        input.read_exact(&mut magic)?;
        if magic != MAGIC {
            return Err(damaged("unknown format"));
        }
        Ok(Self { input })
    }

    /// The next item; `None` after the last.
    pub(crate) fn next(&mut self) -> io::Result<Option<Item>> {
        match self.byte()? {
            0 => Ok(Some(Item::Raw(self.bytes()?))),
            1 => {
                let path = self.bytes()?;
                let count = self.number()?;
                let mut segments = Vec::new();
                for _ in 0..count {
                    segments.push((self.number()?, self.number()?));
                }
                Ok(Some(Item::Content { path, segments }))
            }
            2 => Ok(Some(Item::Kept { number: self.number()?, path: self.bytes()? })),
            3 => Ok(None),
            _ => Err(damaged("unknown item")),
        }
    }

    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.input.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    fn number(&mut self) -> io::Result<u64> {
        let mut n = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(n);
            }
        }
        Err(damaged("a number is too long"))
    }

    fn bytes(&mut self) -> io::Result<Vec<u8>> {
        let length = self.number()?;
        if length > ITEM_MAX {
            return Err(damaged("an item is too long"));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.input.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the layer's record is damaged: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_round_trip_and_truncation_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        let mut w = RecordWriter::create(&path).unwrap();
        w.raw(b"head").unwrap();
        w.content(b"a/b", &[(0, 5), (u64::MAX, 1 << 40)]).unwrap();
        w.kept(3, b"a").unwrap();
        w.finish().unwrap();
        let mut r = RecordReader::open(&path).unwrap();
        assert_eq!(r.next().unwrap(), Some(Item::Raw(b"head".to_vec())));
        let segments = vec![(0, 5), (u64::MAX, 1 << 40)];
        assert_eq!(r.next().unwrap(), Some(Item::Content { path: b"a/b".to_vec(), segments }));
        assert_eq!(r.next().unwrap(), Some(Item::Kept { number: 3, path: b"a".to_vec() }));
        assert_eq!(r.next().unwrap(), None);

        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 4]).unwrap();
        let read = || -> io::Result<()> {
            let mut r = RecordReader::open(&path)?;
            while r.next()?.is_some() {}
            Ok(())
        };
        read().unwrap_err();
    }
}
