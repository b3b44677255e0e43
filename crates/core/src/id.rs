//! Identifiers of containers, networks, execs and sandboxes: 32 random bytes as 64 lower-case hex digits.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A 256-bit random identifier, written as 64 lower-case hex digits as Docker does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id([u8; 32]);

/// Number of hex digits of a short id, as in `docker ps`.
pub const SHORT_LEN: usize = 12;

impl Id {
    /// A fresh random id. It never consists of decimal digits only in its short form, since such a
    /// host name would be taken for a number (as moby does).
    ///
    /// # Panics
    /// When the kernel has no random numbers, which getrandom(2) rules out after boot.
    #[must_use]
    pub fn random() -> Self {
        loop {
            let mut bytes = [0u8; 32];
            let mut filled = 0;
            while filled < bytes.len() {
                match rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty()) {
                    Ok(n) => filled += n,
                    Err(rustix::io::Errno::INTR) => {}
                    Err(e) => panic!("getrandom: {e}"),
                }
            }
            let id = Self(bytes);
            if !id.short().bytes().all(|b| b.is_ascii_digit()) {
                return id;
            }
        }
    }

    /// Reads 64 lower-case hex digits; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let raw = text.as_bytes();
        if raw.len() != 64 {
            return None;
        }
        let mut bytes = [0u8; 32];
        for (i, pair) in raw.chunks_exact(2).enumerate() {
            bytes[i] = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Some(Self(bytes))
    }

    /// The first twelve hex digits.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string()[..SHORT_LEN].to_owned()
    }

    /// The raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

fn nibble(b: u8) -> Option<u8> {
    match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::digest::write_hex(f, &self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("expected 64 lower-case hex digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_inverts_display_and_refuses_the_rest() {
        let id = Id::random();
        assert_eq!(Id::parse(&id.to_string()), Some(id));
        assert_eq!(id.short(), id.to_string()[..12]);
        for bad in ["", "ab", &"A".repeat(64), &"g".repeat(64), &"a".repeat(63)] {
            assert_eq!(Id::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn two_random_ids_differ() {
        assert_ne!(Id::random(), Id::random());
    }
}
