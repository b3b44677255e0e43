//! Addresses of daemons: `unix:///run/brig/brig.sock`, `tcp://127.0.0.1:2375`.

use super::Error;
use std::{fmt, path::PathBuf};

/// The port of a tcp address without one.
const DEFAULT_PORT: u16 = 2375;

/// Where a daemon is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A unix socket.
    Unix(PathBuf),
    /// A host and port, without TLS.
    Tcp {
        /// A name or address; IPv6 without brackets.
        host: String,
        /// The port.
        port: u16,
    },
}

impl Endpoint {
    /// Reads the address of `-H` or `DOCKER_HOST`.
    ///
    /// # Errors
    /// When it is no address, or of a protocol that is not spoken.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = || Error::Host(text.to_owned());
        let (protocol, address) = text.split_once("://").ok_or_else(bad)?;
        match protocol {
            "unix" if address.is_empty() => Err(bad()),
            "unix" => Ok(Self::Unix(PathBuf::from(address))),
            "tcp" | "http" => {
                let address = address.split('/').next().unwrap_or_default();
                let (host, port) = match address.strip_prefix('[') {
                    Some(v6) => {
                        let (host, rest) = v6.split_once(']').ok_or_else(bad)?;
                        (host, rest.strip_prefix(':').or_else(|| rest.is_empty().then_some("")))
                    }
                    None => match address.rsplit_once(':') {
                        Some((host, port)) => (host, Some(port)),
                        None => (address, Some("")),
                    },
                };
                let port = match port.ok_or_else(bad)? {
                    "" => DEFAULT_PORT,
                    port => port.parse().map_err(|_| bad())?,
                };
                if host.contains(':') && !address.starts_with('[') {
                    return Err(bad());
                }
                let host = if host.is_empty() { "127.0.0.1" } else { host };
                Ok(Self::Tcp { host: host.to_owned(), port })
            }
            other => Err(Error::Protocol(other.to_owned())),
        }
    }

    /// The `Host` header of requests.
    pub(super) fn host_header(&self) -> String {
        match self {
            Self::Unix(_) => "localhost".to_owned(),
            Self::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Tcp { host, port } => format!("{host}:{port}"),
        }
    }

    /// What Go tells of a failed connection: network and address.
    pub(super) fn dial(&self) -> String {
        match self {
            Self::Unix(path) => format!("unix {}", path.display()),
            Self::Tcp { .. } => format!("tcp {}", self.host_header()),
        }
    }

    /// The full address of a request, as Go shows it in errors.
    pub(super) fn url(&self, path_and_query: &str) -> String {
        let host = match self {
            Self::Unix(path) => super::request::escape_query(&path.to_string_lossy()),
            Self::Tcp { .. } => self.host_header(),
        };
        format!("http://{host}{path_and_query}")
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { .. } => write!(f, "tcp://{}", self.host_header()),
        }
    }
}
