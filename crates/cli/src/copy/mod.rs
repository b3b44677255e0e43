//! The client's side of `cp`: which path becomes which, files of this machine as an archive and back.

pub mod pack;
pub mod path;
pub mod progress;
pub mod unpack;

use path::{Place, base, dir, is_explicit_folder};

/// What an archive is called in, and what it shall be called where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    from: String,
    to: String,
}

impl Rename {
    /// Renames the top of an archive. The root's entries all begin with a slash, which is not to be replaced.
    #[must_use]
    pub fn new(from: &str, to: &str) -> Self {
        Self { from: if from == "/" { String::new() } else { from.to_owned() }, to: to.to_owned() }
    }

    /// The same for an archive whose top is called otherwise.
    #[must_use]
    pub fn of(&self, from: &str) -> Self {
        Self::new(from, &self.to)
    }

    /// The new name of an entry.
    #[must_use]
    pub fn apply(&self, name: &[u8]) -> Vec<u8> {
        match name.strip_prefix(self.from.as_bytes()) {
            Some(rest) if rest.is_empty() || rest.starts_with(b"/") => [self.to.as_bytes(), rest].concat(),
            _ => name.to_vec(),
        }
    }
}

/// Where an archive is to be extracted, and under which name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landing {
    /// The folder.
    pub folder: String,
    /// The name, unless it stays.
    pub rename: Option<Rename>,
}

/// Decides where what is at `from` goes, in Docker's words when it can't go there.
///
/// # Errors
/// A folder onto a file; a file to a folder that is not there.
pub fn landing(from: &Place, to: &Place) -> Result<Landing, &'static str> {
    let name = match &from.rename {
        Some(name) => name.clone(),
        None => base(&from.path),
    };
    let renamed = || Landing { folder: dir(&to.path), rename: Some(Rename::new(&name, &base(&to.path))) };
    match (to.exists, to.is_folder, from.is_folder) {
        (true, true, _) => Ok(Landing { folder: to.path.clone(), rename: None }),
        (true, false, true) => Err("cannot copy directory"),
        (true, false, false) | (false, _, true) => Ok(renamed()),
        (false, _, false) if is_explicit_folder(&to.path) => Err("no such directory"),
        (false, _, false) => Ok(renamed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str, exists: bool, is_folder: bool) -> Place {
        Place { path: path.to_owned(), exists, is_folder, rename: None }
    }

    #[test]
    fn where_things_go() {
        let file = place("/src/f", true, false);
        let folder = place("/src/d", true, true);
        let content = place("/src/d/.", true, true);
        let to = |folder: &str, rename: Option<(&str, &str)>| {
            let rename = rename.map(|(from, to)| Rename::new(from, to));
            Ok(Landing { folder: folder.to_owned(), rename })
        };
        let there = place("/dst", true, true);
        assert_eq!(landing(&file, &there), to("/dst", None));
        assert_eq!(landing(&folder, &there), to("/dst", None));
        assert_eq!(landing(&file, &place("/dst/g", true, false)), to("/dst", Some(("f", "g"))));
        assert_eq!(landing(&file, &place("/dst/g", false, false)), to("/dst", Some(("f", "g"))));
        assert_eq!(landing(&folder, &place("/dst/new", false, false)), to("/dst", Some(("d", "new"))));
        assert_eq!(landing(&content, &place("/dst/new", false, false)), to("/dst", Some((".", "new"))));
        assert_eq!(landing(&folder, &place("/dst/g", true, false)), Err("cannot copy directory"));
        assert_eq!(landing(&file, &place("/dst/new/", false, false)), Err("no such directory"));
    }

    #[test]
    fn only_the_top_is_renamed() {
        for (from, to, name, renamed) in [
            ("etc", "new", "etc/etc/x", "new/etc/x"),
            (".", "new", "./f", "new/f"),
            (".", "new", "./", "new/"),
            ("/", "new", "/bin/", "new/bin/"),
            ("a", "b", "ab/c", "ab/c"),
            ("f", "g", "f", "g"),
        ] {
            assert_eq!(Rename::new(from, to).apply(name.as_bytes()), renamed.as_bytes(), "{name}");
        }
    }
}
