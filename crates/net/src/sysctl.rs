//! The kernel's settings under /proc/sys/net, which are those of the calling thread's network namespace.

use crate::Error;
use std::{fs, io, ops::RangeInclusive, path::PathBuf};

/// What became of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It had this value.
    Kept,
    /// It has this value now.
    Changed,
    /// The kernel has no such setting (no IPv6, say).
    Absent,
}

/// Makes a setting (`ipv4/ip_forward`) have a value. One that has it already is not written, since /proc/sys is
/// read-only in many containers.
pub fn set(name: &str, value: &str) -> Result<Outcome, Error> {
    let path = PathBuf::from("/proc/sys/net").join(name);
    match fs::read_to_string(&path) {
        Ok(present) if present.trim() == value => return Ok(Outcome::Kept),
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Outcome::Absent),
        Err(source) => return Err(Error::Sysctl { path, source }),
    }
    fs::write(&path, value).map(|()| Outcome::Changed).map_err(|source| Error::Sysctl { path, source })
}

/// Whether bridged packets go through the IP hooks (the `br_netfilter` module).
#[must_use]
pub fn bridges_filter() -> bool {
    fs::read("/proc/sys/net/bridge/bridge-nf-call-iptables").is_ok_and(|v| v.starts_with(b"1"))
}

/// The ports that the kernel picks from by itself, or the kernel's default for them.
#[must_use]
pub fn ephemeral_ports() -> RangeInclusive<u16> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut numbers = text.split_whitespace().map_while(|n| n.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(first), Some(last)) if 0 < first && first <= last => first..=last,
        _ => 32768..=60999,
    }
}

/// Whether the host speaks IPv6 at all.
#[must_use]
pub fn has_ipv6() -> bool {
    fs::metadata("/proc/net/if_inet6").is_ok_and(|m| m.is_file())
        && !fs::read("/proc/sys/net/ipv6/conf/all/disable_ipv6").is_ok_and(|v| v.starts_with(b"1"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn settings_of_a_namespace_of_its_own() {
        let (_fd, outcomes) = crate::netns::create(crate::netns::current().unwrap().as_fd(), |_| {
            let name = "ipv4/conf/lo/route_localnet";
            Ok([set(name, "1")?, set(name, "1")?, set("ipv4/no_such_thing", "1")?])
        })
        .unwrap();
        assert_eq!(outcomes, [Outcome::Changed, Outcome::Kept, Outcome::Absent]);
        assert!(matches!(set("ipv4/conf", "1"), Err(Error::Sysctl { .. })));
    }
}
