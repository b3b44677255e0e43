//! Requests, replies and their envelopes.

use super::{ConsoleSize, Event, ExecConfig, ShimConfig, ShimState, UnixNanos};
use brig_core::{Id, Kind};
use brig_runtime::cgroup::Stats;
use oci_spec::runtime::LinuxResources;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A request as it is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClientFrame {
    /// Chosen by the client; the reply carries it back.
    pub id: u64,
    /// What to do.
    pub request: Request,
}

/// What a shim sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerFrame {
    /// The answer to one request.
    Reply {
        /// The request's id.
        id: u64,
        /// The outcome.
        result: Result<Reply, Failure>,
    },
    /// Something happened. Sent to every control connection.
    Event(Event),
}

/// Which process is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The container's own process.
    Init,
    /// A process made by [`Request::Exec`].
    Exec(Id),
}

/// What a shim can be asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// First frame to a new shim, sent by `spawn_shim` only: makes the container. Answer [`Reply::State`].
    Create(Box<ShimConfig>),
    /// Says and asks which protocol is spoken. Answer [`Reply::Hello`].
    Hello {
        /// The client's [`super::PROTOCOL_VERSION`].
        protocol: u32,
    },
    /// Asks for the present state. Answer [`Reply::State`].
    State,
    /// Releases the created container to run its command. Answer [`Reply::Started`]; when the command can't be
    /// executed, a failure with [`Failure::exec_exit_code`], after which everything is undone and the shim gone.
    Start,
    /// Sends a signal. Answer [`Reply::Done`]; [`Kind::NotFound`] when the process is gone.
    Signal {
        /// To which process.
        target: Target,
        /// The signal's number.
        signal: i32,
        /// Whether every process of the container gets it, whatever the target.
        #[serde(default)]
        all: bool,
    },
    /// Resizes a terminal. Answer [`Reply::Done`]; [`Kind::Conflict`] when it has none.
    Resize {
        /// Whose terminal.
        target: Target,
        /// The new size.
        size: ConsoleSize,
    },
    /// Registers a further process, to be attached to and then started. Answer [`Reply::Done`]; [`Kind::Conflict`]
    /// when the container is not running.
    Exec(Box<ExecConfig>),
    /// Starts a registered process. Answer [`Reply::Started`] or a failure with [`Failure::exec_exit_code`], after
    /// which the exec is gone.
    StartExec {
        /// The exec's id.
        id: Id,
    },
    /// Forgets a registered process that was never started. Answer [`Reply::Done`].
    RemoveExec {
        /// The exec's id.
        id: Id,
    },
    /// Ends a process' standard input. Answer [`Reply::Done`], also when it has none.
    CloseStdin {
        /// Whose.
        target: Target,
    },
    /// Turns this connection into a byte stream. After [`Reply::Done`], the shim sends the process' output from now
    /// on (all of it when attached before the start): with a terminal the raw bytes, else Docker's frames (one byte
    /// 1 for stdout or 2 for stderr, three zero bytes, `u32` big-endian length, payload); then end of file. What
    /// the client sends is the process' input, shutdown(2) its end. No other request may be waiting on the
    /// connection, and the client must not send input before the reply.
    Attach {
        /// To which process.
        target: Target,
        /// Whether what the client sends is input; else it is thrown away.
        stdin: bool,
        /// Whether to send standard output.
        stdout: bool,
        /// Whether to send standard error.
        stderr: bool,
    },
    /// Freezes every process of the container. Answer [`Reply::Done`].
    Pause,
    /// Thaws them. Answer [`Reply::Done`].
    Resume,
    /// Changes the container's limits. Answer [`Reply::Done`].
    Update {
        /// The new limits; what is absent stays as it is.
        resources: Box<LinuxResources>,
    },
    /// Asks for the container's use of resources. Answer [`Reply::Stats`].
    Stats,
    /// Asks for the container's processes, by their numbers on the host. Answer [`Reply::Pids`].
    Pids,
}

/// A successful answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// Done, nothing to say.
    Done,
    /// The shim's [`super::PROTOCOL_VERSION`].
    Hello {
        /// The version.
        protocol: u32,
    },
    /// The present state.
    State {
        /// The state.
        state: Box<ShimState>,
        /// Of [`Request::Create`] only: what was left out because kernel or rights did not give it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
    },
    /// A process runs.
    Started {
        /// Its number on the host.
        pid: i32,
        /// When.
        at: UnixNanos,
    },
    /// Use of resources, as `brig_runtime` measures it.
    Stats(Box<Stats>),
    /// Numbers of processes.
    Pids(Vec<i32>),
}

/// A refused or failed request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Its sort.
    #[serde(with = "WireKind")]
    pub kind: Kind,
    /// The whole message.
    pub message: String,
    /// Of a failed create, start or exec: the exit code that Docker's command line gives for it: 127 when the
    /// command was not found, 126 when it could not be executed, 125 otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec_exit_code: Option<i32>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Kind", rename_all = "snake_case")]
enum WireKind {
    InvalidParameter,
    Unauthorized,
    Forbidden,
    NotFound,
    Conflict,
    NotModified,
    NotImplemented,
    Unavailable,
    DataLoss,
    Cancelled,
    System,
}
