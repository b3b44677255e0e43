//! The standard streams of a container's first process, which are the caller's and so in no image: what they were is
//! written down at the checkpoint, and the caller of the restore gives new ones in their place.

use super::messages::Inherited;
use crate::error::Error;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// runc's name for the list.
const FILE: &str = "descriptors.json";

/// What standard input, output and error of a process are, by CRIU's names; empty for what the container has itself.
pub(crate) fn of(pid: i32) -> Result<Vec<String>, Error> {
    (0..3).map(|number| one(pid, number)).collect()
}

fn one(pid: i32, number: i32) -> Result<String, Error> {
    let path = PathBuf::from(format!("/proc/{pid}/fd/{number}"));
    let link = match std::fs::read_link(&path) {
        Ok(link) => link,
        // Closed by the program.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
        Err(e) => return Err(Error::file("look at", path)(e)),
    };
    let text = link.to_string_lossy().into_owned();
    if text.starts_with("pipe:[") {
        return Ok(text);
    }
    let info = PathBuf::from(format!("/proc/{pid}/fdinfo/{number}"));
    let info = std::fs::read_to_string(&info).map_err(Error::file("read", &info))?;
    let field = info.lines().find_map(|line| line.strip_prefix("mnt_id:"));
    let Some(mount) = field.and_then(|id| id.trim().parse::<u64>().ok()) else { return Ok(String::new()) };
    let mounts = PathBuf::from(format!("/proc/{pid}/mountinfo"));
    let mounts = std::fs::read_to_string(&mounts).map_err(Error::file("read", &mounts))?;
    if !text.starts_with('/') || mounts.lines().any(|line| line.split(' ').next() == Some(&mount.to_string()))
    {
        return Ok(String::new());
    }
    // Opened before the container was entered.
    let inode = std::fs::metadata(&path).map_err(Error::file("look at", path))?.ino();
    Ok(format!("file[{mount:x}:{inode:x}]"))
}

/// Those that CRIU has to be told of when it writes: pipes it knows by itself.
pub(crate) fn external(all: &[String]) -> impl Iterator<Item = String> + '_ {
    all.iter().filter(|name| name.starts_with("file[")).cloned()
}

/// Writes the list beside the images.
pub(crate) fn write(images: &Path, all: &[String]) -> Result<(), Error> {
    let path = images.join(FILE);
    let json =
        serde_json::to_vec(all).map_err(|e| Error::Json { path: path.clone(), reason: e.to_string() })?;
    std::fs::write(&path, json).map_err(Error::file("write", path))
}

/// What takes their place: the caller's own.
pub(crate) fn inherited(images: &Path) -> Result<Vec<Inherited>, Error> {
    let path = images.join(FILE);
    let file = std::fs::File::open(&path).map_err(Error::file("open", &path))?;
    let all: Vec<String> = crate::bundle::parse(&path, file)?;
    let known = |name: &String| name.starts_with("pipe:[") || name.starts_with("file[");
    let mut given: Vec<Inherited> = Vec::new();
    for (number, key) in all.into_iter().take(3).enumerate().filter(|(_, key)| known(key)) {
        // Two numbers may be one file.
        if given.iter().all(|other| other.key != key) {
            given.push(Inherited { key, fd: i32::try_from(number).unwrap_or_default() });
        }
    }
    Ok(given)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_is_replaced_by_number() {
        let dir = tempfile::tempdir().unwrap();
        let all = ["", "pipe:[7]", "pipe:[7]"].map(str::to_owned);
        write(dir.path(), &all).unwrap();
        let given = inherited(dir.path()).unwrap();
        assert_eq!(given, [Inherited { key: "pipe:[7]".into(), fd: 1 }]);
        std::fs::write(dir.path().join(FILE), "[\"pipe").unwrap();
        assert!(inherited(dir.path()).unwrap_err().to_string().contains(FILE));
    }
}
