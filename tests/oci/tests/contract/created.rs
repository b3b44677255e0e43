//! A container that waits for `start`, and who may make and remove one.

use brig_oci_contract::{Runtime, eventually};
use std::path::Path;

fn create(runtime: &Runtime, bundle: &Path) {
    runtime.call(["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]).ok();
}

/// No program of it can handle a signal, and the first process of a pid namespace ignores what it does not handle.
#[test]
fn a_signal_ends_what_was_never_started() {
    for signal in ["TERM", "INT", "KILL"] {
        let runtime = Runtime::new();
        create(&runtime, &runtime.bundle("true", |_| ()));
        runtime.call(["kill", "c", signal]).ok();
        runtime.await_status("c", "stopped");
        assert!(runtime.call(["start", "c"]).failed().contains("stopped"));
        runtime.call(["delete", "c"]).ok();
    }
    let runtime = Runtime::new();
    create(&runtime, &runtime.bundle("exec sleep 1000", |_| ()));
    for signal in ["0", "WINCH", "CONT"] {
        runtime.call(["kill", "c", signal]).ok();
    }
    runtime.call(["start", "c"]).ok();
    assert_eq!(runtime.state("c")["status"], "running");
    runtime.call(["delete", "--force", "c"]).ok();
}

/// The specification wants a process only at `start`.
#[test]
fn a_container_without_a_process_can_be_made_and_not_started() {
    let runtime = Runtime::new();
    // runc 1.1 refuses it at `create`.
    if !runtime.is_brig() {
        return;
    }
    let bundle = runtime.bundle("", |config| {
        config.as_object_mut().unwrap().remove("process");
    });
    create(&runtime, &bundle);
    assert_eq!(runtime.state("c")["status"], "created");
    assert!(runtime.call(["start", "c"]).failed().contains("config.json has no process"));
    assert_eq!(runtime.state("c")["status"], "created");
    runtime.call(["delete", "c"]).ok();
    let args = ["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()];
    assert!(runtime.call(args).failed().contains("config.json has none"));
}

/// Whoever signals the first process itself, by its number or a pidfd, ends the container as well.
#[test]
fn a_signal_past_the_runtime_ends_what_was_never_started() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle("true", |_| ());
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::HUP] {
        runtime.call(["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]).ok();
        let pid = i32::try_from(runtime.state("c")["pid"].as_i64().unwrap()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
        runtime.await_status("c", "stopped");
        runtime.call(["delete", "c"]).ok();
    }
}

#[test]
fn of_two_creates_at_once_one_makes_the_container() {
    let runtime = Runtime::new();
    if runtime.leaves_out("runc 1.1 has no lock: the one that loses removes the other's state") {
        return;
    }
    let bundle = runtime.bundle("true", |_| ());
    for _ in 0..5 {
        let calls = [1, 2, 3].map(|n| {
            let mut command = runtime.command();
            command.args(["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]);
            let said = runtime.path(&format!("said by {n}"));
            let file = std::fs::File::create(&said).unwrap();
            (command.stderr(file.try_clone().unwrap()).stdout(file).spawn().unwrap(), said)
        });
        let said = calls.map(|(mut child, said)| {
            (child.wait().unwrap().success(), std::fs::read_to_string(said).unwrap())
        });
        assert_eq!(said.iter().filter(|(made, _)| *made).count(), 1, "{said:?}");
        for (_, error) in said.iter().filter(|(made, _)| !made) {
            assert!(!runtime.is_brig() || error.contains("already exists"), "{error}");
        }
        assert_eq!(runtime.state("c")["status"], "created");
        runtime.call(["delete", "--force", "c"]).ok();
    }
}

/// What is left of a container is its group only as long as nobody else has made that anew.
#[test]
fn a_group_that_another_has_taken_is_left_alone() {
    let runtime = Runtime::new();
    // runc 1.1 kills the other one.
    if !runtime.is_brig() {
        return;
    }
    let bundle = runtime.bundle("exec sleep 1000", |config| {
        config["linux"]["namespaces"].as_array_mut().unwrap().retain(|n| n["type"] != "pid");
    });
    let call = |id: &str| {
        let args = ["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), id.as_ref()];
        runtime.call(args)
    };
    runtime.start("first", &bundle);
    assert!(call("second").failed().contains("in use"));
    let pid = i32::try_from(runtime.state("first")["pid"].as_i64().unwrap()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    runtime.await_status("first", "stopped");
    eventually(|| call("second").code == Some(0));
    runtime.call(["start", "second"]).ok();
    runtime.call(["kill", "--all", "first", "KILL"]).ok();
    runtime.call(["delete", "--force", "first"]).ok();
    assert_eq!(runtime.state("second")["status"], "running");
    runtime.call(["delete", "--force", "second"]).ok();
}
