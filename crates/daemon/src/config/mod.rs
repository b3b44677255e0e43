//! What the daemon is told: by flags and by a file in dockerd's form, one table of options for both.
mod file;
mod flags;
mod help;
mod host;
mod merge;
mod table;
mod typed;
mod value;

pub use host::Host;
pub use merge::load;
pub use typed::{Config, LogFormat, LogLevel, StorageDriver};

use std::path::PathBuf;

/// The configuration file that is read when none is named; it may be missing.
pub const DEFAULT_FILE: &str = "/etc/brig/daemon.json";

/// Why the daemon can't be configured. The texts are dockerd's where it has them.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A flag, or a use of one, that makes no sense.
    #[error("{0}\nSee 'brig daemon --help'.")]
    Flag(String),
    /// The file can't be used.
    #[error("unable to configure the Docker daemon with file {}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// A value that makes no sense.
    #[error("{0}")]
    Value(String),
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// Serve.
    Run(Box<Config>),
    /// Only say whether the configuration is good.
    Validate,
    /// Show the help.
    Help(String),
    /// Show the version.
    Version,
}

#[cfg(test)]
mod tests;
