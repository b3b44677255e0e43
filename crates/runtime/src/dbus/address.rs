//! Where a bus listens: `unix:path=/run/dbus/system_bus_socket;unix:abstract=...`.

use super::error::DbusError;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::{Path, PathBuf};

/// Where a bus, or systemd itself, listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// A socket's file.
    Path(PathBuf),
    /// A name without a file.
    Abstract(Vec<u8>),
}

impl Address {
    /// All unix sockets of an address list, in its order.
    pub(crate) fn list(text: &str) -> Result<Vec<Self>, DbusError> {
        let found: Vec<_> = text.split(';').filter_map(one).collect();
        if found.is_empty() { Err(DbusError::Address(text.to_owned())) } else { Ok(found) }
    }

    /// Connects.
    pub(crate) fn connect(&self) -> std::io::Result<UnixStream> {
        match self {
            Self::Path(path) => UnixStream::connect(path),
            Self::Abstract(name) => UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?),
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Abstract(name) => write!(f, "@{}", String::from_utf8_lossy(name)),
        }
    }
}

fn one(text: &str) -> Option<Address> {
    let pairs = text.strip_prefix("unix:")?;
    pairs.split(',').find_map(|pair| match pair.split_once('=')? {
        ("path", value) => {
            let bytes = unescape(value)?;
            Some(Address::Path(Path::new(std::ffi::OsStr::from_bytes(&bytes)).to_owned()))
        }
        ("abstract", value) => Some(Address::Abstract(unescape(value)?)),
        _ => None,
    })
}

/// `%20` is a space.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let path = |path: &str| Address::Path(path.into());
        assert_eq!(Address::list("unix:path=/run/user/1000/bus").unwrap(), [path("/run/user/1000/bus")]);
        assert_eq!(Address::list("unix:guid=12,path=/a%20b%2c").unwrap(), [path("/a b,")]);
        let both = Address::list("tcp:host=x;unix:abstract=/tmp/dbus-x,guid=1;unix:path=/b").unwrap();
        assert_eq!(both, [Address::Abstract(b"/tmp/dbus-x".to_vec()), path("/b")]);
        for bad in ["", "tcp:host=x", "unix:tmpdir=/tmp", "unix:path=/a%2", "unix:path=/a%zz", "/run/bus"] {
            assert!(matches!(Address::list(bad), Err(DbusError::Address(_))), "{bad}");
        }
    }
}
