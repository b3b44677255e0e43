//! The group of unix sockets, looked up in /etc/group without the C library: a static binary must not load
//! name service modules.

use std::{fs, io, path::Path};

/// The id of a group: a number as it is, a name by `file`; `None` when there is no such group.
///
/// # Errors
/// When the file can't be read.
pub fn id_of(name: &str, file: &Path) -> io::Result<Option<u32>> {
    if let Ok(number) = name.parse() {
        return Ok(Some(number));
    }
    let text = match fs::read(file) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let found = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)).flatten()
    });
    Ok(found.and_then(|id| id.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "root:x:0:\nbroken\ndocker:x:999:a,b\nodd:x:y:\n").unwrap();
        let id = |name| id_of(name, file.path()).unwrap();
        assert_eq!(
            (id("docker"), id("1234"), id("nope"), id("odd"), id("broken")),
            (Some(999), Some(1234), None, None, None)
        );
        assert_eq!(id_of("docker", Path::new("/nonexistent/group")).unwrap(), None);
    }
}
