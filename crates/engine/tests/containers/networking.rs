//! Networks, as far as the engine decides: modes, addresses, ports, events.

use crate::{Test, host::Host};
use brig_api::{ContainerConfig, HostConfig, PortBinding};
use brig_core::{HasKind, Kind};
use brig_engine::{
    filters::Filters,
    options::{EventsOptions, WaitCondition},
};
use jiff::Timestamp;
use std::{
    io::{Read, Write},
    net::TcpStream,
};

pub const TESTS: &[Test] = &[
    ("network_modes", modes),
    ("bridge_gives_addresses", bridge),
    ("ports_are_published", ports),
    ("ports_that_are_taken", taken),
    ("networks_are_listed", listed),
];

fn bridged(_: &mut ContainerConfig, host: &mut HostConfig) {
    host.network_mode = "bridge".to_owned();
}

fn published(host: &mut HostConfig, port: &str) {
    host.network_mode = "bridge".to_owned();
    let binding = PortBinding { host_ip: String::new(), host_port: port.to_owned() };
    host.port_bindings = Some([("80/tcp".to_owned(), Some(vec![binding]))].into());
}

fn modes(host: &Host) {
    let links = ["sh", "-c", "ls /sys/class/net; ip -o link | wc -l"];
    assert!(
        host.run(&links, |_, _| {}).1.starts_with("lo\n1\n") || host.run(&links, |_, _| {}).1.contains("1\n")
    );
    let (_, output) = host.run(&["ip", "-o", "link"], |_, h| h.network_mode = "host".to_owned());
    assert!(output.contains("brig0"), "{output}");
    let owner = host.try_create(Some("owner"), &["sleep", "1000"], bridged).unwrap();
    let joins = |_: &mut ContainerConfig, h: &mut HostConfig| h.network_mode = "container:owner".to_owned();
    let early = host.create(&["true"], joins);
    let error = host.block(host.engine.container_start(&early)).unwrap_err();
    assert!(
        error.to_string().ends_with(
            "cannot join network namespace of a non running container: container owner is created"
        ),
        "{error}"
    );
    host.start(&owner);
    let (code, output) = host.run(&["ip", "-4", "-o", "addr", "show", "eth0"], joins);
    let ip = host.inspect(&owner).network_settings.ip_address;
    assert!(code == 0 && output.contains(&ip), "{output}");
    host.remove(&early);
    host.remove(&owner);
    let nowhere = host.try_create(None, &["true"], |_, h| h.network_mode = "nowhere".to_owned()).unwrap();
    let error = host.block(host.engine.container_start(&nowhere)).unwrap_err();
    assert!(error.to_string().ends_with("network nowhere not found"), "{error}");
    host.remove(&nowhere);
}

fn bridge(host: &Host) {
    let since = Timestamp::now();
    let id = host.create(
        &["sh", "-c", "ip -4 -o addr show eth0; grep $(hostname) /etc/hosts; echo end; sleep 1000"],
        bridged,
    );
    host.start(&id);
    host.follow_until(&id, "end\n");
    let inspected = host.inspect(&id);
    let settings = &inspected.network_settings;
    let endpoint = &settings.networks["bridge"];
    assert_eq!((endpoint.ip_address.as_str(), endpoint.ip_prefix_len), (settings.ip_address.as_str(), 16));
    assert!(endpoint.mac_address.starts_with("02:42:") && !endpoint.network_id.is_empty());
    let network = host.block(host.engine.network_inspect("bridge")).unwrap();
    assert!(network.containers.contains_key(&id), "{network:?}");
    host.block(host.engine.container_kill(&id, "9")).unwrap();
    let log = host.logs(&id);
    assert!(log.matches(&settings.ip_address).count() == 2, "{log}");
    assert_eq!(host.inspect(&id).network_settings.ip_address, "");
    host.remove(&id);
    let mut filters = Filters::default();
    filters.add("type", "network");
    let events = host.block(async {
        let options = EventsOptions { since: Some(since), until: Some(Timestamp::now()), filters };
        let mut stream = host.engine.events(options).await.unwrap();
        let mut actions = Vec::new();
        while let Some(event) = stream.next().await {
            assert_eq!(event.actor.attributes["container"], id);
            actions.push(event.action);
        }
        actions
    });
    assert_eq!(events, ["connect", "disconnect"]);
}

fn ports(host: &Host) {
    let server = "while :; do echo ahoy | nc -l -p 80; done";
    let id = host.create(&["sh", "-c", server], |c, h| {
        published(h, "18080");
        c.exposed_ports = Some([("90/tcp".to_owned(), brig_api::Empty {})].into());
    });
    host.start(&id);
    let map = host.inspect(&id).network_settings.ports.unwrap();
    assert_eq!(map["90/tcp"], None);
    assert!(map["80/tcp"].as_ref().unwrap().iter().any(|b| b.host_port == "18080"), "{map:?}");
    let mut answer = String::new();
    let begin = std::time::Instant::now();
    // Until the server inside listens.
    while begin.elapsed() < crate::host::PATIENCE {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", 18080)) else { continue };
        stream.set_read_timeout(Some(std::time::Duration::from_secs(1))).unwrap();
        let _ = stream.write_all(b"\n");
        if stream.read_to_string(&mut answer).is_ok() && !answer.is_empty() {
            break;
        }
    }
    assert_eq!(answer, "ahoy\n");
    let list = host.block(host.engine.container_list(Default::default())).unwrap();
    let shown = list.iter().find(|c| c.id == id).unwrap();
    assert!(shown.ports.iter().any(|p| (p.private_port, p.public_port) == (80, 18080)), "{:?}", shown.ports);
    host.remove(&id);
    TcpStream::connect(("127.0.0.1", 18080)).unwrap_err();
}

fn taken(host: &Host) {
    let first = host.create(&["sleep", "1000"], |_, h| published(h, "18081"));
    host.start(&first);
    let second = host.try_create(Some("second"), &["sleep", "1000"], |_, h| published(h, "18081")).unwrap();
    let error = host.block(host.engine.container_start(&second)).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("failed to set up container networking: driver failed programming external connectivity on endpoint second ("), "{text}");
    assert!(text.contains("port is already allocated"), "{text}");
    let state = host.inspect(&second).state;
    assert_eq!((state.status.as_str(), state.exit_code), ("created", 128));
    host.remove(&first);
    host.start(&second);
    host.remove(&second);
    let bad = host.try_create(None, &["true"], |_, h| published(h, "x")).unwrap_err();
    assert_eq!(bad.kind(), Kind::InvalidParameter);
    // The address was given back each time.
    for _ in 0..3 {
        let id = host.create(&["true"], bridged);
        host.start(&id);
        host.wait(&id, WaitCondition::NotRunning);
        host.remove(&id);
    }
}

fn listed(host: &Host) {
    let names = |filters: &Filters| -> Vec<String> {
        host.block(host.engine.network_list(filters)).unwrap().into_iter().map(|n| n.name).collect()
    };
    assert_eq!(names(&Filters::default()), ["bridge", "host", "none"]);
    let mut filters = Filters::default();
    filters.add("driver", "null");
    assert_eq!(names(&filters), ["none"]);
    let missing = host.block(host.engine.network_inspect("nowhere")).unwrap_err();
    assert_eq!((missing.kind(), missing.to_string().as_str()), (Kind::NotFound, "network nowhere not found"));
}
