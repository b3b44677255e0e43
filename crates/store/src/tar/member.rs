//! Headers of any kind of file: ustar, and pax records for what does not fit there.

use super::{BLOCK, EntryKind, pax};
use std::io::{self, Write};

/// What a header says.
#[derive(Debug)]
pub(crate) struct Member<'a> {
    /// Its name; a folder's ends in a slash.
    pub(crate) name: &'a [u8],
    /// Where a link leads.
    pub(crate) link: &'a [u8],
    pub(crate) kind: EntryKind,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Bytes of content that follow.
    pub(crate) size: u64,
    /// Seconds since 1970.
    pub(crate) mtime: i64,
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) xattrs: &'a [(Vec<u8>, Vec<u8>)],
}

impl Member<'_> {
    /// Writes the header.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let records = self.records();
        if !records.is_empty() {
            let mut header = block(b"PaxHeaders.0/x", b'x');
            number(&mut header[100..108], 0o644);
            number(&mut header[124..136], records.len() as u64);
            out.write_all(&sealed(header))?;
            out.write_all(&records)?;
            pad(out, records.len() as u64)?;
        }
        let mut header = block(self.name, flag(self.kind));
        number(&mut header[100..108], u64::from(self.mode & 0o7777));
        number(&mut header[108..116], u64::from(self.uid));
        number(&mut header[116..124], u64::from(self.gid));
        number(&mut header[124..136], self.size);
        number(&mut header[136..148], u64::try_from(self.mtime).unwrap_or(0));
        text(&mut header[157..257], self.link);
        if matches!(self.kind, EntryKind::CharacterDevice | EntryKind::BlockDevice) {
            number(&mut header[329..337], u64::from(self.major));
            number(&mut header[337..345], u64::from(self.minor));
        }
        out.write_all(&sealed(header))
    }

    fn records(&self) -> Vec<u8> {
        let mut records = Vec::new();
        let mut add = |key: &str, value: &[u8]| pax::push(&mut records, key.as_bytes(), value);
        if self.name.len() > 100 {
            add("path", self.name);
        }
        if self.link.len() > 100 {
            add("linkpath", self.link);
        }
        let numbers = [
            ("uid", u64::from(self.uid), 0o777_7777),
            ("gid", u64::from(self.gid), 0o777_7777),
            ("size", self.size, LARGEST),
        ];
        for (key, value, largest) in numbers {
            if value > largest {
                add(key, value.to_string().as_bytes());
            }
        }
        if u64::try_from(self.mtime).map_or(true, |seconds| seconds > LARGEST) {
            add("mtime", self.mtime.to_string().as_bytes());
        }
        for (name, value) in self.xattrs {
            add(&format!("SCHILY.xattr.{}", String::from_utf8_lossy(name)), value);
        }
        records
    }
}

/// The largest number in eleven octal digits.
const LARGEST: u64 = 0o777_7777_7777;

/// Fills the last block of content up.
pub(crate) fn pad(out: &mut dyn Write, size: u64) -> io::Result<()> {
    let padding = usize::try_from(size.wrapping_neg() % BLOCK as u64).unwrap_or(0);
    out.write_all(&[0; BLOCK][..padding])
}

/// Writes the end of an archive.
pub(crate) fn finish(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(&[0; 2 * BLOCK])?;
    out.flush()
}

fn flag(kind: EntryKind) -> u8 {
    match kind {
        EntryKind::Regular => b'0',
        EntryKind::HardLink => b'1',
        EntryKind::Symlink => b'2',
        EntryKind::CharacterDevice => b'3',
        EntryKind::BlockDevice => b'4',
        EntryKind::Directory => b'5',
        EntryKind::Fifo => b'6',
        EntryKind::GlobalHeader => b'g',
        EntryKind::Other(flag) => flag,
    }
}

fn block(name: &[u8], flag: u8) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    text(&mut block[0..100], name);
    for field in [108..116, 116..124, 124..136, 136..148] {
        number(&mut block[field], 0);
    }
    block[156] = flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    block
}

fn text(field: &mut [u8], text: &[u8]) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text[..length]);
}

/// A number in octal digits; one that does not fit has a pax record.
fn number(field: &mut [u8], value: u64) {
    let digits = field.len() - 1;
    let largest = (1u64 << (3 * digits)) - 1;
    let text = format!("{:0digits$o}", value.min(largest));
    field[..digits].copy_from_slice(text.as_bytes());
}

fn sealed(mut block: [u8; BLOCK]) -> [u8; BLOCK] {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    let sum = format!("{sum:06o}\0 ");
    block[148..156].copy_from_slice(sum.as_bytes());
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tar::TarReader;

    #[test]
    fn what_is_written_is_read_again() {
        let long = [b"x/".repeat(90).as_slice(), b"y"].concat();
        let xattrs = [(b"user.a".to_vec(), b"\0\n=b".to_vec())];
        for (name, uid, mtime, size) in
            [(&b"short"[..], 7, 1_700_000_000, 5), (&long, 3_000_000, -5, 0), (b"big", 0, 0, 9 << 33)]
        {
            let mut bytes = Vec::new();
            let member = Member {
                name,
                link: b"",
                kind: EntryKind::Regular,
                mode: 0o4755,
                uid,
                gid: 1,
                size,
                mtime,
                major: 0,
                minor: 0,
                xattrs: &xattrs,
            };
            member.write(&mut bytes).unwrap();
            let entry = TarReader::new(bytes.as_slice()).next().unwrap().unwrap();
            assert_eq!((entry.name.as_slice(), entry.uid, entry.mtime.0), (name, i64::from(uid), mtime));
            assert_eq!((entry.mode, entry.size, entry.xattrs.as_slice()), (0o4755, size, &xattrs[..]));
        }
    }

    #[test]
    fn many_attributes_take_no_longer_than_they_are_long() {
        let mut entries = Vec::new();
        let add = |entries: &mut Vec<u8>, name: &[u8], kind, body: &[u8]| {
            let mut header = block(name, kind);
            number(&mut header[124..136], body.len() as u64);
            entries.extend_from_slice(&sealed(header));
            entries.extend_from_slice(body);
            pad(entries, body.len() as u64).unwrap();
        };
        const EACH: usize = 25_000;
        for round in 0..4 {
            let mut records = Vec::new();
            for n in 0..EACH {
                // Each round has one that the rounds before had.
                let name = format!("SCHILY.xattr.user.{}", round * (EACH - 1) + n);
                pax::push(&mut records, name.as_bytes(), round.to_string().as_bytes());
            }
            add(&mut entries, b"x", b'x', &records);
        }
        add(&mut entries, b"file", b'0', b"");
        let began = std::time::Instant::now();
        let entry = TarReader::new(entries.as_slice()).next().unwrap().unwrap();
        // Seconds even in a debug build on a busy machine; compared one with all others, it would be minutes.
        assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
        assert_eq!(entry.xattrs.len(), 4 * EACH - 3);
        let again = format!("user.{}", EACH - 1);
        let found = entry.xattrs.iter().find(|(name, _)| name == again.as_bytes()).unwrap();
        assert_eq!(found.1, b"1");
    }

    #[test]
    fn devices_and_links() {
        let mut bytes = Vec::new();
        let link = b"l".repeat(150);
        let mut member = Member {
            name: b"n",
            link: &link,
            kind: EntryKind::Symlink,
            mode: 0o777,
            uid: 0,
            gid: 0,
            size: 0,
            mtime: 0,
            major: 0,
            minor: 0,
            xattrs: &[],
        };
        member.write(&mut bytes).unwrap();
        member = Member { link: b"", kind: EntryKind::BlockDevice, major: 8, minor: 17, ..member };
        member.write(&mut bytes).unwrap();
        finish(&mut bytes).unwrap();
        let mut reader = TarReader::new(bytes.as_slice());
        let first = reader.next().unwrap().unwrap();
        assert_eq!((first.kind, first.link.as_slice()), (EntryKind::Symlink, link.as_slice()));
        let second = reader.next().unwrap().unwrap();
        assert_eq!((second.kind, second.major, second.minor), (EntryKind::BlockDevice, 8, 17));
        assert!(reader.next().unwrap().is_none());
    }
}
