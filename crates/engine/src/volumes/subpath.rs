//! A part of a volume. Who writes to a volume puts links into it as they like; none leads out.

use crate::error::{Error, Result};
use brig_runtime::Errno as Words;
use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2},
    io::Errno,
};
use std::{os::fd::OwnedFd, path::Path};

/// How often a path is looked up that somebody renames meanwhile.
const TRIES: usize = 128;

/// Refuses what can't be in any volume, by its text. Docker's words.
pub(super) fn check(subpath: &str) -> Result<(), String> {
    let mut depth = 0i32;
    for part in subpath.split('/') {
        match part {
            "" | "." => {}
            ".." => depth -= 1,
            _ => depth += 1,
        }
        if depth < 0 {
            break;
        }
    }
    if subpath.starts_with('/') || depth < 0 || subpath.contains('\0') {
        return Err("subpath must be a relative path within the volume".to_owned());
    }
    Ok(())
}

/// The subpath without `.` and `..`; empty for the whole volume.
pub(super) fn clean(subpath: &str) -> String {
    super::parse::clean(subpath).trim_start_matches('/').to_owned()
}

/// Opens what is at a path below a volume's folder.
pub(crate) fn open(folder: &Path, subpath: &str, flags: OFlags) -> Result<OwnedFd> {
    let base = openat(CWD, folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| Error::file("open", folder, e.into()))?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let path = if subpath.is_empty() { "." } else { subpath };
    let mut last = Errno::AGAIN;
    for _ in 0..TRIES {
        match openat2(&base, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Ok(opened) => return Ok(opened),
            Err(e @ (Errno::AGAIN | Errno::INTR)) => last = e,
            Err(e) => {
                last = e;
                break;
            }
        }
    }
    let folder = folder.display();
    Err(match last {
        Errno::XDEV => Error::System(format!(
            "path concatenation escapes the base directory, base: {folder}, subpath: {subpath}"
        )),
        e => {
            let words = format!(
                "cannot access path {folder}/{subpath}: lstat {folder}/{subpath}: {}",
                Words::from(e)
            );
            if e == Errno::NOENT { Error::Missing(words) } else { Error::System(words) }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    #[test]
    fn what_is_no_path_in_a_volume() {
        for bad in ["/a", "..", "../x", "a/b/../../..", "a/../..", "a\0"] {
            assert_eq!(
                check(bad),
                Err("subpath must be a relative path within the volume".to_owned()),
                "{bad}"
            );
        }
        for good in ["", ".", "a", "a/../b", "a//b/."] {
            check(good).unwrap();
        }
        assert_eq!(clean("a/./b//../c/"), "a/c");
        assert_eq!(clean("."), "");
    }

    #[test]
    fn links_lead_on_and_never_out() {
        let dir = tempfile::tempdir().unwrap();
        let volume = dir.path().join("volume");
        fs::create_dir_all(volume.join("a/b")).unwrap();
        fs::create_dir(dir.path().join("outside")).unwrap();
        symlink("a", volume.join("in")).unwrap();
        symlink("../outside", volume.join("out")).unwrap();
        symlink("/etc", volume.join("absolute")).unwrap();
        symlink("/proc/self/root", volume.join("a/magic")).unwrap();
        for good in ["", "a/b", "in/b", "in/../a"] {
            open(&volume, good, OFlags::PATH).unwrap();
        }
        for bad in ["out", "absolute", "absolute/passwd", "a/magic", "in/magic/etc", "out/../volume/a"] {
            let error = open(&volume, bad, OFlags::PATH).unwrap_err().to_string();
            assert!(
                error.starts_with("path concatenation escapes the base directory, base: "),
                "{bad}: {error}"
            );
        }
        let missing = open(&volume, "a/nope", OFlags::PATH).unwrap_err().to_string();
        assert!(missing.ends_with("/volume/a/nope: no such file or directory"), "{missing}");
    }
}
