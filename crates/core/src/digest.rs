//! Content digests, `algorithm:hex` as in the OCI image spec (descriptor.md, "Digests").

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;
use std::{fmt, io, str::FromStr};

/// A verified-in-form sha256 digest. Other registered algorithms are refused with a clear error:
/// every image that Docker makes or pulls uses sha256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// A text that is not a digest.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DigestError {
    /// Not `algorithm:hex`, or the hex part has the wrong length or digits.
    #[error("invalid checksum digest format")]
    Format,
    /// A well-formed digest of an algorithm that brig does not compute.
    #[error("unsupported digest algorithm")]
    Algorithm,
}

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// From the raw 32 bytes of a sha256.
    #[must_use]
    pub const fn from_sha256(raw: [u8; 32]) -> Self {
        Self(raw)
    }

    /// The raw 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hex part, 64 lower-case digits.
    #[must_use]
    pub fn hex(&self) -> String {
        Hex(&self.0).to_string()
    }

    /// The first twelve hex digits, as in `docker images`.
    #[must_use]
    pub fn short(&self) -> String {
        self.hex()[..crate::id::SHORT_LEN].to_owned()
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, self.0)
    }
}

pub(crate) fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|b| write!(f, "{b:02x}"))
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (algorithm, hex) = text.split_once(':').ok_or(DigestError::Format)?;
        if algorithm != "sha256" {
            return Err(if matches!(algorithm, "sha384" | "sha512" | "blake3") {
                DigestError::Algorithm
            } else {
                DigestError::Format
            });
        }
        crate::Id::parse(hex).map(|id| Self(*id.as_bytes())).ok_or(DigestError::Format)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        <std::borrow::Cow<'de, str>>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Hashes and counts what passes through it on its way into `W` (or out of it, as a reader).
#[derive(Debug)]
pub struct Hashing<T> {
    inner: T,
    hash: sha2::Sha256,
    bytes: u64,
}

impl<T> Hashing<T> {
    /// Wraps a reader or a writer.
    pub fn new(inner: T) -> Self {
        Self { inner, hash: sha2::Sha256::new(), bytes: 0 }
    }

    /// The wrapped stream, the digest of what passed and its length in bytes.
    pub fn finish(self) -> (T, Digest, u64) {
        (self.inner, Digest(self.hash.finalize().into()), self.bytes)
    }

    fn note(&mut self, passed: &[u8]) {
        self.hash.update(passed);
        self.bytes += passed.len() as u64;
    }
}

impl<W: io::Write> io::Write for Hashing<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        self.note(&buf[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: io::Read> io::Read for Hashing<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.note(&buf[..n]);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn known_answer_and_round_trip() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        assert_eq!(EMPTY.parse(), Ok(Digest::of(b"")));
    }

    #[test]
    fn malformed_digests_are_refused() {
        for bad in ["", "sha256", "sha256:", "sha256:ab", "md5:00", &EMPTY.to_uppercase(), &EMPTY[..70]] {
            assert_eq!(bad.parse::<Digest>(), Err(DigestError::Format), "{bad}");
        }
        assert_eq!("sha512:ab".parse::<Digest>(), Err(DigestError::Algorithm));
    }

    #[test]
    fn hashing_sees_what_passes_in_both_directions() {
        let mut w = Hashing::new(Vec::new());
        w.write_all(b"abc").unwrap();
        let (out, d, n) = w.finish();
        assert_eq!((out.as_slice(), d, n), (&b"abc"[..], Digest::of(b"abc"), 3));
        let mut r = Hashing::new(&b"abc"[..]);
        r.read_to_end(&mut Vec::new()).unwrap();
        assert_eq!(r.finish().1, Digest::of(b"abc"));
    }
}
