//! Names of containers: which are allowed, and random ones.

mod words;

use crate::error::{Error, Result};

/// Checks a name as Docker does, `[a-zA-Z0-9][a-zA-Z0-9_.-]+` after an optional slash; answers it without the
/// slash.
///
/// # Errors
/// [`Error::InvalidName`].
pub fn validate(name: &str) -> Result<&str> {
    let bare = name.strip_prefix('/').unwrap_or(name);
    let mut bytes = bare.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest = bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if first && rest && bare.len() > 1 { Ok(bare) } else { Err(Error::InvalidName(name.to_owned())) }
}

/// A random name, `adjective_surname`; with a digit from the first repeated try on.
#[must_use]
pub fn random(attempt: u32) -> String {
    // The id generator is the one source of randomness; its bytes are uniform.
    let id = brig_core::Id::random();
    let bytes = id.as_bytes();
    let pick = |at: usize, list: &'static [&'static str]| {
        let number = usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        list[number % list.len()]
    };
    let name = format!("{}_{}", pick(0, &words::ADJECTIVES), pick(2, &words::SURNAMES));
    if attempt == 0 { name } else { format!("{name}{}", bytes[4] % 10) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allowed_and_refused() {
        for (name, bare) in
            [("web", "web"), ("/web", "web"), ("a1", "a1"), ("A.b_c-d", "A.b_c-d"), ("0x", "0x")]
        {
            assert_eq!(validate(name).unwrap(), bare);
        }
        for bad in ["", "/", "a", "-a", "_a", ".a", "a b", "a/b", "//a", "é1", "a:b"] {
            assert_eq!(
                validate(bad).unwrap_err().to_string(),
                format!("Invalid container name ({bad}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
            );
        }
    }

    #[test]
    fn all_words_make_valid_names_and_none_is_there_twice() {
        for list in [&words::ADJECTIVES[..], &words::SURNAMES[..]] {
            let mut sorted = list.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), list.len());
            for word in list {
                assert!(word.bytes().all(|b| b.is_ascii_lowercase()), "{word}");
            }
        }
        for attempt in [0, 1, 5] {
            validate(&random(attempt)).unwrap();
        }
    }
}
