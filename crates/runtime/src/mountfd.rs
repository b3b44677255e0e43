//! Mounts as descriptors: made or cloned detached, shaped while nobody can reach them, attached to a descriptor.
//!
//! The new mount API (Linux 5.2; `mount_setattr` 5.12) lets every mount be aimed at an open descriptor, so that no
//! path which a container may change under our hands is ever looked up again.

use crate::error::Errno;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, open, openat2};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// `MOUNT_ATTR_*` bits of `linux/mount.h`.
pub(crate) mod attr {
    pub(crate) const RDONLY: u64 = 0x1;
    pub(crate) const NOSUID: u64 = 0x2;
    pub(crate) const NODEV: u64 = 0x4;
    pub(crate) const NOEXEC: u64 = 0x8;
    /// The mask of the three access time modes; must be cleared to set one.
    pub(crate) const ATIME: u64 = 0x70;
    pub(crate) const NOATIME: u64 = 0x10;
    pub(crate) const STRICTATIME: u64 = 0x20;
    pub(crate) const NODIRATIME: u64 = 0x80;
    pub(crate) const NOSYMFOLLOW: u64 = 0x20_0000;
    /// Shows files as belonging to others; takes the descriptor of a user namespace.
    pub(super) const IDMAP: u64 = 0x10_0000;
}

/// Bits to set and to clear on a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Change {
    /// Bits of [`attr`] to set.
    pub(crate) set: u64,
    /// Bits of [`attr`] to clear; clearing comes first.
    pub(crate) clear: u64,
}

impl Change {
    /// Nothing to change.
    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// Whether a call concerns one mount or all below it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// This mount.
    Top,
    /// This mount and all mounts below it.
    Recursive,
}

/// One setting of a file system that is about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Setting {
    /// `key`
    Flag(String),
    /// `key=value`
    Text(String, String),
}

/// A failed mount call and what the kernel wrote about it, when it did.
#[derive(Debug)]
pub(crate) struct MountFailure {
    /// The call that failed, in words.
    pub(crate) step: String,
    /// Its error number.
    pub(crate) errno: Errno,
}

impl MountFailure {
    pub(crate) fn new(step: impl Into<String>, errno: impl Into<Errno>) -> Self {
        Self { step: step.into(), errno: errno.into() }
    }
}

/// `struct mount_attr`, as `mount_setattr(2)` takes it.
#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

fn mount_setattr(mount: BorrowedFd<'_>, depth: Depth, attr: &MountAttr) -> Result<(), Errno> {
    let flags = libc::AT_EMPTY_PATH | if depth == Depth::Recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the descriptor is open, the path is a NUL-terminated literal, and attr outlives the call with the
    // size given.
    let r = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags as libc::c_uint,
            std::ptr::from_ref(attr),
            size_of::<MountAttr>(),
        )
    };
    if r == 0 { Ok(()) } else { Err(Errno::last()) }
}

/// Changes bits of the mount whose root `mount` is.
pub(crate) fn change(mount: BorrowedFd<'_>, change: Change, depth: Depth) -> Result<(), Errno> {
    if change.is_empty() {
        return Ok(());
    }
    let attr = MountAttr { attr_set: change.set, attr_clr: change.clear, propagation: 0, userns_fd: 0 };
    mount_setattr(mount, depth, &attr)
}

/// Sets the propagation (`MS_SHARED`, `MS_SLAVE`, `MS_PRIVATE`, `MS_UNBINDABLE`) of the mount whose root `mount` is.
pub(crate) fn propagate(mount: BorrowedFd<'_>, propagation: u64, depth: Depth) -> Result<(), Errno> {
    mount_setattr(mount, depth, &MountAttr { attr_set: 0, attr_clr: 0, propagation, userns_fd: 0 })
}

/// Shows the files of a detached mount as belonging to who their owners are in a user namespace.
pub(crate) fn idmap(mount: BorrowedFd<'_>, users: BorrowedFd<'_>, depth: Depth) -> Result<(), Errno> {
    let userns_fd = users.as_raw_fd() as u64;
    mount_setattr(mount, depth, &MountAttr { attr_set: attr::IDMAP, attr_clr: 0, propagation: 0, userns_fd })
}

/// A mount that is attached nowhere yet; it goes away when dropped before.
#[derive(Debug)]
pub(crate) struct Detached(OwnedFd);

impl Detached {
    /// A new file system of type `kind`, mounted with the bits `attributes`.
    pub(crate) fn filesystem(
        kind: &str,
        source: &str,
        settings: &[Setting],
        attributes: u64,
    ) -> Result<Self, MountFailure> {
        let config = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)
            .map_err(|e| MountFailure::new(format!("open file system {kind}"), e))?;
        let explain = |step: String, e: rustix::io::Errno| {
            let step = match kernel_message(&config) {
                Some(message) => format!("{step} ({message})"),
                None => step,
            };
            MountFailure::new(step, e)
        };
        if !source.is_empty() {
            fsconfig_set_string(&config, "source", source)
                .map_err(|e| explain(format!("set source of {kind}"), e))?;
        }
        for setting in settings {
            match setting {
                Setting::Flag(key) => fsconfig_set_flag(&config, key.as_str())
                    .map_err(|e| explain(format!("set option {key} of {kind}"), e))?,
                Setting::Text(key, value) => fsconfig_set_string(&config, key.as_str(), value.as_str())
                    .map_err(|e| explain(format!("set option {key}={value} of {kind}"), e))?,
            }
        }
        fsconfig_create(&config).map_err(|e| explain(format!("make file system {kind}"), e))?;
        let attributes = MountAttrFlags::from_bits_retain(attributes as u32);
        fsmount(&config, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
            .map(Self)
            .map_err(|e| explain(format!("mount file system {kind}"), e))
    }

    /// A clone of what is mounted at a path of the host.
    pub(crate) fn clone_path(path: &Path, depth: Depth) -> Result<Self, Errno> {
        Ok(Self(open_tree(CWD, path, clone_flags(depth))?))
    }

    /// A clone of what is at `inner` below a folder of the host, and never outside of that: links may lead on in it.
    pub(crate) fn clone_beneath(folder: &Path, inner: &Path, depth: Depth) -> Result<Self, Errno> {
        let path = OFlags::PATH | OFlags::CLOEXEC;
        let folder = open(folder, path | OFlags::DIRECTORY, Mode::empty())?;
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        // The kernel gives up when somebody renames what is looked up; whoever does that all the time gets nothing.
        for _ in 0..128 {
            match openat2(&folder, inner, path, Mode::empty(), beneath) {
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
                found => return Self::clone_fd(found?.as_fd(), depth),
            }
        }
        Err(Errno(libc::EAGAIN))
    }

    /// A clone of what is at `source`, which may be a file, a folder or a device.
    pub(crate) fn clone_fd(source: BorrowedFd<'_>, depth: Depth) -> Result<Self, Errno> {
        Ok(Self(open_tree(source, c"", clone_flags(depth) | OpenTreeFlags::AT_EMPTY_PATH)?))
    }

    /// Mounts it over `target`, whatever name that has by now.
    pub(crate) fn attach(&self, target: BorrowedFd<'_>) -> Result<(), Errno> {
        let empty = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        Ok(move_mount(&self.0, c"", target, c"", empty)?)
    }

    /// The root of the mount; still its root once attached.
    pub(crate) fn into_fd(self) -> OwnedFd {
        self.0
    }
}

impl AsFd for Detached {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn clone_flags(depth: Depth) -> OpenTreeFlags {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    match depth {
        Depth::Top => flags,
        Depth::Recursive => flags | OpenTreeFlags::AT_RECURSIVE,
    }
}

/// The first error line the kernel left for a file system context.
fn kernel_message(config: &OwnedFd) -> Option<String> {
    let mut buffer = [0u8; 512];
    let n = rustix::io::read(config, &mut buffer).ok()?;
    let text = String::from_utf8_lossy(&buffer[..n]);
    let text = text.trim_end();
    Some(text.strip_prefix("e ").unwrap_or(text).to_owned()).filter(|t| !t.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_file_system_says_so() {
        let failure = Detached::filesystem("no-such-fs", "", &[], 0).unwrap_err();
        assert_eq!(failure.step, "open file system no-such-fs");
        assert_eq!(failure.errno, Errno(libc::ENODEV));
    }

    #[test]
    fn the_kernels_own_words_are_kept() {
        let bad = Setting::Text("mode".into(), "not-octal".into());
        let failure = Detached::filesystem("tmpfs", "tmpfs", &[bad], 0).unwrap_err();
        assert!(failure.step.contains("mode=not-octal"), "{failure:?}");
        assert_eq!(failure.errno, Errno(libc::EINVAL));
    }
}
