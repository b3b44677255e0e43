//! What is wrong is said, and leaves nothing.

use brig_oci_contract::Runtime;
use serde_json::{Value, json};
use std::path::Path;

#[track_caller]
fn refused(runtime: &Runtime, bundle: &Path, words: &[&str]) {
    let said = runtime.call(["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]);
    let error = said.failed();
    assert!(words.iter().any(|word| error.contains(word)), "none of {words:?} in {error}");
    assert!(runtime.call(["state", "c"]).failed().contains("does not exist"));
}

#[test]
fn configurations() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle("true", |_| ());
    let config = bundle.join("config.json");
    let good = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, &good[..good.len() / 2]).unwrap();
    refused(&runtime, &bundle, &["EOF"]);
    std::fs::remove_file(&config).unwrap();
    refused(&runtime, &bundle, &["config.json"]);
    if runtime.is_brig() {
        let mut newer: Value = serde_json::from_str(&good).unwrap();
        newer["ociVersion"] = "2.0.0".into();
        std::fs::write(&config, newer.to_string()).unwrap();
        refused(&runtime, &bundle, &["ociVersion"]);
        std::fs::File::create(&config).unwrap().set_len(1 << 30).unwrap();
        refused(&runtime, &bundle, &["larger than"]);
    }
}

#[test]
fn contradictions() {
    let runtime = Runtime::new();
    type Change = fn(&mut Value);
    let changes: [(Change, &[&str]); 6] = [
        (|c| c["root"]["path"] = "nowhere".into(), &["nowhere"]),
        (|c| c["process"]["args"] = json!([]), &["args"]),
        (|c| c["process"]["args"] = json!(["/bin/nope"]), &["no such file"]),
        (|c| c["process"]["cwd"] = "relative".into(), &["cwd", "Cwd"]),
        (
            |c| {
                c["mounts"][0] = json!({"destination": "/x", "type": "bind", "source": "/nonexistent", "options": ["bind"]})
            },
            &["/nonexistent"],
        ),
        (|c| c["linux"]["namespaces"][0]["path"] = "/nonexistent".into(), &["/nonexistent"]),
    ];
    for (change, words) in changes {
        refused(&runtime, &runtime.bundle("true", change), words);
    }
}

#[test]
fn ids() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle("true", |_| ());
    for id in ["", ".", "..", "a/b", "/a", "a b", "a\u{e4}"] {
        let said = runtime.call(["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), id.as_ref()]);
        let error = said.failed();
        assert!(error.contains("container ID") || error.contains("container id"), "{id:?}: {error}");
    }
}

#[test]
fn a_failure_is_one_line_of_json_in_the_log() {
    let runtime = Runtime::new();
    let log = runtime.path("log.json");
    let args = ["--log-format".as_ref(), "json".as_ref(), "--log".as_ref(), log.as_os_str()];
    runtime.call(args.into_iter().chain(["state".as_ref(), "nobody".as_ref()])).failed();
    let text = std::fs::read_to_string(&log).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["level"], "error");
    assert!(last["msg"].as_str().unwrap().contains("does not exist"), "{last}");
}

#[test]
fn commands_and_flags() {
    let runtime = Runtime::new();
    for args in
        [&["what"][..], &["run"], &["start", "a", "b"], &["create", "--what", "c"], &["kill", "c", "NOSUCH"]]
    {
        runtime.call(args).failed();
    }
}

fn create(runtime: &Runtime, bundle: &Path, more: &[&str]) -> brig_oci_contract::Said {
    let args = ["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str()];
    runtime.call(args.into_iter().chain(more.iter().map(AsRef::as_ref)).chain(["c".as_ref()]))
}

#[test]
fn fields_of_the_future_are_passed_over() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle("echo ran", |config| {
        config["ociVersion"] = "1.0.2".into();
        config["future"] = json!({"a": [1, 2]});
        config["process"]["future"] = json!(true);
        config["linux"]["future"] = json!("x");
        config["mounts"][0]["future"] = json!(1);
    });
    let said = runtime.call(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]);
    assert_eq!(said.ok(), "ran\n");
}

#[test]
fn more_contradictions() {
    let runtime = Runtime::new();
    if !runtime.is_brig() {
        return;
    }
    type Change = fn(&mut Value);
    let changes: [(Change, &[&str]); 17] = [
        (
            |c| c["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "pid"})),
            &["duplicated ns pid"],
        ),
        (|c| c["linux"]["namespaces"][0] = json!({"type": "what"}), &["what"]),
        (|c| c["linux"]["namespaces"][0]["path"] = "/proc/self/ns/net".into(), &["pid namespace"]),
        (|c| c["linux"]["namespaces"][0]["path"] = "/dev/null".into(), &["pid namespace"]),
        (
            |c| c["linux"]["namespaces"].as_array_mut().unwrap().retain(|n| n["type"] != "uts"),
            &["without a private UTS namespace"],
        ),
        (|c| c["hostname"] = "x".repeat(100).into(), &["hostname"]),
        (|c| c["root"]["path"] = "config.json".into(), &["config.json is not a folder"]),
        (|c| c["root"] = Value::Null, &["root"]),
        (|c| c["process"] = Value::Null, &["process"]),
        (|c| c["process"]["args"] = json!(["/bin/true", "x".repeat(3 << 20)]), &["rgument list too long"]),
        (|c| c["process"]["env"] = json!(["A=\u{0}"]), &["NUL"]),
        (|c| c["mounts"][1]["type"] = "no-such-fs".into(), &["no-such-fs"]),
        (|c| c["mounts"][0]["destination"] = "".into(), &["destination"]),
        (|c| c["linux"]["sysctl"] = json!({"net.no.such": "1"}), &["/proc/sys/net/no/such"]),
        (|c| c["linux"]["cgroupsPath"] = "/".into(), &["cgroup"]),
        (|c| c["linux"]["resources"] = json!({"memory": {"limit": -7}}), &["memory"]),
        (|c| c["hooks"] = json!({"prestart": [{"path": "relative"}]}), &["absolute"]),
    ];
    for (change, words) in changes {
        refused_or_failed_to_start(&runtime, &runtime.bundle("true", change), words);
    }
}

/// As `refused`; what can only be known when the program is executed may come at the start.
#[track_caller]
fn refused_or_failed_to_start(runtime: &Runtime, bundle: &Path, words: &[&str]) {
    let said = create(runtime, bundle, &[]);
    let error = match said.code {
        Some(0) => {
            let error = runtime.call(["start", "c"]).failed();
            runtime.call(["delete", "--force", "c"]).ok();
            error
        }
        _ => said.err,
    };
    assert!(words.iter().any(|word| error.contains(word)), "none of {words:?} in {error}");
    assert!(runtime.call(["state", "c"]).failed().contains("does not exist"));
}

#[test]
fn a_configuration_that_is_no_file() {
    let runtime = Runtime::new();
    if !runtime.is_brig() {
        return;
    }
    let bundle = runtime.bundle("true", |_| ());
    let config = bundle.join("config.json");
    std::fs::remove_file(&config).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    // Nobody writes to it: a reader would wait for ever.
    rustix::fs::mknodat(rustix::fs::CWD, &config, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    refused(&runtime, &bundle, &["EOF"]);
    std::fs::remove_file(&config).unwrap();
    std::fs::create_dir(&config).unwrap();
    refused(&runtime, &bundle, &["config.json"]);
    std::fs::remove_dir(&config).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &config).unwrap();
    refused(&runtime, &bundle, &["larger than"]);
    std::fs::remove_file(&config).unwrap();
    std::fs::write(&config, "[".repeat(100_000)).unwrap();
    refused(&runtime, &bundle, &["config.json"]);
    refused(&runtime, &runtime.path("no-such-bundle"), &["no-such-bundle"]);
    std::fs::write(runtime.path("file"), "").unwrap();
    refused(&runtime, &runtime.path("file"), &["file"]);
}

#[test]
fn a_caller_that_can_not_be_told() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle("true", |_| ());
    let nowhere = runtime.path("no/such/file");
    let nowhere = nowhere.to_str().unwrap();
    create(&runtime, &bundle, &["--pid-file", nowhere]).failed();
    assert!(runtime.call(["state", "c"]).failed().contains("does not exist"));
    let bundle = runtime.bundle("true", |config| config["process"]["terminal"] = true.into());
    create(&runtime, &bundle, &["--console-socket", nowhere]).failed();
    assert!(runtime.call(["state", "c"]).failed().contains("does not exist"));
    let bundle = runtime.bundle("true", |_| ());
    let create = ["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()];
    runtime.call(["--log".as_ref(), nowhere.as_ref()].into_iter().chain(create)).failed();
    assert!(runtime.call(["state", "c"]).failed().contains("does not exist"));
}

#[test]
fn a_source_that_vanishes() {
    let runtime = Runtime::new();
    let (source, away) = (runtime.path("source"), runtime.path("away"));
    std::fs::create_dir(&source).unwrap();
    let bundle = runtime.bundle("true", |config| super::cves::bind(config, &source, "/source"));
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                std::fs::rename(&source, &away).unwrap();
                std::fs::rename(&away, &source).unwrap();
            }
        });
        for _ in 0..30 {
            let said = super::cves::run(&runtime, &bundle);
            assert!(said.code == Some(0) || said.err.contains("source"), "{}", said.err);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn a_create_that_is_killed_leaves_nothing_that_runs() {
    let runtime = Runtime::new();
    if !runtime.is_brig() {
        return;
    }
    let told = runtime.path("told");
    // A hook without a limit, which hangs.
    let script = format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000", told.display());
    let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"]}]);
    let bundle = runtime.bundle("true", |config| config["hooks"] = json!({"createRuntime": hook}));
    let args = ["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()];
    let mut making = runtime.spawn(args);
    brig_oci_contract::eventually(|| told.exists());
    let hook: i32 = std::fs::read_to_string(&told).unwrap().trim().parse().unwrap();
    // Meanwhile the id is taken, and nothing else can be done to it.
    assert!(create(&runtime, &bundle, &[]).failed().contains("exists"));
    runtime.call(["start", "c"]).failed();
    making.kill().unwrap();
    making.wait().unwrap();
    brig_oci_contract::eventually(|| !Path::new(&format!("/proc/{hook}/exe")).exists());
    // The id is free again, and the group that was left is taken over.
    let bundle = runtime.bundle("true", |_| ());
    brig_oci_contract::eventually(|| create(&runtime, &bundle, &[]).code == Some(0));
    runtime.call(["delete", "--force", "c"]).ok();
}

#[test]
fn a_half_written_state_file() {
    let runtime = Runtime::new();
    if !runtime.is_brig() {
        return;
    }
    runtime.start("c", &runtime.bundle("exec sleep 1000", |_| ()));
    let pid = runtime.state("c")["pid"].to_string();
    let file = runtime.path("state/c/state.json");
    let good = std::fs::read(&file).unwrap();
    for bad in [&good[..good.len() / 2], b"", b"{}", b"[]"] {
        std::fs::write(&file, bad).unwrap();
        for command in ["state", "kill", "start", "delete", "exec", "pause", "ps"] {
            let more = (command == "exec").then_some("true");
            let error = runtime.call([command, "c"].into_iter().chain(more)).failed();
            assert!(error.contains("state.json"), "{command}: {error}");
        }
        // One that can't be read does not hide the others.
        runtime.call(["list"]);
    }
    // It can't be known which process it is; that it goes with its group, it can.
    runtime.call(["delete", "--force", "c"]).ok();
    brig_oci_contract::eventually(|| !Path::new(&format!("/proc/{pid}/exe")).exists());
    assert!(runtime.call(["state", "c"]).failed().contains("does not exist"));
}

#[test]
fn capabilities_that_nobody_knows() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle("echo ran", |config| {
        let sets = json!(["CAP_KILL", "CAP_OF_THE_FUTURE"]);
        config["process"]["capabilities"] = json!({"bounding": sets, "effective": sets, "permitted": sets});
    });
    let said = super::cves::run(&runtime, &bundle);
    assert_eq!(said.out, "ran\n", "{}", said.err);
}
