//! A sandbox's places on networks: taken at a start, and changed while it runs.

use super::{NetworkMode, files, modes, names, network};
use crate::{
    core::Core,
    error::{Error, Result},
    networks::is_user_defined,
    record::{CONTAINER_KIND, ContainerRecord, SANDBOX_KIND, SandboxRecord},
    system::events::About,
};
use brig_api::EndpointSettings;
use brig_core::{atomic::Durability, failpoint};
use brig_net::{Endpoint, EndpointRequest, MacAddr, NetworkRecord};
use brig_store::Batch;
use std::{cmp::Reverse, collections::BTreeMap, os::fd::AsFd, sync::Arc};

/// The driver's option that names the interface in the container.
const INTERFACE: &str = "com.docker.network.endpoint.ifname";

/// Gives the networks of a container that is about to start their names, where it was made with the begin of an id. One
/// that is not there keeps what it was asked for by.
pub(crate) fn name_networks(core: &Core, record: &mut ContainerRecord) -> Result<()> {
    if record.networks.keys().all(|name| core.networks.exact(name).is_some_and(|n| n.name == *name)) {
        return Ok(());
    }
    let mut named = BTreeMap::new();
    for (asked, settings) in &record.networks {
        let name =
            core.networks.resolve(asked).map_or_else(|_| asked.clone(), |network| network.name.clone());
        if named.contains_key(&name) {
            return Err(network_error(exists_already(&record.name, &name)));
        }
        named.insert(name, settings.clone());
    }
    record.networks = named;
    Ok(())
}

/// Docker's words.
pub(crate) fn exists_already(container: &str, network: &str) -> Error {
    Error::Forbidden(format!("endpoint with name {container} already exists in network {network}"))
}

/// Docker's words before what a network says.
pub(super) fn network_error(error: Error) -> Error {
    error.context("failed to set up container networking")
}

/// Takes addresses for a new sandbox on all networks of its container. Nothing is made in the kernel yet.
pub(super) fn allocate(core: &Core, record: &ContainerRecord) -> Result<SandboxRecord> {
    let mut sandbox = SandboxRecord::new(record.id);
    let allocated = allocate_all(core, record, &mut sandbox);
    if allocated.is_err() {
        network::release(core, &sandbox);
    }
    allocated.map(|()| sandbox)
}

fn allocate_all(core: &Core, record: &ContainerRecord, sandbox: &mut SandboxRecord) -> Result<()> {
    let mut wanted = Vec::new();
    for (name, settings) in &record.networks {
        wanted.push((core.networks.resolve(name)?, settings));
    }
    // The one that the container was made on has the first interface.
    let first = match NetworkMode::of(record) {
        NetworkMode::Network(name) => core.networks.resolve(&name).ok().map(|network| network.id),
        _ => None,
    };
    wanted.sort_by_key(|(network, _)| Some(network.id) != first);
    let way_out = wanted
        .iter()
        .filter(|(network, _)| network.leads_out())
        .min_by_key(|(network, settings)| preference(network, settings))
        .map(|(network, _)| network.id);
    for (network, settings) in wanted.iter().filter(|(network, _)| network.driver.has_endpoints()) {
        let mut request = request(record, network, settings, sandbox)?;
        request.no_default_route = way_out != Some(network.id);
        let endpoint = core.net.allocate(&network.id, &request)?;
        sandbox.endpoints.insert(network.name.clone(), endpoint);
    }
    Ok(())
}

/// Which of several networks is the way out: the least, as in Docker.
fn preference<'a>(
    network: &'a NetworkRecord,
    settings: &EndpointSettings,
) -> (Reverse<i64>, Reverse<bool>, &'a str) {
    (Reverse(settings.gw_priority), Reverse(network.ipv6), &network.name)
}

fn request(
    record: &ContainerRecord,
    network: &NetworkRecord,
    settings: &EndpointSettings,
    sandbox: &SandboxRecord,
) -> Result<EndpointRequest> {
    let ipam = settings.ipam_config.as_ref();
    let invalid = |what: &str, text: &str| Error::Invalid(format!("invalid {what} address: {text}"));
    let ipv4 = given(ipam.map(|i| &i.ipv4_address))
        .map(|t| t.parse().map_err(|_| invalid("IPv4", t)))
        .transpose()?;
    let ipv6 = given(ipam.map(|i| &i.ipv6_address))
        .map(|t| t.parse().map_err(|_| invalid("IPv6", t)))
        .transpose()?;
    // The container's own is that of the network it was made on.
    let own = match NetworkMode::of(record) {
        NetworkMode::Network(name) if name == network.name || name == network.id.to_string() => {
            given(Some(&record.config.mac_address))
        }
        _ => None,
    };
    let mac = given(Some(&settings.mac_address))
        .or(own)
        .map(|t| MacAddr::parse(t).ok_or_else(|| invalid("MAC", t)))
        .transpose()?;
    let named = settings.driver_opts.as_ref().and_then(|options| options.get(INTERFACE));
    Ok(EndpointRequest {
        name: record.name.clone(),
        interface: Some(named.cloned().unwrap_or_else(|| free_interface(sandbox, network))),
        ipv4,
        ipv6,
        mac,
        no_default_route: false,
    })
}

fn given(text: Option<&String>) -> Option<&String> {
    text.filter(|text| !text.is_empty())
}

/// The first of `eth0`, `eth1`, … that no endpoint has; a network may have another prefix.
fn free_interface(sandbox: &SandboxRecord, network: &NetworkRecord) -> String {
    let prefix = network.interface_prefix.as_deref().unwrap_or("eth");
    let names = (0..=sandbox.endpoints.len()).map(|n| format!("{prefix}{n}"));
    let mut free = names.filter(|name| sandbox.endpoints.values().all(|e| e.interface != *name));
    // There is one name more than there are endpoints.
    free.next().unwrap_or_default()
}

/// The endpoint that is the way out, and that ports lead to.
fn way_out(sandbox: &mut SandboxRecord) -> Option<&mut Endpoint> {
    sandbox.endpoints.values_mut().find(|e| e.is_way_out())
}

/// Publishes the container's ports on the way out.
pub(super) fn publish(core: &Core, record: &ContainerRecord, sandbox: &mut SandboxRecord) -> Result<()> {
    let Some(endpoint) = way_out(sandbox) else { return Ok(()) };
    let requests = network::port_requests(record)?;
    if !requests.is_empty() {
        endpoint.ports = core.net.publish(endpoint, &requests)?;
        failpoint::hit("engine.after_publish")?;
    }
    Ok(())
}

/// Puts a running container on one more network.
pub(crate) fn plug(
    core: &Core,
    record: &ContainerRecord,
    mut sandbox: SandboxRecord,
    network: &NetworkRecord,
) -> Result<SandboxRecord> {
    if !network.driver.has_endpoints() {
        return write_down(core, record, &sandbox).map(|()| sandbox);
    }
    let settings = record.networks.get(&network.name).cloned().unwrap_or_default();
    let mut request = request(record, network, &settings, &sandbox)?;
    let first_way_out = way_out(&mut sandbox).is_none() && network.leads_out();
    request.no_default_route = !first_way_out;
    let endpoint = core.net.allocate(&network.id, &request)?;
    sandbox.endpoints.insert(network.name.clone(), endpoint);
    let plugged = make(core, record, &mut sandbox, network, first_way_out);
    if plugged.is_err()
        && let Some(endpoint) = sandbox.endpoints.remove(&network.name)
    {
        take_away(core, record, &endpoint);
        if let Err(error) = names::tell_anew(core, record, &sandbox) {
            tracing::error!(container = %record.id, %error, "its names could not be told");
        }
    }
    plugged.map(|()| sandbox)
}

fn make(
    core: &Core,
    record: &ContainerRecord,
    sandbox: &mut SandboxRecord,
    network: &NetworkRecord,
    publishes: bool,
) -> Result<()> {
    let namespace = modes::open_of(core, &record.id.to_string(), "net", "network")?;
    if let Some(endpoint) = sandbox.endpoints.get(&network.name) {
        core.net.attach(namespace.as_fd(), endpoint)?;
        failpoint::hit("engine.after_plug")?;
        files::add_address(core, record, endpoint)?;
    }
    if publishes {
        publish(core, record, sandbox)?;
    }
    if is_user_defined(network) {
        // Where this is the first network with names, the resolver begins.
        let first = sandbox
            .endpoints
            .keys()
            .filter(|name| *name != &network.name)
            .all(|name| core.networks.resolve(name).is_ok_and(|other| !is_user_defined(&other)));
        if first {
            names::tell(core, record, sandbox, &namespace)?;
            files::ask_resolver(core, record)?;
        } else {
            names::tell_anew(core, record, sandbox)?;
        }
    }
    // An interface that is in no record is removed by the next daemon.
    write_down(core, record, sandbox)
}

/// Takes a running container off a network.
pub(crate) fn unplug(
    core: &Core,
    record: &ContainerRecord,
    mut sandbox: SandboxRecord,
    network: &str,
) -> Result<SandboxRecord> {
    let Some(removed) = sandbox.endpoints.remove(network) else {
        return write_down(core, record, &sandbox).map(|()| sandbox);
    };
    write_down(core, record, &sandbox)?;
    failpoint::hit("engine.before_unplug")?;
    take_away(core, record, &removed);
    // It is off the network, and that is written down: what fails of the rest does not bring it back.
    let told = names::tell_anew(core, record, &sandbox);
    let led = match removed.is_way_out() {
        true => find_way_out(core, record, &mut sandbox),
        false => Ok(()),
    };
    for error in [told, led].into_iter().filter_map(Result::err) {
        tracing::error!(container = %record.id, network, %error, "after leaving a network");
    }
    Ok(sandbox)
}

/// Removes an endpoint and gives back what it had; goes on after a failure.
fn take_away(core: &Core, record: &ContainerRecord, endpoint: &Endpoint) {
    let failed = |step: &str, error: &dyn std::fmt::Display| {
        tracing::error!(container = %record.id, endpoint = %endpoint.id, step, %error, "leaving a network");
    };
    if let Err(error) = files::remove_address(core, record, endpoint) {
        failed("change its hosts file", &error);
    }
    let detached = modes::open_of(core, &record.id.to_string(), "net", "network")
        .and_then(|namespace| Ok(core.net.detach(namespace.as_fd(), endpoint)?));
    if let Err(error) = detached {
        failed("remove the interface", &error);
    }
    if let Err(error) = core.net.release(endpoint) {
        failed("give back", &error);
    }
}

/// The way out was taken away: another endpoint becomes it.
fn find_way_out(core: &Core, record: &ContainerRecord, sandbox: &mut SandboxRecord) -> Result<()> {
    let mut known: Vec<(Arc<NetworkRecord>, EndpointSettings)> = Vec::new();
    for name in sandbox.endpoints.keys() {
        let settings = record.networks.get(name).cloned().unwrap_or_default();
        known.extend(core.networks.resolve(name).ok().map(|network| (network, settings)));
    }
    known.retain(|(network, _)| network.leads_out());
    let Some((network, _)) = known.iter().min_by_key(|(network, settings)| preference(network, settings))
    else {
        return Ok(());
    };
    if let Some(endpoint) = sandbox.endpoints.get_mut(&network.name) {
        core.net.lead_out(endpoint);
        let namespace = modes::open_of(core, &record.id.to_string(), "net", "network")?;
        core.net.route(namespace.as_fd(), endpoint)?;
    }
    publish(core, record, sandbox)?;
    write_down(core, record, sandbox)
}

fn write_down(core: &Core, record: &ContainerRecord, sandbox: &SandboxRecord) -> Result<()> {
    let mut batch = Batch::new();
    batch.put(CONTAINER_KIND, &record.id.to_string(), record)?;
    batch.put(SANDBOX_KIND, &sandbox.id.to_string(), sandbox)?;
    core.store.records().batch(batch, Durability::Process)?;
    Ok(())
}

/// Tells that a container is on a network, or no more.
pub(crate) fn tell_network(
    core: &Core,
    record: &ContainerRecord,
    network: &NetworkRecord,
    action: &'static str,
) {
    let attributes = BTreeMap::from([
        ("container".to_owned(), record.id.to_string()),
        ("name".to_owned(), network.name.clone()),
        ("type".to_owned(), network.driver.name().to_owned()),
    ]);
    core.events.tell(About::Network, action, network.id.to_string(), attributes);
}
