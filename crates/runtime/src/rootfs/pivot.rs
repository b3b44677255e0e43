//! Changing the root of the mount namespace, and leaving nothing of the host's in it.

use crate::error::{Errno, Error};
use crate::inroot::Root;
use crate::mountfd::{self, Depth};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags, openat, statx};
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{chdir, fchdir, pivot_root};
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Makes `root` the root and the working folder, and takes the host's mounts out of the namespace.
pub(super) fn pivot(root: &Root) -> Result<(), Error> {
    let failed = |step: &'static str| move |e: rustix::io::Errno| Error::step(step, e);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let host = openat(CWD, "/", flags, Mode::empty()).map_err(failed("open the old root"))?;
    fchdir(root).map_err(failed("enter the new root"))?;
    // With both arguments the same, the old root ends up mounted over the new one, and no folder is needed for it.
    pivot_root(c".", c".").map_err(failed("pivot_root"))?;
    fchdir(&host).map_err(failed("enter the old root"))?;
    // Or the unmounts below would reach the host where its mounts are shared.
    mountfd::propagate(host.as_fd(), libc::MS_SLAVE, Depth::Recursive)
        .map_err(|e| Error::step("cut the old root off the host's", e))?;
    unmount(c".", UnmountFlags::DETACH).map_err(failed("unmount the old root"))?;
    chdir("/").map_err(failed("enter the new root"))
}

/// Moves `root` over the old root and makes it the root and the working folder, without taking the old one away.
pub(super) fn move_over(root: &Root) -> Result<(), Error> {
    use rustix::mount::{MoveMountFlags, move_mount};
    let failed = |step: &'static str| move |e: rustix::io::Errno| Error::step(step, e);
    move_mount(root, c"", CWD, c"/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(failed("move the root over the old one"))?;
    fchdir(root).map_err(failed("enter the new root"))?;
    rustix::process::chroot(c".").map_err(failed("chroot"))?;
    chdir("/").map_err(failed("enter the new root"))
}

/// Where the mount that holds `path` is attached.
pub(super) fn mount_point_of(path: &Path) -> Result<PathBuf, Error> {
    let stat =
        statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID).map_err(|e| Error::path("statx", path, e))?;
    let info =
        std::fs::read("/proc/self/mountinfo").map_err(|e| Error::path("read", "/proc/self/mountinfo", e))?;
    let id = stat.stx_mnt_id.to_string();
    for line in info.split(|b| *b == b'\n') {
        let mut fields = line.split(|b| *b == b' ');
        if fields.next() == Some(id.as_bytes())
            && let Some(point) = fields.nth(3)
        {
            return Ok(OsString::from_vec(unescape(point)).into());
        }
    }
    Err(Error::path("find the mount of", path, Errno(libc::ENOENT)))
}

/// Takes the octal escapes of mountinfo out of a path.
pub(super) fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        let digits = tail.get(..3).filter(|d| first == b'\\' && d.iter().all(|b| (b'0'..=b'7').contains(b)));
        match digits {
            Some(d) => {
                out.push(((d[0] - b'0') << 6) | ((d[1] - b'0') << 3) | (d[2] - b'0'));
                rest = &tail[3..];
            }
            None => {
                out.push(first);
                rest = tail;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_mountinfo() {
        assert_eq!(unescape(br"/a\040b\134c\"), b"/a b\\c\\");
        assert_eq!(unescape(br"\12"), br"\12");
    }

    #[test]
    fn the_mount_of_proc() {
        assert_eq!(mount_point_of(Path::new("/proc/self")).unwrap(), Path::new("/proc"));
    }
}
