//! The running program, on a mount that can't be written.
//!
//! A process that enters a container shows its binary there as `/proc/<pid>/exe`. Root in the container could open
//! that for writing and so replace the host's program (CVE-2019-5736). Executed from a detached, read-only clone of
//! its mount, which is in no mount namespace, it can be written by nobody: not even a container with all
//! capabilities can make the mount writable, because it can't be reached by any path. Costs 0.1 ms, where a copy
//! into a sealed memory file costs 12 ms.

use crate::error::{Errno, Error};
use crate::mountfd::{self, Change, Depth, Detached, attr};
use rustix::fs::{
    CWD, MemfdFlags, Mode, OFlags, ResolveFlags, SealFlags, StatVfsMountFlags, fcntl_add_seals,
    fcntl_get_seals, fstatvfs, memfd_create, openat2,
};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

const EXE: &str = "/proc/self/exe";

/// Opens a read-only clone of the running program, to be executed by descriptor (`execveat` with `AT_EMPTY_PATH`, or
/// through `/proc/self/fd`). It is path-only and close-on-exec.
///
/// # Errors
/// Without CAP_SYS_ADMIN, or on a kernel before 5.12.
pub fn open_read_only() -> Result<OwnedFd, Error> {
    read_only_clone(Path::new(EXE))
}

fn read_only_clone(path: &Path) -> Result<OwnedFd, Error> {
    let failed = |errno: Errno| Error::path("clone the mount of", path, errno);
    let clone = Detached::clone_path(path, Depth::Top).map_err(failed)?;
    let bits = Change { set: attr::RDONLY | attr::NOSUID | attr::NODEV, clear: 0 };
    mountfd::change(clone.as_fd(), bits, Depth::Top).map_err(failed)?;
    Ok(clone.into_fd())
}

/// Whether the running program can't be written any more: it lies on a read-only mount, or is a sealed copy.
///
/// # Errors
/// When `/proc` is not mounted.
pub fn is_read_only() -> Result<bool, Error> {
    let failed = |e: rustix::io::Errno| Error::path("look at", EXE, e);
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let fd = openat2(CWD, EXE, flags, Mode::empty(), ResolveFlags::empty()).map_err(failed)?;
    let on_read_only = fstatvfs(&fd).map_err(failed)?.f_flag.contains(StatVfsMountFlags::RDONLY);
    // What is no file of memory has no seals.
    Ok(on_read_only || fcntl_get_seals(&fd).is_ok_and(|seals| seals.contains(SealFlags::WRITE)))
}

/// Opens a copy of the running program in memory that nobody can write: for who has no rights over mounts.
///
/// # Errors
/// Not enough memory; or the program's file can't be read.
pub fn open_sealed_copy() -> Result<OwnedFd, Error> {
    let failed = |e: rustix::io::Errno| Error::path("copy to memory", EXE, e);
    let mut from = std::fs::File::open(EXE).map_err(|e| Error::path("open", EXE, e))?;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let executable = MemfdFlags::from_bits_retain(libc::MFD_EXEC);
    let copy = match memfd_create("brig", flags | executable) {
        // Before Linux 6.3 every such file is executable.
        Err(rustix::io::Errno::INVAL) => memfd_create("brig", flags),
        other => other,
    };
    let mut copy = std::fs::File::from(copy.map_err(failed)?);
    std::io::copy(&mut from, &mut copy).map_err(|e| Error::path("copy to memory", EXE, e))?;
    fcntl_add_seals(&copy, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)
        .map_err(failed)?;
    Ok(copy.into())
}

/// Whether the calling process' user could write the running program's file, or let itself.
fn is_own() -> bool {
    use rustix::fs::{Access, access};
    let writable = access(EXE, Access::WRITE_OK) != Err(rustix::io::Errno::ACCESS);
    writable || rustix::fs::stat(EXE).is_ok_and(|stat| stat.st_uid == rustix::process::geteuid().as_raw())
}

unsafe extern "C" {
    /// The environment as it came, entries without `=` included (`environ(7)`).
    static environ: *const *const libc::c_char;
}

/// Executes the running program again with the same arguments and environment, from a read-only clone, so that what
/// becomes a container's process later can't lead to the host's file. Returns only when that fails; where
/// [`is_read_only`] already, it is not needed. Who has no rights over mounts executes a copy, if the file is their own:
/// their container's root is nobody to another's.
#[must_use]
pub fn execute_again() -> Error {
    use std::os::fd::AsRawFd;
    use std::os::unix::ffi::OsStringExt;
    let binary = match open_read_only() {
        Err(error) if error.errno() == Some(Errno(libc::EPERM)) && is_own() => open_sealed_copy(),
        other => other,
    };
    let binary = match binary {
        Ok(binary) => binary,
        Err(error) => return error,
    };
    let args = std::env::args_os().map(|arg| std::ffi::CString::new(arg.into_vec()));
    let args: Vec<_> = match args.collect() {
        Ok(args) => args,
        Err(_) => return Error::step("copy the arguments", Errno(libc::EINVAL)),
    };
    let argv: Vec<_> = args.iter().map(|arg| arg.as_ptr()).chain([std::ptr::null()]).collect();
    // SAFETY: the texts are NUL-terminated, the array ends with a null pointer, and both outlive the call; the
    // environment is the C library's own, which no other thread changes: there is none yet.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            binary.as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            environ,
            libc::AT_EMPTY_PATH,
        )
    };
    Error::path("execute again", EXE, Errno::last())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_copy_can_be_read_and_not_written() {
        let copy = open_sealed_copy().unwrap();
        let path = format!("/proc/self/fd/{}", copy.as_raw_fd());
        let own = std::fs::metadata(EXE).unwrap().len();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), own);
        let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        let error = std::io::Write::write(&mut file, b"x").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    }

    #[test]
    fn it_can_be_read_and_not_written() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        // Of a program that nobody executes: one that is executed refuses with ETXTBSY until its last process ends.
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("program"), "program").unwrap();
        let fd = read_only_clone(&dir.path().join("program")).unwrap();
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "program");
        let error = std::fs::OpenOptions::new().append(true).open(&path).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EROFS));
        open_read_only().unwrap();
        is_read_only().unwrap();
    }
}
