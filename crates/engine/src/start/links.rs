//! Legacy links (`--link NAME:ALIAS`) on the default network: another container's address in the hosts file, and its
//! ports and environment in variables.

use super::{NetworkMode, files};
use crate::{
    actor::Snapshot,
    core::Core,
    error::{Error, Result},
    record::{ContainerRecord, SandboxRecord},
};
use brig_api::HostConfig;
use brig_core::Id;
use brig_net::{Endpoint, Protocol};
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

/// The network on which links are.
const NETWORK: &str = "bridge";

/// A link of a container that is being started.
#[derive(Debug)]
pub(super) struct Linked {
    alias: String,
    child: Arc<Snapshot>,
    endpoint: Endpoint,
}

/// The links that a new container asks for: containers by alias. Those on networks that users make are names there.
///
/// # Errors
/// When a container is not there, or is in the host's network.
pub(crate) fn asked(core: &Core, host: &HostConfig) -> Result<BTreeMap<String, Id>> {
    let mut links = BTreeMap::new();
    if NetworkMode::of_host_config(host) != NetworkMode::Network(NETWORK.to_owned()) {
        return Ok(links);
    }
    for text in host.links.iter().flatten() {
        let (name, alias) = parse(text)?;
        let mut child = core
            .registry
            .resolve(name)
            .map_err(|e| Error::Invalid(format!("could not get container for {name}: {e}")))?
            .snapshot();
        while let NetworkMode::Container(other) = NetworkMode::of(&child.record) {
            child = core.registry.resolve(&other)?.snapshot();
        }
        if NetworkMode::of(&child.record) == NetworkMode::Host {
            return Err(Error::Invalid(
                "conflicting options: host type networking can't be used with links. This would result in \
                 undefined behavior"
                    .to_owned(),
            ));
        }
        links.insert(alias.to_owned(), child.record.id);
    }
    Ok(links)
}

/// Name and alias: `NAME`, `NAME:ALIAS`, or as the API shows it, `/NAME:/PARENT/ALIAS`.
fn parse(text: &str) -> Result<(&str, &str)> {
    if text.is_empty() {
        return Err(Error::Invalid("empty string specified for links".to_owned()));
    }
    let (name, alias) = text.split_once(':').unwrap_or((text, text));
    if alias.contains(':') {
        return Err(Error::Invalid(format!("bad format for links: {text}")));
    }
    Ok(match name.strip_prefix('/') {
        Some(bare) => (bare, alias.rsplit('/').next().unwrap_or(alias)),
        None => (name, alias),
    })
}

/// A container's links as the API shows them.
pub(crate) fn shown(core: &Core, record: &ContainerRecord) -> Option<Vec<String>> {
    let link = |(alias, child): (&String, &Id)| {
        let child = core.registry.get(child)?.snapshot();
        Some(format!("/{}:/{}/{alias}", child.record.name, record.name))
    };
    let shown: Vec<String> = record.links.iter().filter_map(link).collect();
    (!shown.is_empty()).then_some(shown)
}

/// The links of a container that is about to start. One to a container that is gone is left out.
///
/// # Errors
/// When a container does not run, or is not on the default network.
pub(super) fn resolve(core: &Core, record: &ContainerRecord) -> Result<Vec<Linked>> {
    let mut linked = Vec::new();
    for (alias, child) in &record.links {
        let Some(child) = core.registry.get(child).map(|handle| handle.snapshot()) else { continue };
        let name = &child.record.name;
        if child.record.state.run().is_none() {
            let what = format!("Cannot link to a non running container: /{name} AS /{}/{alias}", record.name);
            return Err(Error::System(what));
        }
        let endpoint = child.sandbox.as_ref().and_then(|sandbox| sandbox.endpoints.get(NETWORK)).cloned();
        let Some(endpoint) = endpoint else {
            return Err(Error::System(format!("container /{name} not attached to default bridge network")));
        };
        linked.push(Linked { alias: alias.clone(), child, endpoint });
    }
    Ok(linked)
}

/// The variables of all links of a container that is about to start.
///
/// # Errors
/// As [`resolve`].
pub(super) fn environment(core: &Core, record: &ContainerRecord) -> Result<Vec<String>> {
    Ok(resolve(core, record)?.iter().flat_map(|link| link.environment(record)).collect())
}

impl Linked {
    /// The lines for the hosts file: address and names.
    pub(super) fn hosts(&self) -> Vec<(IpAddr, String)> {
        let record = &self.child.record;
        let mut names = format!("{} {}", self.alias, files::hostname(record));
        if self.alias != record.name {
            names = format!("{names} {}", record.name);
        }
        files::addresses(&self.endpoint).map(|ip| (ip, names.clone())).collect()
    }

    /// The variables, as in Docker.
    fn environment(&self, parent: &ContainerRecord) -> Vec<String> {
        let record = &self.child.record;
        let ip = self.endpoint.ipv4.map(|ip| ip.addr().to_string()).unwrap_or_default();
        let exposed = record.config.exposed_ports.iter().flatten().map(|(port, _)| port.as_str());
        let own = record.config.env.iter().flatten().map(String::as_str);
        variables(&parent.name, &self.alias, &ip, exposed, own)
    }
}

fn variables<'a>(
    parent: &str,
    alias: &str,
    ip: &str,
    exposed: impl Iterator<Item = &'a str>,
    own: impl Iterator<Item = &'a str>,
) -> Vec<String> {
    let prefix = alias.to_uppercase().replace('-', "_");
    let port = |text: &'a str| {
        let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        Some((number.parse::<u16>().ok()?, protocol != "tcp", protocol))
    };
    let mut ports: Vec<_> = exposed.filter_map(port).collect();
    ports.sort_unstable();
    let mut env = Vec::new();
    if let Some((number, _, protocol)) = ports.first() {
        env.push(format!("{prefix}_PORT={protocol}://{ip}:{number}"));
    }
    for (number, _, protocol) in ports {
        let of_port = format!("{prefix}_PORT_{number}_{}", protocol.to_uppercase());
        env.push(format!("{of_port}={protocol}://{ip}:{number}"));
        env.push(format!("{of_port}_ADDR={ip}"));
        env.push(format!("{of_port}_PORT={number}"));
        env.push(format!("{of_port}_PROTO={protocol}"));
    }
    env.push(format!("{prefix}_NAME=/{parent}/{alias}"));
    for variable in own {
        let Some((name, value)) = variable.split_once('=') else { continue };
        // They say where the other's programs are.
        if !["HOME", "PATH"].contains(&name) {
            env.push(format!("{prefix}_ENV_{name}={value}"));
        }
    }
    env
}

/// Lets a container that has just got its interfaces reach the ports of those that it links to.
pub(super) fn open_ways(core: &Core, record: &ContainerRecord, sandbox: &SandboxRecord) -> Result<()> {
    let Some(own) = sandbox.endpoints.get(NETWORK) else { return Ok(()) };
    for link in resolve(core, record)? {
        core.net.open_ways(own, &link.endpoint, exposed(&link.child.record))?;
    }
    Ok(())
}

/// Opens the ways of all containers that run, for a daemon that has just started.
pub(crate) fn reopen_ways(core: &Core, live: &[(&ContainerRecord, &SandboxRecord)]) {
    let endpoint_of = |id: &Id| {
        let (record, sandbox) = live.iter().find(|(record, _)| record.id == *id)?;
        Some((record, sandbox.endpoints.get(NETWORK)?))
    };
    for (record, sandbox) in live {
        let Some(own) = sandbox.endpoints.get(NETWORK) else { continue };
        for (child, endpoint) in record.links.values().filter_map(endpoint_of) {
            if let Err(error) = core.net.open_ways(own, endpoint, exposed(child)) {
                tracing::error!(container = %record.id, %error, "a link's ports could not be opened");
            }
        }
    }
}

/// The ports that a container says it serves.
fn exposed(record: &ContainerRecord) -> Vec<(Protocol, u16)> {
    let port =
        |text: &str| super::network::container_port(text).ok().map(|(port, protocol)| (protocol, port));
    record.config.exposed_ports.iter().flatten().filter_map(|(text, _)| port(text)).collect()
}

/// Puts a container's new address into the hosts files of those that link to it, and opens its ports to them.
pub(super) fn tell_parents(core: &Core, record: &ContainerRecord, sandbox: &SandboxRecord) {
    let Some(endpoint) = sandbox.endpoints.get(NETWORK) else { return };
    for parent in core.registry.linking_to(&record.id) {
        let parent = parent.snapshot();
        if parent.record.state.run().is_none() {
            continue;
        }
        let of_parent = parent.sandbox.as_ref().and_then(|sandbox| sandbox.endpoints.get(NETWORK));
        if let Some(from) = of_parent
            && let Err(error) = core.net.open_ways(from, endpoint, exposed(record))
        {
            tracing::error!(container = %parent.record.id, %error, "a link's ports could not be opened");
        }
        for (alias, _) in parent.record.links.iter().filter(|(_, child)| **child == record.id) {
            let addresses: Vec<IpAddr> = files::addresses(endpoint).collect();
            if let Err(error) = files::move_name(core, &parent.record, alias, &addresses) {
                tracing::error!(container = %parent.record.id, alias, %error, "its hosts file could not be changed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read() {
        assert_eq!(parse("db").unwrap(), ("db", "db"));
        assert_eq!(parse("db:store").unwrap(), ("db", "store"));
        assert_eq!(parse("/db:/web/store").unwrap(), ("db", "store"));
        for wrong in ["", "a:b:c"] {
            parse(wrong).unwrap_err();
        }
    }

    #[test]
    fn variables_as_in_docker() {
        let exposed = ["5432/tcp", "53/udp", "53/tcp"];
        let env = variables(
            "web",
            "my-db",
            "172.17.0.2",
            exposed.into_iter(),
            ["PATH=/x", "A=b c", "B"].into_iter(),
        );
        assert_eq!(env[0], "MY_DB_PORT=tcp://172.17.0.2:53");
        assert_eq!(
            env[5..10],
            [
                "MY_DB_PORT_53_UDP=udp://172.17.0.2:53",
                "MY_DB_PORT_53_UDP_ADDR=172.17.0.2",
                "MY_DB_PORT_53_UDP_PORT=53",
                "MY_DB_PORT_53_UDP_PROTO=udp",
                "MY_DB_PORT_5432_TCP=tcp://172.17.0.2:5432",
            ]
        );
        assert_eq!(env[13..], ["MY_DB_NAME=/web/my-db", "MY_DB_ENV_A=b c"]);
    }
}
