//! Kills for want of memory: how many, and being told of them.

use super::Cgroup;
use super::group::Group;
use super::hierarchy::Controller;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::OFlags;
use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Becomes readable when the group ran out of memory. The kernel's event comes for other changes too: compare
/// [`Cgroup::oom_kills`] before and after.
#[derive(Debug)]
pub struct OomWatch {
    fd: OwnedFd,
}

impl OomWatch {
    /// Takes what made it readable, so that it waits for the next.
    pub fn clear(&self) {
        let mut sink = [0; 512];
        // Non-blocking; there being nothing is as good.
        let _ = rustix::io::read(&self.fd, &mut sink);
    }
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Cgroup {
    /// How many processes of the group the kernel killed for want of memory. 0 without a memory controller.
    pub fn oom_kills(&self) -> u64 {
        let Some(group) = self.with(Controller::Memory) else { return 0 };
        let file = if group.is_v2() { "memory.events" } else { "memory.oom_control" };
        let text = group.read(file).unwrap_or_default();
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok()).unwrap_or(0)
    }

    /// A descriptor to wait on for the group running out of memory; `None` where the machine can't tell.
    pub fn oom_watch(&self) -> Option<OomWatch> {
        let group = self.with(Controller::Memory)?;
        let fd = if group.is_v2() { watch_v2(group) } else { watch_v1(group) };
        fd.ok().map(|fd| OomWatch { fd })
    }
}

fn watch_v1(group: &Group) -> Result<OwnedFd, rustix::io::Errno> {
    let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let control = group.open_file("memory.oom_control", OFlags::RDONLY)?;
    group.write("cgroup.event_control", &format!("{} {}", event.as_raw_fd(), control.as_raw_fd()))?;
    Ok(event)
}

fn watch_v2(group: &Group) -> Result<OwnedFd, rustix::io::Errno> {
    let watch = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    add_watch(&watch, group.path.join("memory.events"), WatchFlags::MODIFY)?;
    Ok(watch)
}
