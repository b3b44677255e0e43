//! What the machine wants done.

use crate::record::{Cause, ContainerRecord, Exit, HealthStatus, Volumes};
use brig_api::ContainerUpdateRequest;
use brig_core::atomic::Durability;
use std::time::Duration;

/// The answer to an input: the record as it is now, and what is to be done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The record from now on.
    pub record: ContainerRecord,
    /// What is to be done. When one of them fails, the later ones are left out.
    pub effects: Vec<Effect>,
}

/// Something to be done outside of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Write the record to the database and show it to readers.
    Persist(DurabilityOf),
    /// Write the record with that of its place on networks, do all of a start, and report [`super::Input::Started`] or [`super::Input::StartFailed`].
    BringUp(Cause),
    /// Give back what a run held: network, sandbox, shim's folder, mounts.
    TearDown,
    /// Send the first process a signal.
    Signal(i32),
    /// Freeze the processes, and report [`super::Input::Frozen`].
    Freeze,
    /// Let them go on, and report [`super::Input::Thawed`].
    Thaw,
    /// Put the limits of a request into force.
    Limit(Box<ContainerUpdateRequest>),
    /// Report [`super::Input::StopExpired`] after this time.
    ArmStop(Duration),
    /// Report [`super::Input::RestartDue`] after this time.
    ArmRestart(Duration),
    /// Forget both timers.
    Disarm,
    /// Tell those who listen to events.
    Emit(Note),
    /// Tell those who wait for the end of a run.
    Ended(Exit),
    /// Remove all that the container has on disk and its record, and report [`super::Input::Discarded`] or
    /// [`super::Input::DiscardFailed`].
    Discard(Volumes),
    /// Give back what a run held that has ended, and remove the record, what is on disk behind it; report
    /// [`super::Input::Discarded`] or [`super::Input::DiscardFailed`].
    Erase,
    /// Remove the name, tell those who wait for the removal, end the actor.
    Forget,
    /// Tell those who wait for the removal that it failed.
    RemovalFailed(String),
    /// Tell those on its networks what it is called now.
    TellNames,
    /// Give the old name back.
    ReleaseName(String),
}

impl Effect {
    /// A word for logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Persist(_) => "persist",
            Self::BringUp(_) => "bring up",
            Self::TearDown => "tear down",
            Self::Signal(_) => "signal",
            Self::Freeze => "freeze",
            Self::Thaw => "thaw",
            Self::Limit(_) => "limit",
            Self::ArmStop(_) | Self::ArmRestart(_) | Self::Disarm => "timer",
            Self::Emit(_) => "event",
            Self::Ended(_) | Self::RemovalFailed(_) => "answer",
            Self::Discard(_) => "discard",
            Self::Erase => "erase",
            Self::Forget => "forget",
            Self::TellNames => "tell names",
            Self::ReleaseName(_) => "release name",
        }
    }

    /// Whether it mounts the container's layers or removes them: nobody may copy into them meanwhile.
    #[must_use]
    pub const fn changes_layers(&self) -> bool {
        matches!(self, Self::BringUp(_) | Self::Discard(_) | Self::Erase)
    }
}

/// Whether a record must survive a power cut; see [`Durability`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DurabilityOf {
    /// A killed daemon finds it; a power cut may lose it, and with it only what the power cut ended anyway.
    Run,
    /// A power cut must not lose it.
    Intent,
    /// That a run is to end or the container to go. As [`Self::Run`], but what follows is done even where it can't be
    /// written: on a full disk too there must be a way to end what fills it.
    Wish,
}

impl From<DurabilityOf> for Durability {
    fn from(of: DurabilityOf) -> Self {
        match of {
            DurabilityOf::Run | DurabilityOf::Wish => Self::Process,
            DurabilityOf::Intent => Self::Power,
        }
    }
}

/// An event of a container, without what every event has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// It runs.
    Start,
    /// It was restarted by a client.
    Restart,
    /// It got a signal.
    Kill {
        /// The signal's number.
        signal: i32,
    },
    /// Its first process ended.
    Die {
        /// The exit code.
        code: i32,
        /// Whole seconds of the run.
        seconds: i64,
    },
    /// A client's stop is done.
    Stop,
    /// A process was killed for want of memory.
    Oom,
    /// Its health is another.
    Health(HealthStatus),
    /// It is frozen.
    Pause,
    /// It goes on.
    Unpause,
    /// It is gone.
    Destroy,
    /// Its limits or its restart policy are others.
    Update,
    /// It has another name.
    Rename {
        /// The name before, without a slash.
        old: String,
    },
}
