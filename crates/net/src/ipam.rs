//! Addresses: which pool a new network gets, which address a new endpoint gets. Pure; what is taken is rebuilt from
//! the stored records.

use crate::{Error, Pool, network::PoolRequest};
use ipnet::{IpNet, Ipv4Net};
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// The subnets that a network without one of its own gets, in Docker's order: 172.17.0.0/16 to 172.31.0.0/16, then
/// 192.168.0.0/20 to 192.168.240.0/20.
pub fn default_pools() -> impl Iterator<Item = Ipv4Net> {
    let large = (17..=31).map(|b| (Ipv4Addr::new(172, b, 0, 0), 16));
    let small = (0..16).map(|i| (Ipv4Addr::new(192, 168, i * 16, 0), 20));
    large.chain(small).filter_map(|(ip, len)| Ipv4Net::new(ip, len).ok())
}

/// The first default pool that overlaps nothing in `taken` (other networks' subnets, the host's routes).
///
/// # Errors
/// [`Error::PoolsExhausted`] when each of them overlaps something.
pub fn pick_pool(taken: &[IpNet]) -> Result<Pool, Error> {
    let subnet = default_pools()
        .map(IpNet::V4)
        .find(|p| !taken.iter().any(|t| overlap(p, t)))
        .ok_or(Error::PoolsExhausted)?;
    complete_pool(PoolRequest { subnet, gateway: None, range: None, reserved: Default::default() })
}

/// A subnet of unique local addresses (RFC 4193) for a network: its 40 random bits are the network's id's.
///
/// # Errors
/// None that an id has.
pub fn pick_local_pool(network: brig_core::Id) -> Result<Pool, Error> {
    let random = network.to_string();
    let bits = u128::from_str_radix(&random[..10], 16).unwrap_or_default();
    let address = Ipv6Addr::from(0xfd << 120 | bits << 80);
    let subnet = ipnet::Ipv6Net::new(address, 64).map_err(|e| Error::InvalidPool(e.to_string()))?;
    let subnet = IpNet::V6(subnet);
    complete_pool(PoolRequest { subnet, gateway: None, range: None, reserved: Default::default() })
}

/// Whether two subnets share an address.
#[must_use]
pub fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}

/// A request with its gateway filled in: the subnet's first address, or the first of the range.
///
/// # Errors
/// [`Error::InvalidPool`] when a part lies outside the subnet, or the subnet has no room for a gateway.
pub fn complete_pool(request: PoolRequest) -> Result<Pool, Error> {
    let PoolRequest { subnet, gateway, range, reserved } = request;
    let subnet = subnet.trunc();
    if subnet.prefix_len() >= subnet.max_prefix_len() {
        return Err(Error::InvalidPool(format!("invalid subnet {subnet}: no room for a container")));
    }
    if let Some(range) = range
        && !subnet.contains(&range)
    {
        return Err(Error::InvalidPool(format!("invalid ip-range {range}: parent subnet is {subnet}")));
    }
    if let Some(ip) = gateway.iter().chain(reserved.values()).find(|ip| !subnet.contains(*ip)) {
        return Err(Error::InvalidPool(format!("no matching subnet for gateway {ip}")));
    }
    let gateway = Some(gateway.unwrap_or_else(|| from_bits(subnet, bounds(subnet).0)));
    Ok(Pool { subnet, gateway, range, reserved })
}

/// The addresses of one pool: which are taken, and where to look for the next. Addresses go round, so that one
/// that was just released rests as long as can be.
#[derive(Debug, Clone)]
pub struct Allocator {
    subnet: IpNet,
    first: u128,
    last: u128,
    next: u128,
    taken: BTreeSet<u128>,
}

impl Allocator {
    /// An allocator with the network's and the broadcast address, the gateway and the reserved ones taken.
    #[must_use]
    pub fn new(pool: &Pool) -> Self {
        let (lowest, highest) = bounds(pool.subnet);
        let (first, last) = match pool.range {
            Some(range) => (bits(range.network()).max(lowest), bits(range.broadcast()).min(highest)),
            None => (lowest, highest),
        };
        let taken = pool.reserved.values().copied().chain(pool.gateway).map(bits).collect();
        Self { subnet: pool.subnet, first, last, next: first, taken }
    }

    /// Whether more is taken than the pool itself takes.
    #[must_use]
    pub fn is_in_use(&self, pool: &Pool) -> bool {
        self.taken != Self::new(pool).taken
    }

    /// Whether `ip` lies in the pool's subnet.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.subnet.contains(&ip)
    }

    /// The next free address, or `None` when all are taken.
    pub fn allocate(&mut self) -> Option<IpAddr> {
        let found = self.free_from(self.next, self.last).or_else(|| self.free_from(self.first, self.last))?;
        self.taken.insert(found);
        self.next = if found >= self.last { self.first } else { found + 1 };
        Some(from_bits(self.subnet, found))
    }

    /// Takes `ip`, which may lie outside the range but not outside the subnet.
    ///
    /// # Errors
    /// [`Error::AddressOutOfRange`] outside the subnet or at its ends, [`Error::AddressInUse`] when it is taken.
    pub fn claim(&mut self, ip: IpAddr) -> Result<(), Error> {
        let (lowest, highest) = bounds(self.subnet);
        if !self.contains(ip) || !(lowest..=highest).contains(&bits(ip)) {
            return Err(Error::AddressOutOfRange(ip));
        }
        if self.taken.insert(bits(ip)) { Ok(()) } else { Err(Error::AddressInUse(ip)) }
    }

    /// Gives `ip` back. Nothing happens when it was free.
    pub fn release(&mut self, ip: IpAddr) {
        if self.contains(ip) {
            self.taken.remove(&bits(ip));
        }
    }

    /// The lowest free address of `from..=to`.
    fn free_from(&self, from: u128, to: u128) -> Option<u128> {
        let mut candidate = from;
        for &taken in self.taken.range(from..=to.max(from)) {
            if taken > candidate {
                break;
            }
            candidate = taken + 1;
        }
        (candidate <= to).then_some(candidate)
    }
}

/// The lowest and the highest address that an interface can have: not the network's, nor IPv4's broadcast (but both
/// of a /31).
fn bounds(subnet: IpNet) -> (u128, u128) {
    let (low, high) = (bits(subnet.network()), bits(subnet.broadcast()));
    match subnet {
        IpNet::V4(net) if net.prefix_len() >= 31 => (low, high),
        IpNet::V4(_) => (low + 1, high - 1),
        IpNet::V6(_) => (low + 1, high),
    }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u32::from(ip).into(),
        IpAddr::V6(ip) => ip.into(),
    }
}

/// The address with these bits, of the family of `subnet`.
fn from_bits(subnet: IpNet, bits: u128) -> IpAddr {
    match subnet {
        // The bits came from an IPv4 address of this subnet: they fit.
        IpNet::V4(_) => IpAddr::V4(Ipv4Addr::from(u32::try_from(bits).unwrap_or(u32::MAX))),
        IpNet::V6(_) => IpAddr::V6(Ipv6Addr::from(bits)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pool(subnet: &str) -> Pool {
        let subnet = subnet.parse().unwrap();
        complete_pool(PoolRequest { subnet, gateway: None, range: None, reserved: Default::default() })
            .unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_first_default_pool_that_overlaps_nothing() {
        assert_eq!(pick_pool(&[]).unwrap().subnet.to_string(), "172.17.0.0/16");
        let taken: Vec<IpNet> =
            ["172.17.5.0/24", "172.16.0.0/15", "172.18.0.0/15"].map(|s| s.parse().unwrap()).into();
        let picked = pick_pool(&taken).unwrap();
        assert_eq!(picked.subnet.to_string(), "172.20.0.0/16");
        assert_eq!(picked.gateway, Some(ip("172.20.0.1")));
        let all = ["172.16.0.0/12", "192.168.0.0/16"].map(|s| s.parse().unwrap());
        assert!(matches!(pick_pool(&all), Err(Error::PoolsExhausted)));
    }

    #[test]
    fn addresses_go_round_and_a_released_one_rests() {
        let mut a = Allocator::new(&pool("10.0.0.0/29"));
        let all: Vec<_> = std::iter::from_fn(|| a.allocate()).map(|i| i.to_string()).collect();
        assert_eq!(all, ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
        a.release(ip("10.0.0.3"));
        a.release(ip("10.0.0.5"));
        assert_eq!(a.allocate(), Some(ip("10.0.0.3")));
        a.release(ip("10.0.0.3"));
        assert_eq!(a.allocate(), Some(ip("10.0.0.5")));
    }

    #[test]
    fn explicit_addresses() {
        let mut a = Allocator::new(&pool("10.0.0.0/24"));
        a.claim(ip("10.0.0.9")).unwrap();
        assert!(matches!(a.claim(ip("10.0.0.9")), Err(Error::AddressInUse(_))));
        assert!(matches!(a.claim(ip("10.0.0.1")), Err(Error::AddressInUse(_))));
        for out in ["10.0.0.0", "10.0.0.255", "10.0.1.1", "::1"] {
            assert!(matches!(a.claim(ip(out)), Err(Error::AddressOutOfRange(_))), "{out}");
        }
    }

    #[test]
    fn a_range_bounds_what_is_picked_but_not_what_is_claimed() {
        let mut p = pool("10.0.0.0/24");
        p.range = Some("10.0.0.128/30".parse().unwrap());
        p.reserved.insert("router".to_owned(), ip("10.0.0.129"));
        let mut a = Allocator::new(&p);
        let all: Vec<_> = std::iter::from_fn(|| a.allocate()).map(|i| i.to_string()).collect();
        assert_eq!(all, ["10.0.0.128", "10.0.0.130", "10.0.0.131"]);
        a.claim(ip("10.0.0.7")).unwrap();
    }

    #[test]
    fn pools_that_make_no_sense() {
        let request = |subnet: &str, gateway: Option<&str>, range: Option<&str>| PoolRequest {
            subnet: subnet.parse().unwrap(),
            gateway: gateway.map(ip),
            range: range.map(|r| r.parse().unwrap()),
            reserved: Default::default(),
        };
        for bad in [
            request("10.0.0.1/32", None, None),
            request("10.0.0.0/24", Some("10.0.1.1"), None),
            request("10.0.0.0/24", None, Some("10.0.0.0/16")),
            request("10.0.0.0/24", Some("fd00::1"), None),
        ] {
            assert!(matches!(complete_pool(bad.clone()), Err(Error::InvalidPool(_))), "{bad:?}");
        }
        assert_eq!(pool("10.0.0.7/24").subnet.to_string(), "10.0.0.0/24");
        assert_eq!(pool("fd00::/64").gateway, Some(ip("fd00::1")));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Allocate,
        Claim(u8),
        Release(u8),
    }

    proptest! {
        /// Against a plain set: never an address twice, never one of the reserved, `None` only when full.
        #[test]
        fn agrees_with_a_set(prefix in 26u8..=31, steps in proptest::collection::vec(prop_oneof![
            Just(Step::Allocate), Just(Step::Allocate),
            any::<u8>().prop_map(Step::Claim), any::<u8>().prop_map(Step::Release)], 0..200))
        {
            let p = pool(&format!("10.1.2.0/{prefix}"));
            let (low, high) = bounds(p.subnet);
            let mut a = Allocator::new(&p);
            let mut model = BTreeSet::from_iter(p.gateway);
            for step in steps {
                let at = |n: u8| IpAddr::from([10, 1, 2, n]);
                match step {
                    Step::Allocate => match a.allocate() {
                        Some(ip) => {
                            prop_assert!((low..=high).contains(&bits(ip)));
                            prop_assert!(model.insert(ip), "{ip} twice");
                        }
                        None => prop_assert_eq!(model.len() as u128, high - low + 1),
                    },
                    Step::Claim(n) => match a.claim(at(n)) {
                        Ok(()) => prop_assert!(model.insert(at(n))),
                        Err(Error::AddressInUse(_)) => prop_assert!(model.contains(&at(n))),
                        Err(_) => prop_assert!(!(low..=high).contains(&bits(at(n)))),
                    },
                    Step::Release(n) if Some(at(n)) != p.gateway => {
                        a.release(at(n));
                        model.remove(&at(n));
                    }
                    Step::Release(_) => {}
                }
            }
        }
    }
}
