//! What an actor is sent.

use crate::{error::Result, machine::Input, options::WaitCondition};
use brig_api::EndpointSettings;
use brig_core::Id;
use brig_net::NetworkRecord;
use std::{path::PathBuf, sync::Arc};
use tokio::{net::UnixStream, sync::oneshot};

/// What an actor is sent.
#[derive(Debug)]
pub(crate) enum Message {
    /// An input from a client.
    Act {
        /// The input.
        input: Input,
        /// When to answer.
        until: Until,
        /// The answer.
        reply: oneshot::Sender<Result<()>>,
    },
    /// An input that nobody waits for.
    Report(Input),
    /// Another container has joined the sandbox, or left it.
    Member {
        /// Which.
        container: Id,
        /// What it did.
        change: Membership,
    },
    /// A client changes the networks that the container is on.
    Network {
        /// How.
        change: NetworkChange,
        /// The answer.
        reply: oneshot::Sender<Result<()>>,
    },
    /// A client waits for something. Registered when answered.
    Wait {
        /// For what.
        condition: WaitCondition,
        /// The registration.
        reply: oneshot::Sender<WaitGrant>,
    },
    /// A client wants the container's streams.
    Attach {
        /// Which.
        streams: Streams,
        /// The way to them.
        reply: oneshot::Sender<AttachGrant>,
    },
}

/// What a container does to another's sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Membership {
    /// It is in it from now on.
    Joined,
    /// It is not any more.
    Left,
}

/// What a client does to the networks that a container is on.
#[derive(Debug)]
pub(crate) enum NetworkChange {
    /// Puts it on one more.
    Connect {
        /// Which.
        network: Arc<NetworkRecord>,
        /// As what.
        settings: Box<EndpointSettings>,
    },
    /// Takes one of its legacy links away.
    Unlink {
        /// The other container's name in it.
        alias: String,
    },
    /// Takes it off one.
    Disconnect {
        /// Which.
        network: Arc<NetworkRecord>,
    },
    /// Takes it off one that is no more, for its next starts.
    Forget {
        /// By which name it is asked for.
        network: String,
        /// Although the container runs.
        force: bool,
    },
}

/// When an input from a client is answered, if it is not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// When its effects are done.
    Done,
    /// When the run has ended.
    Ended,
    /// When the container runs again, or could not be started.
    Restarted,
    /// When the container is gone, or could not be removed.
    Removed,
}

/// A registered wait.
#[derive(Debug)]
pub(crate) enum WaitGrant {
    /// What is waited for is there.
    Now(Waited),
    /// It will be told; the other side goes away with the container's actor only.
    Later(oneshot::Receiver<Waited>),
}

/// What a wait ends in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waited {
    /// The exit code.
    pub(crate) code: i32,
    /// What went wrong; empty when nothing did.
    pub(crate) error: String,
}

/// The streams that an attachment is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Streams {
    /// Send input.
    pub(crate) stdin: bool,
    /// Get stdout.
    pub(crate) stdout: bool,
    /// Get stderr.
    pub(crate) stderr: bool,
}

/// The way to a container's streams.
#[derive(Debug)]
pub(crate) enum AttachGrant {
    /// It runs: connect to the shim in this folder.
    Now(PathBuf),
    /// It does not run yet: the connection comes when it is made, before its process is released. The other
    /// side goes away with the container.
    WhenStarted(oneshot::Receiver<UnixStream>),
}
