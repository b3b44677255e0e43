//! One 512-byte header block.

use super::BLOCK;

/// Which dialect a header is in; it decides what bytes 345..500 mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    V7,
    Ustar,
    Star,
    Gnu,
}

/// The raw fields of a header block.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) dialect: Dialect,
    pub(super) name: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) kind: u8,
    pub(super) mode: i64,
    pub(super) uid: i64,
    pub(super) gid: i64,
    pub(super) size: i64,
    pub(super) mtime: i64,
    pub(super) major: i64,
    pub(super) minor: i64,
}

/// Reads a header block, which is not all zeroes.
pub(super) fn parse(block: &[u8; BLOCK]) -> Result<Header, String> {
    check_sum(block)?;
    let dialect = match (&block[257..263], &block[263..265], &block[508..512]) {
        (b"ustar\0", _, b"tar\0") => Dialect::Star,
        (b"ustar\0", _, _) => Dialect::Ustar,
        (b"ustar ", b" \0", _) => Dialect::Gnu,
        _ => Dialect::V7,
    };
    let mut name = text(&block[0..100]).to_vec();
    let prefix = match dialect {
        Dialect::Ustar => text(&block[345..500]),
        Dialect::Star => text(&block[345..476]),
        Dialect::V7 | Dialect::Gnu => b"",
    };
    if !prefix.is_empty() {
        name = [prefix, b"/", name.as_slice()].concat();
    }
    let devices = dialect != Dialect::V7;
    Ok(Header {
        dialect,
        name,
        link: text(&block[157..257]).to_vec(),
        kind: block[156],
        mode: number(&block[100..108], "mode")?,
        uid: number(&block[108..116], "uid")?,
        gid: number(&block[116..124], "gid")?,
        size: number(&block[124..136], "size")?,
        mtime: number(&block[136..148], "mtime")?,
        major: if devices { number(&block[329..337], "devmajor")? } else { 0 },
        minor: if devices { number(&block[337..345], "devminor")? } else { 0 },
    })
}

/// The sum of all bytes, those of the checksum field counted as spaces; old programs summed signed bytes.
fn check_sum(block: &[u8; BLOCK]) -> Result<(), String> {
    let expected = number(&block[148..156], "checksum")?;
    let (mut unsigned, mut signed) = (0i64, 0i64);
    for (i, byte) in block.iter().enumerate() {
        let byte = if (148..156).contains(&i) { b' ' } else { *byte };
        unsigned += i64::from(byte);
        signed += i64::from(byte.cast_signed());
    }
    if expected == unsigned || expected == signed {
        Ok(())
    } else {
        Err("the checksum does not match".to_owned())
    }
}

/// Up to the first NUL.
pub(super) fn text(field: &[u8]) -> &[u8] {
    field.split(|b| *b == 0).next().unwrap_or_default()
}

/// An octal number between blanks and NULs, or a big-endian two's complement number marked by its first bit.
pub(super) fn number(field: &[u8], what: &str) -> Result<i64, String> {
    let bad = || format!("the {what} is not a number");
    if field.first().is_some_and(|b| b & 0x80 != 0) {
        let negative = field[0] & 0x40 != 0;
        // Seven bits of the first byte belong to the number.
        let first = if negative { field[0] | 0x80 } else { field[0] & 0x7f };
        let mut value = i128::from(if negative { i64::from(first.cast_signed()) } else { i64::from(first) });
        for byte in &field[1..] {
            value = value << 8 | i128::from(*byte);
            if i64::try_from(value).is_err() {
                return Err(format!("the {what} is too large"));
            }
        }
        return i64::try_from(value).map_err(|_| bad());
    }
    let blank = |b: &u8| matches!(b, b' ' | 0);
    let start = field.iter().position(|b| !blank(b)).unwrap_or(field.len());
    let rest = &field[start..];
    let end = rest.iter().position(blank).unwrap_or(rest.len());
    rest[..end].iter().try_fold(0i64, |n, b| match b {
        b'0'..=b'7' => n.checked_mul(8).and_then(|n| n.checked_add(i64::from(b - b'0'))).ok_or_else(bad),
        _ => Err(bad()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_both_bases() {
        assert_eq!(number(b"0000644\0", "n"), Ok(0o644));
        assert_eq!(number(b"   644 \0", "n"), Ok(0o644));
        assert_eq!(number(b"\0\0\0\0\0\0\0\0", "n"), Ok(0));
        assert_eq!(number(&[0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], "n"), Ok(0xffff_ffff));
        assert_eq!(number(&[0xff; 8], "n"), Ok(-1));
        assert!(number(b"99", "n").is_err());
        assert!(number(b"7777777777777777777777777", "n").is_err());
        assert!(
            number(&[0x80 | 0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "n")
                .is_err()
        );
    }
}
