//! Daemons that die between an intent and its effect. Whatever they were about, the next one takes over what runs,
//! finishes or undoes the rest, and in the end nothing is left.

use crate::host::{self, Host};
use brig_api::{ContainerConfig, HostConfig, PortBinding, VolumeCreateRequest};
use brig_core::{HasKind, Kind, atomic::Durability, failpoint};
use brig_engine::{
    options::{ListOptions, RemoveOptions, Running, WaitCondition},
    record::{CONTAINER_KIND, NETWORK_KIND, SANDBOX_KIND, VOLUME_KIND},
};
use brig_store::{Store, StoreOptions};
use std::{
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::Command,
};

pub const TESTS: &[(&str, fn())] = &[
    ("killed_while_creating", killed_while_creating),
    ("killed_while_starting", killed_while_starting),
    ("killed_around_the_end", killed_around_the_end),
    ("killed_while_removing", killed_while_removing),
    ("killed_after_a_removal_that_failed", killed_after_a_removal_that_failed),
    ("killed_while_reconciling", killed_while_reconciling),
    ("containers_outlive_the_daemon", containers_outlive_the_daemon),
    ("a_supervisor_that_dies", a_supervisor_that_dies),
    ("failures_undo_a_start", failures_undo_a_start),
    ("restarted_with_the_daemon", restarted_with_the_daemon),
    ("records_that_are_damaged", records_that_are_damaged),
];

const CREATING: [&str; 4] = [
    "engine.before_snapshot",
    "engine.after_prepare",
    "engine.before_create_record",
    "engine.after_create_record",
];
const STARTING: [&str; 15] = [
    "engine.before_record_starting",
    "engine.after_record_starting",
    "engine.before_sandbox",
    "engine.after_sandbox",
    "engine.after_snapshot",
    "engine.before_netns",
    "engine.after_netns",
    "engine.before_attach",
    "engine.after_attach",
    "engine.after_publish",
    "engine.before_shim",
    "engine.before_start",
    "engine.after_shim",
    "engine.after_start",
    "engine.before_record_running",
];
/// Those of them at which nothing has been written down yet.
const UNWRITTEN: [&str; 5] = [
    "engine.before_netns",
    "engine.after_netns",
    "engine.before_shim",
    "engine.before_record_starting",
    "engine.before_sandbox",
];
const ENDING: [&str; 4] = [
    "engine.before_record_exited",
    "engine.after_record_exited",
    "engine.before_tear_down",
    "engine.after_tear_down",
];
const REMOVING: [&str; 7] = [
    "engine.before_record_removing",
    "engine.after_record_removing",
    "engine.before_discard",
    "engine.after_snapshot_removed",
    "engine.after_discard",
    "engine.before_forget",
    "engine.after_forget",
];

/// The daemon that is going to be killed: `daemon DIR COMMAND…` makes a container, runs it, waits for its end and
/// removes it.
pub fn daemon(mut arguments: std::iter::Skip<std::env::ArgsOs>) -> ! {
    let dir = PathBuf::from(arguments.next().unwrap());
    let command: Vec<String> = arguments.map(|a| a.into_string().unwrap()).collect();
    let (runtime, engine) = host::open(&dir);
    let host = Host::of(runtime, engine);
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let id = host.try_create(Some("victim"), &words, victim).unwrap();
    let started = host.block(host.engine.container_start(&id));
    if std::env::var("BRIG_FAILPOINTS").is_ok_and(|f| f.ends_with("=error")) {
        assert!(started.is_err());
        std::process::exit(0);
    }
    started.unwrap();
    host.wait(&id, WaitCondition::NotRunning);
    host.block(
        host.engine.container_remove(&id, RemoveOptions { volumes: true, ..RemoveOptions::default() }),
    )
    .unwrap();
    std::process::exit(0);
}

/// Everything that a container can hold: an address, a port, a volume.
fn victim(config: &mut ContainerConfig, host: &mut HostConfig) {
    host.network_mode = "bridge".to_owned();
    let binding = PortBinding { host_ip: String::new(), host_port: "18090".to_owned() };
    host.port_bindings = Some([("80/tcp".to_owned(), Some(vec![binding]))].into());
    config.volumes = Some([("/scratch".to_owned(), brig_api::Empty {})].into());
}

/// A data root with an image, and no daemon.
fn data_root() -> tempfile::TempDir {
    let host = Host::at(tempfile::tempdir().unwrap());
    host.import();
    host.leave(Running::Stop)
}

/// Runs a daemon that is killed at a failpoint.
fn killed_at(dir: &Path, point: &str, command: &[&str]) {
    let status = Command::new("/proc/self/exe")
        .arg("daemon")
        .arg(dir)
        .args(command)
        .env("BRIG_FAILPOINTS", format!("{point}=kill"))
        .status()
        .unwrap();
    if status.signal() != Some(9) {
        // Whatever it left running goes first.
        Host::sweep(dir);
        panic!("{point}: the daemon was to be killed there, and was {status}");
    }
}

/// The next daemon; afterwards, all that is left is removed and nothing may remain.
fn next_daemon(dir: tempfile::TempDir, point: &str, check: impl FnOnce(&Host)) {
    let begin = std::time::Instant::now();
    let host = Host::at(dir);
    let opened = begin.elapsed();
    check(&host);
    host.end();
    println!("  {point} (opened in {} ms, all in {} ms)", opened.as_millis(), begin.elapsed().as_millis());
}

fn containers(host: &Host) -> Vec<brig_api::ContainerSummary> {
    host.block(host.engine.container_list(ListOptions { all: true, ..ListOptions::default() })).unwrap()
}

fn killed_while_creating() {
    for point in CREATING {
        let dir = data_root();
        killed_at(dir.path(), point, &["sleep", "1000"]);
        next_daemon(dir, point, |host| {
            let made = point == "engine.after_create_record";
            assert_eq!(containers(host).len(), usize::from(made));
            if made {
                // Whole: it can be started.
                host.start("victim");
            } else {
                // Its name is free.
                host.try_create(Some("victim"), &["true"], victim).unwrap();
            }
        });
    }
}

fn killed_while_starting() {
    for point in STARTING {
        let dir = data_root();
        killed_at(dir.path(), point, &["sleep", "1000"]);
        next_daemon(dir, point, |host| {
            let state = host.inspect("victim").state;
            // From the shim's word on it is on its way.
            let ran =
                ["engine.after_shim", "engine.after_start", "engine.before_record_running"].contains(&point);
            assert_eq!(state.status, if ran { "running" } else { "created" });
            if ran {
                assert!(Path::new(&format!("/proc/{}", state.pid)).exists());
                host.block(host.engine.container_kill("victim", "KILL")).unwrap();
            } else if !UNWRITTEN.contains(&point) {
                assert_eq!(state.error, "the daemon ended while the container was started");
            }
            // And it can be started anew: its address and port are free.
            host.start("victim");
        });
    }
}

fn killed_around_the_end() {
    for point in ENDING {
        let dir = data_root();
        killed_at(dir.path(), point, &["sh", "-c", "exit 7"]);
        next_daemon(dir, point, |host| {
            let state = host.inspect("victim").state;
            assert_eq!((state.status.as_str(), state.exit_code), ("exited", 7));
            assert!(state.started_at < state.finished_at);
            assert_eq!(std::fs::read_dir(host::paths(host.dir()).shims()).unwrap().count(), 0, "{point}");
            host.start("victim");
        });
    }
}

fn killed_while_removing() {
    for point in REMOVING {
        let dir = data_root();
        killed_at(dir.path(), point, &["true"]);
        next_daemon(dir, point, |host| {
            if point == "engine.before_record_removing" {
                assert_eq!(host.inspect("victim").state.status, "exited");
                return;
            }
            // A removal that was begun goes on; who waits for it is told.
            if let Ok(waiter) = host.block(host.engine.container_wait("victim", WaitCondition::Removed)) {
                host.block(waiter.wait());
            }
            assert_eq!(containers(host), []);
        });
    }
}

fn killed_after_a_removal_that_failed() {
    for point in ["engine.before_record_dead", "engine.after_record_dead"] {
        let dir = data_root();
        killed_at(dir.path(), &format!("engine.before_discard=error;{point}"), &["true"]);
        next_daemon(dir, point, |host| {
            if point == "engine.after_record_dead" {
                assert_eq!(host.inspect("victim").state.status, "dead");
                let options = RemoveOptions { volumes: true, ..RemoveOptions::default() };
                host.block(host.engine.container_remove("victim", options)).unwrap();
            } else if let Ok(waiter) =
                host.block(host.engine.container_wait("victim", WaitCondition::Removed))
            {
                // As far as the record says, the removal goes on.
                host.block(waiter.wait());
            }
            assert_eq!(containers(host), []);
        });
    }
}

fn killed_while_reconciling() {
    for point in ["engine.reconcile_before_network", "engine.reconcile_after_network"] {
        let dir = data_root();
        killed_at(dir.path(), "engine.after_start", &["sleep", "1000"]);
        killed_at(dir.path(), point, &["true"]);
        next_daemon(dir, point, |host| assert_eq!(host.inspect("victim").state.status, "running"));
    }
}

fn containers_outlive_the_daemon() {
    let host = Host::at(data_root());
    let script = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done";
    let id = host.try_create(Some("victim"), &["sh", "-c", script], victim).unwrap();
    host.start(&id);
    let paused = host.try_create(Some("frozen"), &["sleep", "1000"], |_, _| {}).unwrap();
    host.start(&paused);
    host.block(host.engine.container_pause(&paused)).unwrap();
    let before = host.inspect(&id);
    let dir = host.leave(Running::Leave);
    let host = Host::at(dir);
    let after = host.inspect(&id);
    assert_eq!((after.state.pid, after.state.started_at), (before.state.pid, before.state.started_at));
    assert_eq!(after.network_settings.networks, before.network_settings.networks);
    assert_eq!(after.network_settings.ports, before.network_settings.ports);
    assert_eq!(host.inspect(&paused).state.status, "paused");
    // Its log has no hole.
    host.follow_until(&id, "20\n");
    assert!(host.logs(&id).starts_with("1\n2\n3\n"));
    // Its address is taken, and its end is seen.
    let other = host.create(&["sleep", "1000"], |_, h| h.network_mode = "bridge".to_owned());
    host.start(&other);
    assert_ne!(host.inspect(&other).network_settings.ip_address, after.network_settings.ip_address);
    host.block(
        host.engine.container_stop(
            &id,
            brig_engine::options::StopOptions { signal: Some("9".into()), timeout: None },
        ),
    )
    .unwrap();
    assert_eq!(host.inspect(&id).state.exit_code, 137);
    host.block(host.engine.container_unpause(&paused)).unwrap();
    host.end();
}

fn a_supervisor_that_dies() {
    let host = Host::at(data_root());
    let id = host.try_create(Some("victim"), &["sleep", "1000"], victim).unwrap();
    host.start(&id);
    let pid = host.inspect(&id).state.pid;
    let waiter = host.block(host.engine.container_wait(&id, WaitCondition::NotRunning)).unwrap();
    kill_shim(host.dir(), &id);
    assert_eq!(host.block(waiter.wait()).status_code, 255);
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    assert!(stat.is_err() || stat.is_ok_and(|stat| stat.contains(") Z ")), "it may wait to be reaped");
    let state = host.inspect(&id).state;
    assert_eq!((state.status.as_str(), state.error.as_str()), ("exited", "its supervisor died"));
    // The same while there is no daemon.
    host.start(&id);
    let dir = host.leave(Running::Leave);
    kill_shim(dir.path(), &id);
    let host = Host::at(dir);
    let state = host.inspect(&id).state;
    assert_eq!((state.status.as_str(), state.exit_code), ("exited", 255));
    host.start(&id);
    host.end();
}

fn kill_shim(dir: &Path, id: &str) {
    let path = host::paths(dir).shims().join(id).join(brig_shim::protocol::STATE_NAME);
    let state: brig_shim::protocol::ShimState =
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let pid = rustix::process::Pid::from_raw(state.shim_pid).unwrap();
    let fd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
    rustix::process::pidfd_send_signal(&fd, rustix::process::Signal::KILL).unwrap();
    let mut ends = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
    rustix::event::poll(&mut ends, None).unwrap();
}

/// The same places, failing instead of killing: the start undoes itself and says why.
fn failures_undo_a_start() {
    for point in STARTING.into_iter().filter(|p| !p.contains("record_running")) {
        let dir = data_root();
        let status = Command::new("/proc/self/exe")
            .arg("daemon")
            .arg(dir.path())
            .args(["sleep", "1000"])
            .env("BRIG_FAILPOINTS", format!("{point}=error"))
            .status()
            .unwrap();
        assert!(status.success(), "{point}: {status}");
        assert_eq!(
            std::fs::read_dir(host::paths(dir.path()).shims()).map_or(0, Iterator::count),
            0,
            "{point}"
        );
        next_daemon(dir, point, |host| {
            assert_eq!(host.inspect("victim").state.status, "created");
            host.start("victim");
        });
    }
    assert_eq!(failpoint::hit("engine.nowhere"), Ok(()));
}

fn restarted_with_the_daemon() {
    let host = Host::at(data_root());
    let policy = |name: &'static str| {
        move |c: &mut ContainerConfig, h: &mut HostConfig| {
            h.restart_policy.name = name.to_owned();
            c.stop_timeout = Some(0);
        }
    };
    let always = host.try_create(Some("always"), &["sleep", "1000"], policy("always")).unwrap();
    let unless = host.try_create(Some("unless"), &["sleep", "1000"], policy("unless-stopped")).unwrap();
    let stopped = host.try_create(Some("stopped"), &["sleep", "1000"], policy("unless-stopped")).unwrap();
    for id in [&always, &unless, &stopped] {
        host.start(id);
    }
    host.block(host.engine.container_kill(&stopped, "KILL")).unwrap();
    host.block(host.engine.container_kill(&always, "KILL")).unwrap();
    host.block(host.engine.shutdown(Running::Stop));
    assert_eq!(host.inspect(&unless).state.status, "exited");
    let dir = host.leave(Running::Stop);
    let host = Host::at(dir);
    // A wait is answered after the start that was begun before.
    for (id, runs) in [(&always, true), (&unless, true), (&stopped, false)] {
        let waiter = host.block(host.engine.container_wait(id, WaitCondition::NextExit)).unwrap();
        drop(waiter);
        assert_eq!(host.inspect(id).state.running, runs, "{}", host.inspect(id).name);
    }
    host.end();
}

fn records_that_are_damaged() {
    let host = Host::at(data_root());
    let volume = |name: &str| VolumeCreateRequest { name: name.to_owned(), ..Default::default() };
    for name in ["damaged", "whole"] {
        host.block(host.engine.volume_create(volume(name))).unwrap();
    }
    let kept = host.create(&["true"], |_, _| ());
    let lost = host.create(&["true"], |_, _| ());
    let dir = host.leave(Running::Leave);
    let store = Store::open(&host::paths(dir.path()), StoreOptions::default()).unwrap();
    for (kind, key) in
        [(VOLUME_KIND, "damaged"), (CONTAINER_KIND, lost.as_str()), (NETWORK_KIND, "x"), (SANDBOX_KIND, "y")]
    {
        store.records().put(kind, key, &"cut off", Durability::Process).unwrap();
    }
    drop(store);
    let folder = host::paths(dir.path()).volumes().join("damaged/_data");
    std::fs::write(folder.join("file"), "precious").unwrap();
    let host = Host::at(dir);
    assert!(host.exists(&kept) && !host.exists(&lost));
    host.block(host.engine.volume_inspect("whole")).unwrap();
    assert_eq!(std::fs::read_to_string(folder.join("file")).unwrap(), "precious");
    // Others go on; what can't be read is not given to anybody as new.
    let error = host.block(host.engine.volume_create(volume("damaged"))).unwrap_err();
    assert_eq!(error.kind(), Kind::DataLoss);
    host.remove(&kept);
    // What is kept stays.
    host.leave(Running::Stop);
}
