//! Where records are sent.

use std::path::PathBuf;

/// Where records are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `host:port`, one datagram a record.
    Udp(String),
    /// `host:port`, a connection.
    Tcp(String),
    /// `host:port`, a connection that is encrypted.
    Tls(String),
    /// A socket in the file system that takes datagrams.
    Datagram(PathBuf),
    /// A socket in the file system that takes connections.
    Stream(PathBuf),
}

impl Address {
    /// Reads `scheme://rest`; `port` is that of an address without one. `None` for what is no address.
    pub(super) fn read(text: &str, port: u16) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let rest = rest.trim_end_matches('/');
        Some(match scheme {
            "udp" => Self::Udp(with_port(rest, port)?),
            "tcp" => Self::Tcp(with_port(rest, port)?),
            "tcp+tls" | "tls" => Self::Tls(with_port(rest, port)?),
            "unix" if rest.starts_with('/') => Self::Stream(rest.into()),
            "unixgram" if rest.starts_with('/') => Self::Datagram(rest.into()),
            _ => return None,
        })
    }
}

/// `host:port` of `host`, `host:port`, `[v6]` or `[v6]:port`.
pub(super) fn with_port(text: &str, port: u16) -> Option<String> {
    let (host, given) = match text.rsplit_once(':') {
        Some((host, given)) if !host.contains(':') || host.ends_with(']') => (host, Some(given)),
        _ => (text, None),
    };
    let is_host = !host.is_empty() && !host.chars().any(|c| c.is_whitespace() || c.is_control() || c == '/');
    let port = given.map_or(Some(port), |given| given.parse().ok())?;
    is_host.then(|| format!("{host}:{port}"))
}
