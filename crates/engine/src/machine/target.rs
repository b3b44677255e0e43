//! Where a check without a process goes: into the container's own network, so to an address, never to a name that would
//! have to be looked up.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Where a request goes, and for what it asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpTarget {
    /// The server.
    pub address: SocketAddr,
    /// What stands for the server in the request.
    pub host: String,
    /// The path with its query.
    pub path: String,
}

impl HttpTarget {
    /// Reads `http://HOST[:PORT][/PATH]`, or as short as `:8080/healthz` and `8080`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bare = text.strip_prefix("http://").unwrap_or(text);
        if bare.is_empty()
            || bare.contains("://")
            || bare.chars().any(|c| c.is_control() || c == ' ' || c == '#')
        {
            return None;
        }
        let at = bare.find(['/', '?']).unwrap_or(bare.len());
        let (server, path) = bare.split_at(at);
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let address = server_at(server, Some(80))?;
        let host = if server.is_empty()
            || server.starts_with(':')
            || !server.contains(|c: char| !c.is_ascii_digit())
        {
            format!("localhost:{}", address.port())
        } else {
            server.to_owned()
        };
        Some(Self { address, host, path })
    }
}

/// Reads `HOST:PORT`, `:PORT` or `PORT`.
#[must_use]
pub fn tcp(text: &str) -> Option<SocketAddr> {
    server_at(text.strip_prefix("tcp://").unwrap_or(text), None)
}

fn server_at(text: &str, default: Option<u16>) -> Option<SocketAddr> {
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    if let Ok(address) = text.parse::<SocketAddr>() {
        return (address.port() > 0).then_some(address);
    }
    if let Some(port) = port(text) {
        return Some((Ipv4Addr::LOCALHOST, port).into());
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, given)) if !host.contains(':') || host.ends_with(']') => (host, Some(port(given)?)),
        _ => (text, None),
    };
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(v6) => IpAddr::V6(v6.parse().ok()?),
        None if host.is_empty() || host == "localhost" => Ipv4Addr::LOCALHOST.into(),
        None => host.parse().ok()?,
    };
    Some((host, port.or(default)?).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_addresses() {
        for (text, address) in [
            ("8080", "127.0.0.1:8080"),
            (":8080", "127.0.0.1:8080"),
            ("localhost:1", "127.0.0.1:1"),
            ("10.0.0.2:53", "10.0.0.2:53"),
            ("[::1]:53", "[::1]:53"),
            ("tcp://[::1]:53", "[::1]:53"),
        ] {
            assert_eq!(tcp(text), address.parse().ok(), "{text}");
        }
        for bad in ["", "0", "70000", "example.com:80", "localhost", "::1:53", "x:y", ":"] {
            assert_eq!(tcp(bad), None, "{bad}");
        }
    }

    #[test]
    fn requests_are_read() {
        let read = |text| HttpTarget::parse(text).map(|t| (t.address.to_string(), t.host, t.path));
        let expect = |a: &str, h: &str, p: &str| Some((a.to_owned(), h.to_owned(), p.to_owned()));
        assert_eq!(
            read("http://localhost:8080/ok?x=1"),
            expect("127.0.0.1:8080", "localhost:8080", "/ok?x=1")
        );
        assert_eq!(read(":8080"), expect("127.0.0.1:8080", "localhost:8080", "/"));
        assert_eq!(read("8080/a"), expect("127.0.0.1:8080", "localhost:8080", "/a"));
        assert_eq!(read("/a"), expect("127.0.0.1:80", "localhost:80", "/a"));
        assert_eq!(read("http://[::1]/"), expect("[::1]:80", "[::1]", "/"));
        for bad in
            ["https://localhost/", "http://example.com/", "http://localhost/a b", "localhost/\r\nX: y", ""]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
