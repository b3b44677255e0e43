//! Paths as `cp` reads them. A slash or `/.` at the end means something, so that Rust's own paths, which drop it, are of
//! no use.

use crate::error::{Error, Result, os_text};
use std::{fs, io, path::Path};

/// One end of a copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// Its path.
    pub path: String,
    /// Whether something is there.
    pub exists: bool,
    /// Whether that is a folder.
    pub is_folder: bool,
    /// What it is called in its archive, where that is not the path's last part.
    pub rename: Option<String>,
}

/// `CONTAINER:PATH`, or a path of this machine.
#[must_use]
pub fn split_operand(operand: &str) -> (Option<&str>, &str) {
    if operand.starts_with('/') {
        return (None, operand);
    }
    match operand.split_once(':') {
        Some((container, path)) if !container.starts_with('.') && !container.is_empty() => {
            (Some(container), path)
        }
        Some(("", path)) => (None, path),
        _ => (None, operand),
    }
}

/// Go's `filepath.Clean`.
#[must_use]
pub fn clean(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if absolute => {}
            part => parts.push(part),
        }
    }
    match (absolute, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

/// Whether a path ends in `.`: what is in a folder, not the folder.
#[must_use]
pub fn is_content(path: &str) -> bool {
    path.is_empty() || path == "." || path.ends_with("/.")
}

/// Whether a path can only be a folder's.
#[must_use]
pub fn is_explicit_folder(path: &str) -> bool {
    path.ends_with('/') || is_content(path)
}

/// The cleaned path with the `.` that the client gave at its end.
fn kept(path: &str) -> String {
    let cleaned = clean(path);
    if is_content(path) { format!("{}/.", cleaned.trim_end_matches('/')) } else { cleaned }
}

/// The last part; `.` for what is in a folder.
#[must_use]
pub fn base(path: &str) -> String {
    match kept(path).trim_end_matches('/').rsplit('/').next() {
        None | Some("") => "/".to_owned(),
        Some(base) => base.to_owned(),
    }
}

/// The folder that the last part is in.
#[must_use]
pub fn dir(path: &str) -> String {
    let whole = kept(path);
    match whole.trim_end_matches('/').rsplit_once('/') {
        None if whole.starts_with('/') => "/".to_owned(),
        None => ".".to_owned(),
        Some(("", _)) => "/".to_owned(),
        Some((dir, _)) => clean(dir),
    }
}

/// `target`, as seen from the link at `link`.
#[must_use]
pub fn beside(link: &str, target: &str) -> String {
    if target.starts_with('/') { target.to_owned() } else { clean(&format!("{}/{target}", dir(link))) }
}

/// Puts the slash or `/.` at the end of `original` onto a cleaned path.
#[must_use]
pub fn with_end_of(cleaned: &str, original: &str) -> String {
    let mut path = cleaned.to_owned();
    if is_content(original) && !is_content(&path) {
        path.push_str(if path.ends_with('/') { "." } else { "/." });
    } else if original.ends_with('/') && !path.ends_with('/') {
        path.push('/');
    }
    path
}

/// A path of this machine, absolute, its end kept.
///
/// # Errors
/// Without a working folder.
pub fn local(path: &str) -> Result<String> {
    let absolute = if path.starts_with('/') {
        clean(path)
    } else {
        let here = std::env::current_dir()?;
        clean(&format!("{}/{path}", here.to_string_lossy()))
    };
    Ok(with_end_of(&absolute, path))
}

/// What a followed link is called in the archive: as its own path says, not as its target's does.
#[must_use]
pub fn followed(path: &str, target: &str) -> (String, Option<String>) {
    let target = with_end_of(target, path);
    let last = |path: &str| path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
    let rename = (last(path) != last(&target)).then(|| last(path));
    (target, rename)
}

fn os(step: &str, path: &str, error: &io::Error) -> Error {
    Error::Message(format!("{step} {path}: {}", os_text(error)))
}

/// What is copied from this machine. Links in its folder's path are followed, it itself only with `-L`.
///
/// # Errors
/// When nothing is there.
pub fn source(path: &str, follow: bool) -> Result<Place> {
    let evaluate = |path: &str| match fs::canonicalize(path) {
        Ok(real) => Ok(real.to_string_lossy().into_owned()),
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => Err(Error::Message(os_text(&e))),
        Err(e) => Err(os("lstat", clean(path).as_str(), &e)),
    };
    let (resolved, rename) = if follow {
        followed(path, &evaluate(path)?)
    } else {
        let (folder, last) = path.rsplit_once('/').unwrap_or((".", path));
        // With its slash: what is no folder is told so.
        let folder = evaluate(&format!("{folder}/"))?;
        (format!("{}/{last}", folder.trim_end_matches('/')), None)
    };
    let found = fs::symlink_metadata(&resolved).map_err(|e| os("lstat", &resolved, &e))?;
    Ok(Place { path: resolved, exists: true, is_folder: found.is_dir(), rename })
}

/// Where something is copied to on this machine. A link is followed; what it leads to need not be there.
///
/// # Errors
/// When the folder that it would be made in is not there.
pub fn destination(path: &str) -> Result<Place> {
    const MAX_LINKS: usize = 10;
    let mut at = path.to_owned();
    let mut found = fs::symlink_metadata(&at);
    let mut links = 0;
    while let Ok(stat) = &found
        && stat.is_symlink()
    {
        links += 1;
        if links > MAX_LINKS + 1 {
            return Err(format!("too many symlinks in {path}").into());
        }
        let target = fs::read_link(&at).map_err(|e| os("readlink", &at, &e))?;
        at = beside(&at, &target.to_string_lossy());
        found = fs::symlink_metadata(&at);
    }
    match found {
        Ok(stat) => Ok(Place { path: at, exists: true, is_folder: stat.is_dir(), rename: None }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let parent = dir(&at);
            let stat = fs::metadata(&parent).map_err(|e| os("stat", &parent, &e))?;
            if !stat.is_dir() {
                return Err("not a directory".into());
            }
            Ok(Place { path: at, ..Place::default() })
        }
        Err(e) => Err(os("lstat", &at, &e)),
    }
}

/// Refuses a destination whose folder is not there, and one that is neither a file nor a folder.
///
/// # Errors
/// In Docker's words.
pub fn check_output(path: &str) -> Result {
    use std::os::unix::fs::FileTypeExt;
    let folder = match clean(path).rsplit_once('/') {
        None => ".".to_owned(),
        Some(("", _)) => "/".to_owned(),
        Some((folder, _)) => folder.to_owned(),
    };
    if folder != "." && !Path::new(&folder).exists() {
        return Err(format!("invalid output path: directory \"{folder}\" does not exist").into());
    }
    match fs::metadata(path) {
        Ok(stat) if stat.is_dir() || stat.is_file() => Ok(()),
        Ok(stat) => {
            let kind = stat.file_type();
            let device = kind.is_block_device() || kind.is_char_device();
            let what = if device { "got a device" } else { return Ok(()) };
            Err(format!("invalid output path: \"{path}\" must be a directory or a regular file: {what}")
                .into())
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(os("stat", path, &e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands() {
        for (operand, container, path) in [
            ("c:/x", Some("c"), "/x"),
            ("c:", Some("c"), ""),
            ("./c:x", None, "./c:x"),
            ("/a:b", None, "/a:b"),
            ("x", None, "x"),
            ("-", None, "-"),
            ("c:a:b", Some("c"), "a:b"),
        ] {
            assert_eq!(split_operand(operand), (container, path), "{operand}");
        }
    }

    #[test]
    fn parts_of_paths_as_go_has_them() {
        for (path, folder, last) in [
            ("/a/b", "/a", "b"),
            ("/a/b/", "/a", "b"),
            ("/a/b/.", "/a/b", "."),
            ("/", "/", "/"),
            ("a", ".", "a"),
            ("/a", "/", "a"),
            ("/a/../b", "/", "b"),
        ] {
            assert_eq!((dir(path).as_str(), base(path).as_str()), (folder, last), "{path}");
        }
        for (path, cleaned) in
            [("", "."), ("../a/..", ".."), ("/..", "/"), ("a//b/./c", "a/b/c"), ("./a", "a")]
        {
            assert_eq!(clean(path), cleaned, "{path}");
        }
    }

    #[test]
    fn a_followed_link_keeps_its_name() {
        assert_eq!(followed("/d/link", "/d/file"), ("/d/file".to_owned(), Some("link".to_owned())));
        assert_eq!(followed("/d/link/", "/e/dir"), ("/e/dir/".to_owned(), Some("link".to_owned())));
        assert_eq!(followed("/d/link/.", "/e/dir"), ("/e/dir/.".to_owned(), None));
        assert_eq!(followed("/d/same", "/e/same"), ("/e/same".to_owned(), None));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(path in "[a./:-]{0,12}") {
            let (_, path) = split_operand(&path);
            for text in [clean(path), base(path), dir(path), with_end_of("/x", path)] {
                proptest::prop_assert!(!text.is_empty());
            }
        }
    }
}
