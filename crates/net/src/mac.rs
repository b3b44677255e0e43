//! Hardware addresses.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, net::Ipv4Addr};

/// A 48-bit hardware address, written `02:42:ac:11:00:02`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// In place of the address of an interface that has none of its own.
    pub const NONE: Self = Self([0; 6]);

    /// As the API shows it: nothing where there is none.
    #[must_use]
    pub fn shown(self) -> String {
        if self == Self::NONE { String::new() } else { self.to_string() }
    }

    /// The address that belongs to `ip`: 02:42 and the four bytes. Derived, not random: whoever has the pair in
    /// its ARP cache stays right when the IP address passes to another container.
    #[must_use]
    pub fn from_ipv4(ip: Ipv4Addr) -> Self {
        let [a, b, c, d] = ip.octets();
        Self([0x02, 0x42, a, b, c, d])
    }

    /// A random, locally administered unicast address.
    #[must_use]
    pub fn random() -> Self {
        let id = brig_core::Id::random();
        let bytes = id.as_bytes();
        let mut mac = [0; 6];
        mac.copy_from_slice(&bytes[..6]);
        mac[0] = mac[0] & !1 | 2;
        Self(mac)
    }

    /// Reads six pairs of hex digits with `:` or `-` between them; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut parts = text.split(separator);
        let mut mac = [0; 6];
        for byte in &mut mac {
            let part = parts.next().filter(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit()))?;
            *byte = u8::from_str_radix(part, 16).ok()?;
        }
        parts.next().is_none().then_some(Self(mac))
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl Serialize for MacAddr {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MacAddr {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("expected a hardware address"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_from_the_address_as_docker_did() {
        let mac = MacAddr::from_ipv4(Ipv4Addr::new(172, 17, 0, 2));
        assert_eq!(mac.to_string(), "02:42:ac:11:00:02");
        assert_eq!(MacAddr::parse("02:42:AC:11:00:02"), Some(mac));
        assert_eq!(MacAddr::parse("02-42-ac-11-00-02"), Some(mac));
    }

    #[test]
    fn refuses_what_is_none() {
        for bad in ["", "02:42:ac:11:00", "02:42:ac:11:00:02:03", "2:42:ac:11:00:02", "02:42:ac:11:00:+2"] {
            assert_eq!(MacAddr::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn random_ones_are_local_unicast() {
        for _ in 0..100 {
            assert_eq!(MacAddr::random().0[0] & 3, 2);
        }
    }
}
