//! Which host ports containers have taken. Pure; rebuilt from the stored endpoints.

use crate::{Protocol, error::PublishError};
use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    ops::RangeInclusive,
};

/// The table of taken ports.
#[derive(Debug, Clone)]
pub struct Ports {
    ephemeral: RangeInclusive<u16>,
    taken: HashMap<(Protocol, u16), HashSet<IpAddr>>,
    last: HashMap<(Protocol, RangeInclusive<u16>), u16>,
}

impl Ports {
    /// An empty table; `ephemeral` is where ports come from that nobody chose.
    #[must_use]
    pub fn new(ephemeral: RangeInclusive<u16>) -> Self {
        Self { ephemeral, taken: HashMap::new(), last: HashMap::new() }
    }

    /// Takes one port for all of `ips`: the only one of a range of one, else the next free one after the last that
    /// this range gave. No range: the ephemeral one.
    ///
    /// # Errors
    /// [`PublishError::Allocated`] when the one port is taken, [`PublishError::RangeExhausted`] when all of the
    /// range are, [`PublishError::InvalidRange`] when it is empty or begins at zero.
    pub fn take(
        &mut self,
        protocol: Protocol,
        ips: &[IpAddr],
        range: Option<&RangeInclusive<u16>>,
    ) -> Result<u16, PublishError> {
        let range = range.unwrap_or(&self.ephemeral).clone();
        let (first, last) = (*range.start(), *range.end());
        if first == 0 || last < first {
            return Err(PublishError::InvalidRange { first, last });
        }
        let port = if first == last {
            if let Some(ip) = self.conflict(protocol, ips, first) {
                return Err(PublishError::Allocated { ip, port: first });
            }
            first
        } else {
            let key = (protocol, range);
            let after = self.last.get(&key).copied().unwrap_or(last);
            let found = (after..=last)
                .skip(1)
                .chain(first..=after)
                .find(|&p| p >= first && self.conflict(protocol, ips, p).is_none())
                .ok_or(PublishError::RangeExhausted)?;
            self.last.insert(key, found);
            found
        };
        self.insert(protocol, ips, port);
        Ok(port)
    }

    /// Marks a port as taken, as a stored record says.
    pub fn insert(&mut self, protocol: Protocol, ips: &[IpAddr], port: u16) {
        self.taken.entry((protocol, port)).or_default().extend(ips);
    }

    /// Gives a port back.
    pub fn release(&mut self, protocol: Protocol, ip: IpAddr, port: u16) {
        if let Some(ips) = self.taken.get_mut(&(protocol, port)) {
            ips.remove(&ip);
            if ips.is_empty() {
                self.taken.remove(&(protocol, port));
            }
        }
    }

    /// The taken address that keeps `port` from being taken for one of `ips`. The unspecified address clashes with
    /// all of its family.
    fn conflict(&self, protocol: Protocol, ips: &[IpAddr], port: u16) -> Option<IpAddr> {
        let taken = self.taken.get(&(protocol, port))?;
        ips.iter().find_map(|ip| {
            taken
                .iter()
                .find(|t| {
                    ip == *t || (ip.is_ipv4() == t.is_ipv4() && (ip.is_unspecified() || t.is_unspecified()))
                })
                .copied()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
    const ANY6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED);
    const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn one_port_once() {
        let mut p = Ports::new(32768..=60999);
        assert_eq!(p.take(Protocol::Tcp, &[ANY4, ANY6], Some(&(80..=80))).unwrap(), 80);
        let refused = p.take(Protocol::Tcp, &[LOCAL], Some(&(80..=80))).unwrap_err();
        assert_eq!(refused.to_string(), "Bind for 0.0.0.0:80 failed: port is already allocated");
        assert_eq!(p.take(Protocol::Udp, &[ANY4], Some(&(80..=80))).unwrap(), 80);
        p.release(Protocol::Tcp, ANY4, 80);
        assert_eq!(p.take(Protocol::Tcp, &[LOCAL], Some(&(80..=80))).unwrap(), 80);
        let refused = p.take(Protocol::Tcp, &[ANY4], Some(&(80..=80))).unwrap_err();
        assert_eq!(refused.to_string(), "Bind for 127.0.0.1:80 failed: port is already allocated");
        let refused = p.take(Protocol::Tcp, &[ANY6], Some(&(80..=80))).unwrap_err();
        assert_eq!(refused.to_string(), "Bind for :::80 failed: port is already allocated");
    }

    #[test]
    fn ranges_go_round() {
        let mut p = Ports::new(10..=12);
        let mut take = |ip| p.take(Protocol::Tcp, &[ip], None);
        assert_eq!(take(ANY4).unwrap(), 10);
        assert_eq!(take(LOCAL).unwrap(), 11);
        assert_eq!(take(ANY6).unwrap(), 12);
        assert_eq!(take(ANY6).unwrap(), 10);
        assert_eq!(take(ANY4).unwrap(), 12);
        assert!(matches!(take(ANY4), Err(PublishError::RangeExhausted)));
        p.release(Protocol::Tcp, LOCAL, 11);
        assert_eq!(p.take(Protocol::Tcp, &[ANY4], None).unwrap(), 11);
        assert_eq!(p.take(Protocol::Tcp, &[ANY6], Some(&(65534..=65535))).unwrap(), 65534);
        assert_eq!(p.take(Protocol::Tcp, &[ANY6], Some(&(65534..=65535))).unwrap(), 65535);
        assert!(p.take(Protocol::Tcp, &[ANY6], Some(&(65534..=65535))).is_err());
    }

    #[test]
    #[allow(clippy::reversed_empty_ranges, reason = "that is what is tested")]
    fn ranges_that_make_no_sense() {
        let mut p = Ports::new(10..=12);
        for bad in [0..=0, 0..=5, 9..=8] {
            assert!(matches!(
                p.take(Protocol::Tcp, &[ANY4], Some(&bad)),
                Err(PublishError::InvalidRange { .. })
            ));
        }
    }
}
