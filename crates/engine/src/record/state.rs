//! The states of a container. They exclude one another; what only one of them has is inside it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Where a container is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum State {
    /// Made and never run; `failure` when a start was tried in vain.
    Created {
        /// Why the last start failed.
        failure: Option<Failure>,
    },
    /// A start is under way. Written before the first effect of a start, so that a crash finds it.
    Starting {
        /// Who asked for it.
        cause: Cause,
        /// How the run before ended, if there was one.
        previous: Option<Exit>,
    },
    /// Its first process runs.
    Running(Run),
    /// Its processes are frozen.
    Paused(Run),
    /// It ended and its restart policy starts it again at `due`.
    Restarting {
        /// How the last run ended.
        exit: Exit,
        /// When it is started again.
        due: Timestamp,
    },
    /// It ran and ended.
    Exited(Exit),
    /// Its removal is under way; a crash finds it and goes on.
    Removing {
        /// How its last run ended, if it ever ran.
        exit: Option<Exit>,
        /// Whether its anonymous volumes go with it.
        volumes: Volumes,
    },
    /// Its removal failed; only another removal is possible.
    Dead {
        /// How its last run ended, if it ever ran.
        exit: Option<Exit>,
        /// What the removal failed of.
        message: String,
    },
}

/// Who asked for a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A client's `start`.
    User,
    /// A client's `restart`.
    Restart,
    /// The restart policy.
    Policy,
}

/// A run of the container's first process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The first process, as the host numbers it.
    pub pid: i32,
    /// Its start time in clock ticks since boot, which makes the number unmistakable.
    pub start_time: u64,
    /// When it was started.
    pub started_at: Timestamp,
    /// Whether the kernel killed one of its processes for want of memory.
    pub oom_killed: bool,
    /// What is to happen when it ends.
    pub after: After,
}

/// What is to happen when a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum After {
    /// Nobody asked for the end: the restart policy decides.
    Policy,
    /// A client's `stop`: stay.
    Stop,
    /// A client's `kill` with the stop signal or SIGKILL: stay.
    Kill,
    /// A client's `restart`: start again at once.
    Restart,
    /// A client's forced `remove`: remove.
    Remove(Volumes),
    /// The daemon goes down: stay, and let the policy decide when it is back.
    Shutdown,
}

/// Whether anonymous volumes are removed with their container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Volumes {
    /// They stay.
    Keep,
    /// They go.
    Remove,
}

impl From<bool> for Volumes {
    /// The API's `v` parameter.
    fn from(remove: bool) -> Self {
        if remove { Self::Remove } else { Self::Keep }
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The exit code; 128+n when signal n ended it.
    pub code: i32,
    /// Whether the kernel killed one of its processes for want of memory.
    pub oom_killed: bool,
    /// What went wrong around it; empty when nothing did.
    pub error: String,
    /// When the run began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// Who ended it.
    pub ended: Ended,
}

/// Who ended a run: what `unless-stopped` asks when the daemon starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// The process itself, or something outside of brig.
    ByItself,
    /// A client of brig.
    ByUser,
}

/// Why a start failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// 127 not found, 126 not executable, 128 anything else.
    pub code: i32,
    /// The error as the client got it.
    pub message: String,
}

/// The states as the API names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Never ran.
    Created,
    /// Runs.
    Running,
    /// Frozen.
    Paused,
    /// Waits to be started again.
    Restarting,
    /// Being removed.
    Removing,
    /// Ran.
    Exited,
    /// Its removal failed.
    Dead,
}

impl Status {
    /// All of them, in Docker's order.
    pub const ALL: [Self; 7] = [
        Self::Created,
        Self::Running,
        Self::Paused,
        Self::Restarting,
        Self::Removing,
        Self::Exited,
        Self::Dead,
    ];

    /// The API's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
        }
    }

    /// Reads the API's word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }
}

impl State {
    /// The API's name of this state. A start under way does not show: Docker holds a lock over it.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::Created { .. } | Self::Starting { previous: None, .. } => Status::Created,
            Self::Starting { previous: Some(_), .. } | Self::Exited(_) => Status::Exited,
            Self::Running(_) => Status::Running,
            Self::Paused(_) => Status::Paused,
            Self::Restarting { .. } => Status::Restarting,
            Self::Removing { .. } => Status::Removing,
            Self::Dead { .. } => Status::Dead,
        }
    }

    /// The run that is on, frozen or not.
    #[must_use]
    pub const fn run(&self) -> Option<&Run> {
        match self {
            Self::Running(run) | Self::Paused(run) => Some(run),
            _ => None,
        }
    }

    /// How the last run ended, where the state still knows it.
    #[must_use]
    pub const fn exit(&self) -> Option<&Exit> {
        match self {
            Self::Restarting { exit, .. } | Self::Exited(exit) => Some(exit),
            Self::Starting { previous: exit, .. } | Self::Removing { exit, .. } | Self::Dead { exit, .. } => {
                exit.as_ref()
            }
            Self::Created { .. } | Self::Running(_) | Self::Paused(_) => None,
        }
    }

    /// Whether Docker calls it running: frozen and restarting containers are.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        matches!(self, Self::Running(_) | Self::Paused(_) | Self::Restarting { .. })
    }

    /// The exit code as the API shows it, 0 while there is none.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Created { failure: Some(failure) } => failure.code,
            other => other.exit().map_or(0, |exit| exit.code),
        }
    }
}
