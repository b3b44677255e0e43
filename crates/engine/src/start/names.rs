//! The names by which containers on a network find one another, told to `brig net`.

use super::{files, resolv_conf};
use crate::{
    core::Core,
    error::Result,
    networks::is_user_defined,
    record::{ContainerRecord, SandboxRecord},
};
use brig_api::EndpointSettings;
use brig_core::Id;
use brig_net::{
    Endpoint, NetworkRecord,
    dns::{Host, Link, Resolver},
    process::LiveNames,
};
use std::{collections::BTreeMap, os::fd::OwnedFd, sync::Arc};

/// The names by which others on a network find a container.
pub(crate) fn dns_names(record: &ContainerRecord, settings: &EndpointSettings) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let aliases = settings.aliases.iter().flatten().cloned();
    let own = [record.name.clone()].into_iter().chain(aliases).chain([record.id.short()]);
    for name in own.chain([record.config.hostname.clone()]) {
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Whether containers have names in a sandbox.
pub(super) fn answered(core: &Core, sandbox: &SandboxRecord) -> bool {
    !named(core, sandbox).is_empty()
}

/// The networks of a sandbox on which containers have names.
fn named<'a>(core: &Core, sandbox: &'a SandboxRecord) -> Vec<(Arc<NetworkRecord>, &'a Endpoint)> {
    let known = sandbox.endpoints.iter().filter_map(|(name, endpoint)| {
        let network = core.networks.resolve(name).ok()?;
        is_user_defined(&network).then_some((network, endpoint))
    });
    known.collect()
}

fn host(record: &ContainerRecord, network: &NetworkRecord, endpoint: &Endpoint) -> Host {
    let settings = record.networks.get(&network.name).cloned().unwrap_or_default();
    Host {
        endpoint: endpoint.id,
        names: dns_names(record, &settings),
        addresses: files::addresses(endpoint).collect(),
    }
}

fn resolver(core: &Core, record: &ContainerRecord, sandbox: &SandboxRecord) -> Result<Option<Resolver>> {
    let mut named = named(core, sandbox);
    if named.is_empty() {
        return Ok(None);
    }
    // The way out first, as its names are the ones most probably meant.
    let leads_out = |endpoint: &Endpoint| endpoint.gateway4.is_some() || endpoint.gateway6.is_some();
    named.sort_by_key(|(_, endpoint)| !leads_out(endpoint));
    let outside = sandbox.endpoints.values().any(leads_out);
    Ok(Some(Resolver {
        id: sandbox.id,
        networks: named.iter().map(|(network, _)| network.id).collect(),
        links: named.iter().flat_map(|(network, _)| links(record, network)).collect(),
        upstreams: if outside { resolv_conf::upstreams(core, record)? } else { Vec::new() },
        host: match files::host_gateway(core) {
            Ok(gateway) if outside => gateway.parse().into_iter().collect(),
            _ => Vec::new(),
        },
    }))
}

/// Other names for containers on a network, `NAME:ALIAS` or `NAME`.
fn links(record: &ContainerRecord, network: &NetworkRecord) -> Vec<Link> {
    let settings = record.networks.get(&network.name);
    let links = settings.and_then(|settings| settings.links.as_deref()).unwrap_or_default();
    let link = |text: &String| {
        let (name, alias) = text.split_once(':').unwrap_or((text, text));
        let bare = |name: &str| name.trim_start_matches('/').to_owned();
        Link { network: network.id, alias: bare(alias), name: bare(name) }
    };
    links.iter().map(link).collect()
}

/// Tells a container's names on its networks, and answers names in its namespace.
pub(super) fn tell(
    core: &Core,
    record: &ContainerRecord,
    sandbox: &SandboxRecord,
    namespace: &OwnedFd,
) -> Result<()> {
    let Some(resolver) = resolver(core, record, sandbox)? else { return Ok(()) };
    name(core, record, sandbox)?;
    core.net.resolve(resolver, super::network::duplicate(namespace)?)?;
    Ok(())
}

/// Tells a running container's names anew, and what its resolver is to know.
pub(crate) fn tell_anew(core: &Core, record: &ContainerRecord, sandbox: &SandboxRecord) -> Result<()> {
    match resolver(core, record, sandbox)? {
        None => core.net.forsake(&sandbox.id)?,
        Some(resolver) => {
            name(core, record, sandbox)?;
            core.net.change_resolver(resolver)?;
        }
    }
    Ok(())
}

fn name(core: &Core, record: &ContainerRecord, sandbox: &SandboxRecord) -> Result<()> {
    for (network, endpoint) in named(core, sandbox) {
        core.net.name(&network.id, host(record, &network, endpoint))?;
    }
    Ok(())
}

/// All names that live containers have and need, for the next daemon. What can't be found out is left out, and said.
pub(crate) fn live(core: &Core, live: &[(&ContainerRecord, &SandboxRecord, i32)]) -> LiveNames {
    let mut networks: BTreeMap<Id, (String, Vec<Host>)> = BTreeMap::new();
    let mut resolvers = Vec::new();
    for (record, sandbox, pid) in live {
        for (network, endpoint) in named(core, sandbox) {
            let known = networks.entry(network.id).or_insert_with(|| (network.name.clone(), Vec::new()));
            known.1.push(host(record, &network, endpoint));
        }
        let found = resolver(core, record, sandbox).and_then(|resolver| {
            let open = |resolver| Ok((resolver, super::modes::open_pid(*pid, "net")?));
            resolver.map(open).transpose()
        });
        match found {
            Ok(found) => resolvers.extend(found),
            Err(error) => tracing::error!(container = %record.id, %error, "names are not answered there"),
        }
    }
    let networks = networks.into_iter().map(|(id, (name, hosts))| (id, name, hosts)).collect();
    LiveNames { networks, resolvers }
}
