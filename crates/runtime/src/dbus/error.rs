//! Why a talk on D-Bus failed.

/// A failure on D-Bus.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DbusError {
    /// An address that can't be understood, or is of another kind than a unix socket.
    #[error("D-Bus address {0:?}: only unix:path=... and unix:abstract=... are known")]
    Address(String),
    /// The socket failed.
    #[error("{step} {address}: {reason}")]
    Socket {
        /// What was tried, as in "connect to".
        step: &'static str,
        /// On what.
        address: String,
        /// What the kernel said.
        reason: String,
    },
    /// The other side does not take the caller for who they are.
    #[error("{address} refuses user {user}: {said}")]
    Rejected {
        /// Whose socket.
        address: String,
        /// Who calls.
        user: u32,
        /// The other side's words.
        said: String,
    },
    /// The other side's bytes make no sense.
    #[error("D-Bus message from {address}: {what}")]
    Malformed {
        /// Whose bytes.
        address: String,
        /// What is wrong with them.
        what: &'static str,
    },
    /// No answer.
    #[error("no answer from {address} within {seconds} s")]
    Timeout {
        /// Who is silent.
        address: String,
        /// How long.
        seconds: u64,
    },
    /// The answer is an error.
    #[error("{message} ({name})")]
    Answer {
        /// The error's name, as in `org.freedesktop.systemd1.UnitExists`.
        name: String,
        /// For people.
        message: String,
    },
}

impl DbusError {
    /// Whether it is an answer of this name.
    pub(crate) fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Answer { name, .. } if name == wanted)
    }
}
