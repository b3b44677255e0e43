//! The variant whose init is systemd: a Debian on a disk of its own, made once by debootstrap, in which the contract of
//! runtimes is gone through with both drivers of cgroups.

use super::{Kernel, find, pack};
use crate::{machine, step};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Leaves the initramfs for the disk.
const TO_DISK: &str = include_str!("to-disk.sh");
/// The test itself, a service of the machine.
const TESTS: &str = include_str!("systemd-tests.sh");
const SERVICE: &str = include_str!("systemd-tests.service");

/// systemd with what its users' managers and the tests take.
const PACKAGES: &str =
    "systemd,systemd-sysv,dbus,dbus-user-session,busybox-static,uidmap,kmod,e2fsprogs,iproute2";

/// What the initramfs needs to reach the disk.
const MODULES: [&str; 4] = ["virtio_pci", "virtio_blk", "ext4", "crc32c_generic"];

/// The machine's disk, with the programs and tests on it.
pub(super) fn disk(
    dir: &Path,
    kernel: &Kernel,
    programs: &[(&Path, &str)],
    filter: &str,
) -> Result<PathBuf, String> {
    machine::package("mke2fs", "e2fsprogs")?;
    let root = debian(dir)?;
    let say = |path: &Path| {
        let path = path.display().to_string();
        move |e: std::io::Error| format!("{path}: {e}")
    };
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        std::fs::write(&path, text).map_err(say(&path))
    };
    for (program, name) in programs {
        let to = root.join("usr/local/bin").join(name);
        std::fs::copy(program, &to).map_err(say(&to))?;
    }
    write("usr/local/bin/systemd-tests", TESTS)?;
    write("etc/systemd/system/brig-tests.service", SERVICE)?;
    write("etc/fstab", "")?;
    write("etc/brig-tests-filter", filter)?;
    step::output(Command::new("chmod").arg("755").arg(root.join("usr/local/bin/systemd-tests")))?;
    let wants = root.join("etc/systemd/system/multi-user.target.wants");
    std::fs::create_dir_all(&wants).map_err(say(&wants))?;
    let link = wants.join("brig-tests.service");
    if !link.is_symlink() {
        std::os::unix::fs::symlink("../brig-tests.service", &link).map_err(say(&link))?;
    }
    let modules = root.join("lib/modules");
    if !modules.join(&kernel.version).is_dir() {
        std::fs::create_dir_all(&modules).map_err(say(&modules))?;
        step::output(
            Command::new("cp")
                .arg("-r")
                .arg(kernel.tree.join("lib/modules").join(&kernel.version))
                .arg(&modules),
        )?;
        step::output(
            Command::new(machine::busybox()?).args(["depmod", "-b"]).arg(&root).arg(&kernel.version),
        )?;
    }
    let image = dir.join("systemd.ext4");
    if image.exists() {
        std::fs::remove_file(&image).map_err(say(&image))?;
    }
    step::output(Command::new("mke2fs").args(["-q", "-t", "ext4", "-d"]).arg(&root).arg(&image).arg("2G"))?;
    Ok(image)
}

/// Debian's files, once.
fn debian(dir: &Path) -> Result<PathBuf, String> {
    let root = dir.join("debian");
    if root.is_dir() {
        return Ok(root);
    }
    machine::package("debootstrap", "debootstrap")?;
    let fresh = dir.join("debian.new");
    if fresh.exists() {
        std::fs::remove_dir_all(&fresh).map_err(|e| format!("{}: {e}", fresh.display()))?;
    }
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.args(["--variant=minbase", &format!("--include={PACKAGES}"), "bookworm"]).arg(&fresh);
    step::run("debootstrap", &mut debootstrap)?;
    std::fs::rename(&fresh, &root).map_err(|e| format!("{}: {e}", root.display()))?;
    Ok(root)
}

/// An initramfs that only mounts the disk.
pub(super) fn initramfs(dir: &Path, kernel: &Kernel) -> Result<PathBuf, String> {
    let root = dir.join("to-disk");
    if root.exists() {
        std::fs::remove_dir_all(&root).map_err(|e| format!("{}: {e}", root.display()))?;
    }
    let say = |e: std::io::Error| format!("{}: {e}", root.display());
    for sub in ["bin", "proc", "sys", "dev", "new", "lib/modules"] {
        std::fs::create_dir_all(root.join(sub)).map_err(say)?;
    }
    std::fs::copy(machine::busybox()?, root.join("bin/busybox")).map_err(say)?;
    std::fs::write(root.join("init"), TO_DISK.replace("@MODULES@", &MODULES.join(" "))).map_err(say)?;
    step::output(Command::new("chmod").arg("755").arg(root.join("init")))?;
    let modules = kernel.tree.join("lib/modules").join(&kernel.version);
    // All of them are little beside the time that a list of dependencies would take to keep true.
    step::output(Command::new("cp").arg("-r").arg(&modules).arg(root.join("lib/modules")))?;
    step::output(Command::new(machine::busybox()?).args(["depmod", "-b"]).arg(&root).arg(&kernel.version))?;
    find(&root, "init")?;
    pack(&root, &dir.join("to-disk.gz"))
}
