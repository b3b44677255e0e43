//! Time namespaces, which runc has since 1.2.

use brig_oci_contract::Runtime;
use serde_json::{Value, json};

const DAY: u64 = 86_400;

fn shifted(config: &mut Value) {
    config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "time"}));
    config["linux"]["timeOffsets"] =
        json!({"monotonic": {"secs": 5, "nanosecs": 3}, "boottime": {"secs": 100 * DAY}});
}

fn uptime(text: &str) -> u64 {
    text.split('.').next().unwrap().parse().unwrap()
}

#[test]
fn clocks_are_shifted_for_all_processes() {
    let runtime = Runtime::new();
    let now = || uptime(&std::fs::read_to_string("/proc/uptime").unwrap());
    let before = now();
    let script = "cat /proc/self/timens_offsets; cat /proc/uptime > /tmp/up; exec sleep 1000";
    let output = runtime.start_with_output("c", &runtime.bundle(script, shifted));
    brig_oci_contract::eventually(|| output().lines().count() == 2);
    let offsets: Vec<Vec<String>> =
        output().lines().map(|l| l.split_whitespace().map(str::to_owned).collect()).collect();
    assert_eq!(offsets, [["monotonic", "5", "3"], ["boottime", "8640000", "0"]]);
    let script = "cat /tmp/up /proc/uptime; for p in self 1; do busybox readlink /proc/$p/ns/time; done";
    let said = runtime.call(["exec", "c", "sh", "-c", script]).ok();
    let lines: Vec<&str> = said.lines().collect();
    let expected = before + 100 * DAY..=now() + 100 * DAY + 1;
    assert!(expected.contains(&uptime(lines[0])) && expected.contains(&uptime(lines[1])), "{said}");
    assert_eq!(lines[2], lines[3]);
    assert!(expected.start() - 100 * DAY <= now(), "the caller's own clock stays");

    // Another container joins it by path.
    let first = runtime.state("c")["pid"].as_i64().unwrap();
    let bundle = runtime.bundle("cat /proc/uptime", |c| {
        c["linux"]["cgroupsPath"] = format!("{}-second", c["linux"]["cgroupsPath"].as_str().unwrap()).into();
        let path = format!("/proc/{first}/ns/time");
        c["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "time", "path": path}));
    });
    let said = runtime.call(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "second".as_ref()]);
    assert!(uptime(&said.ok()) >= 100 * DAY);
    runtime.call(["delete", "--force", "c"]).ok();
}

#[test]
fn together_with_a_user_namespace() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle("cat /proc/uptime; id -u", |c| {
        shifted(c);
        c["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
        for map in ["uidMappings", "gidMappings"] {
            c["linux"][map] = json!([{"containerID": 0, "hostID": 100_000, "size": 10}]);
        }
    });
    let out = runtime.call(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]).ok();
    assert!(uptime(&out) >= 100 * DAY && out.ends_with("\n0\n"), "{out}");
}

#[test]
fn what_makes_no_sense_is_said() {
    let runtime = Runtime::new();
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 5] = [
        (|c| drop(c["linux"]["namespaces"].as_array_mut().unwrap().pop()), "isn't enabled in the config"),
        (|c| c["linux"]["timeOffsets"]["realtime"] = json!({"secs": 1}), "no clock that has one"),
        (|c| c["linux"]["timeOffsets"]["boottime"]["nanosecs"] = 1_000_000_000.into(), "a second or more"),
        (
            |c| c["linux"]["timeOffsets"]["boottime"]["secs"] = (-1_000_000_000_i64).into(),
            "a clock would be below 0",
        ),
        (
            |c| {
                c["linux"]["namespaces"].as_array_mut().unwrap().last_mut().unwrap()["path"] =
                    "/proc/self/ns/time".into()
            },
            "both namespace path and time offsets",
        ),
    ];
    for (change, words) in cases {
        let bundle = runtime.bundle("true", |c| {
            shifted(c);
            change(c);
        });
        let said = runtime.call(["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]);
        let error = said.failed();
        assert!(!runtime.is_brig() || error.contains(words), "{words:?} is not in {error}");
        assert!(runtime.call(["state", "c"]).failed().contains("does not exist"));
    }
}
