//! Log drivers that hand records to somebody else. The shim writes the container's output to a file as for the `local`
//! driver; the daemon sends on from there what it has not sent yet. What is here is pure: settings, and records as each
//! receiver wants them. Who connects and sends is the engine.

mod address;
pub mod fluentd;
pub mod gelf;
pub mod journald;
mod msgpack;
pub mod syslog;

pub use address::Address;

use crate::{Error, Record, Stream};
use std::collections::BTreeMap;

/// A receiver with its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remote {
    /// The system's journal.
    Journald,
    /// A syslog daemon, here or elsewhere.
    Syslog(syslog::Settings),
    /// Graylog.
    Gelf(gelf::Settings),
    /// Fluentd.
    Fluentd(fluentd::Settings),
}

/// What every record of a container says of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The container's id in full.
    pub id: String,
    /// Its name, without a slash.
    pub name: String,
    /// The id of its image.
    pub image_id: String,
    /// Its image as it was asked for.
    pub image: String,
    /// What it runs.
    pub command: String,
    /// When it was made, in RFC 3339.
    pub created: String,
    /// The name of this machine.
    pub host: String,
    /// The number of the process that sends.
    pub pid: u32,
    /// `--log-opt tag`, filled in.
    pub tag: String,
    /// What `labels`, `env` and their patterns pick.
    pub extra: BTreeMap<String, String>,
}

impl Facts {
    fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }
}

/// One message for a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The datagrams, or the bytes of a stream, in order.
    pub parts: Vec<Vec<u8>>,
    /// What the receiver answers when it has stored it, where it is asked to.
    pub ack: Option<String>,
}

impl Message {
    fn of(bytes: Vec<u8>) -> Self {
        Self { parts: vec![bytes], ack: None }
    }
}

/// Options that all drivers take, and that are not the receiver's business.
const COMMON: [&str; 11] = [
    "tag",
    "labels",
    "labels-regex",
    "env",
    "env-regex",
    "mode",
    "max-buffer-size",
    "cache-disabled",
    "cache-max-size",
    "cache-max-file",
    "cache-compress",
];

impl Remote {
    /// Reads Docker's options of a driver; `None` when the driver is none that sends.
    ///
    /// # Errors
    /// In Docker's words for an unknown option and a value that can't be.
    pub fn from_docker(driver: &str, options: &BTreeMap<String, String>) -> Result<Option<Self>, Error> {
        let (name, own): (_, &[&str]) = match driver {
            "journald" => ("journald", &[]),
            "syslog" => ("syslog", &syslog::OPTIONS),
            "gelf" => ("gelf", &gelf::OPTIONS),
            "fluentd" => ("fluentd", &fluentd::OPTIONS),
            _ => return Ok(None),
        };
        let known = |option: &&String| COMMON.contains(&option.as_str()) || own.contains(&option.as_str());
        if let Some(option) = options.keys().find(|option| !known(option)) {
            return Err(Error::UnknownOption { option: option.clone(), driver: name });
        }
        Ok(Some(match name {
            "syslog" => Self::Syslog(syslog::Settings::read(options)?),
            "gelf" => Self::Gelf(gelf::Settings::read(options)?),
            "fluentd" => Self::Fluentd(fluentd::Settings::read(options)?),
            _ => Self::Journald,
        }))
    }

    /// Where it is sent to; the first that can be reached.
    #[must_use]
    pub fn addresses(&self) -> Vec<Address> {
        match self {
            Self::Journald => vec![Address::Datagram(journald::SOCKET.into())],
            Self::Syslog(settings) => settings.addresses(),
            Self::Gelf(settings) => vec![settings.address.clone()],
            Self::Fluentd(settings) => vec![settings.address.clone()],
        }
    }

    /// How the receiver wants a record; `None` when it is not to have it.
    #[must_use]
    pub fn message(&self, facts: &Facts, record: &Record, number: u64) -> Option<Message> {
        match self {
            Self::Journald => Some(Message::of(journald::encode(facts, record))),
            Self::Syslog(settings) => Some(Message::of(settings.encode(facts, record))),
            Self::Gelf(settings) => settings.encode(facts, record, number),
            Self::Fluentd(settings) => Some(settings.encode(facts, record, number)),
        }
    }
}

/// A record's line without what ended it.
fn line(record: &Record) -> &str {
    record.text.strip_suffix('\n').unwrap_or(&record.text)
}

/// Whether the line goes on in the next record.
fn is_partial(record: &Record) -> bool {
    !record.text.ends_with('\n')
}

/// 3 for what was written to the standard error, 6 for the rest: syslog's severities.
fn severity(record: &Record) -> u8 {
    if record.stream == Stream::Stderr { 3 } else { 6 }
}

fn invalid(option: &'static str, value: &str, reason: &'static str) -> Error {
    Error::InvalidOption { option, value: value.to_owned(), reason }
}

/// What Go's `strconv.ParseBool` takes.
fn boolean(options: &BTreeMap<String, String>, option: &'static str) -> Result<bool, Error> {
    match options.get(option).map_or("false", String::as_str) {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        other => Err(invalid(option, other, "expected true or false")),
    }
}

#[cfg(test)]
mod tests;
