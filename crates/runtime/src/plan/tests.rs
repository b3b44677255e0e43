use super::*;
use serde_json::{Value, json};

fn plan(change: Value) -> Result<Plan, Error> {
    let mut spec = json!({
        "ociVersion": "1.2.0",
        "process": {"user": {"uid": 0, "gid": 0}, "args": ["sh"], "cwd": "/"},
        "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}]},
    });
    merge(&mut spec, change);
    let null = || std::fs::File::open("/dev/null").unwrap().into();
    let stdio = Stdio::Pipes { stdin: null(), stdout: null(), stderr: null() };
    Plan::new(
        &serde_json::from_value(spec).unwrap(),
        vec![],
        false,
        None,
        &stdio,
        None,
        crate::options::Departures::default(),
    )
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

#[test]
fn a_minimal_spec_gets_the_default_devices() {
    let plan = plan(json!({})).unwrap();
    assert_eq!(plan.devices.len(), 6);
    assert_eq!(plan.propagation, libc::MS_SLAVE);
    assert!(plan.fills_dev() && !plan.read_only_root);
}

#[test]
fn a_given_device_replaces_the_default_one() {
    let device = json!({"path": "/dev/null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o600});
    let plan = plan(json!({"linux": {"devices": [device]}})).unwrap();
    assert_eq!(plan.devices.len(), 6);
    assert_eq!(plan.devices[0].mode, 0o600);
}

#[test]
fn contradictions_and_the_unsupported_are_refused() {
    for (change, words) in [
        (json!({"hostname": "x"}), "unable to set hostname without a private UTS namespace"),
        (json!({"linux": {"sysctl": {"net.ipv4.ip_forward": "1"}}}), "not allowed in host network namespace"),
        (json!({"linux": {"rootfsPropagation": "odd"}}), "rootfsPropagation=odd"),
        (json!({"hooks": {"prestart": [{"path": "true"}]}}), "path is not absolute"),
        (
            json!({"linux": {"devices": [{"path": "/dev/x", "type": "c", "major": -1, "minor": 0}]}}),
            "invalid number",
        ),
        (json!({"process": {"args": []}}), "args must not be empty"),
    ] {
        let text = plan(change).unwrap_err().to_string();
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn a_label_is_refused_where_nothing_could_enforce_it() {
    if crate::security_modules::has_selinux() {
        return;
    }
    let text = plan(json!({"linux": {"mountLabel": "x"}})).unwrap_err().to_string();
    assert!(text.contains("leave linux.mountLabel out"), "{text}");
}
