//! The networks that a container is on, changed by clients.

use super::{Actor, NetworkChange};
use crate::{
    error::{Error, Result},
    record::{ContainerRecord, SandboxRecord},
    start::{self, NetworkMode},
};
use brig_api::EndpointSettings;
use brig_core::atomic::Durability;
use brig_net::{Driver, NetworkRecord};
use std::sync::Arc;

impl Actor {
    /// Puts the container on a network or takes it off: at once while it runs, and for its next starts.
    pub(super) async fn change_network(&mut self, change: NetworkChange) -> Result<()> {
        let running = self.own_sandbox();
        match change {
            NetworkChange::Connect { network, settings } => {
                check_connect(&self.record, running.as_ref(), &network)?;
                self.connect(running, network, *settings).await
            }
            NetworkChange::Unlink { alias } => {
                let mut record = self.record.clone();
                record.links.remove(&alias);
                self.write_down(record)
            }
            NetworkChange::Disconnect { network } => {
                check_disconnect(&self.record, &network)?;
                self.disconnect(running, network).await
            }
            NetworkChange::Forget { network, force } => {
                if self.live.is_some() && !force {
                    return Err(Error::NoSuchNetwork(network));
                }
                let mut record = self.record.clone();
                if record.networks.remove(&network).is_none() {
                    return Err(Error::Missing(format!(
                        "container {} is not connected to the network {network}",
                        record.id
                    )));
                }
                // One that runs keeps what it is on from being removed: it is about to end.
                if self.live.is_some() {
                    return Err(Error::NoSuchNetwork(network));
                }
                self.write_down(record)
            }
        }
    }

    /// The sandbox of the present run, when it is the container's own.
    pub(super) fn own_sandbox(&self) -> Option<SandboxRecord> {
        let sandbox = self.live.as_ref().and_then(|live| live.sandbox.as_ref());
        sandbox.filter(|sandbox| sandbox.owner == self.record.id).cloned()
    }

    async fn connect(
        &mut self,
        running: Option<SandboxRecord>,
        network: Arc<NetworkRecord>,
        settings: EndpointSettings,
    ) -> Result<()> {
        let mut record = self.record.clone();
        record.networks.insert(network.name.clone(), settings);
        let Some(sandbox) = running else { return self.write_down(record) };
        let (plugged, of) = (record.clone(), network.clone());
        let sandbox = self.core.blocking(move |core| start::plug(core, &plugged, sandbox, &of)).await?;
        self.keep(record, sandbox);
        start::tell_network(&self.core, &self.record, &network, "connect");
        Ok(())
    }

    async fn disconnect(
        &mut self,
        running: Option<SandboxRecord>,
        network: Arc<NetworkRecord>,
    ) -> Result<()> {
        let mut record = self.record.clone();
        record.networks.remove(&network.name);
        let Some(sandbox) = running else { return self.write_down(record) };
        let (unplugged, name) = (record.clone(), network.name.clone());
        let sandbox = self.core.blocking(move |core| start::unplug(core, &unplugged, sandbox, &name)).await?;
        self.keep(record, sandbox);
        start::tell_network(&self.core, &self.record, &network, "disconnect");
        Ok(())
    }

    fn write_down(&mut self, record: ContainerRecord) -> Result<()> {
        self.core.put_container(&record, Durability::Process)?;
        self.record = record;
        self.show();
        Ok(())
    }

    /// Takes over what is written down already.
    fn keep(&mut self, record: ContainerRecord, sandbox: SandboxRecord) {
        self.record = record;
        if let Some(live) = &mut self.live {
            live.sandbox = Some(sandbox);
        }
        self.show();
    }
}

fn forbidden(words: impl Into<String>) -> Error {
    Error::Forbidden(words.into())
}

const HOST: &str = "container cannot be disconnected from host network or connected to host network";

/// Which networks exclude each other. Docker's words.
fn check_connect(
    record: &ContainerRecord,
    running: Option<&SandboxRecord>,
    network: &NetworkRecord,
) -> Result<()> {
    if network.driver == Driver::Host {
        return Err(forbidden(HOST));
    }
    if matches!(NetworkMode::of(record), NetworkMode::Host | NetworkMode::Container(_)) {
        return Err(forbidden(
            "container sharing network namespace with another container or host cannot be connected to any other \
             network",
        ));
    }
    let private = record.networks.contains_key("none") || record.config.network_disabled;
    if private || network.driver == Driver::Null && !record.networks.is_empty() {
        return Err(forbidden(
            "container cannot be connected to multiple networks with one of the networks in private (none) mode",
        ));
    }
    if running.is_some() && record.networks.contains_key(&network.name) {
        return Err(start::exists_already(&record.name, &network.name));
    }
    Ok(())
}

fn check_disconnect(record: &ContainerRecord, network: &NetworkRecord) -> Result<()> {
    if network.driver == Driver::Host {
        return Err(forbidden(HOST));
    }
    if !record.networks.contains_key(&network.name) {
        return Err(forbidden(format!(
            "container {} is not connected to network {}",
            record.id, network.name
        )));
    }
    Ok(())
}
