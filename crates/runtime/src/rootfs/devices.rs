//! Device nodes and the links of `/dev`.

use crate::error::{Errno, Error};
use crate::inroot::{Links, Node, Root, chown};
use crate::mountfd::{Depth, Detached};
use crate::plan::{Device, Plan};
use oci_spec::runtime::LinuxDeviceType;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, makedev, mknodat, openat, symlinkat, unlinkat};
use std::os::fd::AsFd;
use std::path::Path;

/// The links that the OCI spec wants.
const LINKS: [(&str, &str); 4] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
];

/// Makes all devices of the plan and the links of `/dev`.
pub(super) fn make_all(plan: &Plan, root: &Root) -> Result<(), Error> {
    for device in &plan.devices {
        make(device, root).map_err(|e| Error::path("make device", &device.path, e))?;
    }
    let dev = root
        .make(Path::new("/dev"), Node::Folder, Links::Follow)
        .map_err(|e| Error::path("make", "/dev", e))?;
    for (target, name) in LINKS {
        link(target, &dev, name)?;
    }
    if Path::new("/proc/kcore").exists() {
        link("/proc/kcore", &dev, "core")?;
    }
    // The container's own multiplexer, whatever the image has there.
    match unlinkat(&dev, "ptmx", AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => link("pts/ptmx", &dev, "ptmx"),
        Err(e) => Err(Error::path("replace", "/dev/ptmx", e)),
    }
}

fn link(target: &str, dev: &impl AsFd, name: &str) -> Result<(), Error> {
    match symlinkat(target, dev, name) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(e) => Err(Error::path("make link", Path::new("/dev").join(name), e)),
    }
}

fn make(device: &Device, root: &Root) -> Result<(), Errno> {
    let (folder, name) = root.make_parent(&device.path)?;
    let (kind, number) = match device.kind {
        LinuxDeviceType::B => (FileType::BlockDevice, makedev(device.major, device.minor)),
        LinuxDeviceType::P => (FileType::Fifo, 0),
        LinuxDeviceType::C | LinuxDeviceType::U => {
            (FileType::CharacterDevice, makedev(device.major, device.minor))
        }
        LinuxDeviceType::A => return Err(Errno(libc::EINVAL)),
    };
    // The umask is 0 while the root is built.
    match mknodat(&folder, name, kind, Mode::from_raw_mode(device.mode), number) {
        Ok(()) => {}
        // The image or a mount of the user's has something there, which stays, as with runc.
        Err(rustix::io::Errno::EXIST) => return Ok(()),
        // No right to make devices: the host's own shows through.
        Err(rustix::io::Errno::PERM) => return bind(device, root),
        Err(e) => return Err(e.into()),
    }
    if (device.uid, device.gid) != (0, 0) {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let node = openat(&folder, name, flags, Mode::empty())?;
        // Whoever shares the folder may have put something else in its place.
        let stat = fstat(&node)?;
        if FileType::from_raw_mode(stat.st_mode) != kind || (kind != FileType::Fifo && stat.st_rdev != number)
        {
            return Err(Errno(libc::ESTALE));
        }
        chown(node.as_fd(), device.uid, device.gid)?;
    }
    Ok(())
}

fn bind(device: &Device, root: &Root) -> Result<(), Errno> {
    let host = Detached::clone_path(&device.path, Depth::Top)?;
    let stat = fstat(&host)?;
    let same_kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::CharacterDevice => device.kind != LinuxDeviceType::B,
        FileType::BlockDevice => device.kind == LinuxDeviceType::B,
        _ => false,
    };
    if !same_kind || stat.st_rdev != makedev(device.major, device.minor) {
        return Err(Errno(libc::ENODEV));
    }
    let target = root.make(&device.path, Node::File, Links::Follow)?;
    host.attach(target.as_fd())
}
