//! A container's place on networks: what it asks for, taken at a start.

use super::{NetworkMode, endpoints, links, modes, names};
use crate::{
    actor::{Membership, Message},
    core::Core,
    error::{Error, Result},
    record::{ContainerRecord, SandboxRecord},
};
use brig_core::failpoint;
use brig_net::{PortRequest, Protocol};
use oci_spec::runtime::LinuxNamespaceType;
use std::{
    net::IpAddr,
    ops::RangeInclusive,
    os::fd::{AsFd, OwnedFd},
};

/// Takes addresses for a container that has a sandbox of its own, or finds the sandbox that it shares. Nothing is
/// made in the kernel yet.
pub(super) fn allocate(core: &Core, record: &ContainerRecord) -> Result<Option<SandboxRecord>> {
    match NetworkMode::of(record) {
        NetworkMode::Host => Ok(None),
        NetworkMode::Container(other) => {
            let snapshot = core.registry.resolve(&other)?.snapshot();
            Ok(snapshot.sandbox.clone())
        }
        NetworkMode::None | NetworkMode::Network(_) => endpoints::allocate(core, record).map(Some),
    }
}

/// Tells the owner of a shared sandbox who is in it. Not waited for: the owner may be starting, and wait for us.
pub(super) fn tell_owner(
    core: &Core,
    record: &ContainerRecord,
    sandbox: Option<&SandboxRecord>,
    change: Membership,
) {
    let Some(owner) = sandbox.map(|s| s.owner).filter(|owner| *owner != record.id) else { return };
    if let Some(owner) = core.registry.get(&owner) {
        let container = record.id;
        // An owner that is gone has no sandbox either.
        tokio::spawn(async move { owner.send(Message::Member { container, change }).await.ok() });
    }
}

/// The network namespace that a container is in.
pub(super) enum Network {
    /// The host's.
    Host,
    /// Another container's.
    Joined(OwnedFd),
    /// One of its own, by [`new_namespace`].
    New,
}

/// Which one that is.
pub(super) fn choose(core: &Core, record: &ContainerRecord) -> Result<Network> {
    Ok(match NetworkMode::of(record) {
        NetworkMode::Host => Network::Host,
        NetworkMode::Container(other) => Network::Joined(modes::open_of(core, &other, "net", "network")?),
        NetworkMode::None | NetworkMode::Network(_) => Network::New,
    })
}

/// Makes a network namespace, the better part of a millisecond, and gives a copy of its descriptor to `taker` before all
/// in it is made.
pub(super) fn new_namespace(core: &Core, taker: impl FnOnce(OwnedFd)) -> Result<OwnedFd> {
    failpoint::hit("engine.before_netns")?;
    let namespace = core.net.create_netns_for(|netns| netns.try_clone_to_owned().map(taker))?;
    failpoint::hit("engine.after_netns")?;
    Ok(namespace)
}

/// The namespace as the shim gets it.
pub(super) fn join(namespace: &OwnedFd) -> Result<(LinuxNamespaceType, OwnedFd)> {
    duplicate(namespace).map(|copy| (LinuxNamespaceType::Network, copy))
}

pub(super) fn duplicate(namespace: &OwnedFd) -> Result<OwnedFd> {
    namespace.try_clone().map_err(|e| Error::System(format!("duplicate a descriptor: {e}")))
}

/// Makes the interfaces of a sandbox in its namespace, and publishes its ports. What was made before a failure is
/// taken back by [`release`].
pub(super) fn attach(
    core: &Core,
    record: &ContainerRecord,
    mut sandbox: SandboxRecord,
    namespace: &OwnedFd,
) -> Result<SandboxRecord> {
    for endpoint in sandbox.endpoints.values_mut() {
        failpoint::hit("engine.before_attach")?;
        core.net.attach(namespace.as_fd(), endpoint)?;
        failpoint::hit("engine.after_attach")?;
    }
    endpoints::publish(core, record, &mut sandbox)?;
    names::tell(core, record, &sandbox, namespace)?;
    links::open_ways(core, record, &sandbox)?;
    links::tell_parents(core, record, &sandbox);
    if publishes(&sandbox) {
        // Ports that were picked must be found by the next daemon.
        core.put_sandbox(&sandbox)?;
    }
    Ok(sandbox)
}

/// Whether ports lead into a sandbox.
pub(super) fn publishes(sandbox: &SandboxRecord) -> bool {
    sandbox.endpoints.values().any(|endpoint| !endpoint.ports.is_empty())
}

/// Gives back what a sandbox of its own has on networks; goes on after a failure.
pub(super) fn release(core: &Core, sandbox: &SandboxRecord) {
    if let Err(error) = core.net.forsake(&sandbox.id) {
        tracing::error!(container = %sandbox.owner, %error, "its names could not be taken away");
    }
    for (network, endpoint) in &sandbox.endpoints {
        if let Err(error) = core.net.release(endpoint) {
            tracing::error!(container = %sandbox.owner, network, %error, "the network could not be released");
        }
    }
}

/// The ports that a container publishes: those bound by `-p`, and with `-P` all that are exposed.
pub(super) fn port_requests(record: &ContainerRecord) -> Result<Vec<PortRequest>> {
    let mut requests = Vec::new();
    let host = &record.host_config;
    for (port, bindings) in host.port_bindings.iter().flatten() {
        let (container_port, protocol) = container_port(port)?;
        for binding in bindings.iter().flatten() {
            let host_ip = match binding.host_ip.as_str() {
                "" => None,
                ip => Some(
                    ip.parse::<IpAddr>().map_err(|_| Error::Invalid(format!("invalid IP address: {ip}")))?,
                ),
            };
            let host_ports = host_ports(&binding.host_port)?;
            requests.push(PortRequest { protocol, container_port, host_ip, host_ports });
        }
    }
    if host.publish_all_ports {
        for port in record.config.exposed_ports.iter().flatten().map(|(port, _)| port) {
            let (container_port, protocol) = container_port(port)?;
            if requests.iter().all(|r| (r.container_port, r.protocol) != (container_port, protocol)) {
                requests.push(PortRequest { protocol, container_port, host_ip: None, host_ports: None });
            }
        }
    }
    Ok(requests)
}

/// Refuses ports that can't be published.
pub(crate) fn check_ports(record: &ContainerRecord) -> Result<()> {
    port_requests(record).map(drop)
}

/// `80/tcp`, or `80` alone for TCP.
pub(crate) fn container_port(text: &str) -> Result<(u16, Protocol)> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = Protocol::parse(&protocol.to_ascii_lowercase())
        .ok_or_else(|| Error::Invalid(format!("invalid proto: {protocol}")))?;
    let port = port.parse().map_err(|_| Error::Invalid(format!("invalid containerPort: {port}")))?;
    Ok((port, protocol))
}

/// A port, a range `8000-8010`, or nothing (and 0) for any.
fn host_ports(text: &str) -> Result<Option<RangeInclusive<u16>>> {
    let invalid = || Error::Invalid(format!("invalid hostPort: {text}"));
    let parse = |t: &str| t.parse::<u16>().map_err(|_| invalid());
    match text {
        "" | "0" => Ok(None),
        _ => match text.split_once('-') {
            Some((first, last)) => Ok(Some(parse(first)?..=parse(last)?)),
            None => parse(text).map(|port| Some(port..=port)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read() {
        assert_eq!(container_port("80/tcp").unwrap(), (80, Protocol::Tcp));
        assert_eq!(container_port("53/UDP").unwrap(), (53, Protocol::Udp));
        assert_eq!(container_port("80").unwrap(), (80, Protocol::Tcp));
        container_port("80/x").unwrap_err();
        container_port("x/tcp").unwrap_err();
        container_port("70000").unwrap_err();
        assert_eq!(host_ports("").unwrap(), None);
        assert_eq!(host_ports("0").unwrap(), None);
        assert_eq!(host_ports("8080").unwrap(), Some(8080..=8080));
        assert_eq!(host_ports("8000-8010").unwrap(), Some(8000..=8010));
        host_ports("a").unwrap_err();
        host_ports("1-").unwrap_err();
    }
}
