//! Giving the space of files back before the files go.

use super::walk::{self, Step};
use rustix::{
    fs::{FileType, Mode, OFlags},
    io::Errno,
};
use std::{io, path::Path};

/// Empties all regular files in a folder that have no other name. On a full disk, removing them is not enough: an
/// overlay that is still being unmounted, and whoever has one open, keeps the blocks of what has no name any more.
/// Nothing happens when there is no such folder.
pub(crate) fn empty_files(folder: &Path) -> io::Result<()> {
    let root = match walk::open(folder) {
        Ok(root) => root,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    walk::walk(root, &mut |step| {
        let Step::Node { dir, name, stat } = step else { return Ok(()) };
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink != 1 {
            return Ok(());
        }
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match rustix::fs::openat(dir, name, flags, Mode::empty()) {
            Ok(file) => Ok(rustix::fs::ftruncate(file, 0)?),
            // Gone meanwhile, exchanged for something else, or not to be written.
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO | Errno::PERM | Errno::TXTBSY) => Ok(()),
            Err(e) => Err(e.into()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs,
        io::{Seek, SeekFrom},
    };

    #[test]
    fn only_files_with_one_name_are_emptied() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("sub")).unwrap();
        for name in ["sub/file", "shared", "outside"] {
            fs::write(path(name), "text").unwrap();
        }
        fs::hard_link(path("shared"), path("sub/shared")).unwrap();
        fs::rename(path("outside"), folder.path().with_extension("outside")).unwrap();
        let outside = folder.path().with_extension("outside");
        std::os::unix::fs::symlink(&outside, path("sub/link")).unwrap();
        let mut open = fs::File::open(path("sub/file")).unwrap();
        empty_files(folder.path()).unwrap();
        assert_eq!(open.seek(SeekFrom::End(0)).unwrap(), 0);
        assert_eq!(fs::read(path("shared")).unwrap(), b"text");
        assert_eq!(fs::read(&outside).unwrap(), b"text");
        fs::remove_file(outside).unwrap();
        empty_files(&path("nowhere")).unwrap();
    }
}
