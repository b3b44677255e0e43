//! `POST /containers/create`.

use crate::{
    actor::Actor,
    core::Core,
    engine::Engine,
    error::{Error, Result},
    host_config,
    networks::check_endpoint,
    options::CreateOptions,
    record::{CONTAINER_KIND, ContainerRecord, State},
    start::{self, NetworkMode},
    volumes::{self, Claim},
};
use brig_api::{ContainerConfig, ContainerCreateResponse, EndpointSettings, HostConfig, NetworkingConfig};
use brig_core::{Digest, Id, atomic::Durability, failpoint};
use brig_store::{Batch, Image};
use jiff::Timestamp;
use std::{collections::BTreeMap, fs::DirBuilder, os::unix::fs::DirBuilderExt, sync::Arc};

impl Engine {
    /// Makes a container. Everything is checked before anything is made.
    ///
    /// # Errors
    /// When the image is not there, the name is taken, or the request asks for what can't be.
    pub async fn container_create(&self, options: CreateOptions) -> Result<ContainerCreateResponse> {
        let core = self.core().clone();
        core.check_open()?;
        let CreateOptions { name, platform, request } = options;
        let host_config = request.host_config.unwrap_or_default();
        let wish = Wish {
            name,
            platform,
            config: request.config,
            host_config,
            networking: request.networking_config.unwrap_or_default(),
        };
        // Until the container is known to use them, nobody takes its volumes for unused.
        let (record, warnings, _claims) = core.blocking(move |core| create(core, wish)).await?;
        let id = record.id.to_string();
        announce(&core, record);
        Ok(ContainerCreateResponse { id, warnings })
    }
}

struct Wish {
    name: Option<String>,
    platform: Option<String>,
    config: ContainerConfig,
    host_config: HostConfig,
    networking: NetworkingConfig,
}

/// Starts the actor of a new container, and tells of it.
fn announce(core: &Arc<Core>, record: ContainerRecord) {
    core.tell_container(&record, "create", BTreeMap::new());
    Actor::spawn(core, record);
}

fn create(core: &Core, mut wish: Wish) -> Result<(ContainerRecord, Vec<String>, Vec<Claim>)> {
    let image = find_image(core, &wish.config.image)?;
    if let Some(image) = &image {
        check_platform(image, wish.platform.as_deref(), &wish.config.image)?;
        if let Some(from) = crate::images::container_config(image) {
            merge(&mut wish.config, from);
        }
    }
    let warnings = host_config::validate(&mut wish.config, &mut wish.host_config)?;
    if wish.config.hostname.is_empty() && wish.host_config.network_mode == "host" {
        wish.config.hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
    }
    for mode in [&wish.host_config.pid_mode, &wish.host_config.ipc_mode] {
        if let Some(name) = mode.strip_prefix("container:") {
            core.registry.resolve(name).map_err(|e| Error::Invalid(e.to_string()))?;
        }
    }
    crate::cdi::check(core, &wish.host_config)?;
    let networks = networks(core, &wish.host_config, wish.networking)?;
    let links = start::links_asked(core, &wish.host_config)?;
    if !links.is_empty() {
        // Shown by what the containers are called now.
        wish.host_config.links = None;
    }
    let id = Id::random();
    if wish.config.hostname.is_empty() {
        wish.config.hostname = id.short();
    }
    let log = &mut wish.host_config.log_config;
    if log.driver.is_empty() {
        log.driver.clone_from(&core.config.log_driver);
    }
    if log.driver == core.config.log_driver {
        let own = log.config.get_or_insert_default();
        for (name, value) in &core.config.log_options {
            own.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    if wish.host_config.shm_size == 0 {
        wish.host_config.shm_size = i64::try_from(core.config.shm_size).unwrap_or(i64::MAX);
    }
    let name = core.registry.reserve(id, wish.name.as_deref())?;
    let mut record = ContainerRecord {
        version: ContainerRecord::VERSION,
        id,
        name: name.clone(),
        created: Timestamp::now(),
        config: wish.config.into(),
        host_config: wish.host_config.into(),
        image: image.as_ref().map(|image| image.id),
        platform: "linux".to_owned(),
        networks,
        links,
        mounts: Vec::new(),
        log_path: None,
        sandbox: None,
        state: State::Created { failure: None },
        health: None,
        last_finished: None,
        restart_count: 0,
        backoff_ms: 0,
        runs: 0,
    };
    match make(core, &mut record, image.as_ref().map(|image| &image.id)) {
        Ok(claims) => Ok((record, warnings, claims)),
        Err(error) => {
            core.registry.release(id, &name);
            Err(error)
        }
    }
}

/// Makes what a container has on disk, its record last: a crash before that leaves only what the next start sweeps.
fn make(core: &Core, record: &mut ContainerRecord, image: Option<&Digest>) -> Result<Vec<Claim>> {
    if record.command().is_empty() {
        return Err(Error::Invalid("no command specified".to_owned()));
    }
    start::check_ports(record)?;
    record.log_path = start::log_path(core, record)?;
    let resolved = volumes::resolve(core, &record.config, &record.host_config)?;
    record.mounts = resolved.mounts;
    let key = record.id.to_string();
    let made = (|| {
        failpoint::hit("engine.before_snapshot")?;
        let snapshot = core.store.snapshot_make(&key, image)?;
        failpoint::hit("engine.after_prepare")?;
        let dir = core.config.paths.container(&record.id);
        DirBuilder::new()
            .recursive(true)
            .mode(0o710)
            .create(&dir)
            .map_err(|e| Error::file("make folder", &dir, e))?;
        volumes::fill(core, &snapshot.mount(), &resolved.fill)?;
        failpoint::hit("engine.before_create_record")?;
        let mut batch = Batch::new();
        batch.insert(CONTAINER_KIND, &key, record)?;
        volumes::record(&mut batch, &resolved.made)?;
        batch.keep(snapshot);
        core.store.records().batch(batch, Durability::Process)?;
        failpoint::hit("engine.after_create_record")?;
        Ok(())
    })();
    if made.is_ok() {
        volumes::tell_made(core, &resolved.made);
    } else {
        let removed = core.store.records().delete(CONTAINER_KIND, &key, Durability::Process);
        let removed = removed.and_then(|_| core.store.snapshot_remove(&key)).map_err(Error::from);
        if let Err(error) = removed.and_then(|()| start::remove_container_dir(core, &record.id)) {
            tracing::error!(container = %record.id, %error, "after a creation that failed");
        }
        volumes::take_back(core, &resolved.made);
    }
    made.map(|()| resolved.claims)
}

/// The image of a new container, if it names one.
fn find_image(core: &Core, name: &str) -> Result<Option<Image>> {
    if name.is_empty() {
        return Err(Error::Invalid("no command specified".to_owned()));
    }
    match core.store.image_resolve(name) {
        Ok(image) => Ok(Some(image)),
        Err(error) => Err(no_image(error, name)),
    }
}

/// Why there is no such image.
pub(crate) fn no_image(error: brig_store::Error, name: &str) -> Error {
    match error {
        brig_store::Error::NoSuchImage(_) => Error::NoSuchImage(familiar(name)),
        brig_store::Error::Reference(error) => Error::Reference(error),
        error => error.into(),
    }
}

/// A name as Docker shows it when there is no such image: with its tag.
pub(crate) fn familiar(name: &str) -> String {
    match name.parse::<brig_core::Reference>() {
        Ok(reference) => reference.with_default_tag().familiar(),
        Err(_) => name.to_owned(),
    }
}

fn check_platform(image: &Image, wanted: Option<&str>, name: &str) -> Result<()> {
    let Some(wanted) = wanted.filter(|p| !p.is_empty()) else { return Ok(()) };
    let parts: Vec<&str> = wanted.split('/').collect();
    let has =
        [image.platform.os.as_str(), image.platform.architecture.as_str(), image.platform.variant.as_str()];
    let fits = parts.len() <= has.len() && parts.iter().zip(has).all(|(want, has)| *want == has);
    if fits {
        return Ok(());
    }
    Err(Error::NoSuchImage(format!(
        "{}: image with reference {name} was found but does not provide the specified platform ({wanted})",
        familiar(name)
    )))
}

/// Takes over what the image says and the request does not, as Docker does.
pub(crate) fn merge(config: &mut ContainerConfig, from: ContainerConfig) {
    if config.user.is_empty() {
        config.user = from.user;
    }
    if let Some(ports) = from.exposed_ports {
        let own = config.exposed_ports.get_or_insert_default();
        for (port, empty) in ports {
            own.entry(port).or_insert(empty);
        }
    }
    let own = config.env.get_or_insert_default();
    for variable in from.env.unwrap_or_default() {
        let name = variable.split('=').next().unwrap_or_default();
        if !own.iter().any(|v| v.split('=').next() == Some(name)) {
            own.push(variable);
        }
    }
    if let Some(labels) = from.labels {
        let own = config.labels.get_or_insert_default();
        for (name, value) in labels {
            own.entry(name).or_insert(value);
        }
    }
    let no_entrypoint = config.entrypoint.as_ref().is_none_or(|e| e.is_empty());
    if no_entrypoint {
        if config.cmd.as_ref().is_none_or(|c| c.is_empty()) {
            config.cmd = from.cmd;
            config.args_escaped = from.args_escaped;
        }
        if config.entrypoint.is_none() {
            config.entrypoint = from.entrypoint;
        }
    }
    // `[""]` takes the image's entry point away.
    if config.entrypoint.as_ref().is_some_and(|e| e.as_slice() == [String::new()]) {
        config.entrypoint = None;
    }
    if config.working_dir.is_empty() {
        config.working_dir = from.working_dir;
    }
    match (&mut config.volumes, from.volumes) {
        (Some(own), Some(from)) if !own.is_empty() => {
            for (path, empty) in from {
                own.entry(path).or_insert(empty);
            }
        }
        (Some(own), None) if !own.is_empty() => {}
        (own, from) => *own = from,
    }
    if config.stop_signal.is_empty() {
        config.stop_signal = from.stop_signal;
    }
    if let Some(from) = from.healthcheck {
        match &mut config.healthcheck {
            None => config.healthcheck = Some(from),
            Some(own) => {
                if own.test.as_ref().is_none_or(Vec::is_empty) {
                    own.test = from.test;
                }
                for (own, from) in [
                    (&mut own.interval, from.interval),
                    (&mut own.timeout, from.timeout),
                    (&mut own.start_period, from.start_period),
                    (&mut own.start_interval, from.start_interval),
                    (&mut own.retries, from.retries),
                ] {
                    if *own == 0 {
                        *own = from;
                    }
                }
            }
        }
    }
    if config.shell.is_none() {
        config.shell = from.shell;
    }
    if config.labels.is_none() {
        config.labels = Some(BTreeMap::new());
    }
}

/// The name of a network that is given by its id. What is but the beginning of one is looked up at the start, as in
/// Docker: it may be the name of a network that is still to be made.
fn named(core: &Core, name: String) -> String {
    core.networks.exact(&name).map_or(name, |network| network.name.clone())
}

/// The networks of a new container, by name.
fn networks(
    core: &Core,
    host: &HostConfig,
    networking: NetworkingConfig,
) -> Result<BTreeMap<String, EndpointSettings>> {
    let asked = networking.endpoints_config.unwrap_or_default();
    let mut networks = BTreeMap::new();
    for (name, endpoint) in asked {
        let name = if name == "default" { "bridge".to_owned() } else { name };
        let endpoint = endpoint.unwrap_or_default();
        networks.insert(named(core, name), endpoint);
    }
    match NetworkMode::of_host_config(host) {
        NetworkMode::Network(name) => {
            networks.entry(named(core, name)).or_default();
        }
        NetworkMode::None => {
            networks.entry("none".to_owned()).or_default();
        }
        NetworkMode::Host => {
            networks.entry("host".to_owned()).or_default();
        }
        NetworkMode::Container(_) => networks.clear(),
    }
    if networks.len() > 1 && (networks.contains_key("none") || networks.contains_key("host")) {
        let words = "container cannot be connected to multiple networks with one of the networks in private (none) or \
                     host mode";
        return Err(Error::Forbidden(words.to_owned()));
    }
    for (name, endpoint) in &networks {
        // One that is not there is told of at the start, as in Docker.
        if let Some(network) = core.networks.exact(name) {
            check_endpoint(&network, endpoint)
                .map_err(|wrong| Error::Invalid(format!("invalid config for network {name}: {wrong}")))?;
        }
    }
    Ok(networks)
}
