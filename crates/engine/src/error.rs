//! What can go wrong, in Docker's words where Docker has words.

use crate::machine::Refusal;
use brig_core::{HasKind, Id, Kind};
use std::{io, path::PathBuf};

/// The result of an operation of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in the engine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No container has this name, id or prefix.
    #[error("No such container: {0}")]
    NoSuchContainer(String),
    /// No exec has this id.
    #[error("No such exec instance: {0}")]
    NoSuchExec(String),
    /// No image has this name, id or prefix.
    #[error("No such image: {0}")]
    NoSuchImage(String),
    /// No network has this name, id or prefix.
    #[error("network {0} not found")]
    NoSuchNetwork(String),
    /// No volume has this name.
    #[error("get {0}: no such volume")]
    NoSuchVolume(String),
    /// Nothing is at a path of a container.
    #[error("Could not find the file {path} in container {container}")]
    NoSuchFile {
        /// The path as it was asked for.
        path: String,
        /// The container as it was asked for.
        container: String,
    },
    /// Something else is not there.
    #[error("{0}")]
    NotFound(String),
    /// No plugin has this name.
    #[error("{0}")]
    NoSuchPlugin(String),
    /// A prefix of several ids.
    #[error("multiple IDs found with provided prefix: {0}")]
    Ambiguous(String),
    /// An empty name.
    #[error("invalid name or ID supplied: {0:?}")]
    EmptyName(String),
    /// A name with characters that names can't have.
    #[error("Invalid container name ({0}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")]
    InvalidName(String),
    /// A name that another container has.
    #[error(
        "Conflict. The container name \"/{name}\" is already in use by container \"{holder}\". You have to \
         remove (or rename) that container to be able to reuse that name."
    )]
    NameTaken {
        /// The name, without a slash.
        name: String,
        /// Who has it.
        holder: Id,
    },
    /// The container's state excludes it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// An exec in a frozen container.
    #[error("Container {0} is paused, unpause the container before exec")]
    ExecPaused(String),
    /// An attach to a frozen container.
    #[error("container {0} is paused, unpause the container before attach")]
    AttachPaused(String),
    /// An attach to a container whose restart policy waits.
    #[error("container {0} is restarting, wait until the container is running")]
    AttachRestarting(String),
    /// A second start of an exec.
    #[error("exec command {0} is already running")]
    ExecRunning(Id),
    /// A start of an exec that has ended.
    #[error("exec command {0} has already run")]
    ExecDone(Id),
    /// A value that the request can't have.
    #[error("{0}")]
    Invalid(String),
    /// What the caller may not do, whoever they are.
    #[error("{0}")]
    Forbidden(String),
    /// The present state of something excludes it.
    #[error("{0}")]
    Conflict(String),
    /// The command can't be run: `code` is 126 or 127.
    #[error("{message}")]
    Start {
        /// The container's exit code.
        code: i32,
        /// The reason in runc's words, as clients look for them.
        message: String,
    },
    /// An error with what Docker puts before it.
    #[error("{context}: {source}")]
    Context {
        /// What was being done.
        context: String,
        /// What went wrong.
        source: Box<Error>,
    },
    /// brig does not do this yet.
    #[error("{0} is not implemented yet")]
    NotImplemented(&'static str),
    /// The container was removed, or the daemon goes down, while it was asked for.
    #[error("container {0} is gone")]
    Gone(Id),
    /// The daemon goes down.
    #[error("the daemon is shutting down")]
    ShuttingDown,
    /// A file of the engine's own.
    #[error("{step} {}: {source}", path.display())]
    File {
        /// What was being done.
        step: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A record that can't be read or written.
    #[error("record {kind} {key}: {message}")]
    Record {
        /// Its kind.
        kind: &'static str,
        /// Its key.
        key: String,
        /// What is wrong with it.
        message: String,
    },
    /// The store's.
    #[error(transparent)]
    Store(#[from] brig_store::Error),
    /// The network's.
    #[error(transparent)]
    Net(#[from] brig_net::Error),
    /// A registry's.
    #[error(transparent)]
    Registry(#[from] brig_registry::Error),
    /// What another part said, in Docker's words.
    #[error("{message}")]
    Told {
        /// Its kind.
        kind: Kind,
        /// The words.
        message: String,
    },
    /// A shim refused.
    #[error("{0}")]
    Shim(brig_shim::protocol::Failure),
    /// A shim can't be started or reached.
    #[error(transparent)]
    ShimLink(#[from] brig_shim::Error),
    /// A shim hung up before it answered.
    #[error("the shim in {} is gone", .0.display())]
    ShimGone(PathBuf),
    /// A log's.
    #[error(transparent)]
    Log(#[from] brig_logs::Error),
    /// A text that is no image reference.
    #[error(transparent)]
    Reference(#[from] brig_core::reference::ReferenceError),
    /// A configuration that is refused.
    #[error(transparent)]
    Config(#[from] crate::host_config::ConfigError),
    /// A container that can't be described to the runtime.
    #[error(transparent)]
    Spec(#[from] crate::spec::SpecError),
    /// A failure that several wait for: its text, and its kind.
    #[error("{message}")]
    Copied {
        /// Its kind.
        kind: Kind,
        /// Its text.
        message: String,
    },
    /// Something that the request needs is not there.
    #[error("{0}")]
    Missing(String),
    /// Something else.
    #[error("{0}")]
    System(String),
    /// A failpoint.
    #[error(transparent)]
    Failpoint(#[from] brig_core::failpoint::FailpointError),
}

impl Error {
    /// Whether an exec's own state excludes what was asked for.
    #[must_use]
    pub fn is_of_exec(&self) -> bool {
        matches!(self, Self::ExecRunning(_) | Self::ExecDone(_))
    }

    /// The same with what was being done before it; the kind stays.
    #[must_use]
    pub fn context(self, context: impl Into<String>) -> Self {
        Self::Context { context: context.into(), source: Box::new(self) }
    }

    /// A failed operation on a file.
    #[must_use]
    pub fn file(step: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::File { step, path: path.into(), source }
    }
}

impl HasKind for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NoSuchContainer(_)
            | Self::NoSuchExec(_)
            | Self::NoSuchImage(_)
            | Self::NoSuchNetwork(_)
            | Self::NoSuchVolume(_)
            | Self::NotFound(_)
            | Self::NoSuchPlugin(_)
            | Self::Missing(_)
            | Self::NoSuchFile { .. } => Kind::NotFound,
            Self::Forbidden(_) => Kind::Forbidden,
            Self::Ambiguous(_)
            | Self::EmptyName(_)
            | Self::InvalidName(_)
            | Self::Invalid(_)
            | Self::Start { .. } => Kind::InvalidParameter,
            Self::NameTaken { .. }
            | Self::ExecPaused(_)
            | Self::AttachPaused(_)
            | Self::AttachRestarting(_)
            | Self::ExecRunning(_)
            | Self::ExecDone(_)
            | Self::Conflict(_) => Kind::Conflict,
            Self::Refused(refusal) => refusal.kind(),
            Self::Context { source, .. } => source.kind(),
            Self::NotImplemented(_) => Kind::NotImplemented,
            Self::ShuttingDown => Kind::Unavailable,
            Self::Gone(_) => Kind::NotFound,
            Self::Record { .. } => Kind::DataLoss,
            Self::Copied { kind, .. } | Self::Told { kind, .. } => *kind,
            Self::Registry(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Net(error) => error.kind(),
            Self::Shim(failure) => failure.kind,
            Self::ShimLink(error) => error.kind(),
            Self::Log(error) => error.kind(),
            Self::Reference(_) => Kind::InvalidParameter,
            Self::Config(error) => error.kind(),
            Self::Spec(error) => error.kind(),
            Self::ShimGone(_) | Self::File { .. } | Self::System(_) | Self::Failpoint(_) => Kind::System,
        }
    }
}
