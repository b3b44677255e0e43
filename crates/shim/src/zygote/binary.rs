//! A descriptor of this process' own binary through which nobody can write to it.

use crate::Error;
use rustix::{
    fs::{MemfdFlags, SealFlags},
    mount::{OpenTreeFlags, open_tree},
};
use std::{
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

/// The running binary on a read-only mount of its own (0.08 ms), or, where the kernel refuses that, a sealed copy in
/// memory (12 ms for a large binary, once a daemon).
pub(super) fn own() -> Result<OwnedFd, Error> {
    match read_only_mount() {
        Ok(fd) => Ok(fd),
        Err(_) => sealed_copy().map_err(Error::system("copy own binary to memory")),
    }
}

fn read_only_mount() -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(rustix::fs::CWD, "/proc/self/exe", flags)?;
    set_read_only(tree.as_fd())?;
    Ok(tree)
}

fn set_read_only(tree: BorrowedFd<'_>) -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: the path is a terminated string, the attributes live through the call and their size is given.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn sealed_copy() -> io::Result<OwnedFd> {
    let mut source = File::open("/proc/self/exe")?;
    let memory = rustix::fs::memfd_create("brig", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut copy = File::from(memory);
    io::copy(&mut source, &mut copy)?;
    rustix::fs::fchmod(&copy, rustix::fs::Mode::from_raw_mode(0o555))?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(&copy, seals)?;
    Ok(copy.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reopen_for_writing(fd: &OwnedFd) -> io::Error {
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        std::fs::OpenOptions::new().write(true).open(path).unwrap_err()
    }

    #[test]
    fn the_mount_is_read_only() {
        let fd = read_only_mount().unwrap();
        assert_eq!(reopen_for_writing(&fd).raw_os_error(), Some(libc::EROFS));
    }

    #[test]
    fn the_copy_is_sealed_and_equal() {
        let fd = sealed_copy().unwrap();
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        assert_eq!(
            std::fs::metadata(&path).unwrap().len(),
            std::fs::metadata("/proc/self/exe").unwrap().len()
        );
        let opened = std::fs::OpenOptions::new().write(true).open(&path);
        if let Ok(mut file) = opened {
            io::Write::write_all(&mut file, b"x").unwrap_err();
        }
    }
}
