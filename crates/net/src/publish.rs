//! Published ports: taken in the table, reserved on the host by `brig net`, then translated.

use crate::{
    Driver, Endpoint, Error, GatewayModes, Net, PortBinding, PortRequest, conntrack, error::PublishError,
    process::Refusal, sysctl,
};
use rustix::io::Errno;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How many ports of a range are tried before another program's hold on them is an error, as with Docker.
const ATTEMPTS: usize = 10;

/// In place of a host's port where the container is reached by its own address.
const ROUTED: u16 = 0;

/// A request with its port, on each of its addresses.
#[derive(Debug)]
struct Group<'a> {
    request: &'a PortRequest,
    ips: Vec<IpAddr>,
    port: u16,
    attempts: usize,
}

impl Net {
    /// Gives the endpoint's addresses back, unpublishes its ports and closes ways of links. The interface dies with its namespace.
    ///
    /// # Errors
    /// When the rules can't be changed or `brig net` can't be reached; the addresses are free in any case.
    pub fn release(&self, endpoint: &Endpoint) -> Result<(), Error> {
        let forgotten = self.process.forget_names(&endpoint.network, &endpoint.id);
        let unpublished = self.unpublish(&endpoint.ports);
        let closed = self.close_ways(endpoint);
        self.release_addresses(endpoint);
        forgotten.and(unpublished).and(closed)
    }

    /// Publishes ports of an endpoint: reserves them on the host, then translates. All or none. The engine keeps
    /// what comes back in [`Endpoint::ports`].
    ///
    /// # Errors
    /// [`Error::Publish`] when a port is taken or a rule can't be made; nothing is left then.
    pub fn publish(&self, endpoint: &Endpoint, requests: &[PortRequest]) -> Result<Vec<PortBinding>, Error> {
        let wrap = |e: PublishError| Error::Publish {
            name: endpoint.name.clone(),
            endpoint: endpoint.id,
            source: Box::new(e),
        };
        let mut groups = self.take(endpoint, requests).map_err(wrap)?;
        let published = self.reserve(endpoint, &mut groups).and_then(|bindings| {
            self.rules().publish(&self.config, &bindings).inspect_err(|_| {
                // The first error is the one to tell.
                let _ = self.process.release(&on_host(&bindings));
            })?;
            conntrack::forget_udp(&bindings);
            Ok(bindings)
        });
        published.map_err(|e| {
            self.give_back(&groups);
            wrap(e)
        })
    }

    /// Takes published ports back.
    ///
    /// # Errors
    /// When the rules can't be changed or `brig net` can't be reached; the ports are free in any case.
    pub fn unpublish(&self, ports: &[PortBinding]) -> Result<(), Error> {
        if ports.is_empty() {
            return Ok(());
        }
        let removed = self.rules().unpublish(&self.config, ports);
        let reserved = on_host(ports);
        let released = self.process.release(&reserved);
        let mut state = self.state();
        for port in &reserved {
            state.ports.release(port.protocol, port.host_ip, port.host_port);
        }
        drop(state);
        conntrack::forget_udp(ports);
        removed.and(released)
    }

    fn take<'a>(
        &self,
        endpoint: &Endpoint,
        requests: &'a [PortRequest],
    ) -> Result<Vec<Group<'a>>, PublishError> {
        let mut groups = Vec::new();
        for request in requests {
            let (routed, ips) = self.host_ips(endpoint, request);
            if !routed.is_empty() {
                groups.push(Group { request, ips: routed, port: ROUTED, attempts: 1 });
            }
            if ips.is_empty() {
                continue;
            }
            let taken = self.state().ports.take(request.protocol, &ips, request.host_ports.as_ref());
            match taken {
                Ok(port) => groups.push(Group { request, ips, port, attempts: 1 }),
                Err(e) => {
                    self.give_back(&groups);
                    return Err(e);
                }
            }
        }
        Ok(groups)
    }

    fn give_back(&self, groups: &[Group<'_>]) {
        let mut state = self.state();
        for group in groups {
            for ip in &group.ips {
                state.ports.release(group.request.protocol, *ip, group.port);
            }
        }
    }

    /// Reserves the groups' ports with `brig net`. One of a range that another program has is replaced by the next.
    fn reserve(
        &self,
        endpoint: &Endpoint,
        groups: &mut [Group<'_>],
    ) -> Result<Vec<PortBinding>, PublishError> {
        loop {
            let bindings: Vec<_> = groups.iter().flat_map(|g| bindings(endpoint, g)).collect();
            if bindings.is_empty() {
                return Ok(bindings);
            }
            let (refused, errno) = match self.process.reserve(&on_host(&bindings)) {
                Ok(()) => return Ok(bindings),
                Err(Refusal::Process(e)) => return Err(e.into()),
                Err(Refusal::Port(port, errno)) => (port, errno),
            };
            let bind = || PublishError::Bind { binding: refused.to_string(), reason: words(errno) };
            let of = |g: &&mut Group<'_>| {
                g.request.protocol == refused.protocol
                    && g.port == refused.host_port
                    && g.ips.contains(&refused.host_ip)
            };
            let group = groups.iter_mut().find(of).ok_or_else(bind)?;
            let one = group.request.host_ports.as_ref().is_some_and(|r| r.start() == r.end());
            if one || group.attempts >= ATTEMPTS {
                return Err(bind());
            }
            group.attempts += 1;
            let mut state = self.state();
            let (protocol, range) = (group.request.protocol, group.request.host_ports.as_ref());
            // The next one is taken first: the range goes on behind the one refused.
            let next = state.ports.take(protocol, &group.ips, range)?;
            for ip in &group.ips {
                state.ports.release(protocol, *ip, group.port);
            }
            group.port = next;
        }
    }

    /// The host's addresses that a request means, as far as they can be carried to the endpoint: for the families that
    /// are routed, for which no address of the host's counts, and for those that are translated.
    fn host_ips(&self, endpoint: &Endpoint, request: &PortRequest) -> (Vec<IpAddr>, Vec<IpAddr>) {
        let any4 = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let any6 = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let (modes, binding) = match self.state().networks.get(&endpoint.network).map(|n| &n.record) {
            // A container that has an address outside needs none of the host's.
            Some(network) if network.driver != Driver::Bridge => return (Vec::new(), Vec::new()),
            Some(network) => (network.gateway_modes, network.binding),
            None => (GatewayModes::default(), None),
        };
        let wanted = match (request.host_ip, binding.or(self.config.host_ip)) {
            (Some(ip), _) => vec![ip],
            (None, Some(ip)) if ip != any4 => vec![ip],
            // As with Docker: all addresses means IPv6's as well, where the host has them.
            (None, _) if sysctl::has_ipv6() => vec![any4, any6],
            (None, _) => vec![any4],
        };
        let (nat, routed): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|ip| modes.of(*ip).translates());
        let reaches = |ip: &IpAddr| container_ip(endpoint, *ip, self.config.userland_proxy).is_some();
        let routed = routed.into_iter().filter_map(|ip| match ip {
            IpAddr::V4(_) => endpoint.ipv4.and(Some(any4)),
            IpAddr::V6(_) => endpoint.ipv6.and(Some(any6)),
        });
        (routed.collect(), nat.into_iter().filter(reaches).collect())
    }
}

/// Those that take a port of the host's.
pub(crate) fn on_host<'a>(ports: impl IntoIterator<Item = &'a PortBinding>) -> Vec<PortBinding> {
    ports.into_iter().filter(|port| !port.is_routed()).copied().collect()
}

fn bindings(endpoint: &Endpoint, group: &Group<'_>) -> Vec<PortBinding> {
    let to = |host_ip: &IpAddr| {
        Some(PortBinding {
            protocol: group.request.protocol,
            host_ip: *host_ip,
            host_port: group.port,
            container_ip: container_ip(endpoint, *host_ip, true)?,
            container_port: group.request.container_port,
        })
    };
    group.ips.iter().filter_map(to).collect()
}

/// The endpoint's address of the host address' family; of the other one when a proxy can carry it.
fn container_ip(endpoint: &Endpoint, host_ip: IpAddr, proxy: bool) -> Option<IpAddr> {
    let ipv4 = endpoint.ipv4.map(|n| IpAddr::V4(n.addr()));
    let ipv6 = endpoint.ipv6.map(|n| IpAddr::V6(n.addr()));
    match host_ip {
        IpAddr::V4(_) => ipv4,
        IpAddr::V6(_) => ipv6.or(ipv4.filter(|_| proxy)),
    }
}

/// An error number in the words that Go has for it, as in Docker's messages.
pub(crate) fn words(errno: Errno) -> String {
    match errno {
        Errno::ADDRINUSE => "address already in use".to_owned(),
        Errno::ADDRNOTAVAIL => "cannot assign requested address".to_owned(),
        Errno::ACCESS => "permission denied".to_owned(),
        Errno::MFILE => "too many open files".to_owned(),
        other => {
            // "Network is down (os error 100)"
            let text = std::io::Error::from(other).to_string();
            text.split(" (os error").next().unwrap_or_default().to_lowercase()
        }
    }
}
