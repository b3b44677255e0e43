//! A container as the API shows it.

use crate::{
    actor::Snapshot,
    core::Core,
    networks::is_user_defined,
    record::{ContainerRecord, HealthRecord, MountOrigin, SandboxRecord, State, Status},
    start::{self, Paths},
};
use brig_api::{
    ContainerInspectResponse, ContainerState, DriverData, EndpointSettings, Health, HealthcheckResult,
    MountPoint, NetworkSettings, Port, PortBinding, PortMap, Time,
};
use brig_core::RootFs;
use brig_net::Endpoint;
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
    path::Path,
};

/// The container of `inspect`.
pub(super) fn inspect(core: &Core, snapshot: &Snapshot) -> ContainerInspectResponse {
    let record = &snapshot.record;
    let mut command = record.command().into_iter();
    let paths = Paths::of(core, record);
    // Written by the first start.
    let file =
        |path: &Path| if record.runs > 0 { path.to_string_lossy().into_owned() } else { String::new() };
    let execs = core.execs.living(&record.id);
    ContainerInspectResponse {
        id: record.id.to_string(),
        created: Time(record.created),
        path: command.next().unwrap_or_default(),
        args: command.collect(),
        state: state(record),
        image: record.image.map(|id| id.to_string()).unwrap_or_default(),
        resolv_conf_path: file(&paths.resolv_conf),
        hostname_path: file(&paths.hostname),
        hosts_path: file(&paths.hosts),
        log_path: record.log_path.as_deref().map(file).unwrap_or_default(),
        name: format!("/{}", record.name),
        restart_count: record.restart_count.into(),
        driver: driver(core, record).name,
        platform: record.platform.clone(),
        exec_ids: (!execs.is_empty()).then_some(execs),
        host_config: brig_api::HostConfig {
            links: start::links_shown(core, record).or_else(|| record.host_config.links.clone()),
            ..brig_api::HostConfig::clone(&record.host_config)
        },
        graph_driver: driver(core, record),
        mounts: mounts(record),
        config: brig_api::ContainerConfig::clone(&record.config),
        network_settings: network_settings(core, snapshot),
        ..ContainerInspectResponse::default()
    }
}

fn driver(core: &Core, record: &ContainerRecord) -> DriverData {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    match core.store.snapshot_mount(&record.id.to_string()) {
        Ok(RootFs::Overlay { lower, upper, work, .. }) => {
            let lower: Vec<String> = lower.iter().map(|path| text(path)).collect();
            let data = BTreeMap::from([
                ("ID".to_owned(), record.id.to_string()),
                ("LowerDir".to_owned(), lower.join(":")),
                ("MergedDir".to_owned(), text(&upper.with_file_name("merged"))),
                ("UpperDir".to_owned(), text(&upper)),
                ("WorkDir".to_owned(), text(&work)),
            ]);
            DriverData { data: Some(data), name: "overlay2".to_owned() }
        }
        Ok(RootFs::Directory { path }) => DriverData {
            data: Some(BTreeMap::from([("Dir".to_owned(), text(&path))])),
            name: "vfs".to_owned(),
        },
        // Being removed.
        Err(_) => DriverData { data: None, name: "overlay2".to_owned() },
    }
}

fn state(record: &ContainerRecord) -> ContainerState {
    let status = record.state.status();
    let run = record.state.run();
    let exit = record.state.exit();
    let error = match &record.state {
        State::Created { failure: Some(failure) } => failure.message.clone(),
        State::Dead { message, .. } => message.clone(),
        _ => exit.map_or_else(String::new, |exit| exit.error.clone()),
    };
    let started = run.map(|run| run.started_at).or(exit.map(|exit| exit.started_at));
    ContainerState {
        status: status.as_str().to_owned(),
        running: record.state.is_running(),
        paused: status == Status::Paused,
        restarting: status == Status::Restarting,
        oom_killed: run.map_or_else(|| exit.is_some_and(|exit| exit.oom_killed), |run| run.oom_killed),
        dead: status == Status::Dead,
        pid: run.map_or(0, |run| run.pid.into()),
        exit_code: record.state.exit_code().into(),
        error,
        started_at: started.map(Time).unwrap_or_default(),
        finished_at: finished(record),
        health: record.health.as_deref().map(health),
    }
}

fn health(record: &HealthRecord) -> Health {
    Health {
        status: record.status.as_str().to_owned(),
        failing_streak: record.failing_streak.into(),
        log: Some(record.log.iter().map(|result| HealthcheckResult::clone(result)).collect()),
    }
}

/// The end of the last run, which is told of a running container too.
fn finished(record: &ContainerRecord) -> Time {
    let exit = record.state.exit().map(|exit| exit.finished_at);
    exit.or(record.last_finished).map(Time).unwrap_or_default()
}

/// The mounts of the API. Those of `--tmpfs` are told in the host config only.
pub(super) fn mounts(record: &ContainerRecord) -> Vec<MountPoint> {
    let by_flag = |m: &&crate::record::MountRecord| {
        let tmpfs = record.host_config.tmpfs.as_ref();
        m.origin != MountOrigin::Tmpfs || tmpfs.is_none_or(|t| !t.contains_key(&m.point.destination))
    };
    record.mounts.iter().filter(by_flag).map(|m| m.point.clone()).collect()
}

fn network_settings(core: &Core, snapshot: &Snapshot) -> NetworkSettings {
    let record = &snapshot.record;
    let sandbox = snapshot.sandbox.as_ref();
    let own = sandbox.filter(|sandbox| sandbox.owner == record.id);
    let networks = networks(core, record, own);
    let bridge = networks.get("bridge").cloned().unwrap_or_default();
    NetworkSettings {
        sandbox_id: sandbox.map(|s| s.id.to_string()).unwrap_or_default(),
        sandbox_key: record.state.run().map(|run| format!("/proc/{}/ns/net", run.pid)).unwrap_or_default(),
        ports: Some(port_map(record, own)),
        endpoint_id: bridge.endpoint_id,
        gateway: bridge.gateway,
        global_ipv6_address: bridge.global_ipv6_address,
        global_ipv6_prefix_len: bridge.global_ipv6_prefix_len,
        ip_address: bridge.ip_address,
        ip_prefix_len: bridge.ip_prefix_len,
        ipv6_gateway: bridge.ipv6_gateway,
        mac_address: bridge.mac_address,
        networks,
        ..NetworkSettings::default()
    }
}

/// The endpoints of a container: as asked for, and while it runs as it got them.
pub(super) fn networks(
    core: &Core,
    record: &ContainerRecord,
    sandbox: Option<&SandboxRecord>,
) -> BTreeMap<String, EndpointSettings> {
    let mut out = record.networks.clone();
    for (name, shown) in &mut out {
        let Ok(network) = core.networks.resolve(name) else { continue };
        if record.runs > 0 {
            shown.network_id = network.id.to_string();
            shown.dns_names = is_user_defined(&network).then(|| start::dns_names(record, shown));
        }
        if let Some(endpoint) = sandbox.and_then(|s| s.endpoints.get(name)) {
            put_endpoint(shown, endpoint, core.net.gateways(&network.id));
        }
    }
    out
}

fn put_endpoint(
    shown: &mut EndpointSettings,
    endpoint: &Endpoint,
    (gateway4, gateway6): (Option<Ipv4Addr>, Option<Ipv6Addr>),
) {
    shown.endpoint_id = endpoint.id.to_string();
    shown.mac_address = endpoint.mac.shown();
    // The network's, whether or not it is the container's way out.
    shown.gateway = endpoint.ipv4.and(gateway4).map(|ip| ip.to_string()).unwrap_or_default();
    shown.ipv6_gateway = endpoint.ipv6.and(gateway6).map(|ip| ip.to_string()).unwrap_or_default();
    if let Some(ip) = endpoint.ipv4 {
        shown.ip_address = ip.addr().to_string();
        shown.ip_prefix_len = ip.prefix_len().into();
    }
    if let Some(ip) = endpoint.ipv6 {
        shown.global_ipv6_address = ip.addr().to_string();
        shown.global_ipv6_prefix_len = ip.prefix_len().into();
    }
}

/// The ports of `inspect`: exposed ones with `null`, published ones with where; none while it does not run.
fn port_map(record: &ContainerRecord, sandbox: Option<&SandboxRecord>) -> PortMap {
    let mut map = PortMap::new();
    let Some(sandbox) = sandbox else { return map };
    for port in record.config.exposed_ports.iter().flatten().map(|(port, _)| port) {
        map.insert(port.clone(), None);
    }
    for binding in sandbox.endpoints.values().flat_map(|e| &e.ports) {
        let port = format!("{}/{}", binding.container_port, binding.protocol);
        // In a routed network there is no port of the host's.
        let host_port = if binding.is_routed() { String::new() } else { binding.host_port.to_string() };
        let host = PortBinding { host_ip: binding.host_ip.to_string(), host_port };
        let bindings: &mut Vec<PortBinding> = map.entry(port).or_default().get_or_insert_default();
        // A port that needs a proxy as well is bound once for the user.
        if !bindings.contains(&host) {
            bindings.push(host);
        }
    }
    map
}

/// The ports of the list.
pub(super) fn ports(record: &ContainerRecord, sandbox: Option<&SandboxRecord>) -> Vec<Port> {
    let own = sandbox.filter(|sandbox| sandbox.owner == record.id);
    let mut ports = Vec::new();
    for (port, bindings) in port_map(record, own) {
        let (number, protocol) = port.split_once('/').unwrap_or((&port, "tcp"));
        let private_port = number.parse().unwrap_or(0);
        let plain = Port { private_port, protocol: protocol.to_owned(), ..Port::default() };
        match bindings {
            None => ports.push(plain),
            Some(bindings) => ports.extend(bindings.into_iter().map(|binding| Port {
                ip: binding.host_ip,
                public_port: binding.host_port.parse().unwrap_or(0),
                ..plain.clone()
            })),
        }
    }
    ports
}
