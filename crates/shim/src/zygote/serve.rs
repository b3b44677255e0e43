//! The zygote's own process.

use super::{packet, title::Title};
use crate::{
    protocol::{self, Failure, ServerFrame},
    supervisor,
};
use brig_core::Kind;
use brig_runtime::{capabilities, cgroup::HierarchyWatch};
use rustix::process::setsid;
use std::{
    fs::File,
    io::Write,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
};

/// Serves requests for shims on the socket that was passed as [`super::SOCKET_FD`] until the daemon closes its side,
/// then exits. To be called once, first thing in `main`, before any thread is started or file opened. In forked
/// shims it does not return either.
pub fn main() -> ! {
    // SAFETY: whoever starts the binary as a zygote passes this descriptor, and nothing in this process owns it yet.
    // Where it was not passed, the first use of it fails and the process ends.
    let fd = unsafe { OwnedFd::from_raw_fd(super::SOCKET_FD) };
    prepare(&fd);
    let title = Title::find();
    title.show("brig: zygote");
    // What all shims need to know of the machine is known before they are forked.
    let hierarchies = HierarchyWatch::begin();
    capabilities::last();
    loop {
        match packet::receive(fd.as_fd()) {
            Ok(Some(packet)) => {
                // Without /proc there is nothing to refresh: a shim then finds, and says, that it has no cgroups.
                if let Ok(hierarchies) = &hierarchies {
                    hierarchies.refresh();
                }
                match fork() {
                    Ok(Fork::Parent) => {}
                    Ok(Fork::Child) => {
                        drop((fd, hierarchies));
                        become_shim();
                        // Closed by the process' end.
                        std::mem::forget(packet.turn);
                        supervisor::main(packet.control.into(), packet.joins, |id| {
                            title.show(&format!("brig: shim {}", id.short()));
                        })
                    }
                    Err(e) => refuse(packet.control, &e),
                }
            }
            Ok(None) => std::process::exit(0),
            Err(e) => {
                eprintln!("brig: zygote: receive: {e}");
                std::process::exit(1)
            }
        }
    }
}

/// Leaves nothing of the daemon's behind: descriptors, signal handling, session.
fn prepare(fd: &OwnedFd) {
    // SAFETY: closes descriptors that nobody in this process uses: main has just begun, and its only one is `fd`.
    unsafe {
        let socket = fd.as_raw_fd().cast_unsigned();
        if socket > 3 {
            libc::syscall(libc::SYS_close_range, 3, socket - 1, 0);
        }
        libc::syscall(libc::SYS_close_range, socket + 1, libc::c_uint::MAX, 0);
    }
    // Not inherited by what is executed from here.
    let _ = rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC);
    let _ = setsid();
    // SAFETY: plain calls with valid arguments; there are no other threads. What is ignored is inherited by shims;
    // the runtime resets it in containers.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        for signal in IGNORED {
            libc::signal(signal, libc::SIG_IGN);
        }
        // Memory above a few pages is mapped on its own and given back when freed, in every fork.
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 10);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 32 << 10);
        libc::mallopt(libc::M_TOP_PAD, 0);
    }
}

/// SIGCHLD, so that the kernel reaps; the rest, so that only SIGKILL parts a container from its shim.
const IGNORED: [libc::c_int; 8] = [
    libc::SIGCHLD,
    libc::SIGTERM,
    libc::SIGINT,
    libc::SIGHUP,
    libc::SIGQUIT,
    libc::SIGPIPE,
    libc::SIGUSR1,
    libc::SIGUSR2,
];

enum Fork {
    Parent,
    Child,
}

fn fork() -> std::io::Result<Fork> {
    // SAFETY: this process has one thread, so the child is as whole as the parent.
    match unsafe { libc::fork() } {
        -1 => Err(std::io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        _ => Ok(Fork::Parent),
    }
}

/// What only the child does: a session of its own, no standard streams of the daemon's, children to wait for.
fn become_shim() {
    let _ = setsid();
    // SAFETY: plain call; the shim waits for its children itself.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
}

/// Says on the control connection that no shim could be made. If the daemon is gone too, nobody needs to know.
fn refuse(control: OwnedFd, error: &std::io::Error) {
    let failure =
        Failure { kind: Kind::System, message: format!("fork shim: {error}"), exec_exit_code: Some(125) };
    if let Ok(frame) = protocol::encode(&ServerFrame::Reply { id: 0, result: Err(failure) }) {
        let _ = File::from(control).write_all(&frame);
    }
}
