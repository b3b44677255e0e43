//! Which driver keeps a container's log, where, and how much of it.

use crate::Error;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// Where and how a container's log is kept. Made by the daemon, carried out by the shim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogConfig {
    /// The driver with its settings.
    pub driver: Driver,
    /// The current log file; rotated ones lie beside it.
    pub path: PathBuf,
    /// Written as `attrs` into every record (`--log-opt tag|labels|env`); usually empty.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attrs: BTreeMap<String, String>,
}

/// A log driver with its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "name")]
pub enum Driver {
    /// Docker's default: one JSON object a line.
    JsonFile {
        /// When a file is full and how many are kept.
        rotation: Rotation,
    },
    /// The same in a file of brig's own, for nobody else to read, with Docker's bounds of its `local` driver.
    Local {
        /// When a file is full and how many are kept.
        rotation: Rotation,
    },
    /// Nothing is kept.
    None,
}

impl Driver {
    /// How the files that it writes rotate; `None` where it writes none.
    #[must_use]
    pub const fn rotation(self) -> Option<Rotation> {
        match self {
            Self::JsonFile { rotation } | Self::Local { rotation } => Some(rotation),
            Self::None => None,
        }
    }
}

/// When a log file is full and how many are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// Bytes after which a new file is begun; `None` never.
    pub max_size: Option<u64>,
    /// Files kept in all, the current one included; at least 1. With 1, the full file is emptied.
    pub max_file: u32,
}

impl Default for Rotation {
    /// 100 MiB in three files. Docker's `json-file` grows until the disk is full; 300 MiB is more than anyone
    /// scrolls through and less than any disk's end. `max-size=-1` gives Docker's behaviour back.
    fn default() -> Self {
        Self { max_size: Some(100 << 20), max_file: 3 }
    }
}

impl Rotation {
    /// What Docker's `local` driver keeps: 20 MB in five files.
    const LOCAL: Self = Self { max_size: Some(20_000_000), max_file: 5 };
}

/// Drivers that Docker has and brig does not.
const LATER: [&str; 4] = ["awslogs", "splunk", "etwlogs", "gcplogs"];

/// Those whose records are sent on from a local file.
const REMOTE: [&str; 4] = ["syslog", "journald", "gelf", "fluentd"];

impl LogConfig {
    /// Reads Docker's `--log-driver` and `--log-opt`. An empty driver name is the default, `json-file`.
    ///
    /// `tag`, `labels`, `labels-regex`, `env` and `env-regex` are accepted here and left to the caller, who knows
    /// the container, to put into [`LogConfig::attrs`].
    ///
    /// # Errors
    /// In Docker's words for an unknown driver or option and for a value out of range.
    pub fn from_docker(
        driver: &str,
        options: &BTreeMap<String, String>,
        path: PathBuf,
    ) -> Result<Self, Error> {
        let driver = match driver {
            "" | "json-file" => json_file(options)?,
            "local" => Driver::Local { rotation: local(options)? },
            "none" => Driver::None,
            name if REMOTE.contains(&name) => Driver::Local { rotation: cache(options)? },
            name if LATER.contains(&name) => return Err(Error::UnsupportedDriver(name.to_owned())),
            name => return Err(Error::UnknownDriver(name.to_owned())),
        };
        Ok(Self { driver, path, attrs: BTreeMap::new() })
    }
}

/// How much is kept of what is sent on, for who reads it here and while the receiver can't be reached.
fn cache(options: &BTreeMap<String, String>) -> Result<Rotation, Error> {
    let named = |from: &str, to: &str| options.get(from).map(|value| (to.to_owned(), value.clone()));
    let mode = named("mode", "mode");
    let pairs =
        [("cache-max-size", "max-size"), ("cache-max-file", "max-file"), ("cache-compress", "compress")];
    let own = pairs.into_iter().filter_map(|(from, to)| named(from, to)).chain(mode).collect();
    rotation(&own, Rotation::LOCAL)
}

fn local(options: &BTreeMap<String, String>) -> Result<Rotation, Error> {
    const KNOWN: [&str; 5] = ["max-size", "max-file", "compress", "mode", "max-buffer-size"];
    match options.keys().find(|option| !KNOWN.contains(&option.as_str())) {
        Some(option) => Err(Error::UnknownOption { option: option.clone(), driver: "local" }),
        None => rotation(options, Rotation::LOCAL),
    }
}

fn json_file(options: &BTreeMap<String, String>) -> Result<Driver, Error> {
    Ok(Driver::JsonFile { rotation: rotation(options, Rotation::default())? })
}

fn rotation(options: &BTreeMap<String, String>, default: Rotation) -> Result<Rotation, Error> {
    let mut rotation = default;
    for (option, value) in options {
        match option.as_str() {
            "max-size" if value == "-1" => rotation.max_size = None,
            "max-size" => {
                let size = parse_size(value).filter(|n| *n > 0).ok_or_else(|| Error::InvalidOption {
                    option: "max-size",
                    value: value.clone(),
                    reason: "expected a positive size such as 10m, or -1 for no limit",
                })?;
                rotation.max_size = Some(size);
            }
            "max-file" => {
                rotation.max_file =
                    value.parse().ok().filter(|n| (1..=100_000).contains(n)).ok_or_else(|| {
                        Error::InvalidOption {
                            option: "max-file",
                            value: value.clone(),
                            reason: "expected a number of files, at least 1",
                        }
                    })?;
            }
            "compress" if matches!(value.as_str(), "false" | "0" | "f" | "F" | "FALSE" | "False") => {}
            "compress" => {
                return Err(Error::InvalidOption {
                    option: "compress",
                    value: value.clone(),
                    reason: "compressed logs are not supported yet",
                });
            }
            // The file is local and written at once: there is nothing that blocks and no buffer to size.
            "mode" if matches!(value.as_str(), "" | "blocking" | "non-blocking") => {}
            "mode" => {
                return Err(Error::InvalidOption {
                    option: "mode",
                    value: value.clone(),
                    reason: "expected blocking or non-blocking",
                });
            }
            "max-buffer-size" | "tag" | "labels" | "labels-regex" | "env" | "env-regex" => {}
            _ => return Err(Error::UnknownOption { option: option.clone(), driver: "json-file" }),
        }
    }
    Ok(rotation)
}

/// Docker's sizes (go-units `FromHumanSize`): decimal factors, `k`, `m`, `g`, `t`, `p`, an optional `b`, any case.
fn parse_size(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().ok()?;
    let factor: f64 = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "p" | "pb" => 1e15,
        _ => return None,
    };
    // At most 1e18 here for any sane input; an absurd one saturates, which means "never full".
    Some((number * factor) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn parse(driver: &str, pairs: &[(&str, &str)]) -> Result<Driver, String> {
        LogConfig::from_docker(driver, &options(pairs), PathBuf::from("/x"))
            .map(|c| c.driver)
            .map_err(|e| e.to_string())
    }

    #[test]
    fn reads_dockers_options() {
        let json = |max_size, max_file| Ok(Driver::JsonFile { rotation: Rotation { max_size, max_file } });
        assert_eq!(parse("", &[]), json(Some(100 << 20), 3));
        assert_eq!(parse("json-file", &[("max-size", "10m"), ("max-file", "4")]), json(Some(10_000_000), 4));
        assert_eq!(parse("json-file", &[("max-size", "-1")]), json(None, 3));
        assert_eq!(parse("json-file", &[("max-size", "1.5KB"), ("max-file", "1")]), json(Some(1500), 1));
        assert_eq!(parse("none", &[]), Ok(Driver::None));
        let local = |max_size, max_file| Ok(Driver::Local { rotation: Rotation { max_size, max_file } });
        assert_eq!(parse("local", &[]), local(Some(20_000_000), 5));
        assert_eq!(parse("local", &[("max-size", "1m"), ("compress", "false")]), local(Some(1_000_000), 5));
        assert_eq!(
            parse("local", &[("tag", "x")]).unwrap_err(),
            "unknown log opt 'tag' for local log driver"
        );
    }

    #[test]
    fn refuses_in_dockers_words() {
        assert_eq!(parse("x", &[]).unwrap_err(), "logger: no log driver named 'x' is registered");
        assert_eq!(
            parse("json-file", &[("foo", "1")]).unwrap_err(),
            "unknown log opt 'foo' for json-file log driver"
        );
        assert!(parse("awslogs", &[]).unwrap_err().contains("not supported"));
        for bad in [("max-size", "0"), ("max-size", "x"), ("max-size", "1x"), ("max-file", "0")] {
            parse("json-file", &[bad]).unwrap_err();
        }
        parse("json-file", &[("mode", "sideways")]).unwrap_err();
        parse("json-file", &[("compress", "true")]).unwrap_err();
    }
}
