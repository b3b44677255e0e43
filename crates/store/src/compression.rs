//! Compressed streams, known by their first bytes.

use crate::error::{Error, Result};
use std::io::{self, BufRead, BufReader, Read};

/// Read buffer in front of a decoder.
const BUFFER: usize = 1 << 17;
/// Largest window of a zstd stream, 2^27 = 128 MiB, zstd's own default limit.
const ZSTD_WINDOW_LOG: u32 = 27;

/// The uncompressed stream of a plain, gzip or zstd one.
pub(crate) fn decompress<'a>(input: impl Read + 'a) -> Result<Box<dyn Read + 'a>> {
    let mut input = BufReader::with_capacity(BUFFER, Full(input));
    let start = input.fill_buf().map_err(Error::Input)?;
    if start.starts_with(&[0x1f, 0x8b]) {
        Ok(Box::new(flate2::bufread::MultiGzDecoder::new(input)))
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || skippable(start) {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(input).map_err(Error::Input)?;
        decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(Error::Input)?;
        Ok(Box::new(decoder))
    } else if start.starts_with(b"BZh") {
        Err(Error::Compression("bzip2"))
    } else if start.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0]) {
        Err(Error::Compression("xz"))
    } else {
        Ok(Box::new(input))
    }
}

/// zstd's skippable frame, with which some writers start.
fn skippable(start: &[u8]) -> bool {
    start.len() >= 4 && start[0] & 0xf0 == 0x50 && start[1..4] == [0x2a, 0x4d, 0x18]
}

/// Fills the buffer as far as it goes, so that a pipe's first bytes come together.
struct Full<R>(R);

impl<R: Read> Read for Full<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        // The magic needs eight bytes; more than that need not be waited for.
        while filled < buffer.len().min(8) {
            match self.0.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        decompress(OneByOne(bytes)).map_err(io::Error::other)?.read_to_end(&mut out)?;
        Ok(out)
    }

    struct OneByOne<'a>(&'a [u8]);
    impl Read for OneByOne<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = buffer.len().min(self.0.len()).min(1);
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    #[test]
    fn each_form_is_known_by_its_magic() {
        let text = b"some text".repeat(1000);
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gz.write_all(&text).unwrap();
        let gz = gz.finish().unwrap();
        let zst = zstd::encode_all(text.as_slice(), 0).unwrap();
        assert_eq!(read(&text).unwrap(), text);
        assert_eq!(read(&gz).unwrap(), text);
        assert_eq!(read(&[gz.as_slice(), &gz].concat()).unwrap(), text.repeat(2));
        assert_eq!(read(&zst).unwrap(), text);
        assert_eq!(read(b"").unwrap(), b"");
        assert_eq!(read(&[0x1f]).unwrap(), [0x1f]);
        for truncated in [&gz[..gz.len() - 1], &gz[..20], &zst[..zst.len() - 1]] {
            assert!(read(truncated).is_err());
        }
        assert!(matches!(decompress(&b"BZh9xxxx"[..]), Err(Error::Compression("bzip2"))));
        assert!(matches!(decompress(&b"\xfd7zXZ\0xx"[..]), Err(Error::Compression("xz"))));
    }
}
