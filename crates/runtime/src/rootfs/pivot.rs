//! Changing the root of the mount namespace, and leaving nothing of the host's in it.

use crate::error::{Errno, Error};
use crate::inroot::Root;
use crate::mountfd::{self, Depth, Detached, attr};
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

/// Moves `root` over the old root and makes it the root and the working folder. The old one stays beneath, but nothing
/// that is mounted in it: by a procfs or sysfs without covers that is anywhere in the namespace, whoever makes a user
/// namespace in the container may mount one.
pub(super) fn move_over(root: &Root) -> Result<(), Error> {
    use rustix::mount::{MoveMountFlags, move_mount};
    let failed = |step: &'static str| move |e: rustix::io::Errno| Error::step(step, e);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let host = openat(CWD, "/", flags, Mode::empty()).map_err(failed("open the old root"))?;
    // Or the unmounts below would reach the host where its mounts are shared.
    mountfd::propagate(host.as_fd(), libc::MS_SLAVE, Depth::Recursive)
        .map_err(|e| Error::step("cut the old root off the host's", e))?;
    let old = mounts_below(&own_mounts()?);
    move_mount(root, c"", CWD, c"/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(failed("move the root over the old one"))?;
    // Paths still begin at the old root.
    old.iter().try_for_each(take_away)?;
    fchdir(root).map_err(failed("enter the new root"))?;
    rustix::process::chroot(c".").map_err(failed("chroot"))?;
    chdir("/").map_err(failed("enter the new root"))
}

/// A mount in the old root.
#[derive(Debug, PartialEq, Eq)]
struct OldMount {
    point: PathBuf,
    shows_kernel: bool,
}

/// All mounts but the root, in the order of mountinfo: those that cover others come after them.
fn mounts_below(info: &[u8]) -> Vec<OldMount> {
    let mount = |line: &[u8]| {
        let mut fields = line.split(|b| *b == b' ');
        let point: PathBuf = OsString::from_vec(unescape(fields.nth(4)?)).into();
        let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
        let shows_kernel = matches!(kind, b"proc" | b"sysfs");
        (point != Path::new("/")).then_some(OldMount { point, shows_kernel })
    };
    info.split(|b| *b == b'\n').filter_map(mount).collect()
}

/// Takes a mount away with all below it. In a user namespace, which may not, what shows the kernel is covered.
fn take_away(mount: &OldMount) -> Result<(), Error> {
    let cover = match unmount(&mount.point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        Ok(()) => return Ok(()),
        // Gone with the one that it was in, or locked there.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) if !mount.shows_kernel => return Ok(()),
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::PERM) => {
            Detached::filesystem("tmpfs", "tmpfs", &[], attr::RDONLY).map_err(|failure| failure.errno)
        }
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(e) => Err(e.into()),
    };
    let covered = cover.and_then(|cover| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let target = openat(CWD, &mount.point, flags, Mode::empty())?;
        cover.attach(target.as_fd())
    });
    match covered {
        // A mount of one file of it.
        Err(Errno(libc::ENOTDIR | libc::ENOENT)) => Ok(()),
        other => other.map_err(|e| Error::path("take away what the host has mounted at", &mount.point, e)),
    }
}

fn own_mounts() -> Result<Vec<u8>, Error> {
    const INFO: &str = "/proc/self/mountinfo";
    std::fs::read(INFO).map_err(|e| Error::path("read", INFO, e))
}

/// Where the mount that holds `path` is attached.
pub(super) fn mount_point_of(path: &Path) -> Result<PathBuf, Error> {
    let stat =
        statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID).map_err(|e| Error::path("statx", path, e))?;
    let info = own_mounts()?;
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
    fn mounts_of_the_old_root() {
        let info = b"1 0 0:2 / / rw - rootfs rootfs rw\n\
            22 1 0:21 / /proc rw,relatime shared:5 - proc proc rw\n\
            23 1 0:22 / /a\\040b rw master:1 - tmpfs tmpfs rw\n";
        let mount = |point: &str, shows_kernel| OldMount { point: point.into(), shows_kernel };
        assert_eq!(mounts_below(info), [mount("/proc", true), mount("/a b", false)]);
    }

    #[test]
    fn the_mount_of_proc() {
        assert_eq!(mount_point_of(Path::new("/proc/self")).unwrap(), Path::new("/proc"));
    }
}
