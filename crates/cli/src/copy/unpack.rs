//! An archive as files of this machine. The archive is a container's: no name in it leads out of the folder that it is
//! unpacked into, and no link of its own does.

use super::Rename;
use crate::error::{Error, Result, os_text};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::{
    fs,
    io::{self, Read},
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Component, Path, PathBuf},
    time::{Duration, SystemTime},
};
use tar::EntryType;

/// Unpacks an archive into a folder. Files belong to who calls; a file never replaces a folder, nor a folder a file.
///
/// # Errors
/// When the archive is broken or means harm, or a file can't be made.
pub fn unpack(archive: impl Read, into: &Path, rename: Option<&Rename>) -> Result {
    let into = fs::canonicalize(into).map_err(|e| failed("stat", into, &e))?;
    let mut archive = tar::Archive::new(archive);
    let mut folders: Vec<(PathBuf, u32, u64)> = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry.map_err(broken)?;
        let renamed = |name: &[u8]| match rename {
            Some(rename) => rename.apply(name),
            None => name.to_vec(),
        };
        let name = inside(&renamed(&entry.path_bytes()))?;
        let path = into.join(&name);
        let kind = entry.header().entry_type();
        let (mode, mtime) = (entry.header().mode().map_err(broken)?, entry.header().mtime().map_err(broken)?);
        if name.as_os_str().is_empty() {
            continue;
        }
        let parent = parent_inside(&into, &name)?;
        let path = parent.join(path.file_name().unwrap_or_default());
        let is_folder = kind == EntryType::Directory;
        make_room(&path, is_folder, &into)?;
        let at = |step| {
            let path = path.clone();
            move |e: io::Error| failed(step, &path, &e)
        };
        match kind {
            EntryType::Directory => {
                match fs::create_dir(&path) {
                    Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                        return Err(failed("mkdir", &path, &e));
                    }
                    _ => {}
                }
                // Its own mode may forbid to put anything into it: that comes last.
                folders.push((path, mode, mtime));
            }
            EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default();
                std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(&target), &path)
                    .map_err(at("symlink"))?;
            }
            EntryType::Link => {
                let target = inside(&renamed(&entry.link_name_bytes().unwrap_or_default()))?;
                let from = parent_inside(&into, &target)?.join(target.file_name().unwrap_or_default());
                rustix::fs::linkat(CWD, &from, CWD, &path, rustix::fs::AtFlags::empty())
                    .map_err(|e| failed("link", &path, &e.into()))?;
            }
            EntryType::Char | EntryType::Block | EntryType::Fifo => {
                let (kind, device) = match kind {
                    EntryType::Fifo => (FileType::Fifo, 0),
                    _ => {
                        let header = entry.header();
                        let major = header.device_major().map_err(broken)?.unwrap_or(0);
                        let minor = header.device_minor().map_err(broken)?.unwrap_or(0);
                        let is_block = kind == EntryType::Block;
                        let kind = if is_block { FileType::BlockDevice } else { FileType::CharacterDevice };
                        (kind, rustix::fs::makedev(major, minor))
                    }
                };
                mknodat(CWD, &path, kind, Mode::from_raw_mode(mode), device)
                    .map_err(|e| failed("mknod", &path, &e.into()))?;
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let mut file =
                    fs::File::options().write(true).create_new(true).open(&path).map_err(at("open"))?;
                io::copy(&mut entry, &mut file).map_err(at("write"))?;
                file.set_permissions(fs::Permissions::from_mode(mode & 0o7777)).map_err(at("chmod"))?;
                file.set_modified(time(mtime)).map_err(at("chtimes"))?;
            }
            _ => {}
        }
    }
    // Innermost first: a folder's own time changes with what is in it.
    for (path, mode, mtime) in folders.iter().rev() {
        let is_folder = fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
        if is_folder {
            let at = |e| failed("chmod", path, &e);
            fs::File::open(path).and_then(|folder| folder.set_modified(time(*mtime))).map_err(at)?;
            fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o7777)).map_err(at)?;
        }
    }
    Ok(())
}

/// A name without `.`, `..` and slashes before it; one that climbs out is refused.
fn inside(name: &[u8]) -> Result<PathBuf> {
    let mut clean = PathBuf::new();
    for part in Path::new(std::ffi::OsStr::from_bytes(name)).components() {
        match part {
            Component::Normal(part) => clean.push(part),
            Component::ParentDir if !clean.pop() => {
                let name = String::from_utf8_lossy(name);
                return Err(Error::Message(format!("{name:?} is outside of the destination")));
            }
            _ => {}
        }
    }
    Ok(clean)
}

/// The folder of a name, made when it is missing, with links followed as far as they stay inside.
fn parent_inside(into: &Path, name: &Path) -> Result<PathBuf> {
    let mut at = into.to_path_buf();
    for part in name.parent().into_iter().flat_map(Path::components) {
        at.push(part);
        match fs::create_dir(&at) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(failed("mkdir", &at, &e)),
            _ => {}
        }
        at = fs::canonicalize(&at).map_err(|e| failed("lstat", &at, &e))?;
        if !at.starts_with(into) {
            return Err(Error::Message(format!(
                "{:?} is outside of {:?}",
                name.to_string_lossy(),
                into.to_string_lossy()
            )));
        }
    }
    Ok(at)
}

/// Removes what is in an entry's way, unless only one of the two is a folder.
fn make_room(path: &Path, is_folder: bool, into: &Path) -> Result {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed("lstat", path, &e)),
    };
    if found.is_dir() != is_folder {
        let kind = |is_folder| if is_folder { "directory" } else { "non-directory" };
        return Err(Error::Message(format!(
            "cannot overwrite {} {:?} with {} {:?}",
            kind(found.is_dir()),
            path.to_string_lossy(),
            kind(is_folder),
            into.to_string_lossy()
        )));
    }
    if found.is_dir() {
        return Ok(());
    }
    fs::remove_file(path).map_err(|e| failed("unlinkat", path, &e))
}

fn time(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(1 << 40))
}

fn failed(step: &str, path: &Path, error: &io::Error) -> Error {
    Error::Message(format!("{step} {}: {}", path.display(), os_text(error)))
}

fn broken(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::Message("unexpected EOF".to_owned()),
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, link) in entries {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(*kind);
            header.set_mode(if *kind == EntryType::Directory { 0o555 } else { 0o640 });
            header.set_mtime(1_700_000_000);
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
            let data: &[u8] = if *kind == EntryType::Regular { b"data" } else { b"" };
            header.set_size(data.len() as u64);
            header.set_cksum();
            builder.append(&header, data).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn files_links_and_folders_that_forbid() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = archive(&[
            ("d/", EntryType::Directory, ""),
            ("d/f", EntryType::Regular, ""),
            ("d/hard", EntryType::Link, "d/f"),
            ("d/soft", EntryType::Symlink, "../../outside"),
        ]);
        unpack(bytes.as_slice(), folder.path(), Some(&Rename::new("d", "new"))).unwrap();
        let new = folder.path().join("new");
        assert_eq!(fs::read(new.join("hard")).unwrap(), b"data");
        assert_eq!(fs::read_link(new.join("soft")).unwrap(), Path::new("../../outside"));
        assert_eq!(fs::metadata(&new).unwrap().permissions().mode() & 0o777, 0o555);
        assert_eq!(fs::metadata(&new).unwrap().modified().unwrap(), time(1_700_000_000));
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn nothing_leads_out() {
        let top = tempfile::tempdir().unwrap();
        let into = top.path().join("into");
        let outside = top.path().join("outside");
        fs::create_dir(&into).unwrap();
        fs::create_dir(&outside).unwrap();
        let out = outside.to_str().unwrap();
        for entries in [
            vec![("../evil", EntryType::Regular, "")],
            vec![("l", EntryType::Symlink, out), ("l/evil", EntryType::Regular, "")],
            vec![("up", EntryType::Symlink, ".."), ("up/outside/evil", EntryType::Regular, "")],
            vec![("h", EntryType::Link, "../outside/secret")],
            vec![("m", EntryType::Symlink, out), ("n", EntryType::Link, "m/secret")],
        ] {
            fs::write(outside.join("secret"), "secret").unwrap();
            assert!(unpack(archive(&entries).as_slice(), &into, None).is_err(), "{entries:?}");
            assert_eq!(fs::read_dir(&outside).unwrap().count(), 1, "{entries:?}");
        }
        // A link in the way is replaced, not written through.
        std::os::unix::fs::symlink(outside.join("secret"), into.join("f")).unwrap();
        unpack(archive(&[("f", EntryType::Regular, "")]).as_slice(), &into, None).unwrap();
        assert_eq!(fs::read(outside.join("secret")).unwrap(), b"secret");
    }

    #[test]
    fn kinds_stay() {
        let into = tempfile::tempdir().unwrap();
        fs::create_dir(into.path().join("d")).unwrap();
        fs::write(into.path().join("f"), "").unwrap();
        let error =
            unpack(archive(&[("d", EntryType::Regular, "")]).as_slice(), into.path(), None).unwrap_err();
        assert!(error.to_string().starts_with("cannot overwrite directory"), "{error}");
        let error =
            unpack(archive(&[("f", EntryType::Directory, "")]).as_slice(), into.path(), None).unwrap_err();
        assert!(error.to_string().starts_with("cannot overwrite non-directory"), "{error}");
    }
}
