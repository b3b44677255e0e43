//! Why the machine does not take an input from a client, in Docker's words.

use crate::record::Status;
use brig_core::{HasKind, Id, Kind};

/// An input that the present state excludes. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A start of what runs (304).
    #[error("container is already running")]
    AlreadyRunning,
    /// A stop of what does not run (304).
    #[error("container is already stopped")]
    AlreadyStopped,
    /// A start of what is frozen.
    #[error("cannot start a paused container, try unpause instead")]
    StartPaused,
    /// A start of what is being removed.
    #[error("container is marked for removal and cannot be started")]
    MarkedForRemoval,
    /// A signal or a freeze of what does not run.
    #[error("container {0} is not running")]
    NotRunning(Id),
    /// A freeze of what is frozen.
    #[error("Container {0} is already paused")]
    AlreadyPaused(Id),
    /// A thaw of what is not frozen. Docker calls this an internal error.
    #[error("Container {0} is not paused")]
    NotPaused(Id),
    /// What needs a process while the policy waits.
    #[error("Container {0} is restarting, wait until the container is running")]
    Restarting(Id),
    /// An update of what is being removed.
    #[error("container is marked for removal and cannot be \"update\"")]
    UpdateRemoved,
    /// An update that contradicts the limits that are there.
    #[error("{0}")]
    Contradiction(&'static str),
    /// An unforced removal of what is frozen.
    #[error("container is paused and must be unpaused first")]
    RemovePaused,
    /// An unforced removal of what runs.
    #[error("container is {}: stop the container before removing or force remove", .0.as_str())]
    RemoveRunning(Status),
    /// A removal during a removal. The caller's name for the container is put in by the engine.
    #[error("removal of container {0} is already in progress")]
    RemovalInProgress(String),
}

impl HasKind for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::AlreadyRunning | Self::AlreadyStopped => Kind::NotModified,
            Self::NotPaused(_) => Kind::System,
            _ => Kind::Conflict,
        }
    }
}
