//! What can happen to a container: what clients ask for and what the world reports.

use crate::record::{Failure, Volumes};
use brig_api::{ContainerUpdateRequest, HealthcheckResult};
use jiff::Timestamp;
use std::{sync::Arc, time::Duration};

/// What happens to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A client wants it to run.
    Start,
    /// A client wants it to end.
    Stop(StopOrder),
    /// A client wants it to end and to run again, or to run.
    Restart(StopOrder),
    /// A client sends a signal.
    Kill {
        /// The signal's number.
        signal: i32,
    },
    /// A client wants its processes frozen.
    Pause,
    /// A client wants them to go on.
    Unpause,
    /// A client wants it gone.
    Remove {
        /// Even while it runs.
        force: bool,
        /// Whether its anonymous volumes go too.
        volumes: Volumes,
    },
    /// A client gives it another name, which is reserved already.
    Rename {
        /// The new name, without a slash.
        name: String,
    },
    /// A client changes its limits or its restart policy; checked by itself already.
    Update(Box<ContainerUpdateRequest>),
    /// The daemon goes down and takes its containers along.
    Shutdown(StopOrder),
    /// The daemon has come up and found the container without a process.
    Boot,

    /// The first process runs.
    Started {
        /// Its number on the host.
        pid: i32,
        /// Its start time in ticks since boot.
        start_time: u64,
        /// Since when.
        at: Timestamp,
    },
    /// The start failed and has undone itself.
    StartFailed(Failure),
    /// The first process has ended and all its output is written.
    Exited {
        /// Its code, 128+n after signal n.
        code: i32,
        /// Whether the kernel killed a process of the container for want of memory.
        oom_killed: bool,
        /// What went wrong around it; empty when nothing did.
        error: String,
        /// When.
        at: Timestamp,
    },
    /// The kernel killed a process of the container for want of memory.
    OutOfMemory,
    /// The processes are frozen.
    Frozen,
    /// The processes go on.
    Thawed,
    /// A health check has a result. For the run of that number only.
    Checked {
        /// [`crate::record::ContainerRecord::runs`] of the run.
        run: u64,
        /// The check's number.
        number: u64,
        /// What came of it.
        result: Arc<HealthcheckResult>,
    },
    /// The time that a stop gave has passed. For the run of that number only.
    StopExpired {
        /// [`crate::record::ContainerRecord::runs`] when the timer was set.
        run: u64,
    },
    /// The wait of the restart policy has passed. For the run of that number only.
    RestartDue {
        /// [`crate::record::ContainerRecord::runs`] when the timer was set.
        run: u64,
    },
    /// Its storage and its record are gone.
    Discarded,
    /// Its storage or its record could not be removed.
    DiscardFailed {
        /// Why.
        message: String,
    },
}

impl Input {
    /// Whether a client asks for it, who can be refused; otherwise it is a report.
    #[must_use]
    pub const fn is_from_client(&self) -> bool {
        matches!(
            self,
            Self::Start
                | Self::Stop(_)
                | Self::Restart(_)
                | Self::Kill { .. }
                | Self::Pause
                | Self::Unpause
                | Self::Remove { .. }
                | Self::Rename { .. }
                | Self::Update(_)
        )
    }
}

/// How to end a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopOrder {
    /// The signal that asks it to.
    pub signal: i32,
    /// How long it may take until SIGKILL; `None` for ever.
    pub timeout: Option<Duration>,
}
