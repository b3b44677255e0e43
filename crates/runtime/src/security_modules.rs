//! Which security modules the running kernel has in force, asked of the host before a container is made.

use rustix::fs::statfs;
use std::path::Path;

/// `SELINUX_MAGIC` of `linux/magic.h`.
const SELINUX_MAGIC: u32 = 0xf97c_ff8c;

/// Whether AppArmor is on.
#[must_use]
pub fn has_apparmor() -> bool {
    std::fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with(b"Y"))
}

/// Whether SELinux is on: its file system is mounted where it belongs.
#[must_use]
pub fn has_selinux() -> bool {
    ["/sys/fs/selinux", "/selinux"]
        .iter()
        .any(|path| statfs(Path::new(path)).is_ok_and(|stat| stat.f_type as u32 == SELINUX_MAGIC))
}
