//! What older versions of the API have otherwise. Pure.

use crate::http::ApiError;
use brig_api::{
    ApiVersion, ContainerConfig, ContainerCreateRequest, ContainerInspectResponse, ContainerSummary,
    HostConfig, ImageInspect, ImageSummary, Network, NetworkingConfig, SystemInfo,
};
use serde::Serialize;
use serde_json::Value;

/// An answer as today's type has it, or as an older version had it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Shaped<T, Older = Value> {
    /// With the type's fields, in their order.
    Now(T),
    /// With fields that the type has no more.
    Then(Older),
}

fn to_value<T: Serialize>(value: &T) -> Result<Value, ApiError> {
    serde_json::to_value(value).map_err(|e| {
        ApiError::new(http::StatusCode::INTERNAL_SERVER_ERROR, format!("encoding the answer: {e}"))
    })
}

/// Makes a request of an older client say what it meant then. Answers warnings for the client.
pub(super) fn create_request(
    request: &mut ContainerCreateRequest,
    version: ApiVersion,
) -> Result<Vec<String>, ApiError> {
    let host = request.host_config.get_or_insert_default();
    let network = request.networking_config.get_or_insert_default();
    if matches!(host.network_mode.as_str(), "" | "default") {
        host.network_mode = "bridge".into();
        if let Some(endpoints) = &mut network.endpoints_config
            && let Some(endpoint) = endpoints.remove("default")
        {
            endpoints.insert("bridge".into(), endpoint);
        }
    }
    older_host_config(host, version);
    mounts(host, version)?;
    if !version.at_least(44) {
        if let Some(check) = &mut request.config.healthcheck {
            check.start_interval = 0;
        }
        let names: Vec<&str> =
            network.endpoints_config.iter().flatten().map(|(name, _)| name.as_str()).collect();
        if names.len() > 1 {
            return Err(ApiError::bad(format!(
                "Container cannot be created with multiple network endpoints: {}",
                names.join(", ")
            )));
        }
    }
    if host.pids_limit.is_some_and(|limit| limit <= 0) {
        host.pids_limit = None;
    }
    let mac = std::mem::take(&mut request.config.mac_address);
    mac_address(mac, &host.network_mode, network, version)
}

fn older_host_config(host: &mut HostConfig, version: ApiVersion) {
    if !version.at_least(25) {
        // The client removes it.
        host.auto_remove = false;
    }
    if !version.at_least(40) {
        host.kernel_memory_tcp = 0;
        if host.ipc_mode.is_empty() {
            host.ipc_mode = "shareable".into();
        }
    }
    if version.at_least(42) {
        host.kernel_memory = 0;
    } else {
        host.console_size = [0, 0];
    }
    if !version.at_least(43) {
        host.annotations = None;
    }
}

fn mounts(host: &mut HostConfig, version: ApiVersion) -> Result<(), ApiError> {
    for mount in host.mounts.iter_mut().flatten() {
        if let Some(bind) = &mut mount.bind_options {
            if !version.at_least(40) {
                bind.non_recursive = false;
            }
            if !version.at_least(42) {
                bind.create_mountpoint = false;
            }
            if !version.at_least(44) && mount.kind == "bind" && bind.read_only_force_recursive {
                return Err(ApiError::bad("BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer"));
            }
        }
        if !version.at_least(44) && mount.kind == "bind" && mount.read_only {
            // Mounts below were never made read-only then.
            mount.bind_options.get_or_insert_default().read_only_non_recursive = true;
        }
        if !version.at_least(45)
            && let Some(volume) = &mount.volume_options
            && !volume.subpath.is_empty()
        {
            return Err(ApiError::bad("VolumeOptions.Subpath needs API v1.45 or newer"));
        }
        if !version.at_least(48) && mount.kind == "image" {
            return Err(ApiError::bad("mount type \"image\" needs API v1.48 or newer"));
        }
        let foreign = [
            ("VolumeOptions", "volume", mount.volume_options.is_some()),
            ("BindOptions", "bind", mount.bind_options.is_some()),
            ("TmpfsOptions", "tmpfs", mount.tmpfs_options.is_some()),
        ];
        for (options, kind, given) in foreign {
            if given && mount.kind != kind && version.at_least(42) {
                return Err(ApiError::bad(format!(
                    "{options} must not be specified on mount type {:?}",
                    mount.kind
                )));
            }
        }
        if !version.at_least(42) {
            // Not looked at then.
            mount.volume_options = mount.volume_options.take().filter(|_| mount.kind == "volume");
            mount.tmpfs_options = mount.tmpfs_options.take().filter(|_| mount.kind == "tmpfs");
        }
    }
    Ok(())
}

/// Takes a MAC address of the container, as it was given before 1.44, to its endpoint.
fn mac_address(
    mac: String,
    mode: &str,
    network: &mut NetworkingConfig,
    version: ApiVersion,
) -> Result<Vec<String>, ApiError> {
    let endpoints = network.endpoints_config.get_or_insert_default();
    if mac.is_empty() {
        if !version.at_least(44) {
            for endpoint in endpoints.values_mut().flatten() {
                endpoint.mac_address.clear();
            }
        }
        return Ok(Vec::new());
    }
    let own_network = !matches!(mode, "host" | "none") && !mode.starts_with("container:");
    let warning = "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.";
    if own_network {
        let key = match endpoints.keys().next() {
            Some(key) if !version.at_least(44) => key.clone(),
            Some(_) if !endpoints.contains_key(mode) => {
                return Err(ApiError::bad(
                    "unable to migrate container-wide MAC address to a specific network: HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks",
                ));
            }
            _ => mode.to_owned(),
        };
        let endpoint = endpoints.entry(key).or_default().get_or_insert_default();
        if version.at_least(44) && !endpoint.mac_address.is_empty() && endpoint.mac_address != mac {
            return Err(ApiError::bad(
                "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty",
            ));
        }
        endpoint.mac_address = mac;
    } else if !version.at_least(44) {
        return Err(ApiError::bad("conflicting options: mac-address and the network mode"));
    }
    Ok(if version.at_least(44) { vec![warning.into()] } else { Vec::new() })
}

pub(super) fn container_list(mut list: Vec<ContainerSummary>, version: ApiVersion) -> Vec<ContainerSummary> {
    for container in &mut list {
        if !version.at_least(46) {
            container.host_config.annotations = None;
        }
        if !version.at_least(48) {
            container.image_manifest_descriptor = None;
        }
    }
    list
}

pub(super) fn container_inspect(
    mut container: ContainerInspectResponse,
    version: ApiVersion,
) -> ContainerInspectResponse {
    if !version.at_least(45) {
        // The short id was among the aliases of networks other than the default one.
        let short: String = container.id.chars().take(12).collect();
        for (name, endpoint) in &mut container.network_settings.networks {
            if !matches!(name.as_str(), "bridge" | "host" | "none") {
                let aliases = endpoint.aliases.get_or_insert_default();
                if !aliases.contains(&short) {
                    aliases.push(short.clone());
                }
            }
        }
    }
    if !version.at_least(48) {
        container.image_manifest_descriptor = None;
    }
    container
}

pub(super) fn image_list(mut list: Vec<ImageSummary>, version: ApiVersion) -> Vec<ImageSummary> {
    for image in &mut list {
        if !version.at_least(43) && image.repo_tags.is_empty() && image.repo_digests.is_empty() {
            image.repo_tags.push("<none>:<none>".into());
            image.repo_digests.push("<none>@<none>".into());
        }
        if !version.at_least(44) {
            image.virtual_size = image.size;
        }
        if !version.at_least(48) {
            image.descriptor = None;
        }
        if !version.at_least(51) {
            image.containers = -1;
        }
    }
    list
}

pub(super) fn image_inspect(
    mut image: ImageInspect,
    version: ApiVersion,
) -> Shaped<ImageInspect, ImageInspect<ContainerConfig>> {
    if !version.at_least(44) {
        image.virtual_size = Some(image.size);
    }
    if !version.at_least(45) {
        image.container_config.get_or_insert_default();
        image.created.get_or_insert_default();
    }
    if !version.at_least(48) {
        image.descriptor = None;
    }
    if version.at_least(50) {
        return Shaped::Now(image);
    }
    Shaped::Then(image.with_container_config())
}

pub(super) fn networks(mut networks: Vec<Network>, version: ApiVersion) -> Vec<Network> {
    if version.at_least(28) {
        // Since then only an inspection tells the containers.
        for network in &mut networks {
            network.containers.clear();
        }
    }
    networks
}

pub(super) fn info(mut info: SystemInfo, version: ApiVersion) -> Result<Shaped<SystemInfo>, ApiError> {
    if !version.at_least(25) {
        // Names only: `name=seccomp,profile=builtin` was `seccomp`.
        for option in &mut info.security_options {
            let name = option.split(',').find_map(|pair| pair.strip_prefix("name=")).map(str::to_owned);
            *option = name.unwrap_or_else(|| std::mem::take(option));
        }
    }
    if !version.at_least(39) {
        for text in [&mut info.kernel_version, &mut info.operating_system] {
            if text.is_empty() {
                "<unknown>".clone_into(text);
            }
        }
    }
    if !version.at_least(44) {
        for runtime in info.runtimes.values_mut() {
            runtime.status = None;
        }
    }
    if !version.at_least(46) {
        info.containerd = None;
    }
    if !version.at_least(49) {
        info.firewall_backend = None;
    }
    if version.at_least(50) {
        info.bridge_nf_iptables = None;
        info.bridge_nf_ip6tables = None;
    } else {
        info.bridge_nf_iptables.get_or_insert(false);
        info.bridge_nf_ip6tables.get_or_insert(false);
        info.discovered_devices = None;
    }
    if version.at_least(25) {
        return Ok(Shaped::Now(info));
    }
    let mut value = to_value(&info)?;
    if let Some(fields) = value.as_object_mut() {
        fields.insert("ExecutionDriver".into(), "<not supported>".into());
    }
    Ok(Shaped::Then(value))
}

#[cfg(test)]
mod tests;
