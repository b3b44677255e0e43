//! Making a child process: `clone3` with a pidfd, and the child's fate while it is ours.

use crate::error::{Errno, Error};
use rustix::process::{PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A child that is killed and reaped when dropped, until [`Child::release`].
#[derive(Debug)]
pub(crate) struct Child {
    pid: i32,
    pidfd: Option<OwnedFd>,
}

/// Which side of a clone this is.
pub(crate) enum Side {
    /// The caller, with its new child.
    Parent(Child),
    /// The child.
    Child,
}

/// `struct clone_args` of `linux/sched.h`, up to `cgroup` (Linux 5.7).
#[repr(C, align(8))]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// `CLONE_INTO_CGROUP` of `linux/sched.h`.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Fails unless the calling process has one thread: a fork of several would inherit locks that nobody releases.
pub(crate) fn check_single_threaded() -> Result<(), Error> {
    // Entries `.` and `..` and one a thread.
    let stat = rustix::fs::stat("/proc/self/task").map_err(|e| Error::path("stat", "/proc/self/task", e))?;
    match stat.st_nlink {
        3 => Ok(()),
        _ => Err(Error::step("fork from a process with several threads", Errno(libc::EBUSY))),
    }
}

/// Clones the calling process into new namespaces (`CLONE_NEW*`), like `fork` otherwise; with `cgroup`, a folder of
/// a cgroup v2 hierarchy, right into that.
///
/// The child runs on a copy of everything, and has to end by `execve` or `_exit`, never by returning to code that
/// thinks it is the parent.
pub(crate) fn clone(namespaces: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Side, Error> {
    check_single_threaded()?;
    clone_with(namespaces, libc::SIGCHLD as u64, cgroup)
}

/// As [`clone`], but the new process is a child of the caller's parent. The caller is a child that [`clone`] made,
/// so it has one thread.
pub(crate) fn clone_sibling(namespaces: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Side, Error> {
    // The signal at its end is the caller's own.
    clone_with(namespaces | libc::CLONE_PARENT as u64, 0, cgroup)
}

fn clone_with(flags: u64, exit_signal: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Side, Error> {
    let mut pidfd: i32 = -1;
    let mut args = CloneArgs {
        flags: flags | libc::CLONE_PIDFD as u64,
        pidfd: std::ptr::from_mut(&mut pidfd) as u64,
        exit_signal,
        ..CloneArgs::default()
    };
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: no CLONE_VM and no stack: as fork(2). The process has one thread, so that no lock is held by another;
    // args and pidfd outlive the call.
    let pid =
        unsafe { libc::syscall(libc::SYS_clone3, std::ptr::from_mut(&mut args), size_of::<CloneArgs>()) };
    match pid {
        -1 => Err(refused(flags, Errno::last())),
        0 => Ok(Side::Child),
        pid => {
            // SAFETY: CLONE_PIDFD stored a new descriptor that nobody else knows.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Side::Parent(Child { pid: pid as i32, pidfd: Some(pidfd) }))
        }
    }
}

fn refused(flags: u64, errno: Errno) -> Error {
    let namespaces =
        libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    if errno.0 == libc::EPERM && flags & namespaces as u64 != 0 && !rustix::process::geteuid().is_root() {
        return Error::Namespace(format!(
            "clone the container's process into new namespaces: {errno}: without root, add a user namespace to \
             linux.namespaces (`brig oci spec --rootless` writes such a config.json)"
        ));
    }
    Error::step("clone the container's process", errno)
}

impl Child {
    /// One that somebody else has cloned as the caller's child.
    pub(crate) fn adopt(pid: i32, pidfd: OwnedFd) -> Self {
        Self { pid, pidfd: Some(pidfd) }
    }

    /// Its number in the caller's pid namespace.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Its pidfd.
    pub(crate) fn pidfd(&self) -> BorrowedFd<'_> {
        match &self.pidfd {
            Some(fd) => fd.as_fd(),
            // Only `release` and `reap` take it, and they take self too.
            None => unreachable!("the child was released"),
        }
    }

    /// Gives the child up: it lives on, and the caller reaps it.
    pub(crate) fn release(mut self) -> OwnedFd {
        match self.pidfd.take() {
            Some(fd) => fd,
            None => unreachable!("the child was released"),
        }
    }

    /// Waits for its end and says how it ended, in words.
    pub(crate) fn reap(mut self) -> String {
        let Some(pidfd) = self.pidfd.take() else { return "gone".into() };
        match wait(&pidfd) {
            Ok(status) => status,
            Err(e) => format!("its status is lost: {e}"),
        }
    }
}

fn wait(pidfd: &OwnedFd) -> Result<String, Errno> {
    loop {
        match waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED) {
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
            Ok(None) => return Ok("gone".into()),
            Ok(Some(status)) => {
                return Ok(match (status.exit_status(), status.terminating_signal()) {
                    (Some(code), _) => format!("exit status {code}"),
                    (_, Some(signal)) => format!("signal {signal}"),
                    _ => "unknown".into(),
                });
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some(pidfd) = self.pidfd.take() {
            // Fails only if it is dead already; it is a zombie until the wait below.
            let _ = pidfd_send_signal(&pidfd, Signal::KILL);
            let _ = wait(&pidfd);
        }
    }
}

/// Sets whether a process' memory and files below `/proc` are its user's, or the machine's root's only.
pub(crate) fn set_dumpable(dumpable: bool) {
    // SAFETY: takes one integer and touches no memory.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, libc::c_ulong::from(dumpable), 0, 0, 0) };
}

/// What the kernel may read of a process' memory from outside while it is half in the container, and in core dumps.
pub(crate) struct Undumpable {
    before: i32,
}

impl Undumpable {
    /// Makes the calling process, and with it a child that it forks now, opaque to processes of the container that
    /// the child enters (CVE-2016-9962). `execve` makes a process dumpable again.
    pub(crate) fn begin() -> Self {
        // SAFETY: takes no further argument and touches no memory.
        let before = unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) };
        // SAFETY: as above.
        unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
        Self { before }
    }
}

impl Drop for Undumpable {
    fn drop(&mut self) {
        if self.before == 1 {
            // SAFETY: takes one integer and touches no memory.
            unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0) };
        }
    }
}

/// Sends the caller's next children into another pid namespace, and brings it back when dropped.
///
/// The caller itself never changes its pid namespace, which is impossible; only where its children are born.
pub(crate) struct BornIn {
    home: OwnedFd,
}

impl BornIn {
    /// Enters the pid namespace given by a namespace descriptor or a pidfd.
    pub(crate) fn enter(namespace: BorrowedFd<'_>) -> Result<Self, Error> {
        let me = rustix::process::getpid();
        let home = pidfd_open(me, PidfdFlags::empty()).map_err(|e| Error::step("open own pidfd", e))?;
        set_namespace(namespace, libc::CLONE_NEWPID).map_err(|e| Error::step("join the pid namespace", e))?;
        Ok(Self { home })
    }
}

impl Drop for BornIn {
    fn drop(&mut self) {
        // The own namespace of a living process can always be joined by itself; if not, every later child would be
        // born in a container's namespace, and there is no going on.
        if set_namespace(self.home.as_fd(), libc::CLONE_NEWPID).is_err() {
            std::process::abort();
        }
    }
}

/// `setns(2)`.
pub(crate) fn set_namespace(fd: BorrowedFd<'_>, kind: i32) -> Result<(), Errno> {
    // SAFETY: takes two integers and touches no memory.
    match unsafe { libc::setns(fd.as_raw_fd(), kind) } {
        0 => Ok(()),
        _ => Err(Errno::last()),
    }
}

/// `unshare(2)`.
pub(crate) fn unshare(kinds: i32) -> Result<(), Errno> {
    // SAFETY: takes an integer and touches no memory; the process has one thread, so nothing shared is split.
    match unsafe { libc::unshare(kinds) } {
        0 => Ok(()),
        _ => Err(Errno::last()),
    }
}

/// Whether the process of a pidfd has ended.
pub(crate) fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
    matches!(poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(n) if n > 0)
}
