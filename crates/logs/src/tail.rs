//! Finding the last lines of a file without reading all of it.

use std::{fs::File, io, os::unix::fs::FileExt};

const BLOCK: usize = 64 << 10;

/// Where the last lines begin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// There are enough: the first of them begins at this offset.
    At(u64),
    /// There are only so many lines in the file.
    Fewer(u64),
}

/// Looks in the first `size` bytes of `file`, from their end, for the last `lines` lines. A torn last line counts
/// for nothing.
pub(crate) fn find(file: &File, size: u64, lines: u64) -> io::Result<Tail> {
    let mut found = 0;
    let mut end = size;
    let mut block = vec![0u8; BLOCK.min(usize::try_from(size).unwrap_or(BLOCK))];
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        // Not longer than the block.
        let part = &mut block[..(end - start) as usize];
        file.read_exact_at(part, start)?;
        for newline in memchr::memrchr_iter(b'\n', part) {
            if found == lines {
                return Ok(Tail::At(start + newline as u64 + 1));
            }
            found += 1;
        }
        end = start;
    }
    Ok(if found == lines { Tail::At(0) } else { Tail::Fewer(found) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(text: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        file
    }

    #[test]
    fn finds_the_beginning() {
        let f = file(b"one\ntwo\nthree\n");
        assert_eq!(find(&f, 14, 0).unwrap(), Tail::At(14));
        assert_eq!(find(&f, 14, 1).unwrap(), Tail::At(8));
        assert_eq!(find(&f, 14, 3).unwrap(), Tail::At(0));
        assert_eq!(find(&f, 14, 5).unwrap(), Tail::Fewer(3));
        assert_eq!(find(&file(b""), 0, 1).unwrap(), Tail::Fewer(0));
    }

    #[test]
    fn counts_no_torn_line_and_looks_through_many_blocks() {
        let f = file(b"one\ntwo\nthr");
        assert_eq!(find(&f, 11, 1).unwrap(), Tail::At(4));
        let long = [vec![b'x'; BLOCK * 3], b"\nend\n".to_vec()].concat();
        let f = file(&long);
        assert_eq!(find(&f, long.len() as u64, 1).unwrap(), Tail::At(BLOCK as u64 * 3 + 1));
        assert_eq!(find(&f, long.len() as u64, 2).unwrap(), Tail::At(0));
    }
}
