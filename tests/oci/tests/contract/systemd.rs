//! The systemd driver of cgroups. Most of it takes a machine whose init is systemd (`cargo xtask vm --systemd`).

use brig_oci_contract::{Runtime, Said};
use serde_json::{Value, json};
use std::process::Command;

/// A runtime with the driver; none where that can't be tried.
fn with_systemd() -> Option<Runtime> {
    Some(Runtime::new()).filter(Runtime::has_systemd)
}

/// A property of a unit.
#[track_caller]
fn show(unit: &str, property: &str) -> String {
    let said: Said = Command::new("systemctl")
        .args(["show", "--property", property, "--value", unit])
        .output()
        .expect("systemctl")
        .into();
    said.ok().trim().to_owned()
}

fn limits(config: &mut Value) {
    config["linux"]["resources"] = json!({
        "memory": {"limit": 67_108_864, "reservation": 33_554_432, "swap": 100_663_296},
        "cpu": {"shares": 512, "quota": 50_001, "period": 100_000, "cpus": "0"},
        "pids": {"limit": 50},
        "unified": {"memory.high": "62914560"},
        "devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rw"}],
    });
}

#[test]
fn a_scope_has_the_limits_and_goes_at_delete() {
    let Some(runtime) = with_systemd() else { return };
    let scope = runtime.scope();
    runtime.start("c", &runtime.bundle("exec sleep 1000", limits));
    let group = format!("/system.slice/{scope}");
    for (property, expected) in [
        ("ActiveState", "active"),
        ("Slice", "system.slice"),
        ("ControlGroup", &group),
        ("Delegate", "yes"),
        ("DefaultDependencies", "no"),
        ("MemoryMax", "67108864"),
        ("MemoryLow", "33554432"),
        ("MemorySwapMax", "33554432"),
        ("MemoryHigh", "62914560"),
        ("CPUWeight", "20"),
        ("CPUQuotaPerSecUSec", "510ms"),
        ("AllowedCPUs", "0"),
        ("TasksMax", "50"),
        ("DevicePolicy", "strict"),
        ("TasksAccounting", "yes"),
    ] {
        assert_eq!(show(&scope, property), expected, "{property}");
    }
    assert!(show(&scope, "DeviceAllow").contains("/dev/char/1:3"), "{}", show(&scope, "DeviceAllow"));
    let read =
        |file: &str| std::fs::read_to_string(format!("/sys/fs/cgroup{group}/{file}")).expect("a limit");
    for (file, expected) in [("memory.max", "67108864"), ("cpu.max", "51000 100000"), ("pids.max", "50")] {
        assert_eq!(read(file).trim(), expected, "{file}");
    }
    let pid = runtime.state("c")["pid"].to_string();
    assert!(read("cgroup.procs").lines().any(|line| line == pid));
    // Limits outlive that systemd reads its units anew.
    assert!(Command::new("systemctl").arg("daemon-reload").status().expect("systemctl").success());
    assert_eq!(read("memory.max").trim(), "67108864");
    assert_eq!(runtime.call(["exec", "c", "cat", "/proc/self/cgroup"]).ok().trim(), format!("0::{group}"));
    runtime.call(["update", "--memory", "80m", "--memory-swap", "120m", "--pids-limit", "60", "c"]).ok();
    assert_eq!((show(&scope, "MemoryMax"), show(&scope, "TasksMax")), ("83886080".into(), "60".into()));
    assert_eq!(read("memory.max").trim(), "83886080");
    runtime.call(["kill", "c", "KILL"]).ok();
    runtime.await_status("c", "stopped");
    runtime.call(["delete", "c"]).ok();
    assert_eq!(show(&scope, "LoadState"), "not-found");
}

#[test]
fn a_slice_is_nested_and_annotations_are_properties() {
    let Some(runtime) = with_systemd() else { return };
    let name = runtime.scope().replace("-c.scope", "");
    // A dash would nest it further.
    let slice = format!("contract-{}.slice", name.replace('-', ""));
    let bundle = runtime.bundle("exec sleep 1000", |c| {
        c["linux"]["cgroupsPath"] = format!("{slice}:{name}:c").into();
        c["annotations"] = json!({
            "org.systemd.property.TimeoutStopSec": "7",
            "org.systemd.property.CollectMode": "'inactive-or-failed'",
            "org.example": "nothing",
        });
    });
    runtime.start("c", &bundle);
    let scope = runtime.scope();
    assert_eq!(show(&scope, "ControlGroup"), format!("/contract.slice/{slice}/{scope}"));
    assert_eq!(
        (show(&scope, "TimeoutStopUSec"), show(&scope, "CollectMode")),
        ("7s".into(), "inactive-or-failed".into())
    );
    runtime.call(["delete", "--force", "c"]).ok();
    assert_eq!(show(&scope, "LoadState"), "not-found");
    assert!(
        Command::new("systemctl")
            .args(["stop", &slice, "contract.slice"])
            .status()
            .expect("systemctl")
            .success()
    );
}

#[test]
fn one_that_ran_out_of_memory_leaves_no_failed_unit() {
    let Some(runtime) = with_systemd() else { return };
    let bundle = runtime.bundle("x=a; while :; do x=$x$x; done", |c| {
        c["linux"]["resources"] = json!({"memory": {"limit": 8_388_608, "swap": 8_388_608}});
    });
    runtime.start("c", &bundle);
    runtime.await_status("c", "stopped");
    runtime.call(["delete", "c"]).ok();
    assert_eq!(show(&runtime.scope(), "LoadState"), "not-found");
}

#[test]
fn a_scope_of_that_name_that_runs_is_an_error() {
    let Some(runtime) = with_systemd() else { return };
    let bundle = runtime.bundle("exec sleep 1000", |_| ());
    runtime.start("c", &bundle);
    let create = ["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "other".as_ref()];
    let error = runtime.call(create).failed();
    assert!(error.contains(&runtime.scope()), "{error}");
    assert_eq!(runtime.state("c")["status"], "running");
    runtime.call(["delete", "--force", "c"]).ok();
}

#[test]
fn what_can_be_no_scope_is_refused_anywhere() {
    let runtime = Runtime::new();
    if !runtime.is_brig() {
        return;
    }
    let cases: [(&str, Value, &str); 3] = [
        ("/a/b", json!({}), "slice:prefix:name"),
        ("a--b.slice:p:n", json!({}), "invalid slice name: a--b.slice"),
        ("a.slice:p:n", json!({"org.systemd.property.Abc": "what"}), "org.systemd.property.Abc"),
    ];
    for (path, annotations, expected) in cases {
        let bundle = runtime.bundle("true", |c| {
            c["linux"]["cgroupsPath"] = path.into();
            c["annotations"] = annotations;
        });
        let mut command = runtime.command();
        command.arg("--systemd-cgroup").arg("create").arg("--bundle").arg(&bundle).arg("c");
        let error = Said::from(command.output().expect("the runtime to run")).failed();
        assert!(error.contains(expected), "{path}: {error}");
    }
}

#[test]
fn a_machine_without_systemd_is_told_so() {
    let runtime = Runtime::new();
    if !runtime.is_brig() || std::path::Path::new("/run/systemd/system").is_dir() {
        return;
    }
    let bundle = runtime.bundle("true", |c| c["linux"]["cgroupsPath"] = "system.slice:p:n".into());
    let mut command = runtime.command();
    command.env_remove("DBUS_SYSTEM_BUS_ADDRESS");
    command.arg("--systemd-cgroup").arg("create").arg("--bundle").arg(&bundle).arg("c");
    let error = Said::from(command.output().expect("the runtime to run")).failed();
    assert!(error.contains("systemd cgroup flag passed") && error.contains("/run/systemd/system"), "{error}");
}
