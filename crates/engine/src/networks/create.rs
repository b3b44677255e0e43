//! New networks.

use super::{Networks, ipam};
use crate::{
    core::Core,
    engine::Engine,
    error::{Error, Result},
    record::NETWORK_KIND,
    system::events::About,
};
use brig_api::{NetworkCreateRequest, NetworkCreateResponse, Time};
use brig_core::{atomic::Durability, failpoint};
use brig_net::{Driver, NetworkRecord, NetworkRequest};
use jiff::Timestamp;
use std::collections::BTreeMap;

impl Engine {
    /// Makes a network.
    ///
    /// # Errors
    /// When the name is taken, or the driver, an option or a subnet makes no sense or is taken.
    pub async fn network_create(&self, request: NetworkCreateRequest) -> Result<NetworkCreateResponse> {
        self.core().check_open()?;
        let record = self.core().blocking(move |core| create(core, request)).await?;
        Ok(NetworkCreateResponse { id: record.id.to_string(), warning: String::new() })
    }
}

fn create(core: &Core, request: NetworkCreateRequest) -> Result<NetworkRecord> {
    check(&request)?;
    let request = wanted(request)?;
    let _changing = core.networks.change();
    if core.networks.all().iter().any(|n| n.name == request.name) {
        return Err(Error::Conflict(format!("network with name {} already exists", request.name)));
    }
    let record = core.net.define_network(request)?;
    failpoint::hit("engine.before_network_record")?;
    // Its name is written into files, such as Compose's, so a power cut may not take it.
    core.store.records().put(NETWORK_KIND, &record.id.to_string(), &record, Durability::Power)?;
    failpoint::hit("engine.after_network_record")?;
    if let Err(error) = core.net.ensure_network(&record) {
        undo(core, &record);
        return Err(error.into());
    }
    core.networks.add(record.clone());
    tell(core, &record, "create");
    Ok(record)
}

fn undo(core: &Core, record: &NetworkRecord) {
    if let Err(error) = core.net.remove_network(&record.id) {
        tracing::error!(network = record.name, %error, "what was made of it could not be removed");
    }
    let removed = core.store.records().delete(NETWORK_KIND, &record.id.to_string(), Durability::Power);
    if let Err(error) = removed {
        tracing::error!(network = record.name, %error, "its record could not be removed");
    }
}

/// Tells what was done to a network.
pub(super) fn tell(core: &Core, record: &NetworkRecord, action: &str) {
    let attributes = BTreeMap::from([
        ("name".to_owned(), record.name.clone()),
        ("type".to_owned(), record.driver.name().to_owned()),
    ]);
    core.events.tell(About::Network, action, record.id.to_string(), attributes);
}

/// What is refused whatever networks there are. Docker's words.
fn check(request: &NetworkCreateRequest) -> Result<()> {
    let name = request.name.as_str();
    if name.trim().is_empty() {
        return Err(Error::Invalid(format!("invalid name: {name}")));
    }
    if Networks::is_predefined(name) {
        return Err(Error::Forbidden(format!("operation is not permitted on predefined {name} network ")));
    }
    if request.scope == "swarm" || request.ingress {
        let words = "cannot create a swarm scoped network when swarm is not active";
        return Err(Error::Forbidden(words.to_owned()));
    }
    if request.config_only || request.config_from.as_ref().is_some_and(|c| !c.network.is_empty()) {
        return Err(Error::NotImplemented("a network that takes its configuration from another"));
    }
    if request.enable_ipv4 == Some(false) {
        return Err(Error::NotImplemented("a network without IPv4"));
    }
    match request.driver.as_str() {
        "" | "bridge" | "default" | "macvlan" | "ipvlan" => {}
        driver @ ("host" | "null") => {
            return Err(Error::Forbidden(format!("only one instance of {driver:?} network is allowed")));
        }
        driver => return Err(no_plugin(driver)),
    }
    match request.ipam.as_ref().map_or("", |ipam| ipam.driver.as_str()) {
        "" | "default" => Ok(()),
        driver => Err(no_plugin(driver)),
    }
}

fn no_plugin(name: &str) -> Error {
    Error::NoSuchPlugin(format!("plugin {name:?} not found"))
}

fn wanted(request: NetworkCreateRequest) -> Result<NetworkRequest> {
    let driver = [Driver::Macvlan, Driver::Ipvlan].into_iter().find(|d| d.name() == request.driver);
    let NetworkCreateRequest { name, enable_ipv6, ipam, internal, attachable, options, labels, .. } = request;
    let ipam = ipam.unwrap_or_default();
    Ok(NetworkRequest {
        name,
        driver,
        pools: ipam::pools(ipam.config.as_deref().unwrap_or_default())
            .map_err(|wrong| Error::Invalid(format!("invalid network config:\n{}", wrong.join("\n"))))?,
        ipv6: enable_ipv6.unwrap_or_default(),
        internal,
        attachable,
        ipam_options: ipam.options,
        options: options.unwrap_or_default(),
        labels: labels.unwrap_or_default(),
        created: Time(Timestamp::now()).to_string(),
    })
}

impl Networks {
    /// Whether a name is always taken.
    fn is_predefined(name: &str) -> bool {
        matches!(name, "bridge" | "host" | "none" | "default")
    }
}
