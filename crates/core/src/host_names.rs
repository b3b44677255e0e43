//! Names of hosts: the one place in which they are looked up.
//!
//! brig is a static binary. The C library would follow `/etc/nsswitch.conf` and load modules (`libnss_*.so`) that
//! were built for another release of itself than the one in the binary, which ends in a crash at worst. So
//! names are looked up in `/etc/hosts` and by DNS alone, as Docker's own static binaries do.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
};

/// The addresses of a name (or of an address, which is its own) with a port. Blocks while it asks.
///
/// # Errors
/// When the name is unknown, or nobody can be asked.
pub fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    files_and_dns_only();
    Ok((host, port).to_socket_addrs()?.collect())
}

#[cfg(target_env = "gnu")]
fn files_and_dns_only() {
    use std::{ffi::c_char, ffi::c_int, sync::Once};

    unsafe extern "C" {
        fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
    }
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: both are strings that end in NUL and live for ever. The C library takes a lock of its own. It fails
        // for unknown databases and syntax errors only, so there is nothing to be told.
        let _ = unsafe { __nss_configure_lookup(c"hosts".as_ptr(), c"files dns".as_ptr()) };
    });
}

/// Other C libraries know files and DNS only.
#[cfg(not(target_env = "gnu"))]
fn files_and_dns_only() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_their_own_and_names_are_looked_up() {
        assert_eq!(resolve("::1", 1).unwrap(), ["[::1]:1".parse().unwrap()]);
        assert_eq!(resolve("127.0.0.2", 80).unwrap(), ["127.0.0.2:80".parse().unwrap()]);
        assert!(resolve("localhost", 80).unwrap().iter().all(|a| a.ip().is_loopback() && a.port() == 80));
        assert!(resolve("no such host", 80).is_err());
    }
}
