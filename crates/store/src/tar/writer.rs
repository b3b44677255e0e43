//! Writes a tar stream whose bytes depend on names, contents and times alone: ustar headers, pax records where those
//! do not suffice, owner 0:0.

use super::{BLOCK, pax};
use crate::error::{Error, Result};
use std::io::{self, Write};

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file with content.
    File,
    /// A folder; its name ends in a slash.
    Directory,
}

/// A tar stream being written.
pub(crate) struct TarWriter<W> {
    out: W,
}

impl<W: Write> TarWriter<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out }
    }

    /// A folder; `mtime` in seconds since 1970.
    pub(crate) fn directory(&mut self, name: &str, mtime: u64) -> io::Result<()> {
        self.header(name, Kind::Directory, 0o755, 0, mtime)
    }

    /// A file whose content is at hand.
    pub(crate) fn file(&mut self, name: &str, content: &[u8], mtime: u64) -> io::Result<()> {
        self.header(name, Kind::File, 0o644, content.len() as u64, mtime)?;
        self.out.write_all(content)?;
        self.pad(content.len() as u64)
    }

    /// A file of `size` bytes that `write` writes.
    pub(crate) fn stream(
        &mut self,
        name: &str,
        size: u64,
        mtime: u64,
        write: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<()> {
        self.header(name, Kind::File, 0o644, size, mtime).map_err(Error::Output)?;
        let mut counted = Counted { out: &mut self.out, left: size };
        write(&mut counted)?;
        if counted.left != 0 {
            let short = io::Error::new(io::ErrorKind::UnexpectedEof, "the content is shorter than its size");
            return Err(Error::Output(short));
        }
        self.pad(size).map_err(Error::Output)
    }

    /// The end marker.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn header(&mut self, name: &str, kind: Kind, mode: u32, size: u64, mtime: u64) -> io::Result<()> {
        let mut records = Vec::new();
        if name.len() > 100 {
            pax::push(&mut records, b"path", name.as_bytes());
        }
        if size > 0o777_7777_7777 {
            pax::push(&mut records, b"size", size.to_string().as_bytes());
        }
        if !records.is_empty() {
            let length = records.len() as u64;
            self.out.write_all(&block("PaxHeaders.0/x", b'x', 0o644, length, 0))?;
            self.out.write_all(&records)?;
            self.pad(length)?;
        }
        let flag = match kind {
            Kind::File => b'0',
            Kind::Directory => b'5',
        };
        self.out.write_all(&block(name, flag, mode, size, mtime))
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let padding = usize::try_from(size.wrapping_neg() % BLOCK as u64).unwrap_or(0);
        self.out.write_all(&[0; BLOCK][..padding])
    }
}

/// Refuses more bytes than were announced.
struct Counted<'a, W> {
    out: &'a mut W,
    left: u64,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if buffer.len() as u64 > self.left {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the content is longer than its size"));
        }
        let n = self.out.write(buffer)?;
        self.left -= n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn block(name: &str, flag: u8, mode: u32, size: u64, mtime: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let name = name.as_bytes();
    let cut = name.len().min(100);
    block[..cut].copy_from_slice(&name[..cut]);
    let octal = |field: &mut [u8], value: u64| {
        let digits = field.len() - 1;
        let largest = (1u64 << (3 * digits)) - 1;
        let text = format!("{:0digits$o}", value.min(largest));
        field[..digits].copy_from_slice(text.as_bytes());
    };
    octal(&mut block[100..108], u64::from(mode));
    octal(&mut block[108..116], 0);
    octal(&mut block[116..124], 0);
    octal(&mut block[124..136], size);
    octal(&mut block[136..148], mtime);
    block[156] = flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    let sum = format!("{sum:06o}\0 ");
    block[148..156].copy_from_slice(sum.as_bytes());
    block
}
