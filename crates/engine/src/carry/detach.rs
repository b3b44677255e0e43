//! The keys that end an attachment without ending the process.

/// What Docker uses when nothing is said: ctrl-p, ctrl-q.
const DEFAULT: [u8; 2] = [16, 17];

/// A sequence of keys that is looked for in what a client types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DetachKeys {
    keys: Vec<u8>,
    matched: usize,
}

/// What came of some typed bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Scan {
    /// These are for the process. Bytes that may be the beginning of the sequence are held back.
    Pass(Vec<u8>),
    /// The sequence is complete; these came before it.
    Detach(Vec<u8>),
}

impl Default for DetachKeys {
    fn default() -> Self {
        Self { keys: DEFAULT.to_vec(), matched: 0 }
    }
}

impl DetachKeys {
    /// Reads `ctrl-p,ctrl-q`, `a,b`, `DEL`; empty for the default. `None` when a part is no key.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let keys = text.split(',').map(key).collect::<Option<Vec<u8>>>()?;
        Some(Self { keys, matched: 0 })
    }

    /// The keys as bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.keys
    }

    /// Looks for the sequence in what was typed next.
    pub(crate) fn scan(&mut self, typed: &[u8]) -> Scan {
        let mut pass = Vec::with_capacity(typed.len());
        for &byte in typed {
            // After a mismatch, what was held back may still end in a beginning of the sequence.
            while self.matched > 0 && self.keys[self.matched] != byte {
                let shorter = self.border(self.matched);
                pass.extend_from_slice(&self.keys[..self.matched - shorter]);
                self.matched = shorter;
            }
            if self.keys[self.matched] == byte {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    self.matched = 0;
                    return Scan::Detach(pass);
                }
            } else {
                pass.push(byte);
            }
        }
        Scan::Pass(pass)
    }

    /// The longest proper beginning of the sequence that its first `length` bytes end in.
    fn border(&self, length: usize) -> usize {
        (1..length).rev().find(|&n| self.keys[..n] == self.keys[length - n..length]).unwrap_or(0)
    }
}

fn key(text: &str) -> Option<u8> {
    if let [byte] = text.as_bytes() {
        return Some(*byte);
    }
    if text.eq_ignore_ascii_case("del") {
        return Some(127);
    }
    let name = text.strip_prefix("ctrl-").or_else(|| text.strip_prefix("CTRL-"))?;
    match name.as_bytes() {
        [letter] if letter.is_ascii_alphabetic() => Some(letter.to_ascii_lowercase() - b'a' + 1),
        b"@" => Some(0),
        b"[" => Some(27),
        b"\\" => Some(28),
        b"]" => Some(29),
        b"^" => Some(30),
        b"_" => Some(31),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_docker_reads_them() {
        for (text, bytes) in [
            ("", vec![16, 17]),
            ("ctrl-a", vec![1]),
            ("ctrl-z,x", vec![26, b'x']),
            ("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", vec![0, 27, 28, 29, 30, 31]),
            ("DEL", vec![127]),
        ] {
            assert_eq!(DetachKeys::parse(text).unwrap().bytes(), bytes, "{text}");
        }
        for bad in ["ctrl-", "ctrl-1", "abc", "a,", "ctrl-ab", "é"] {
            assert_eq!(DetachKeys::parse(bad), None, "{bad}");
        }
    }

    fn pass(bytes: &[u8]) -> Scan {
        Scan::Pass(bytes.to_vec())
    }

    #[test]
    fn the_sequence_is_found_across_reads_and_nothing_else_is_lost() {
        let mut keys = DetachKeys::default();
        assert_eq!(keys.scan(b"ab\x10"), pass(b"ab"));
        assert_eq!(keys.scan(b"c"), pass(b"\x10c"));
        assert_eq!(keys.scan(b"\x10"), pass(b""));
        assert_eq!(keys.scan(b"\x10"), pass(b"\x10"));
        assert_eq!(keys.scan(b"\x11rest"), Scan::Detach(vec![]));
    }

    #[test]
    fn overlapping_beginnings() {
        let mut keys = DetachKeys::parse("a,a,b").unwrap();
        assert_eq!(keys.scan(b"xaaab"), Scan::Detach(b"xa".to_vec()));
    }

    proptest::proptest! {
        #[test]
        fn finds_the_sequence_where_it_is(
            typed in proptest::collection::vec(0u8..3, 0..60),
            keys in proptest::collection::vec(0u8..3, 1..5),
            cut in 0usize..60,
        ) {
            let mut scanner = DetachKeys { keys: keys.clone(), matched: 0 };
            let cut = cut.min(typed.len());
            let mut passed = Vec::new();
            let mut detached = false;
            for part in [&typed[..cut], &typed[cut..]] {
                match scanner.scan(part) {
                    Scan::Pass(bytes) => passed.extend(bytes),
                    Scan::Detach(bytes) => {
                        passed.extend(bytes);
                        detached = true;
                        break;
                    }
                }
            }
            match typed.windows(keys.len()).position(|w| w == keys) {
                Some(at) => {
                    proptest::prop_assert!(detached);
                    proptest::prop_assert_eq!(&passed, &typed[..at]);
                }
                None => {
                    proptest::prop_assert!(!detached);
                    passed.extend(&keys[..scanner.matched]);
                    proptest::prop_assert_eq!(passed, typed);
                }
            }
        }
    }
}
