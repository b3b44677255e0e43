//! Networks that users make, and containers on several of them.

use brig_e2e::{Client, Host, host::follow_until, with_both};
use serde_json::json;

const SERVE: &str = "httpd -p 80 -h /www && echo serving && exec sleep 1000";

fn serve(host: &Host, client: Client, name: &str, flags: &[&str]) {
    client.run(host, &[&["run", "-d", "--name", name], flags, &["busybox", "sh", "-c", SERVE]].concat()).ok();
    follow_until(host, client, name, "serving");
}

fn address(host: &Host, client: Client, container: &str, network: &str) -> String {
    let format = format!("{{{{(index .NetworkSettings.Networks {network:?}).IPAddress}}}}");
    client.run(host, &["inspect", "-f", &format, container]).ok()
}

fn fetches(host: &Host, client: Client, container: &str, url: &str) -> bool {
    let command = ["exec", container, "timeout", "1", "wget", "-q", "-O", "-", url];
    client.run(host, &command).code == 0
}

#[test]
fn made_looked_at_and_removed() {
    with_both(|host, client| {
        let run = |args: &[&str]| client.run(host, args);
        let id = run(&[
            "network",
            "create",
            "--subnet",
            "10.44.0.0/24",
            "--ip-range",
            "10.44.0.128/25",
            "--gateway",
            "10.44.0.9",
            "--aux-address",
            "router=10.44.0.130",
            "--label",
            "team=a",
            "-o",
            "com.docker.network.driver.mtu=1400",
            "one",
        ])
        .ok();
        assert_eq!(id.len(), 64);
        run(&["network", "create", "--internal", "two"]).ok();
        let shown = host.api("GET", "/v1.47/networks/one", None).json();
        assert_eq!(
            shown["IPAM"]["Config"],
            json!([{
                "Subnet": "10.44.0.0/24", "IPRange": "10.44.0.128/25", "Gateway": "10.44.0.9",
                "AuxiliaryAddresses": {"router": "10.44.0.130"}
            }])
        );
        assert_eq!(shown["Labels"], json!({"team": "a"}));
        assert_eq!(run(&["network", "ls", "-q", "--no-trunc", "--filter", "label=team"]).ok(), id);
        let listed = run(&["network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Internal}}"]).ok();
        assert_eq!(
            listed,
            "bridge bridge false\nhost host false\nnone null false\none bridge false\ntwo bridge true"
        );
        let shown = run(&["run", "--rm", "--network", "one", "busybox", "ip", "addr", "show", "eth0"]).ok();
        assert!(shown.contains("inet 10.44.0.128/24") && shown.contains("mtu 1400"), "{shown}");
        let run_on_two = ["run", "--rm", "--network", "two", "busybox", "ip", "route"];
        assert!(!run(&run_on_two).ok().contains("default"));

        run(&[
            "run",
            "-d",
            "--name",
            "box",
            "--network",
            "one",
            "--ip",
            "10.44.0.200",
            "busybox",
            "sleep",
            "1000",
        ])
        .ok();
        assert_eq!(address(host, client, "box", "one"), "10.44.0.200");
        run(&["network", "rm", "one"]).fails(1, "has active endpoints");
        assert_eq!(run(&["network", "prune", "-f"]).ok(), "Deleted Networks:\ntwo");
        run(&["rm", "-f", "box"]).ok();
        assert_eq!(run(&["network", "rm", "one"]).ok(), "one");
        run(&["network", "inspect", "one"]).fails(1, "network one not found");
    });
}

#[test]
fn refused_in_dockers_words() {
    with_both(|host, client| {
        let run = |args: &[&str]| client.run(host, args);
        run(&["network", "create", "--subnet", "10.44.0.0/24", "one"]).ok();
        for (args, words) in [
            (&["one"][..], "network with name one already exists"),
            (&["bridge"], "operation is not permitted on predefined bridge network"),
            (&["-d", "nope", "x"], "plugin \"nope\" not found"),
            (&["-d", "host", "x"], "only one instance of \"host\" network is allowed"),
            (&["--subnet", "10.44.0.128/25", "x"], "Pool overlaps with other one on this address space"),
            (&["--subnet", "10.45.0.7/24", "x"], "invalid subnet 10.45.0.7/24: it should be 10.45.0.0/24"),
            (&["--subnet", "x", "x"], "invalid subnet x: invalid CIDR block notation"),
            (&["--gateway", "1.2.3.4", "x"], "every ip-range or gateway must have a corresponding subnet"),
            (
                &["-o", "com.docker.network.bridge.enable_icc=maybe", "x"],
                "failed to parse com.docker.network.bridge.enable_icc value: maybe (strconv.ParseBool: parsing \
                 \"maybe\": invalid syntax)",
            ),
            (&["-o", "com.docker.network.bridge.name=brig0", "x"], "networks have same bridge name"),
            (&["-o", "com.docker.network.bridge.name=../x", "x"], "invalid name for a bridge"),
        ] {
            run(&[&["network", "create"], args].concat()).fails(1, words);
        }
        run(&["network", "rm", "bridge"]).fails(1, "bridge is a pre-defined network and cannot be removed");
        run(&["run", "-d", "--name", "box", "--network", "one", "busybox", "sleep", "1000"]).ok();
        run(&["run", "-d", "--name", "lone", "--network", "none", "busybox", "sleep", "1000"]).ok();
        for (args, words) in [
            (&["connect", "one", "box"][..], "endpoint with name box already exists in network one"),
            (
                &["connect", "host", "box"],
                "cannot be disconnected from host network or connected to host network",
            ),
            (&["connect", "none", "box"], "one of the networks in private (none) mode"),
            (&["connect", "one", "lone"], "one of the networks in private (none) mode"),
            (&["connect", "nope", "box"], "network nope not found"),
            (&["connect", "one", "nope"], "No such container: nope"),
            (
                &["connect", "--ip", "172.17.0.9", "bridge", "box"],
                "is supported on user defined networks only",
            ),
            (&["disconnect", "bridge", "box"], "is not connected to network bridge"),
        ] {
            run(&[&["network"], args].concat()).fails(1, words);
        }
        let outside = ["run", "--rm", "--network", "one", "--ip", "10.45.0.2", "busybox", "true"];
        run(&outside).fails(125, "no configured subnet contains IP address 10.45.0.2");
        let taken = run(&["inspect", "-f", "{{.NetworkSettings.Networks.one.IPAddress}}", "box"]).ok();
        let again = ["run", "--rm", "--network", "one", "--ip", &taken, "busybox", "true"];
        run(&again).fails(125, "Address already in use");
        assert_eq!(run(&["ps", "-q"]).ok().lines().count(), 2);
    });
}

#[test]
fn on_several_networks_from_the_start_and_later() {
    with_both(|host, client| {
        let run = |args: &[&str]| client.run(host, args);
        run(&["network", "create", "--subnet", "10.44.0.0/24", "one"]).ok();
        run(&["network", "create", "--subnet", "10.45.0.0/24", "two"]).ok();
        serve(host, client, "web", &["--network", "two", "--network", "one", "-p", "8080:80"]);
        run(&["run", "-d", "--name", "other", "busybox", "sleep", "1000"]).ok();
        let routes = run(&["exec", "web", "ip", "route"]).ok();
        // The network that it was made on has the first interface; the first by name is the way out.
        assert!(routes.contains("default via 10.44.0.1 dev eth1"), "{routes}");
        assert!(routes.contains("10.45.0.0/24 dev eth0"), "{routes}");
        assert_eq!(host.get("127.0.0.1:8080").unwrap(), "hello from brig\n");

        let url = format!("http://{}/", address(host, client, "web", "two"));
        assert!(!fetches(host, client, "other", &url), "networks are kept apart");
        run(&["network", "connect", "--ip", "10.45.0.77", "two", "other"]).ok();
        assert!(fetches(host, client, "other", &url));
        assert!(run(&["exec", "other", "cat", "/etc/hosts"]).ok().contains("10.45.0.77\t"));
        let shown = host.api("GET", "/networks/two", None).json();
        assert_eq!(shown["Containers"].as_object().unwrap().len(), 2);
        run(&["network", "disconnect", "two", "other"]).ok();
        assert!(!run(&["exec", "other", "cat", "/etc/hosts"]).ok().contains("10.45.0.77"));
        assert!(!run(&["exec", "other", "ip", "link"]).ok().contains("eth1"));

        // The way out is taken away: another becomes it, and the ports lead there.
        run(&["network", "disconnect", "one", "web"]).ok();
        let routes = run(&["exec", "web", "ip", "route"]).ok();
        assert!(routes.contains("default via 10.45.0.1 dev eth0"), "{routes}");
        assert_eq!(host.get("127.0.0.1:8080").unwrap(), "hello from brig\n");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let until = format!("{}.{:09}", now.as_secs(), now.subsec_nanos());
        let told =
            String::from_utf8(host.api("GET", &format!("/events?since=1&until={until}"), None).body).unwrap();
        let told = told.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let told: Vec<String> = told
            .filter(|event| event["Type"] == "network")
            .map(|event| {
                format!("{} {}", event["Action"], event["Actor"]["Attributes"]["name"]).replace('"', "")
            })
            .collect();
        for line in ["create one", "connect two", "disconnect two", "disconnect one"] {
            assert!(told.iter().any(|l| l == line), "{line}: {told:?}");
        }

        // What was changed counts for the next start, too; and what is changed while it does not run.
        run(&["stop", "-t", "0", "web"]).ok();
        run(&["network", "connect", "bridge", "web"]).ok();
        run(&["start", "web"]).ok();
        let networks =
            run(&["inspect", "-f", "{{range $n, $_ := .NetworkSettings.Networks}}{{$n}} {{end}}", "web"])
                .ok();
        assert_eq!(networks.trim(), "bridge two");
        run(&["rm", "-f", "web", "other"]).ok();
        run(&["network", "rm", "one", "two"]).ok();
    });
}

#[test]
fn with_ipv6() {
    with_both(|host, client| {
        let run = |args: &[&str]| client.run(host, args);
        run(&["network", "create", "--ipv6", "--subnet", "fd00:44::/64", "six"]).ok();
        run(&["network", "create", "--ipv6", "chosen"]).ok();
        let subnets =
            run(&["network", "inspect", "-f", "{{range .IPAM.Config}}{{.Subnet}} {{end}}", "chosen"]).ok();
        assert!(
            subnets.split(' ').any(|subnet| subnet.starts_with("fd") && subnet.ends_with("::/64")),
            "{subnets}"
        );
        serve(host, client, "web", &["--network", "six", "--ip6", "fd00:44::80", "-p", "8080:80"]);
        let shown =
            run(&["inspect", "-f", "{{.NetworkSettings.Networks.six.GlobalIPv6Address}}", "web"]).ok();
        assert_eq!(shown, "fd00:44::80");
        // The first packet gets through: nothing is tried twice.
        assert_eq!(host.get("[fd00:44::80]:80").unwrap(), "hello from brig\n");
        assert_eq!(host.get("[::1]:8080").unwrap(), "hello from brig\n");
        assert_eq!(host.get("127.0.0.1:8080").unwrap(), "hello from brig\n");
        let both = run(&["run", "--rm", "--network", "six", "busybox", "nslookup", "web"]).ok();
        assert!(both.contains("fd00:44::80") && both.contains("Address: 172."), "{both}");
        let ping = ["run", "--rm", "--network", "six", "busybox", "ping", "-6", "-c", "1", "-W", "5", "web"];
        run(&ping).ok();
        let outside = ["run", "--rm", "--network", "six", "--ip6", "fd00:45::2", "busybox", "true"];
        run(&outside).fails(125, "no configured subnet contains IP address fd00:45::2");
        run(&["rm", "-f", "web"]).ok();
        run(&["network", "rm", "six", "chosen"]).ok();
    });
}

#[test]
fn one_network_by_several_names_is_one() {
    let host = Host::start();
    host.import_busybox();
    let run = |args: &[&str]| host.brig(args);
    let id = run(&["network", "create", "one"]).ok();
    let begin = &id[..12];
    let created = host.api(
        "POST",
        "/v1.47/containers/create?name=both",
        Some(&format!(
            r#"{{"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": {{"NetworkMode": "one"}},
                "NetworkingConfig": {{"EndpointsConfig": {{"one": {{}}, "{begin}": {{"Aliases": ["x"]}}}}}}}}"#
        )),
    );
    assert_eq!(created.status, 201);
    let exists = "endpoint with name both already exists in network one";
    run(&["start", "both"]).fails(1, exists);
    run(&["rm", "both"]).ok();
    run(&[
        "run",
        "-d",
        "--name",
        "box",
        "--network",
        begin,
        "--network-alias",
        "x",
        "busybox",
        "sleep",
        "1000",
    ])
    .ok();
    let shown = host.api("GET", "/v1.47/containers/box/json", None).json();
    let one = &shown["NetworkSettings"]["Networks"]["one"];
    assert_eq!((&one["NetworkID"], &one["Aliases"]), (&json!(id), &json!(["x"])));
    assert_ne!(one["IPAddress"], "");
    run(&["network", "connect", "one", "box"])
        .fails(1, "endpoint with name box already exists in network one");
    run(&["network", "disconnect", "one", "box"]).ok();
    run(&["network", "connect", "one", "box"]).ok();
    run(&["rm", "-f", "box"]).ok();
    // Nothing of it is left on the network.
    run(&["network", "rm", "one"]).ok();

    // A container outlives the network that it was made on.
    run(&["network", "create", "gone"]).ok();
    run(&["create", "--name", "left", "--network", "gone", "busybox", "true"]).ok();
    run(&["network", "rm", "gone"]).ok();
    run(&["start", "left"]).fails(1, "network gone not found");
    run(&["network", "disconnect", "gone", "left"]).ok();
    run(&["network", "disconnect", "gone", "left"]).fails(1, "is not connected to the network gone");
    run(&["network", "connect", "bridge", "left"]).ok();
    run(&["start", "-a", "left"]).ok();
}

/// What a network has in the kernel and in records is there whole, or not at all, whenever the daemon dies.
fn died_at(failpoint: &str, steps: &[&[&str]]) -> Host {
    let host = Host::start();
    host.import_busybox();
    host.brig(&["network", "create", "one"]).ok();
    host.brig(&["run", "-d", "--name", "box", "-p", "8080:80", "busybox", "sleep", "1000"]).ok();
    host.kill_daemon();
    host.start_daemon(&[("BRIG_FAILPOINTS", &format!("{failpoint}=kill"))]);
    for step in steps {
        host.brig(step);
    }
    host.await_daemon_death();
    host.start_daemon(&[]);
    host
}

/// Everything can be done again, and nothing is in its way.
fn goes_on(host: &Host) {
    host.brig(&["network", "disconnect", "one", "box"]);
    host.brig(&["network", "connect", "one", "box"]).ok();
    let links = host.brig(&["exec", "box", "ip", "-o", "link"]).ok();
    assert_eq!(links.lines().count(), 3, "{links}");
    host.brig(&["rm", "-f", "box"]).ok();
    host.brig(&["network", "rm", "one"]).ok();
    host.brig(&["network", "create", "one"]).ok();
    host.brig(&["run", "--rm", "--network", "one", "busybox", "true"]).ok();
}

#[test]
fn killed_while_a_container_is_connected_or_disconnected() {
    for point in ["engine.after_plug", "engine.before_unplug"] {
        let steps: &[&[&str]] =
            &[&["network", "connect", "one", "box"], &["network", "disconnect", "one", "box"]];
        goes_on(&died_at(point, steps));
    }
}

#[test]
fn killed_while_a_network_is_made_or_removed() {
    for point in [
        "engine.before_network_record",
        "engine.after_network_record",
        "engine.before_network_removal",
        "engine.after_network_removal",
    ] {
        let host = died_at(point, &[&["network", "create", "two"], &["network", "rm", "two"]]);
        let known = host.brig(&["network", "ls", "-q", "--filter", "name=two"]).ok();
        if known.is_empty() {
            host.brig(&["network", "create", "two"]).ok();
        }
        host.brig(&["run", "--rm", "--network", "two", "busybox", "true"]).ok();
        host.brig(&["network", "rm", "two"]).ok();
        goes_on(&host);
    }
}

#[test]
fn on_an_interface_of_the_hosts() {
    with_both(|host, client| {
        let run = |args: &[&str]| client.run(host, args);
        let subnet = ["--subnet", "10.67.0.0/24", "--ip-range", "10.67.0.128/25"];
        run(&[&["network", "create", "-d", "macvlan"], &subnet[..], &["shared"]].concat()).ok();
        let shown = run(&["network", "inspect", "-f", "{{.Driver}} {{json .IPAM.Config}}", "shared"]).ok();
        assert_eq!(shown, r#"macvlan [{"Subnet":"10.67.0.0/24","IPRange":"10.67.0.128/25"}]"#);
        serve(host, client, "web", &["--network", "shared", "--ip", "10.67.0.9", "-p", "8080:80"]);
        run(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).ok();
        run(&["network", "connect", "shared", "box"]).ok();
        assert_eq!(address(host, client, "web", "shared"), "10.67.0.9");
        assert!(fetches(host, client, "box", "http://web/"));
        // No port of the host's leads there.
        assert_eq!(run(&["port", "web"]).ok(), "");
        host.kill_daemon();
        host.start_daemon(&[]);
        assert!(fetches(host, client, "box", "http://10.67.0.9/"));
        run(&["network", "disconnect", "shared", "box"]).ok();
        assert!(!fetches(host, client, "box", "http://10.67.0.9/"));
        run(&["network", "rm", "shared"]).fails(1, "has active endpoints");
        run(&["rm", "-f", "web", "box"]).ok();
        run(&["network", "rm", "shared"]).ok();
        run(&["network", "create", "-d", "macvlan", "-o", "parent=lo", "x"])
            .fails(1, "loopback interface is not a valid macvlan parent link");
    });
}

#[test]
fn in_a_routed_network_ports_are_the_containers_own() {
    with_both(|host, client| {
        let run = |args: &[&str]| client.run(host, args);
        let mode = "com.docker.network.bridge.gateway_mode_ipv4=routed";
        let prefix = "com.docker.network.container_iface_prefix=lan";
        run(&["network", "create", "-o", mode, "-o", prefix, "routed"]).ok();
        serve(host, client, "web", &["--network", "routed", "-p", "80"]);
        let ports = run(&["inspect", "-f", "{{json .NetworkSettings.Ports}}", "web"]).ok();
        assert!(ports.contains(r#"{"HostIp":"0.0.0.0","HostPort":""}"#), "{ports}");
        // From another network, by the container's own address, on published ports only.
        run(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).ok();
        let own = address(host, client, "web", "routed");
        assert!(fetches(host, client, "box", &format!("http://{own}/")));
        run(&["exec", "-d", "web", "httpd", "-p", "81", "-h", "/www"]).ok();
        assert!(!fetches(host, client, "box", &format!("http://{own}:81/")));
        assert!(run(&["exec", "web", "ip", "-o", "link"]).ok().contains("lan0"));
        run(&["rm", "-f", "web", "box"]).ok();
        run(&["network", "rm", "routed"]).ok();
    });
}
