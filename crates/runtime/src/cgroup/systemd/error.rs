//! Why systemd's driver failed.

use crate::dbus::DbusError;

/// A failure of systemd's driver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SystemdError {
    /// The machine was not started by systemd. The words before the colon are runc's.
    #[error(
        "systemd cgroup flag passed, but systemd support for managing cgroups is not available: no /run/systemd/system \
         here; leave --systemd-cgroup out, and let cgroupsPath be a path"
    )]
    NotRunning,
    /// A user without a manager of their own.
    #[error(
        "no systemd of this user is known: set DBUS_SESSION_BUS_ADDRESS, or XDG_RUNTIME_DIR to a folder with bus or \
         systemd/private in it (Debian: package dbus-user-session; log in anew after installing it)"
    )]
    NoUserManager,
    /// Version 1 is root's alone.
    #[error("cannot use rootless systemd cgroups manager on cgroup v1")]
    RootlessV1,
    /// `cgroupsPath` of another form; runc's words.
    #[error(
        "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got {0:?} instead"
    )]
    Form(String),
    /// A bad slice; runc's words.
    #[error("invalid slice name: {0}")]
    Slice(String),
    /// A bad name of a unit.
    #[error("invalid unit name {0:?}: letters, digits and :_.-\\@ only, at most 255, and no slice")]
    Unit(String),
    /// An annotation that is no property.
    #[error("annotation {key}: {reason}")]
    Annotation {
        /// Its key.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// A limit that can't be said.
    #[error("{file}={value:?}: {reason}")]
    Limit {
        /// The file that says it otherwise.
        file: String,
        /// What it should say.
        value: String,
        /// What is wrong.
        reason: String,
    },
    /// No talk with systemd came about.
    #[error("{0}")]
    Talk(#[from] DbusError),
    /// systemd refused.
    #[error("{step} unit {unit:?}: {error}")]
    Refused {
        /// What was asked, as in "start".
        step: &'static str,
        /// Of which unit.
        unit: String,
        /// Its answer.
        error: DbusError,
    },
    /// A job came to nothing.
    #[error("{step} unit {unit:?}: systemd says {result:?}; `systemctl status {unit}` may tell why")]
    Job {
        /// What was asked.
        step: &'static str,
        /// Of which unit.
        unit: String,
        /// `failed`, `canceled`, `timeout`, ...
        result: String,
    },
    /// systemd has answered with something else than its interface says.
    #[error("{0}: an unexpected answer of systemd")]
    Answer(&'static str),
}

impl SystemdError {
    /// Whether what was asked for makes no sense, whatever the machine is.
    pub(in super::super) fn is_of_the_caller(&self) -> bool {
        matches!(
            self,
            Self::Form(_) | Self::Slice(_) | Self::Unit(_) | Self::Annotation { .. } | Self::Limit { .. }
        )
    }
}
