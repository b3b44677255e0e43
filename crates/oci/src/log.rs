//! The log: runc's text or JSON lines, to a file or to standard error.
//!
//! containerd's and Podman's monitors read the last line of level `error` from the JSON file and show its `msg` to the
//! user, so a failure is written there in one line, and to standard error as well.

use crate::args::Parsed;
use crate::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Instant;

/// Where to write, and how.
#[derive(Debug)]
pub(crate) struct Log {
    file: Option<File>,
    json: bool,
    debug: bool,
    begun: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Error,
    Warning,
    Debug,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Debug => "debug",
        }
    }

    fn abbreviation(self) -> &'static str {
        match self {
            Self::Error => "ERRO",
            Self::Warning => "WARN",
            Self::Debug => "DEBU",
        }
    }
}

impl Log {
    /// As the global flags say.
    pub(crate) fn open(global: &Parsed) -> Result<Self, Error> {
        let json = match global.text("log-format").unwrap_or("text") {
            "text" | "" => false,
            "json" => true,
            other => return Err(Error::Usage(format!("invalid log-format: {other}"))),
        };
        let open = |path: &str| {
            let mut options = OpenOptions::new();
            options.create(true).append(true).mode(0o644).custom_flags(libc::O_CLOEXEC);
            options.open(path).map_err(Error::file("open log", path))
        };
        let file = global.text("log").filter(|path| !path.is_empty()).map(open).transpose()?;
        Ok(Self { file, json, debug: global.is_set("debug"), begun: Instant::now() })
    }

    /// A failure, to the log and to standard error.
    pub(crate) fn error(&self, message: &str) {
        if self.file.is_some() {
            eprintln!("{message}");
        }
        self.write(Level::Error, message);
    }

    /// Something that was left out.
    pub(crate) fn warn(&self, message: &str) {
        self.write(Level::Warning, message);
    }

    /// What is being done, when asked for.
    pub(crate) fn debug(&self, message: &str) {
        if self.debug {
            self.write(Level::Debug, message);
        }
    }

    fn write(&self, level: Level, message: &str) {
        let terminal = self.file.is_none() && std::io::stderr().is_terminal();
        let line = self.line(level, message, terminal);
        // A log that can't be written must not fail the container.
        let _ = match &self.file {
            Some(file) => (&*file).write_all(line.as_bytes()),
            None => std::io::stderr().lock().write_all(line.as_bytes()),
        };
    }

    fn line(&self, level: Level, message: &str, terminal: bool) -> String {
        let time = || jiff::Zoned::now().strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
        let text = |t: &str| serde_json::Value::from(t).to_string();
        if self.json {
            return format!(
                "{{\"level\":\"{}\",\"msg\":{},\"time\":\"{}\"}}\n",
                level.name(),
                text(message),
                time()
            );
        }
        if terminal {
            let seconds = self.begun.elapsed().as_secs();
            return format!("{}[{seconds:04}] {message}\n", level.abbreviation());
        }
        format!("time=\"{}\" level={} msg={}\n", time(), level.name(), text(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(json: bool) -> Log {
        Log { file: None, json, debug: false, begun: Instant::now() }
    }

    #[test]
    fn json_is_one_line_that_can_be_parsed() {
        let line = log(true).line(Level::Error, "two \"quoted\"\nlines", false);
        assert_eq!(line.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["level"], "error");
        assert_eq!(value["msg"], "two \"quoted\"\nlines");
        let time = value["time"].as_str().unwrap();
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
    }

    #[test]
    fn text_for_people_and_for_files() {
        assert_eq!(log(false).line(Level::Warning, "w", true), "WARN[0000] w\n");
        let line = log(false).line(Level::Error, "e \"x\"", false);
        assert!(line.ends_with("level=error msg=\"e \\\"x\\\"\"\n"), "{line}");
    }
}
