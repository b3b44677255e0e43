//! Noticing that hierarchies were mounted or unmounted.

use super::Hierarchies;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io;

/// Keeps [`Hierarchies::get`] true to what is mounted, for a process that forks others which all need it.
#[derive(Debug)]
pub struct HierarchyWatch(File);

impl HierarchyWatch {
    /// Looks for the hierarchies and begins to watch.
    ///
    /// # Errors
    /// When there is no `/proc`.
    pub fn begin() -> io::Result<Self> {
        // Opened first, so that no change is missed.
        let watch = Self(File::open("/proc/self/mountinfo")?);
        Hierarchies::renew();
        Ok(watch)
    }

    /// Looks for the hierarchies again if anything was mounted or unmounted since the last look.
    pub fn refresh(&self) {
        // The kernel marks a change of the mounts so, once for each open file.
        let mut fds = [PollFd::new(&self.0, PollFlags::PRI)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        if !matches!(poll(&mut fds, Some(&now)), Ok(0)) {
            Hierarchies::renew();
        }
    }
}
