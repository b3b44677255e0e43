//! What a command can fail with, and the exit code that tells it.

use brig_api::client;
use std::io;

/// A failed command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The daemon refused, or can't be reached.
    #[error(transparent)]
    Api(#[from] client::Error),
    /// Said as it is, with exit code 1.
    #[error("{0}")]
    Message(String),
    /// Said as it is (or not at all when it is empty), with this exit code.
    #[error("{message}")]
    Exit {
        /// What to say.
        message: String,
        /// The exit code.
        code: u8,
    },
    /// Several operands failed; each was already told of.
    #[error("")]
    Told,
    /// A stream of the client's own failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl From<String> for Error {
    fn from(message: String) -> Self {
        Self::Message(message)
    }
}

impl From<&str> for Error {
    fn from(message: &str) -> Self {
        Self::Message(message.to_owned())
    }
}

impl Error {
    /// Ends with this exit code and no word.
    #[must_use]
    pub fn silent(code: u8) -> Self {
        Self::Exit { message: String::new(), code }
    }

    /// The exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Exit { code, .. } => *code,
            _ => 1,
        }
    }

    /// Whether standard output was closed by its reader, which is no failure worth a word.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Io(e) if e.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// A command's result.
pub type Result<T = ()> = std::result::Result<T, Error>;

/// An error of the system in Go's words: the bare text of its number.
#[must_use]
pub fn os_text(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => {
            let text = io::Error::from_raw_os_error(number).to_string();
            let bare = text.split_once(" (os error").map_or(text.as_str(), |(t, _)| t);
            let mut chars = bare.chars();
            chars.next().map(|c| c.to_lowercase().collect::<String>() + chars.as_str()).unwrap_or_default()
        }
        None => error.to_string(),
    }
}
