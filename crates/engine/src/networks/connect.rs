//! Containers that are put on networks, and taken off them.

use super::is_default;
use crate::{
    actor::{Message, NetworkChange},
    engine::Engine,
    error::{Error, Result},
};
use brig_api::{EndpointSettings, NetworkConnectRequest, NetworkDisconnectRequest};
use brig_net::NetworkRecord;
use std::net::IpAddr;
use tokio::sync::oneshot;

impl Engine {
    /// Puts a container on a network; at once when it runs, else from its next start on.
    ///
    /// # Errors
    /// When there is no such network or container, or the one excludes the other.
    pub async fn network_connect(&self, network: &str, request: NetworkConnectRequest) -> Result<()> {
        let network = self.core().networks.resolve(network)?;
        let settings = request.endpoint_config.unwrap_or_default();
        check_endpoint(&network, &settings).map_err(Error::Invalid)?;
        let settings = Box::new(settings);
        self.change_network(&request.container, NetworkChange::Connect { network, settings }).await
    }

    /// Takes a container off a network.
    ///
    /// # Errors
    /// When there is no such network or container, or the container is not on it.
    pub async fn network_disconnect(&self, network: &str, request: NetworkDisconnectRequest) -> Result<()> {
        let change = match self.core().networks.resolve(network) {
            Ok(network) => NetworkChange::Disconnect { network },
            Err(Error::NoSuchNetwork(network)) => NetworkChange::Forget { network, force: request.force },
            Err(error) => return Err(error),
        };
        self.change_network(&request.container, change).await
    }

    /// Takes a legacy link away, `PARENT/ALIAS`; both containers stay.
    ///
    /// # Errors
    /// When there is no such link.
    pub(crate) async fn unlink(&self, name: &str) -> Result<()> {
        self.core().registry.resolve(name)?;
        let Some((parent, alias)) = name.trim_start_matches('/').split_once('/') else {
            return Err(Error::System(
                "Conflict, cannot remove the default link name of the container".to_owned(),
            ));
        };
        self.change_network(parent, NetworkChange::Unlink { alias: alias.to_owned() }).await
    }

    async fn change_network(&self, container: &str, change: NetworkChange) -> Result<()> {
        self.core().check_open()?;
        let handle = self.core().registry.resolve(container)?;
        let (reply, answer) = oneshot::channel();
        handle.send(Message::Network { change, reply }).await?;
        answer.await.map_err(|_| Error::Gone(handle.id()))?
    }
}

/// What a container may not ask of a network, in Docker's words.
pub(crate) fn check_endpoint(network: &NetworkRecord, settings: &EndpointSettings) -> Result<(), String> {
    let Some(addresses) = &settings.ipam_config else { return Ok(()) };
    let mut wrong = Vec::new();
    let mut wanted: Vec<IpAddr> = Vec::new();
    let families = [("IPv4", &addresses.ipv4_address), ("IPv6", &addresses.ipv6_address)];
    for (family, text) in families.iter().filter(|(_, text)| !text.is_empty()) {
        match text.parse::<IpAddr>() {
            Ok(address) if address.is_ipv4() == (*family == "IPv4") => wanted.push(address),
            _ => wrong.push(format!("invalid {family} address: {text}")),
        }
    }
    if !wanted.is_empty() && is_default(network) {
        wrong.push("user specified IP address is supported on user defined networks only".to_owned());
    } else if !wanted.is_empty() && !network.configured {
        let words = "user specified IP address is supported only when connecting to networks with user configured \
                     subnets";
        wrong.push(words.to_owned());
    } else {
        for address in wanted {
            if !network.pools.iter().any(|pool| pool.subnet.contains(&address)) {
                wrong.push(format!("no configured subnet contains IP address {address}"));
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("invalid endpoint settings:\n{}", wrong.join("\n"))) }
}
