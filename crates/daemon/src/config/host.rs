//! Addresses to serve on.

use super::ConfigError;
use std::{fmt, path::PathBuf};

/// The port of a tcp address without one.
const DEFAULT_PORT: u16 = 2375;

/// An address to serve on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A unix socket.
    Unix(PathBuf),
    /// A TCP socket, without TLS.
    Tcp {
        /// A name or address; IPv6 without brackets.
        host: String,
        /// The port.
        port: u16,
    },
}

impl Host {
    /// Reads `unix:///path`, `tcp://host:port` or `host:port`.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let bad = |why: &str| ConfigError::Value(format!("invalid bind address ({text}): {why}"));
        let (protocol, address) = text.split_once("://").unwrap_or(("tcp", text));
        match protocol {
            "unix" if address.starts_with('/') => Ok(Self::Unix(PathBuf::from(address))),
            "unix" => Err(bad("a unix socket needs an absolute path")),
            "tcp" => {
                if address.contains('/') {
                    return Err(bad("should not contain a path element"));
                }
                let (host, port) = match address.strip_prefix('[') {
                    Some(rest) => {
                        let (host, port) =
                            rest.split_once(']').ok_or_else(|| bad("missing ']' in address"))?;
                        (host, port.strip_prefix(':').unwrap_or(port))
                    }
                    None => address.rsplit_once(':').unwrap_or((address, "")),
                };
                let port = match port {
                    "" => DEFAULT_PORT,
                    port => port.parse().map_err(|_| bad("invalid port"))?,
                };
                let host = if host.is_empty() { "127.0.0.1" } else { host };
                Ok(Self::Tcp { host: host.to_owned(), port })
            }
            "fd" => Err(bad(
                "sockets handed over by systemd are not supported by this version of brig: use unix://",
            )),
            other => Err(bad(&format!("unsupported proto '{other}'"))),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
        }
    }
}
