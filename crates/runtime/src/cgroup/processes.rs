//! Freezing, killing, waiting for the end and removing. Version 2 tells of each by an event of `cgroup.events`;
//! where there is only version 1, the end of processes is seen through pidfds.

use super::Cgroup;
use super::error::CgroupError;
use super::group::Group;
use super::hierarchy::Controller;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long a freeze may take: a process in uninterruptible sleep (a dead NFS server) freezes when it wakes.
const FREEZE_WITHIN: Duration = Duration::from_secs(10);

/// How long removing waits for processes that were killed.
const END_WITHIN: Duration = Duration::from_secs(10);

impl Cgroup {
    /// Every process in the group and in the groups inside it.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn pids(&self) -> Result<Vec<i32>, CgroupError> {
        // All hierarchies have the same processes, unless the container moved some about in one that it may write;
        // version 2's comes last and is the one that events are about.
        self.groups.last().map_or_else(|| Ok(Vec::new()), Group::pids)
    }

    /// Stops every process; returns when all are.
    ///
    /// # Errors
    /// No freezer on this machine; a process that does not stop within 10 seconds. It is thawed again then.
    pub fn freeze(&self) -> Result<(), CgroupError> {
        let frozen = match (self.v2(), self.with(Controller::Freezer)) {
            (Some(group), _) => group
                .set("cgroup.freeze", "1")
                .and_then(|()| wait_for(group, "frozen 1", "freezing", FREEZE_WITHIN)),
            (None, Some(group)) => freeze_v1(group),
            (None, None) => {
                Err(CgroupError::Controller { controller: "freezer", file: "freezer.state".to_owned() })
            }
        };
        if frozen.is_err() {
            // The first error is the one to tell.
            let _ = self.thaw();
        }
        frozen
    }

    /// Lets every process go on.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn thaw(&self) -> Result<(), CgroupError> {
        match (self.v2(), self.with(Controller::Freezer)) {
            (Some(group), _) => group.set("cgroup.freeze", "0"),
            (None, Some(group)) => group.set("freezer.state", "THAWED"),
            (None, None) => Ok(()),
        }
    }

    /// Whether it is frozen, by [`Self::freeze`].
    pub fn is_frozen(&self) -> bool {
        match (self.v2(), self.with(Controller::Freezer)) {
            (Some(group), _) => group.read("cgroup.freeze").is_ok_and(|text| text.trim() == "1"),
            (None, Some(group)) => group.read("freezer.state").is_ok_and(|text| text.trim() != "THAWED"),
            (None, None) => false,
        }
    }

    /// Kills every process, also those that are being forked. Does not wait for their end.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn kill_all(&self) -> Result<(), CgroupError> {
        if let Some(group) = self.v2() {
            match group.write("cgroup.kill", "1") {
                Ok(()) => return Ok(()),
                // Before 5.14.
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(CgroupError::io("kill cgroup", &group.path, errno)),
            }
        }
        self.signal_all(Signal::KILL)
    }

    /// Sends a signal to every process. They are frozen meanwhile, so that none forks away from it.
    ///
    /// # Errors
    /// What the kernel says. A process that is gone is no error.
    pub fn signal_all(&self, signal: Signal) -> Result<(), CgroupError> {
        // Frozen by the user: stays so. A machine without a freezer: as well as can be, until no new ones come.
        let freezes = !self.is_frozen() && self.freeze().is_ok();
        let sent = self.signal_until_settled(signal, freezes);
        let thawed = if freezes || signal == Signal::KILL { self.thaw() } else { Ok(()) };
        sent.and(thawed)
    }

    fn signal_until_settled(&self, signal: Signal, frozen: bool) -> Result<(), CgroupError> {
        let mut done: Vec<i32> = Vec::new();
        loop {
            let fresh: Vec<i32> =
                self.pids()?.into_iter().filter(|pid| done.binary_search(pid).is_err()).collect();
            for pid in fresh.iter().filter_map(|pid| Pid::from_raw(*pid)) {
                match rustix::process::kill_process(pid, signal) {
                    Ok(()) | Err(Errno::SRCH) => {}
                    Err(errno) => {
                        return Err(CgroupError::io("signal a process of cgroup", &self.below, errno));
                    }
                }
            }
            if fresh.is_empty() || frozen {
                return Ok(());
            }
            done.extend(fresh);
            done.sort_unstable();
        }
    }

    /// Waits until no process is left in the group.
    ///
    /// # Errors
    /// [`CgroupError::Timeout`] when some still are.
    pub fn wait_empty(&self, within: Duration) -> Result<(), CgroupError> {
        match self.v2() {
            Some(group) => wait_for(group, "populated 0", "the end of its processes", within),
            None => self.wait_for_pidfds(within),
        }
    }

    fn wait_for_pidfds(&self, within: Duration) -> Result<(), CgroupError> {
        let end = Instant::now() + within;
        loop {
            let pids = self.pids()?;
            // One that can't be opened is gone.
            let open = |pid: &i32| pidfd_open(Pid::from_raw(*pid)?, PidfdFlags::empty()).ok();
            let Some(pidfd) = pids.iter().find_map(open) else { return Ok(()) };
            let ended = wait(&pidfd, PollFlags::IN, end).map_err(|errno| self.waiting(errno))?;
            if !ended || Instant::now() > end {
                return Err(self.timeout("the end of its processes", within));
            }
        }
    }

    fn waiting(&self, errno: Errno) -> CgroupError {
        CgroupError::io("wait for cgroup", &self.below, errno)
    }

    fn timeout(&self, step: &'static str, within: Duration) -> CgroupError {
        CgroupError::Timeout { path: self.below.clone(), step, seconds: within.as_secs() }
    }

    /// Removes the group from every hierarchy, with the groups that the container made inside it. Its processes must
    /// have been killed; those that are still ending are waited for, at most 10 seconds. Not there is good.
    ///
    /// # Errors
    /// The first refusal; the other hierarchies are tried nevertheless.
    pub fn remove(&self) -> Result<(), CgroupError> {
        let mut waited = false;
        // Before the folders: systemd watches them.
        let mut first = self.unit.as_ref().map_or(Ok(()), |unit| Ok(unit.remove()?));
        for group in &self.groups {
            let mut removed = group.remove();
            if removed == Err(Errno::BUSY) && !waited {
                waited = true;
                if let Err(error) = self.wait_empty(END_WITHIN) {
                    first = first.and(Err(error));
                }
                removed = group.remove();
            }
            if let Err(errno) = removed {
                first = first.and(Err(CgroupError::io("remove cgroup", &group.path, errno)));
            }
        }
        first
    }

    /// Removes a group that never had a process; what is refused is left to the error that led here.
    pub(super) fn remove_now(&self) {
        for group in &self.groups {
            let _ = group.remove();
        }
    }
}

/// Waits until a line of `cgroup.events` says so.
fn wait_for(group: &Group, line: &str, step: &'static str, within: Duration) -> Result<(), CgroupError> {
    let failed = |errno| CgroupError::io("wait for cgroup", &group.path, errno);
    let file = group.open_file("cgroup.events", OFlags::RDONLY);
    let file = match file {
        Ok(file) => file,
        // The group is gone: nothing is in it.
        Err(Errno::NOENT | Errno::NODEV) => return Ok(()),
        Err(errno) => return Err(failed(errno)),
    };
    let end = Instant::now() + within;
    loop {
        // Reading arms the event, so it comes before each wait.
        let mut text = [0; 256];
        let length = match rustix::io::pread(&file, &mut text, 0) {
            Ok(length) => length,
            Err(Errno::NODEV) => return Ok(()),
            Err(errno) => return Err(failed(errno)),
        };
        if text[..length].split(|byte| *byte == b'\n').any(|found| found == line.as_bytes()) {
            return Ok(());
        }
        if !wait(&file, PollFlags::PRI, end).map_err(failed)? {
            return Err(CgroupError::Timeout { path: group.path.clone(), step, seconds: within.as_secs() });
        }
    }
}

/// Waits for an event on a descriptor. `false`: none came in time.
fn wait(fd: &OwnedFd, events: PollFlags, end: Instant) -> Result<bool, Errno> {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let mut polled = [PollFd::from_borrowed_fd(fd.as_fd(), events)];
        match poll(&mut polled, Some(&timeout)) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Version 1's freezer has no event for its end: a read looks whether all are frozen by now. Between reads other
/// processes (those to be frozen) get the CPU.
fn freeze_v1(group: &Group) -> Result<(), CgroupError> {
    let end = Instant::now() + FREEZE_WITHIN;
    loop {
        // Written again each time: that catches those that were forked meanwhile.
        group.set("freezer.state", "FROZEN")?;
        let state =
            group.read("freezer.state").map_err(|errno| CgroupError::io("read", &group.path, errno))?;
        if state.trim() == "FROZEN" {
            return Ok(());
        }
        if Instant::now() > end {
            let seconds = FREEZE_WITHIN.as_secs();
            return Err(CgroupError::Timeout { path: group.path.clone(), step: "freezing", seconds });
        }
        std::thread::yield_now();
    }
}
