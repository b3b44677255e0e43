//! A descriptor of this process' own binary through which nobody can write to it.

use crate::Error;
use brig_runtime::own_binary;
use rustix::fs::{MemfdFlags, SealFlags};
use std::{fs::File, io, os::fd::OwnedFd};

/// The running binary on a read-only mount of its own (0.08 ms), or, where the kernel refuses that, a sealed copy in
/// memory (12 ms for a large binary, once a daemon).
pub(super) fn own() -> Result<OwnedFd, Error> {
    match own_binary::open_read_only() {
        Ok(fd) => Ok(fd),
        Err(_) => sealed_copy().map_err(Error::system("copy own binary to memory")),
    }
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
    use std::os::fd::AsRawFd;

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
