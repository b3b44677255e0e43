//! Names in archives: cleaned by their text alone, and refused when they climb out of the root.

/// Longest path that system calls take, without its final NUL.
pub(crate) const PATH_MAX: usize = 4095;

/// A relative path without empty, `.` and `..` parts. Empty for the root itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CleanPath(Vec<u8>);

impl CleanPath {
    /// Cleans a name as Docker does: a leading slash means the archive's root, `a/../b` is `b`; what would climb
    /// above the root is refused.
    pub(crate) fn parse(name: &[u8]) -> Result<Self, String> {
        let mut parts: Vec<&[u8]> = Vec::new();
        for part in name.split(|b| *b == b'/') {
            match part {
                b"" | b"." => {}
                b".." => {
                    if parts.pop().is_none() {
                        return Err("the path points outside of the archive's root".to_owned());
                    }
                }
                part if part.len() > 255 => {
                    return Err("a part of the path is longer than 255 bytes".to_owned());
                }
                part => parts.push(part),
            }
        }
        let path = parts.join(&b'/');
        if path.len() > PATH_MAX {
            return Err("the path is too long".to_owned());
        }
        Ok(Self(path))
    }

    /// The root itself.
    pub(crate) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The folder and the last part.
    pub(crate) fn split(&self) -> (&[u8], &[u8]) {
        match self.0.iter().rposition(|b| *b == b'/') {
            Some(slash) => (&self.0[..slash], &self.0[slash + 1..]),
            None => (b"", &self.0),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_contained_or_refused() {
        for (name, clean) in [
            ("a/b", "a/b"),
            ("./a//b/", "a/b"),
            ("/etc/passwd", "etc/passwd"),
            ("a/../b", "b"),
            ("", ""),
            ("./", ""),
            ("/", ""),
            ("a/..", ""),
        ] {
            assert_eq!(CleanPath::parse(name.as_bytes()).unwrap().0, clean.as_bytes(), "{name}");
        }
        for name in [
            "..",
            "../a",
            "a/../../b",
            "/..",
            "/../etc/passwd",
            "./../x",
            &"a/".repeat(3000),
            &"x".repeat(256),
        ] {
            assert!(CleanPath::parse(name.as_bytes()).is_err(), "{name}");
        }
    }
}
