//! The errors of the runtime. They cross a process border (from the half-made container to its maker), hence serde.

use brig_core::{HasKind, Kind};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A system call's error number, shown as Go shows it: in lower case, without the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Errno(pub i32);

impl Errno {
    /// The error of the last failed call of this thread.
    #[must_use]
    pub fn last() -> Self {
        std::io::Error::last_os_error().into()
    }
}

impl From<rustix::io::Errno> for Errno {
    fn from(e: rustix::io::Errno) -> Self {
        Self(e.raw_os_error())
    }
}

impl From<std::io::Error> for Errno {
    fn from(e: std::io::Error) -> Self {
        Self(e.raw_os_error().unwrap_or(libc::EIO))
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // std adds " (os error N)"; Docker's clients compare texts without it.
        let text = std::io::Error::from_raw_os_error(self.0).to_string();
        let text = text.rsplit_once(" (os error").map_or(text.as_str(), |(text, _)| text);
        let mut chars = text.chars();
        let second_is_upper = text.chars().nth(1).is_some_and(char::is_uppercase);
        match chars.next() {
            Some(first) if !second_is_upper => write!(f, "{}{}", first.to_lowercase(), chars.as_str()),
            _ => f.write_str(text),
        }
    }
}

/// Why the container's program can't be executed; the words are runc's, which Docker's users and scripts know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum ExecFailure {
    /// A bare name that no folder of `PATH` holds as an executable file.
    #[error("exec: \"{0}\": executable file not found in $PATH")]
    NotInPath(String),
    /// A bare name found through a relative folder in `PATH`.
    #[error("exec: \"{0}\": cannot run executable found relative to current directory")]
    Relative(String),
    /// A path that can't be looked at.
    #[error("exec: \"{path}\": stat {path}: {errno}")]
    Stat {
        /// The path as the user gave it.
        path: String,
        /// What `stat` said.
        errno: Errno,
    },
    /// A path to a folder.
    #[error("exec: \"{0}\": is a directory")]
    Directory(String),
    /// A path to a file that the container's user may not execute.
    #[error("exec: \"{0}\": permission denied")]
    Permission(String),
    /// `execve` itself refused: no interpreter, a foreign format, a text file that is being written.
    #[error("exec {path}: {errno}")]
    Execve {
        /// The resolved path.
        path: String,
        /// What `execve` said.
        errno: Errno,
    },
}

impl ExecFailure {
    /// The exit code that Docker shows for this: 127 when there is no such program, else 126.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::NotInPath(_) => 127,
            Self::Stat { errno, .. } | Self::Execve { errno, .. } if errno.0 == libc::ENOENT => 127,
            _ => 126,
        }
    }
}

/// A failure to create, start or enter a container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Error {
    /// The spec asks for something malformed or contradictory.
    #[error("{0}")]
    Spec(String),
    /// The spec asks for something that this runtime does not do.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// A step that concerns no path failed.
    #[error("{step}: {errno}")]
    Step {
        /// What was tried, as in "clone the container's first process".
        step: String,
        /// What the kernel said.
        errno: Errno,
    },
    /// A step that concerns a path failed.
    #[error("{step} {path}: {errno}")]
    Path {
        /// What was tried, as in "mount tmpfs to".
        step: String,
        /// The path, inside the container where the step is about the container's files.
        path: String,
        /// What the kernel said.
        errno: Errno,
    },
    /// A mount of the spec failed; runc's words.
    #[error("error mounting \"{source_path}\" to rootfs at \"{target}\": {reason}")]
    Mount {
        /// Source of the mount as the spec has it.
        source_path: String,
        /// Destination of the mount as the spec has it.
        target: String,
        /// The step and the error number, in words.
        reason: String,
        /// What the kernel said, for [`HasKind`].
        errno: Errno,
    },
    /// A namespace can't be had; says what would help.
    #[error("{0}")]
    Namespace(String),
    /// Something inside the container is not what it must be; going on could hand out the host.
    #[error("{what} {path}: possible container breakout detected")]
    Breakout {
        /// What was found, as in "is not on procfs:".
        what: String,
        /// Where.
        path: String,
    },
    /// A hook failed; says which, and what it printed.
    #[error("{0}")]
    Hook(String),
    /// The user asked for a cgroup limit and it can't be had.
    #[error("cgroup: {0}")]
    Cgroup(String),
    /// The seccomp profile can't be compiled or loaded.
    #[error("seccomp: {0}")]
    Seccomp(String),
    /// The program can't be executed.
    #[error(transparent)]
    Exec(#[from] ExecFailure),
    /// The container's first process is gone.
    #[error("container process {0} is not running")]
    NotRunning(i32),
    /// The container is paused: a process that joins it would stop before it could report.
    #[error("container process {0} is paused")]
    Paused(i32),
    /// The child died before it reported, for example killed for want of memory.
    #[error("the container's first process died during {step} ({how})")]
    Died {
        /// What it was doing.
        step: String,
        /// Its wait status in words.
        how: String,
    },
}

impl Error {
    /// A failed step without a path.
    pub(crate) fn step(step: impl Into<String>, errno: impl Into<Errno>) -> Self {
        Self::Step { step: step.into(), errno: errno.into() }
    }

    /// A failed step on a path.
    pub(crate) fn path(
        step: impl Into<String>,
        path: impl AsRef<std::path::Path>,
        errno: impl Into<Errno>,
    ) -> Self {
        Self::Path {
            step: step.into(),
            path: path.as_ref().to_string_lossy().into_owned(),
            errno: errno.into(),
        }
    }

    /// The error number, where the failure is a system call's.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Step { errno, .. } | Self::Path { errno, .. } | Self::Mount { errno, .. } => Some(*errno),
            Self::Exec(ExecFailure::Stat { errno, .. } | ExecFailure::Execve { errno, .. }) => Some(*errno),
            _ => None,
        }
    }

    /// The exit code that Docker shows for a container that could not start for this reason: 126 and 127 for
    /// its program, 128 for everything else.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Exec(failure) => failure.exit_code(),
            _ => 128,
        }
    }
}

impl HasKind for Error {
    fn kind(&self) -> Kind {
        match self {
            // Docker answers 400 when the program is not there or not executable.
            Self::Spec(_) | Self::Exec(_) => Kind::InvalidParameter,
            Self::Unsupported(_) => Kind::NotImplemented,
            Self::NotRunning(_) | Self::Paused(_) => Kind::Conflict,
            Self::Breakout { .. } => Kind::Forbidden,
            _ => Kind::System,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errno_speaks_as_go_does() {
        assert_eq!(Errno(libc::ENOENT).to_string(), "no such file or directory");
        assert_eq!(Errno(libc::ENOEXEC).to_string(), "exec format error");
        assert_eq!(Errno(libc::EPERM).to_string(), "operation not permitted");
        assert_eq!(Errno(libc::EACCES).to_string(), "permission denied");
    }

    #[test]
    fn exec_failures_have_dockers_words_and_codes() {
        let missing = ExecFailure::NotInPath("foo".into());
        assert_eq!(missing.to_string(), "exec: \"foo\": executable file not found in $PATH");
        assert_eq!(missing.exit_code(), 127);
        let stat = ExecFailure::Stat { path: "/x".into(), errno: Errno(libc::ENOENT) };
        assert_eq!(stat.to_string(), "exec: \"/x\": stat /x: no such file or directory");
        assert_eq!(stat.exit_code(), 127);
        assert_eq!(ExecFailure::Permission("/x".into()).exit_code(), 126);
        let format = ExecFailure::Execve { path: "/x".into(), errno: Errno(libc::ENOEXEC) };
        assert_eq!(format.to_string(), "exec /x: exec format error");
        assert_eq!(Error::Exec(format).exit_code(), 126);
    }

    #[test]
    fn an_error_survives_the_process_border() {
        let error = Error::path("open", "/proc/self", rustix::io::Errno::ACCESS);
        let json = serde_json::to_string(&error).unwrap();
        assert_eq!(serde_json::from_str::<Error>(&json).unwrap(), error);
    }
}
