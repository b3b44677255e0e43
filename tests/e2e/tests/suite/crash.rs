//! `kill -9` of each process of brig, and of the daemon between any two steps: the next daemon adopts or undoes,
//! and loses nothing.

use brig_e2e::{
    Client, Host,
    host::{ends_within, follow_until, logs},
    image, leftovers,
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    collections::BTreeSet,
    io::{Read, Write},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

/// How long a process may take to end.
const SOON: Duration = Duration::from_secs(20);

/// Serves a page, and ends with 7 and a word when it is stopped.
const WORK: &str =
    "trap 'echo bye; exit 7' TERM; httpd -p 80 -h /www; echo up; while :; do sleep 1000 & wait; done";

const RUN: [&str; 12] =
    ["run", "-d", "--name", "box", "-p", "8080:80", "-v", "/data", "busybox", "sh", "-c", WORK];

/// A network with one free address, so that none can leak.
const FLAGS: [&str; 2] = ["--bip", "10.42.0.1/30"];

/// What is found of a container after the crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Created,
    Running,
    Paused,
    Exited,
}

/// What must be as before in the end: rules and links of the host, folders of the store.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    rules: String,
    links: BTreeSet<String>,
    snapshots: BTreeSet<String>,
    blobs: BTreeSet<String>,
    volumes: BTreeSet<String>,
}

impl Traces {
    fn of(host: &Host) -> Self {
        // Where nft is not installed, the rules are not compared.
        let rules = host.inside(|| Command::new("nft").args(["list", "ruleset"]).output());
        let links = host.inside(|| std::fs::read_to_string("/proc/thread-self/net/dev").expect("links"));
        Self {
            rules: rules.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default(),
            links: links
                .lines()
                .filter_map(|l| l.split_once(':'))
                .map(|(l, _)| l.trim().to_owned())
                .collect(),
            snapshots: names(&host.path("data/snapshots")),
            blobs: names(&host.path("data/blobs/sha256")),
            volumes: names(&host.path("data/volumes")),
        }
    }
}

fn names(folder: &Path) -> BTreeSet<String> {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect()
}

/// A host with the image, what all containers of the image share, and one free address.
fn host() -> Host {
    let host = Host::start_with(&FLAGS, &[]);
    host.import_busybox();
    host.brig(&["create", "--name", "first", "busybox", "true"]).ok();
    host.brig(&["rm", "first"]).ok();
    host
}

/// The daemon of `host` gives way to one that a failpoint kills.
fn next_dies_at(host: &Host, failpoint: &str) {
    host.kill_daemon();
    host.start_daemon(&[("BRIG_FAILPOINTS", &format!("{failpoint}=kill"))]);
}

/// A container's life up to its removal, as far as the daemon lives; what clients say when it dies is not looked at.
fn life(host: &Host) {
    host.brig(&RUN);
    logs(host, Client::Brig, "box", "up");
    for step in [&["exec", "box", "true"][..], &["stop", "box"], &["rm", "-v", "box"]] {
        host.brig(step);
    }
}

/// Goes through `scenario` with a daemon that dies at `failpoint`, then looks at what the next one makes of it.
#[track_caller]
fn died_at(failpoint: &str, found: Found, scenario: impl FnOnce(&Host)) {
    let host = host();
    let before = Traces::of(&host);
    next_dies_at(&host, failpoint);
    scenario(&host);
    host.await_daemon_death();
    host.start_daemon(&[]);
    all_is_well(&host, found, &before);
}

/// The container is as expected and goes on from there; afterwards its name, its port and its address are free, and
/// nothing is left of it.
#[track_caller]
fn all_is_well(host: &Host, found: Found, before: &Traces) {
    settles(host, found);
    match found {
        Found::Nothing => {}
        Found::Created => {
            host.brig(&["start", "box"]).ok();
            works(host);
        }
        Found::Paused => {
            host.api("POST", "/containers/box/unpause", None);
            works(host);
        }
        Found::Running => works(host),
        Found::Exited => has_ended(host, "up\nbye"),
    }
    if found != Found::Nothing {
        host.brig(&["rm", "-fv", "box"]).ok();
    }
    host.brig(&RUN).ok();
    works(host);
    host.brig(&["rm", "-fv", "box"]).ok();
    assert_eq!(leftovers::lasting_veths(host), Vec::<String>::new());
    assert_eq!(*before, Traces::of(host));
}

/// The next daemon says of the container what is expected.
#[track_caller]
fn settles(host: &Host, found: Found) {
    if found == Found::Nothing {
        // A removal that was begun goes on while the daemon serves.
        let gone = host.api("POST", "/containers/box/wait?condition=removed", None);
        assert!([200, 404].contains(&gone.status), "{}", gone.status);
        assert_eq!(host.brig(&["ps", "-a", "--format", "{{.Names}} {{.State}}"]).ok(), "");
        return;
    }
    let state = host.brig(&["inspect", "-f", "{{.State.Status}}", "box"]).ok();
    assert_eq!(state, format!("{found:?}").to_lowercase());
}

/// The container serves, can be entered, and ends as it was made to.
#[track_caller]
fn works(host: &Host) {
    follow_until(host, Client::Brig, "box", "up");
    assert_eq!(host.get("127.0.0.1:8080").unwrap(), "hello from brig\n");
    assert_eq!(host.brig(&["exec", "box", "echo", "hi"]).ok(), "hi");
    host.brig(&["stop", "box"]).ok();
    has_ended(host, "up\nbye");
}

#[track_caller]
fn has_ended(host: &Host, log: &str) {
    assert_eq!(
        host.brig(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "box"]).ok(),
        "exited 7"
    );
    assert_eq!(host.brig(&["logs", "box"]).ok(), log);
}

macro_rules! killed_at {
    ($($name:ident: $failpoint:literal => $found:ident,)*) => {$(
        #[test]
        fn $name() {
            died_at($failpoint, Found::$found, life);
        }
    )*};
}

killed_at! {
    before_the_snapshot: "engine.before_snapshot" => Nothing,
    before_the_record_of_the_snapshot: "store.snapshot.record" => Nothing,
    after_the_snapshot: "engine.after_prepare" => Nothing,
    before_the_record: "engine.before_create_record" => Nothing,
    after_the_record: "engine.after_create_record" => Created,

    before_starting: "engine.before_record_starting" => Created,
    after_starting: "engine.after_record_starting" => Created,
    before_the_sandbox: "engine.before_sandbox" => Created,
    after_the_sandbox: "engine.after_sandbox" => Created,
    before_the_files: "engine.after_snapshot" => Created,
    before_the_namespace: "engine.before_netns" => Created,
    after_the_namespace: "engine.after_netns" => Created,
    before_the_interface: "engine.before_attach" => Created,
    after_the_interface: "engine.after_attach" => Created,
    after_the_ports: "engine.after_publish" => Created,
    before_the_shim: "engine.before_shim" => Created,
    before_the_start: "engine.before_start" => Created,
    after_the_shim: "engine.after_shim" => Running,
    after_the_start: "engine.after_start" => Running,
    before_running: "engine.before_record_running" => Running,
    after_running: "engine.after_record_running" => Running,

    before_exited: "engine.before_record_exited" => Exited,
    after_exited: "engine.after_record_exited" => Exited,
    before_the_tear_down: "engine.before_tear_down" => Exited,
    after_the_tear_down: "engine.after_tear_down" => Exited,

    before_removing: "engine.before_record_removing" => Exited,
    after_removing: "engine.after_record_removing" => Nothing,
    before_discarding: "engine.before_discard" => Nothing,
    before_the_snapshot_is_discarded: "store.snapshot.discard" => Nothing,
    after_the_snapshot_is_discarded: "engine.after_snapshot_removed" => Nothing,
    after_discarding: "engine.after_discard" => Nothing,
    before_forgetting: "engine.before_forget" => Nothing,
    after_forgetting: "engine.after_forget" => Nothing,
}

fn while_a_container_is_removed_at_its_end(failpoint: &str) {
    died_at(failpoint, Found::Nothing, |host| {
        host.brig(&[&["run", "--rm"], &RUN[1..]].concat()).ok();
        follow_until(host, Client::Brig, "box", "up");
        host.brig(&["stop", "box"]);
    });
}

fn while_a_container_without_volumes_is_removed_at_its_end(failpoint: &str) {
    died_at(failpoint, Found::Nothing, |host| {
        host.brig(&["run", "-d", "--rm", "--name", "box", "-p", "8080:80", "busybox", "sh", "-c", "exit 3"]);
    });
}

/// A test for each failpoint of a scenario.
macro_rules! each_of {
    ($($scenario:ident: $($name:ident at $failpoint:literal),+;)*) => {$(
        mod $scenario {$(
            #[test]
            fn $name() {
                super::$scenario($failpoint);
            }
        )+}
    )*};
}

each_of! {
    while_a_container_is_removed_at_its_end:
        before_record_removing at "engine.before_record_removing",
        after_record_removing at "engine.after_record_removing",
        before_discard at "engine.before_discard";
    while_a_container_without_volumes_is_removed_at_its_end:
        before_erase at "engine.before_erase",
        after_erase at "engine.after_erase";
    before_and_after_a_failed_start_is_written_down:
        before_record_created at "engine.before_record_created",
        after_record_created at "engine.after_record_created";
    before_and_after_a_restart_by_policy_is_written_down:
        before_record_restarting at "engine.before_record_restarting",
        after_record_restarting at "engine.after_record_restarting";
    while_it_clears_up_after_another_crash:
        reconcile_before_network at "engine.reconcile_before_network",
        reconcile_after_network at "engine.reconcile_after_network";
    while_an_image_is_imported:
        layer_publish at "store.layer.publish",
        layer_record at "store.layer.record",
        layer_recorded at "store.layer.recorded",
        image_publish at "store.image.publish",
        image_record at "store.image.record";
    while_an_image_is_removed:
        image_discard at "store.image.discard",
        discard at "store.discard";
    a_shim_that_dies_on_the_way_leaves_nothing:
        runtime_cgroup at "runtime.cgroup",
        runtime_cloned at "runtime.cloned",
        shim_state at "shim.state",
        runtime_start at "runtime.start";
    before_and_after_a_pause:
        before_record_paused at "engine.before_record_paused",
        after_record_paused at "engine.after_record_paused";
}

fn before_and_after_a_pause(failpoint: &str) {
    died_at(failpoint, Found::Paused, |host| {
        host.brig(&RUN).ok();
        follow_until(host, Client::Brig, "box", "up");
        hangs_up(host, "POST", "/containers/box/pause");
    });
}

fn before_and_after_a_failed_start_is_written_down(failpoint: &str) {
    let host = host();
    let before = Traces::of(&host);
    next_dies_at(&host, failpoint);
    host.brig(&["run", "-d", "--name", "box", "-p", "8080:80", "-v", "/data", "busybox", "/nothing"]);
    host.await_daemon_death();
    host.start_daemon(&[]);
    settles(&host, Found::Created);
    host.brig(&["rm", "-v", "box"]).ok();
    all_is_well(&host, Found::Nothing, &before);
}

fn before_and_after_a_restart_by_policy_is_written_down(failpoint: &str) {
    let host = host();
    let before = Traces::of(&host);
    next_dies_at(&host, failpoint);
    // It ends the first time only.
    let script = format!("echo run; [ -e /data/second ] || {{ >/data/second; exit 3; }}; {WORK}");
    host.brig(&[
        "run",
        "-d",
        "--name",
        "box",
        "-p",
        "8080:80",
        "-v",
        "/data",
        "--restart",
        "always",
        "busybox",
        "sh",
        "-c",
        &script,
    ]);
    host.await_daemon_death();
    host.start_daemon(&[]);
    // The second run is the daemon's own doing; this waits behind it.
    host.brig(&["rename", "box", "other"]).ok();
    follow_until(&host, Client::Brig, "other", "up");
    assert_eq!(host.brig(&["logs", "other"]).ok(), "run\nrun\nup");
    assert_eq!(host.get("127.0.0.1:8080").unwrap(), "hello from brig\n");
    host.brig(&["rm", "-fv", "other"]).ok();
    all_is_well(&host, Found::Nothing, &before);
}

fn while_it_clears_up_after_another_crash(failpoint: &str) {
    let host = host();
    let before = Traces::of(&host);
    host.brig(&RUN).ok();
    host.kill_daemon();
    host.start_daemon_in_vain(&[("BRIG_FAILPOINTS", &format!("{failpoint}=kill"))]);
    host.start_daemon(&[]);
    all_is_well(&host, Found::Running, &before);
}

fn while_an_image_is_imported(failpoint: &str) {
    let host = Host::start();
    let before = Traces::of(&host);
    next_dies_at(&host, failpoint);
    Client::Brig.run_with(&host, &["import", "-", image::BUSYBOX], image::busybox_tar());
    host.await_daemon_death();
    host.start_daemon(&[]);
    no_image_is_left(&host, &before);
}

#[test]
fn half_way_through_an_image() {
    let host = Host::start();
    let before = Traces::of(&host);
    let mut import = Client::Brig.command(&host, &["import", "-", image::BUSYBOX]);
    let mut import =
        import.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("import");
    let tar = image::busybox_tar();
    // More than all buffers on the way hold, so that the daemon has begun to unpack.
    import.stdin.as_mut().expect("piped").write_all(&tar[..tar.len() * 3 / 4]).expect("write");
    assert_ne!(names(&host.path("data/ingest")), BTreeSet::new());
    host.kill_daemon();
    let out = import.wait_with_output().expect("import");
    assert!(!out.status.success());
    assert_ne!(out.stderr, b"");
    host.start_daemon(&[]);
    no_image_is_left(&host, &before);
}

fn no_image_is_left(host: &Host, before: &Traces) {
    assert_eq!(names(&host.path("data/ingest")), BTreeSet::new());
    assert_eq!(host.brig(&["images", "-aq"]).ok(), "");
    assert_eq!(*before, Traces::of(host));
    host.import_busybox();
    host.brig(&["run", "--rm", "--network", "none", "busybox", "true"]).ok();
}

fn while_an_image_is_removed(failpoint: &str) {
    let host = Host::start();
    let before = Traces::of(&host);
    host.import_busybox();
    next_dies_at(&host, failpoint);
    host.brig(&["rmi", image::BUSYBOX]);
    host.await_daemon_death();
    host.start_daemon(&[]);
    no_image_is_left(&host, &before);
}

#[test]
fn a_killed_daemon_finds_its_containers_again() {
    let host = Host::start();
    host.import_busybox();
    host.brig(&["run", "-d", "--name", "box", "-p", "8080:80", "busybox", "sh", "-c", WORK]).ok();
    follow_until(&host, Client::Brig, "box", "up");
    host.brig(&["run", "-d", "--name", "ends", "busybox", "sh", "-c", "echo last words; exec sleep 1000"])
        .ok();
    follow_until(&host, Client::Brig, "ends", "last words");
    let ends = pid_of(&host, "ends");
    let pid = pid_of(&host, "box");
    host.kill_daemon();
    assert_eq!(host.get("127.0.0.1:8080").unwrap(), "hello from brig\n", "a published port needs no daemon");
    kill(ends);
    host.start_daemon(&[]);
    host.kill_daemon();
    host.start_daemon(&[]);
    assert_eq!(
        host.brig(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "ends"]).ok(),
        "exited 137"
    );
    assert_eq!(host.brig(&["logs", "ends"]).ok(), "last words");
    assert_eq!(pid_of(&host, "box"), pid);
    works(&host);
    host.brig(&["start", "box"]).ok();
}

#[test]
fn a_container_that_ends_without_a_daemon_is_removed_or_started_again_by_the_next() {
    let host = Host::start();
    host.import_busybox();
    let sleep = ["busybox", "sleep", "1000"];
    host.brig(&[&["run", "-d", "--rm", "--name", "box"][..], &sleep].concat()).ok();
    host.brig(&[&["run", "-d", "--restart", "always", "--name", "again"][..], &sleep].concat()).ok();
    let (removed, again) = (pid_of(&host, "box"), pid_of(&host, "again"));
    host.kill_daemon();
    kill(removed);
    kill(again);
    host.start_daemon(&[]);
    host.api("POST", "/containers/box/wait?condition=removed", None);
    // Waits behind the start.
    host.brig(&["rename", "again", "restarted"]).ok();
    assert_eq!(host.brig(&["ps", "-a", "--format", "{{.Names}} {{.State}}"]).ok(), "restarted running");
    assert_ne!(pid_of(&host, "restarted"), again);
}

#[test]
fn a_killed_shim_takes_its_container_with_it() {
    let host = host();
    let before = Traces::of(&host);
    let id = host.brig(&RUN).ok();
    follow_until(&host, Client::Brig, "box", "up");
    let pid = pid_of(&host, "box");
    let state = std::fs::read(host.path("run/shims").join(&id).join("state.json")).expect("the shim's state");
    let state: serde_json::Value = serde_json::from_slice(&state).expect("JSON");
    kill(u32::try_from(state["shim_pid"].as_u64().expect("a pid")).expect("a pid"));
    host.brig(&["wait", "box"]).ok();
    assert!(ends_within(pid, SOON));
    assert_eq!(
        host.brig(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}", "box"]).ok(),
        "exited 255 its supervisor died"
    );
    assert_eq!(host.brig(&["logs", "box"]).ok(), "up");
    host.brig(&["rm", "-v", "box"]).ok();
    all_is_well(&host, Found::Nothing, &before);
}

fn a_shim_that_dies_on_the_way_leaves_nothing(failpoint: &str) {
    let host = host();
    let before = Traces::of(&host);
    next_daemon(&host, &[("BRIG_FAILPOINTS", &format!("{failpoint}=kill"))]);
    let run = host.brig(&RUN);
    assert_eq!(run.code, 125, "{failpoint}: {}", run.stderr);
    assert!(host.daemon_lives(), "{failpoint}");
    host.brig(&["rm", "-v", "box"]).ok();
    next_daemon(&host, &[]);
    all_is_well(&host, Found::Nothing, &before);
}

#[test]
fn a_shim_that_dies_before_it_says_how_the_container_ended() {
    let host = host();
    let before = Traces::of(&host);
    next_daemon(&host, &[("BRIG_FAILPOINTS", "shim.exit=kill")]);
    host.brig(&RUN).ok();
    follow_until(&host, Client::Brig, "box", "up");
    host.brig(&["stop", "box"]).ok();
    assert_eq!(
        host.brig(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "box"]).ok(),
        "exited 255"
    );
    assert_eq!(host.brig(&["logs", "box"]).ok(), "up\nbye");
    host.brig(&["rm", "-v", "box"]).ok();
    next_daemon(&host, &[]);
    all_is_well(&host, Found::Nothing, &before);
}

#[test]
fn a_killed_zygote_is_replaced_and_takes_nothing_with_it() {
    let host = host();
    let before = Traces::of(&host);
    host.brig(&RUN).ok();
    kill(zygote_of(&host));
    host.brig(&["run", "--rm", "--network", "none", "busybox", "true"]).ok();
    all_is_well(&host, Found::Running, &before);
}

#[test]
fn a_killed_network_process_comes_back_with_its_ports() {
    let host = Host::start();
    host.import_busybox();
    host.brig(&["run", "-d", "--name", "box", "-p", "8080:80", "busybox", "sh", "-c", WORK]).ok();
    follow_until(&host, Client::Brig, "box", "up");
    // The daemon is there and starts another; the request for a port waits for it.
    kill(network_process_of(&host));
    host.brig(&["run", "-d", "--name", "other", "-p", "8081:80", "busybox", "sleep", "1000"]).ok();
    ports_are_held(&host);
    // The daemon dies as well.
    host.kill_daemon();
    kill(network_process_of(&host));
    assert_eq!(
        host.get("127.0.0.1:8080").unwrap(),
        "hello from brig\n",
        "the kernel's part needs no process"
    );
    host.start_daemon(&[]);
    ports_are_held(&host);
    works(&host);
}

#[track_caller]
fn ports_are_held(host: &Host) {
    for port in [8080, 8081] {
        let bound = host.inside(|| std::net::TcpListener::bind(("0.0.0.0", port)).map(drop));
        assert_eq!(bound.map_err(|e| e.kind()), Err(std::io::ErrorKind::AddrInUse), "{port}");
    }
    assert_eq!(host.get("127.0.0.1:8080").unwrap(), "hello from brig\n");
    assert_eq!(host.get("[::1]:8080").unwrap(), "hello from brig\n");
}

#[test]
fn clients_of_a_killed_daemon_end_with_an_error() {
    for client in Client::available() {
        let host = Host::start();
        host.import_busybox();
        host.brig(&["run", "-d", "-i", "--name", "box", "busybox", "sh", "-c", "echo up; exec cat"]).ok();
        let start = |args: &[&str], expect: &str| {
            let mut child = client
                .command(&host, args)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("client");
            let mut said = vec![0; expect.len()];
            // An attached client has none of the past: what it sends comes back.
            if args[0] != "logs" {
                child.stdin.as_mut().expect("piped").write_all(expect.as_bytes()).expect("write");
            }
            child.stdout.as_mut().expect("piped").read_exact(&mut said).expect("output");
            assert_eq!(said, expect.as_bytes());
            child
        };
        let clients = [
            ("logs", start(&["logs", "-f", "box"], "up\n")),
            ("attach", start(&["attach", "box"], "there\n")),
            ("exec", start(&["exec", "-i", "box", "cat"], "inside\n")),
            ("run", start(&["run", "-i", "--name", "other", "busybox", "cat"], "hello\n")),
        ];
        host.kill_daemon();
        for (name, child) in clients {
            assert!(ends_within(child.id(), SOON), "{} {name} hangs", client.name());
            let out = child.wait_with_output().expect("wait");
            let said = String::from_utf8_lossy(&out.stderr);
            // Docker's own command line says nothing in its exec.
            let told = !said.is_empty() || client == Client::Docker;
            assert!(!out.status.success() && told, "{} {name}: {} {said}", client.name(), out.status);
        }
        host.start_daemon(&[]);
        // The end of the input of `run -i` is that of its container.
        assert_eq!(host.brig(&["wait", "other"]).ok(), "0");
        assert_eq!(host.brig(&["ps", "--format", "{{.Names}}"]).ok(), "box");
    }
}

/// Another daemon, which nothing kills.
fn next_daemon(host: &Host, env: &[(&str, &str)]) {
    host.kill_daemon();
    host.start_daemon(env);
}

/// A request that is not answered.
fn hangs_up(host: &Host, method: &str, path: &str) {
    let mut stream = brig_e2e::http::connect(&host.socket());
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n\r\n").expect("write");
    let mut answer = Vec::new();
    // A connection that breaks off is what comes of it.
    let _ = stream.read_to_end(&mut answer);
    assert_eq!(answer, b"");
}

#[track_caller]
fn pid_of(host: &Host, container: &str) -> u32 {
    host.brig(&["inspect", "-f", "{{.State.Pid}}", container]).ok().parse().expect("a pid")
}

/// Kills a process that is not ours, and waits until it is gone.
#[track_caller]
fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid.cast_signed()).expect("a pid"), Signal::KILL).expect("kill");
    assert!(ends_within(pid, SOON));
}

fn zygote_of(host: &Host) -> u32 {
    let parent = format!("PPid:\t{}", host.daemon_pid());
    let of_daemon = |pid: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.starts_with("Name:\tbrig: zygote\n") && status.lines().any(|l| l == parent)
    };
    processes().find(of_daemon).expect("a zygote")
}

fn network_process_of(host: &Host) -> u32 {
    let socket = host.path("run/net.sock").to_string_lossy().into_owned();
    let serves = |pid: &u32| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line == format!("brig\0net\0--socket\0{socket}\0")
    };
    processes().find(serves).expect("a network process")
}

fn processes() -> impl Iterator<Item = u32> {
    names(Path::new("/proc")).into_iter().filter_map(|n| n.parse().ok())
}
