//! Joining layers by overlayfs.
//!
//! With `lowerdir+` (Linux 6.8) each layer is a setting of its own. Before that there is one string of at most a
//! page for all of them in `mount(2)`, and of 255 bytes in `fsconfig(2)`: then the layers are named by descriptor
//! numbers, relative to `/proc/self/fd`, which has room for far more layers than overlayfs takes (500).

use crate::error::{Errno, Error};
use crate::mountfd::{Detached, Setting};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::MountFlags;
use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

/// An overlay that was made.
pub(super) enum Mounted {
    /// Attached nowhere.
    Detached(Detached),
    /// Attached to the work folder; its root.
    At(OwnedFd),
}

/// Joins layers, topmost first, under a writable one.
pub(super) fn mount(
    lower: &[std::path::PathBuf],
    upper: &Path,
    work: &Path,
    volatile: bool,
) -> Result<Mounted, Error> {
    if volatile {
        forget_volatile(work)?;
    }
    match detached(lower, upper, work, volatile) {
        Ok(mount) => Ok(Mounted::Detached(mount)),
        // An old kernel, or a path that is too long for a setting; a real mistake fails again below.
        Err(Errno(libc::EINVAL | libc::ENOSYS | libc::E2BIG)) => {
            by_descriptors(lower, upper, work, volatile).map(Mounted::At)
        }
        Err(errno) => Err(Error::path("mount overlay of", upper, errno)),
    }
}

/// Takes away the mark that overlayfs leaves of a volatile mount, by which it refuses another: had the machine
/// crashed, the files could be anything, and who asks for such a mount takes that.
fn forget_volatile(work: &Path) -> Result<(), Error> {
    let mark = work.join("work/incompat");
    match std::fs::remove_dir_all(&mark) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::path("remove", mark, e)),
        _ => Ok(()),
    }
}

fn detached(
    lower: &[std::path::PathBuf],
    upper: &Path,
    work: &Path,
    volatile: bool,
) -> Result<Detached, Errno> {
    let text = |path: &Path| path.to_str().map(str::to_owned).ok_or(Errno(libc::EINVAL));
    let mut settings = Vec::with_capacity(lower.len() + 3);
    for layer in lower {
        settings.push(Setting::Text("lowerdir+".into(), text(layer)?));
    }
    settings.push(Setting::Text("upperdir".into(), text(upper)?));
    settings.push(Setting::Text("workdir".into(), text(work)?));
    // Where it is on by default, a container could not start again while its last overlay is being written to disk.
    settings.push(Setting::Text("index".into(), "off".into()));
    if volatile {
        settings.push(Setting::Flag("volatile".into()));
    }
    Detached::filesystem("overlay", "overlay", &settings, 0).map_err(|failure| failure.errno)
}

/// The way of kernels before 6.8. Attaches the overlay to its work folder.
pub(super) fn by_descriptors(
    lower: &[std::path::PathBuf],
    upper: &Path,
    work: &Path,
    volatile: bool,
) -> Result<OwnedFd, Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open =
        |path: &Path| openat(CWD, path, flags, Mode::empty()).map_err(|e| Error::path("open layer", path, e));
    let layers = lower.iter().map(|layer| open(layer)).collect::<Result<Vec<_>, _>>()?;
    let (upper_fd, work_fd) = (open(upper)?, open(work)?);
    let names: Vec<String> = layers.iter().map(|fd| fd.as_raw_fd().to_string()).collect();
    let mut options = format!(
        "lowerdir={},upperdir={},workdir={},index=off",
        names.join(":"),
        upper_fd.as_raw_fd(),
        work_fd.as_raw_fd()
    );
    // Before 5.10 there is no such mount: what is not needed is written to disk then.
    if volatile && has_volatile() {
        options += ",volatile";
    }
    let failed = |e: rustix::io::Errno| Error::path("mount overlay of", upper, e);
    // This child's own working folder; the pivot sets it anew.
    rustix::process::chdir("/proc/self/fd").map_err(failed)?;
    let options = CString::new(options).unwrap_or_default();
    let mounted = rustix::mount::mount(c"overlay", work, c"overlay", MountFlags::empty(), options.as_c_str());
    rustix::process::chdir("/").map_err(failed)?;
    mounted.map_err(failed)?;
    open(work)
}

/// Whether the kernel knows volatile mounts.
fn has_volatile() -> bool {
    use rustix::mount::{FsOpenFlags, fsconfig_set_flag, fsopen};
    fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).is_ok_and(|fs| fsconfig_set_flag(&fs, "volatile").is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mountfd::{self, Depth};
    use std::fs;
    use std::os::fd::AsFd;

    /// Runs in a thread with a mount namespace, root and working folder of its own.
    fn apart(work: impl FnOnce() + Send + 'static) {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let thread = std::thread::spawn(|| {
            crate::clone::unshare(libc::CLONE_NEWNS).unwrap();
            let root = openat(CWD, "/", OFlags::PATH, Mode::empty()).unwrap();
            mountfd::propagate(root.as_fd(), libc::MS_PRIVATE, Depth::Recursive).unwrap();
            work();
        });
        thread.join().unwrap();
    }

    #[test]
    fn the_way_of_old_kernels_takes_as_many_layers() {
        apart(|| {
            let dir = tempfile::tempdir().unwrap();
            let mut lower = Vec::new();
            for i in 0..128 {
                let layer = dir.path().join(format!("{i}-{}", "long".repeat(60)));
                fs::create_dir(&layer).unwrap();
                fs::write(layer.join(i.to_string()), "").unwrap();
                fs::write(layer.join("top"), i.to_string()).unwrap();
                lower.push(layer);
            }
            let (upper, work) = (dir.path().join("upper"), dir.path().join("work"));
            fs::create_dir(&upper).unwrap();
            fs::create_dir(&work).unwrap();
            // Names this long don't fit a setting of the new way, which then gives way to the old one by itself.
            for volatile in [false, true, true] {
                let Mounted::At(root) = mount(&lower, &upper, &work, volatile).unwrap() else {
                    panic!("it fitted")
                };
                let file = openat(&root, "top", OFlags::RDONLY, Mode::empty()).unwrap();
                assert_eq!(std::io::read_to_string(fs::File::from(file)).unwrap(), "0");
                assert_eq!(fs::read_dir(&work).unwrap().count(), 129);
                drop(root);
                rustix::mount::unmount(&work, rustix::mount::UnmountFlags::DETACH).unwrap();
            }
        });
    }

    #[test]
    fn a_volatile_mount_can_follow_another() {
        apart(|| {
            let dir = tempfile::tempdir().unwrap();
            let [lower, upper, work] = ["lower", "upper", "work"].map(|name| dir.path().join(name));
            for folder in [&lower, &upper, &work] {
                fs::create_dir(folder).unwrap();
            }
            for _ in 0..2 {
                let Mounted::Detached(_) = mount(std::slice::from_ref(&lower), &upper, &work, true).unwrap()
                else {
                    panic!("not by the new way")
                };
                assert!(work.join("work/incompat/volatile").exists());
            }
        });
    }

    #[test]
    fn a_missing_layer_is_named() {
        apart(|| {
            let dir = tempfile::tempdir().unwrap();
            let missing = dir.path().join("missing");
            let error = by_descriptors(&[missing], dir.path(), dir.path(), false).unwrap_err();
            assert!(error.to_string().contains("missing: no such file or directory"), "{error}");
        });
    }
}
