//! syslog: RFC 3164, RFC 5424, and what `/dev/log` takes.

use super::{Address, Facts, boolean, invalid, line, severity};
use crate::{Error, Record, timestamp};
use std::{collections::BTreeMap, path::PathBuf};

/// What Docker's driver takes.
pub(super) const OPTIONS: [&str; 7] = [
    "syslog-address",
    "syslog-facility",
    "syslog-format",
    "syslog-tls-ca-cert",
    "syslog-tls-cert",
    "syslog-tls-key",
    "syslog-tls-skip-verify",
];

/// Where a local daemon listens.
const LOCAL: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

/// The facilities, by number.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "",
    "", "", "", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

/// How a record is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// As a program on this machine does.
    Local,
    Rfc3164,
    /// With seconds, or with microseconds.
    Rfc5424 {
        micro: bool,
    },
}

/// Settings of a syslog driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    address: Option<Address>,
    facility: u8,
    format: Format,
    /// How the other side is to prove who it is.
    pub tls: Tls,
}

/// Files for an encrypted connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Whom to trust; `None` for the system's.
    pub ca: Option<PathBuf>,
    /// Our own certificate.
    pub cert: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
    /// Trust anybody.
    pub skip_verify: bool,
}

impl Settings {
    pub(super) fn read(options: &BTreeMap<String, String>) -> Result<Self, Error> {
        let text = |name: &str| options.get(name).map_or("", String::as_str);
        let address = match text("syslog-address") {
            "" => None,
            given => Some(Address::read(given, 514).ok_or_else(|| {
                invalid(
                    "syslog-address",
                    given,
                    "expected udp://, tcp://, tcp+tls:// with a host, or unix://, unixgram:// with a path",
                )
            })?),
        };
        let facility = match text("syslog-facility") {
            "" => 3,
            given => FACILITIES
                .iter()
                .position(|name| *name == given)
                .or_else(|| given.parse().ok().filter(|number| *number < FACILITIES.len()))
                .ok_or_else(|| Error::Refused("invalid syslog facility".to_owned()))?
                as u8,
        };
        let format = match text("syslog-format") {
            "" if matches!(address, None | Some(Address::Stream(_) | Address::Datagram(_))) => Format::Local,
            "" | "rfc3164" => Format::Rfc3164,
            "rfc5424" => Format::Rfc5424 { micro: false },
            "rfc5424micro" => Format::Rfc5424 { micro: true },
            _ => return Err(Error::Refused("Invalid syslog format".to_owned())),
        };
        let file = |name: &str| Some(text(name)).filter(|path| !path.is_empty()).map(PathBuf::from);
        let tls = Tls {
            ca: file("syslog-tls-ca-cert"),
            cert: file("syslog-tls-cert"),
            key: file("syslog-tls-key"),
            skip_verify: boolean(options, "syslog-tls-skip-verify")?,
        };
        Ok(Self { address, facility, format, tls })
    }

    pub(super) fn addresses(&self) -> Vec<Address> {
        match &self.address {
            // A path may be a socket of either sort.
            Some(Address::Stream(path)) => {
                vec![Address::Stream(path.clone()), Address::Datagram(path.clone())]
            }
            Some(address) => vec![address.clone()],
            None => LOCAL
                .iter()
                .flat_map(|path| [Address::Datagram(path.into()), Address::Stream(path.into())])
                .collect(),
        }
    }

    pub(super) fn encode(&self, facts: &Facts, record: &Record) -> Vec<u8> {
        let priority = self.facility * 8 + severity(record);
        let (tag, pid, host, text) = (&facts.tag, facts.pid, &facts.host, line(record));
        let at = record.time;
        let text = match self.format {
            Format::Local => format!("<{priority}>{} {tag}[{pid}]: {text}", timestamp::stamp(at)),
            Format::Rfc3164 => format!("<{priority}>{} {host} {tag}[{pid}]: {text}", timestamp::stamp(at)),
            Format::Rfc5424 { micro } => {
                let time = timestamp::with_digits(at, if micro { 6 } else { 0 });
                format!("<{priority}>1 {time} {host} {tag} {pid} {tag} - {text}")
            }
        };
        match (&self.address, self.format) {
            // RFC 5425: each message has its length before it.
            (Some(Address::Tls(_)), Format::Rfc5424 { .. }) => format!("{} {text}", text.len()).into_bytes(),
            _ => format!("{text}\n").into_bytes(),
        }
    }
}
