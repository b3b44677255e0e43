//! Maps of sparse files: which parts of a file are data, in GNU's old form and in the three pax forms.

use super::{BLOCK, header};

/// A part of a file that is data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Where it is in the file, in bytes.
    pub(crate) offset: u64,
    /// How long it is, in bytes.
    pub(crate) length: u64,
}

/// Reads `count` 24-byte map entries of GNU's old form; stops at the first empty one.
pub(super) fn gnu_entries(block: &[u8], count: usize, out: &mut Vec<Segment>) -> Result<(), String> {
    for entry in block.chunks_exact(24).take(count) {
        if entry[0] == 0 {
            return Ok(());
        }
        let offset = header::number(&entry[..12], "sparse offset")?;
        let length = header::number(&entry[12..], "sparse length")?;
        out.push(segment(offset, length)?);
    }
    Ok(())
}

/// `offset,length,offset,length…` (pax form 0.1).
pub(super) fn pax_list(value: &[u8]) -> Result<Vec<Segment>, String> {
    if value.is_empty() {
        return Ok(Vec::new());
    }
    let numbers: Vec<i64> = value
        .split(|b| *b == b',')
        .map(|n| super::pax::decimal(n, "sparse map"))
        .collect::<Result<_, _>>()?;
    if !numbers.len().is_multiple_of(2) {
        return Err("the sparse map has an odd number of entries".to_owned());
    }
    numbers.chunks_exact(2).map(|pair| segment(pair[0], pair[1])).collect()
}

/// The map at the start of the data (pax form 1.0), fed block by block.
#[derive(Debug, Default)]
pub(super) struct Map10 {
    numbers: Vec<i64>,
    digits: Vec<u8>,
}

impl Map10 {
    /// Takes one block; answers the map when it is complete.
    pub(super) fn feed(&mut self, block: &[u8; BLOCK]) -> Result<Option<Vec<Segment>>, String> {
        for byte in block {
            if *byte != b'\n' {
                if self.digits.len() > 20 {
                    return Err("the sparse map is malformed".to_owned());
                }
                self.digits.push(*byte);
                continue;
            }
            self.numbers.push(super::pax::decimal(&self.digits, "sparse map")?);
            self.digits.clear();
            let count =
                usize::try_from(self.numbers[0]).map_err(|_| "the sparse map is malformed".to_owned())?;
            if self.numbers.len() - 1 == count.saturating_mul(2) {
                // The rest of the block is padding.
                return self.numbers[1..]
                    .chunks_exact(2)
                    .map(|p| segment(p[0], p[1]))
                    .collect::<Result<_, _>>()
                    .map(Some);
            }
        }
        Ok(None)
    }
}

fn segment(offset: i64, length: i64) -> Result<Segment, String> {
    match (u64::try_from(offset), u64::try_from(length)) {
        (Ok(offset), Ok(length)) => Ok(Segment { offset, length }),
        _ => Err("the sparse map has a negative number".to_owned()),
    }
}

/// Segments must rise, not overlap, lie in the file, and hold as many bytes as the archive has for it.
pub(super) fn check(segments: &[Segment], file_size: u64, stored: u64) -> Result<(), String> {
    let mut end = 0u64;
    let mut total = 0u64;
    for segment in segments {
        if segment.offset < end {
            return Err("the sparse map overlaps or goes backwards".to_owned());
        }
        end = segment
            .offset
            .checked_add(segment.length)
            .filter(|end| *end <= file_size)
            .ok_or_else(|| "the sparse map goes past the end of the file".to_owned())?;
        total += segment.length;
    }
    if total == stored { Ok(()) } else { Err("the sparse map does not match the data".to_owned()) }
}
