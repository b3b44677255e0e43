//! From `create` to `delete`.

use brig_oci_contract::Runtime;

#[test]
fn run_prints_and_ends_as_the_program_does() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle("echo out; echo err >&2; exit 7", |_| ());
    let said = runtime.call(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (Some(7), "out\n", "err\n"));
    let bundle = runtime.bundle("exec sleep 1000", |_| ());
    let mut child = runtime.spawn(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]);
    brig_oci_contract::eventually(|| runtime.call(["state", "c"]).out.contains("running"));
    runtime.call(["kill", "c", "KILL"]).ok();
    assert_eq!(child.wait().unwrap().code(), Some(137));
}

#[test]
fn every_state_in_order() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle("exec sleep 1000", |c| c["annotations"] = serde_json::json!({"k": "v"}));
    let pid_file = runtime.path("pid");
    runtime
        .call([
            "create".as_ref(),
            "--bundle".as_ref(),
            bundle.as_os_str(),
            "--pid-file".as_ref(),
            pid_file.as_os_str(),
            "c".as_ref(),
        ])
        .ok();
    let created = runtime.state("c");
    assert_eq!(created["status"], "created");
    assert_eq!(created["id"], "c");
    assert_eq!(created["bundle"], bundle.to_str().unwrap());
    assert_eq!(created["annotations"]["k"], "v");
    assert!(created["ociVersion"].as_str().unwrap().starts_with("1."));
    assert_eq!(created["pid"].to_string(), std::fs::read_to_string(&pid_file).unwrap());
    assert!(runtime.call(["delete", "other"]).failed().contains("does not exist"));
    runtime.call(["start", "c"]).ok();
    assert_eq!(runtime.state("c")["status"], "running");
    assert!(runtime.call(["start", "c"]).failed().contains("cannot start"));
    assert!(runtime.call(["delete", "c"]).failed().contains("not stopped"));
    runtime.call(["pause", "c"]).ok();
    assert_eq!(runtime.state("c")["status"], "paused");
    runtime.call(["resume", "c"]).ok();
    assert_eq!(runtime.state("c")["status"], "running");
    assert!(runtime.call(["list", "-q"]).ok().lines().any(|id| id == "c"));
    runtime.call(["kill", "c", "KILL"]).ok();
    runtime.await_status("c", "stopped");
    assert_eq!(runtime.state("c")["pid"], 0);
    assert!(runtime.call(["kill", "c", "KILL"]).failed().contains("not running"));
    assert!(runtime.call(["start", "c"]).failed().contains("cannot start"));
    runtime.call(["delete", "c"]).ok();
    assert!(runtime.call(["state", "c"]).failed().contains("does not exist"));
}

#[test]
fn an_id_is_taken_until_it_is_deleted() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle("true", |_| ());
    let create = || runtime.call(["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]);
    create().ok();
    assert!(create().failed().contains("exists"));
    // Never started: it can be deleted as it is.
    runtime.call(["delete", "c"]).ok();
    create().ok();
    runtime.call(["start", "c"]).ok();
    runtime.await_status("c", "stopped");
    runtime.call(["delete", "c"]).ok();
}

#[test]
fn force_deletes_what_runs_and_what_is_not_there() {
    let runtime = Runtime::new();
    runtime.start("c", &runtime.bundle("trap '' TERM; sleep 1000", |_| ()));
    runtime.call(["delete", "--force", "c"]).ok();
    runtime.call(["delete", "--force", "c"]).ok();
    assert!(runtime.call(["delete", "c"]).failed().contains("does not exist"));
}

#[test]
fn later_changes_of_the_bundle_have_no_effect() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle("exec sleep 1000", |_| ());
    runtime.call(["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]).ok();
    std::fs::write(bundle.join("config.json"), "nonsense").unwrap();
    runtime.call(["start", "c"]).ok();
    // runc reads the bundle again to know what an exec inherits.
    if runtime.is_brig() {
        assert_eq!(runtime.call(["exec", "c", "echo", "x"]).ok(), "x\n");
    }
    runtime.call(["delete", "--force", "c"]).ok();
}

#[test]
fn a_container_killed_while_it_waits_is_stopped() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle("true", |_| ());
    runtime.call(["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]).ok();
    runtime.call(["kill", "c", "KILL"]).ok();
    runtime.await_status("c", "stopped");
    assert!(runtime.call(["start", "c"]).failed().contains("cannot start"));
    runtime.call(["delete", "c"]).ok();
}

#[test]
fn a_named_state_folder_that_is_not_there_is_no_empty_one() {
    let runtime = Runtime::new();
    let error = runtime.call(["list"]).failed();
    assert!(error.contains("No such file or directory"), "{error}");
    runtime.start("c", &runtime.bundle("exec sleep 1000", |_| ()));
    assert!(runtime.call(["list", "-q"]).ok().contains('c'));
    runtime.call(["delete", "--force", "c"]).ok();
    assert_eq!(runtime.call(["list", "-q"]).ok(), "");
}

#[test]
fn two_starts_at_once_start_it_once() {
    let runtime = Runtime::new();
    if runtime.leaves_out("of two calls of runc 1.1 one may wait for good") {
        return;
    }
    let bundle = runtime.bundle("echo x >> /tmp/started; exec sleep 1000", |_| ());
    runtime.call(["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]).ok();
    let both = [runtime.spawn(["start", "c"]), runtime.spawn(["start", "c"])];
    let started = both.map(|child| child.wait_with_output().unwrap().status.success());
    if runtime.is_brig() {
        assert_eq!(started.iter().filter(|ok| **ok).count(), 1);
    }
    let file = bundle.join("rootfs/tmp/started");
    brig_oci_contract::eventually(|| file.exists());
    assert_eq!(std::fs::read_to_string(file).unwrap(), "x\n");
    runtime.call(["delete", "--force", "c"]).ok();
}

#[test]
fn limits_can_be_changed_and_seen() {
    let runtime = Runtime::new();
    runtime.start("c", &runtime.bundle("exec sleep 1000", |_| ()));
    runtime.call(["update", "--pids-limit", "17", "c"]).ok();
    let line = runtime.call(["events", "--stats", "c"]).ok();
    let event: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((event["type"].as_str(), event["id"].as_str()), (Some("stats"), Some("c")));
    assert_eq!(event["data"]["pids"]["limit"], 17);
    let pids: Vec<i32> = serde_json::from_str(&runtime.call(["ps", "--format", "json", "c"]).ok()).unwrap();
    assert_eq!(serde_json::json!(pids), serde_json::json!([runtime.state("c")["pid"]]));
    runtime.call(["delete", "--force", "c"]).ok();
}

#[test]
fn without_a_pid_namespace_all_its_processes_are_killed() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle("sleep 1000 & sleep 1000 & wait", |config| {
        config["linux"]["namespaces"].as_array_mut().unwrap().retain(|n| n["type"] != "pid");
    });
    let pids = || -> Vec<i32> {
        serde_json::from_str(&runtime.call(["ps", "--format", "json", "c"]).ok()).unwrap_or_default()
    };
    runtime.start("c", &bundle);
    brig_oci_contract::eventually(|| pids().len() == 3);
    runtime.call(["kill", "c", "KILL"]).ok();
    brig_oci_contract::eventually(|| pids().is_empty());
    runtime.await_status("c", "stopped");
    runtime.call(["delete", "c"]).ok();
    // The first one is gone, and the others are not.
    runtime.start("c", &bundle);
    brig_oci_contract::eventually(|| pids().len() == 3);
    let first = runtime.state("c")["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
    let first = first.and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(first, rustix::process::Signal::KILL).unwrap();
    runtime.await_status("c", "stopped");
    // runc 1.1 needs its `--all` for it.
    if runtime.is_brig() {
        runtime.call(["kill", "c", "KILL"]).ok();
        brig_oci_contract::eventually(|| pids().is_empty());
    }
    runtime.call(["delete", "--force", "c"]).ok();
}

#[test]
fn the_propagation_of_the_root_is_what_was_asked_for() {
    for (word, mark) in [("shared", "shared:"), ("private", ""), ("unbindable", "unbindable")] {
        let runtime = Runtime::new();
        // runc 1.1 can't bind what it has just made unbindable, and makes what was to be shared private.
        if word != "private" && runtime.leaves_out("the root's propagation is not what was asked for") {
            continue;
        }
        let bundle = runtime.bundle("cat /proc/self/mountinfo", |config| {
            config["linux"]["rootfsPropagation"] = word.into();
        });
        let said = runtime.call(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]).ok();
        let root = said.lines().find(|line| line.split(' ').nth(4) == Some("/")).unwrap();
        let optional = root.split(" - ").next().unwrap();
        let marks = ["shared:", "master:", "unbindable"].map(|m| optional.contains(m) && m != mark);
        assert!(optional.contains(mark) && marks == [false; 3], "{word}: {root}");
    }
}
