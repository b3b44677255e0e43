//! Network interfaces of the machine that become a container's.

use brig_oci_contract::{Runtime, Said};
use serde_json::{Value, json};
use std::process::Command;

/// Makes the interface `lan` with addresses of all sorts.
const LAN: &str = "ip link add name lan type veth peer name lan-peer; ip link set lan-peer up; \
    ip link set lan mtu 1400; \
    ip addr add 10.9.8.7/24 dev lan; ip addr add 10.9.8.8/32 scope host dev lan; \
    ip -6 addr add fd00::7/64 dev lan; ip link set lan up;";

/// Runs a container from a network namespace in which `setup` was done first, and `after` is done after.
fn run_after(
    runtime: &Runtime,
    setup: &str,
    after: &str,
    script: &str,
    change: impl FnOnce(&mut Value),
) -> Said {
    let bundle = runtime.bundle(script, change);
    let mut command = runtime.command();
    command.args(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]);
    let script = format!("{setup} code=0; \"$@\" || code=$?; {after} exit $code");
    let mut around = Command::new("unshare");
    around.args(["--net", "sh", "-c", &script, "sh"]);
    around.arg(command.get_program()).args(command.get_args());
    around.output().unwrap().into()
}

/// Whether there is nothing to say here.
fn left_out(runtime: &Runtime) -> bool {
    let ip = Command::new("ip").arg("-V").output().is_ok_and(|output| output.status.success());
    if !ip {
        eprintln!("left out: interfaces to move are made by iproute2, which is not installed");
    }
    !ip || runtime.leaves_out("runc 1.1 has no netDevices")
}

fn devices(value: Value) -> impl FnOnce(&mut Value) {
    |config| config["linux"]["netDevices"] = value
}

#[test]
fn one_keeps_what_it_is_and_is_switched_on() {
    let runtime = Runtime::new();
    if left_out(&runtime) {
        return;
    }
    let show = "busybox ip addr show lan; cat /proc/sys/net/ipv4/conf/lan/forwarding";
    let said = run_after(&runtime, LAN, "ip link show lan;", show, |config| {
        config["linux"]["netDevices"] = json!({"lan": {}});
        // There from the first moment on, for all that is set in the namespace.
        config["linux"]["sysctl"] = json!({"net.ipv4.conf.lan.forwarding": "1"});
    });
    let gone = said.err.clone();
    let out = said.out;
    for part in ["mtu 1400", "UP", "10.9.8.7/24", "fd00::7/64", "\n1\n"] {
        assert!(out.contains(part), "{part}: {out}{gone}");
    }
    assert!(!out.contains("10.9.8.8"), "an address for the machine alone: {out}");
    assert!(gone.contains("\"lan\" does not exist"), "{gone}");
}

#[test]
fn names_inside() {
    let runtime = Runtime::new();
    if left_out(&runtime) {
        return;
    }
    let setup = format!("{LAN} ip link add name other type veth peer name other-peer;");
    let show = "busybox ip link | busybox grep -o 'eth[0-9]' | busybox sort";
    for (names, expected) in [
        (json!({"lan": {"name": "eth0"}, "other": {"name": "eth1"}}), "eth0\neth1\n"),
        (json!({"lan": {"name": "eth%d"}, "other": {"name": "eth%d"}}), "eth0\neth1\n"),
    ] {
        assert_eq!(run_after(&runtime, &setup, "", show, devices(names)).ok(), expected);
    }
}

#[test]
fn a_namespace_that_is_joined_keeps_it() {
    let runtime = Runtime::new();
    if left_out(&runtime) {
        return;
    }
    let holder = super::joined_namespaces::Holder::new(&["-n"], "true");
    let path = format!("--net={}", holder.path("net"));
    // Before the other end goes with the namespace that it is in.
    let after = format!("echo after; nsenter {path} ip addr show wan;");
    let said = run_after(&runtime, LAN, &after, "busybox ip addr show wan", |config| {
        config["linux"]["namespaces"][4]["path"] = holder.path("net").into();
        config["linux"]["netDevices"] = json!({"lan": {"name": "wan"}});
    });
    let out = said.ok();
    let (inside, after) = out.split_once("after\n").unwrap();
    assert!(inside.contains("10.9.8.7/24") && after.contains("10.9.8.7/24"), "{out}");
}

/// A container that is not made has taken nothing.
#[test]
fn what_can_not_be_had_changes_nothing() {
    let runtime = Runtime::new();
    if left_out(&runtime) {
        return;
    }
    let refused = |given: Value, program: &str, expected: &str| {
        let said = run_after(&runtime, LAN, "ip addr show lan;", "true", |config| {
            config["linux"]["netDevices"] = given;
            config["process"]["args"] = json!([program]);
        });
        assert!(said.code != Some(0) && said.err.contains(expected), "{expected}: {}", said.err);
        for part in ["mtu 1400", "UP", "10.9.8.7/24", "fd00::7/64"] {
            assert!(said.out.contains(part), "{expected}: {part}: {}", said.out);
        }
    };
    refused(json!({"zzz": {}}), "/bin/true", "find network device zzz: no such device");
    // The first one was moved already.
    refused(json!({"lan": {}, "zzz": {}}), "/bin/true", "find network device zzz: no such device");
    refused(
        json!({"lan": {"name": "lo"}}),
        "/bin/true",
        "name lo, in the container, the network device lan: file exists",
    );
    refused(json!({"lan": {}}), "/bin/not there", "not there");
    refused(json!({"lan": {"name": "a/b"}}), "/bin/true", "invalid network device name");
    let shared = run_after(&runtime, LAN, "", "true", |config| {
        config["linux"]["namespaces"].as_array_mut().unwrap().retain(|n| n["type"] != "network");
        config["linux"]["netDevices"] = json!({"lan": {}});
    });
    assert!(shared.failed().contains("without a private NET namespace"));
}
