//! The keys that detach the client from a container: `ctrl-p,ctrl-q` unless told otherwise.

/// What came of some input.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    /// To be sent on.
    Send(Vec<u8>),
    /// The keys were typed; what came before them is to be sent on.
    Detach(Vec<u8>),
}

/// Watches input for the keys. Keys of a sequence that is not finished are held back.
#[derive(Debug, Clone)]
pub struct Watch {
    keys: Vec<u8>,
    matched: usize,
}

/// The keys that Docker watches for.
const DEFAULT: [u8; 2] = [16, 17];

impl Watch {
    /// Reads `ctrl-p,ctrl-q`, `ctrl-@`, `a,b`; empty for the default.
    ///
    /// # Errors
    /// In Docker's words.
    pub fn new(keys: &str) -> Result<Self, String> {
        let keys = if keys.is_empty() { DEFAULT.to_vec() } else { parse(keys)? };
        Ok(Self { keys, matched: 0 })
    }

    /// Takes some input.
    pub fn feed(&mut self, input: &[u8]) -> Typed {
        let mut out = Vec::with_capacity(input.len());
        for &byte in input {
            if byte == self.keys[self.matched] {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    self.matched = 0;
                    return Typed::Detach(out);
                }
                continue;
            }
            out.extend_from_slice(&self.keys[..self.matched]);
            self.matched = 0;
            if byte == self.keys[0] {
                self.matched = 1;
            } else {
                out.push(byte);
            }
        }
        Typed::Send(out)
    }
}

fn parse(text: &str) -> Result<Vec<u8>, String> {
    text.split(',')
        .map(|key| {
            let unknown = || format!("invalid detach keys ({text}): Unknown character: '{key}'");
            if let Some(letter) = key.strip_prefix("ctrl-") {
                return match letter.as_bytes() {
                    [b @ b'a'..=b'z'] => Ok(b - b'a' + 1),
                    b"@" => Ok(0),
                    b"[" => Ok(27),
                    b"\\" => Ok(28),
                    b"]" => Ok(29),
                    b"^" => Ok(30),
                    b"_" => Ok(31),
                    _ => Err(unknown()),
                };
            }
            match key.as_bytes() {
                [b] => Ok(*b),
                _ if key == "DEL" => Ok(127),
                _ => Err(unknown()),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_across_pieces() {
        let mut watch = Watch::new("").unwrap();
        assert_eq!(watch.feed(b"ab\x10"), Typed::Send(b"ab".to_vec()));
        assert_eq!(watch.feed(b"x"), Typed::Send(b"\x10x".to_vec()));
        assert_eq!(watch.feed(b"\x10\x10"), Typed::Send(b"\x10".to_vec()));
        assert_eq!(watch.feed(b"\x11rest"), Typed::Detach(Vec::new()));
    }

    #[test]
    fn keys_are_read() {
        assert_eq!(Watch::new("ctrl-@,a,ctrl-_,DEL").unwrap().keys, [0, b'a', 31, 127]);
        assert!(Watch::new("ctrl-").is_err());
        assert!(Watch::new("ab").is_err());
    }
}
