//! The daemon as a process: its lock, its files, its end and its second start.

use brig_e2e::{Host, client::finish};
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_data_root_has_one_daemon() {
    let host = Host::start();
    let mut second = host.daemon_command();
    second.args(["--pidfile", host.path("second.pid").to_str().unwrap()]);
    let out = host.inside(|| finish(&mut second));
    assert_ne!(out.code, 0);
    assert!(out.stderr.contains(host.path("data").to_str().unwrap()), "{}", out.stderr);
    assert!(
        out.stderr.contains(&host.daemon_pid().to_string()),
        "the message names the other daemon: {}",
        out.stderr
    );
    assert_eq!(host.api("GET", "/_ping", None).status, 200);
}

#[test]
fn sigterm_ends_it_and_leaves_containers_running() {
    let host = Host::start();
    host.import_busybox();
    host.brig(&["run", "-d", "--name", "c1", "busybox", "sleep", "1000"]).ok();
    let pid = host.brig(&["inspect", "-f", "{{.State.Pid}}", "c1"]).ok();
    assert_eq!(std::fs::read_to_string(host.path("brig.pid")).unwrap().trim(), host.daemon_pid().to_string());
    assert_eq!(host.stop_daemon(), Some(0));
    assert!(!host.path("brig.pid").exists(), "the pid file is left");
    assert!(!host.socket().exists(), "the socket is left");
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists(), "the container ended with the daemon");
    host.start_daemon(&[]);
    assert_eq!(
        host.brig(&["inspect", "-f", "{{.State.Status}} {{.State.Pid}}", "c1"]).ok(),
        format!("running {pid}")
    );
    assert_eq!(host.brig(&["exec", "c1", "echo", "adopted"]).ok(), "adopted");
}

#[test]
fn an_ephemeral_daemon_takes_its_bridge_away_unless_a_container_runs() {
    let links = |host: &Host| host.inside(|| std::fs::read_to_string("/proc/thread-self/net/dev").unwrap());
    let host = Host::start_with(&["--ephemeral"], &[]);
    host.import_busybox();
    host.brig(&["run", "-d", "--name", "c1", "busybox", "sleep", "1000"]).ok();
    assert_eq!(host.stop_daemon(), Some(0));
    assert!(links(&host).contains("brig0:"), "the bridge of a running container is gone");
    host.start_daemon(&[]);
    host.brig(&["rm", "-f", "c1"]).ok();
    assert_eq!(host.stop_daemon(), Some(0));
    assert!(!links(&host).contains("brig0:"), "the bridge is left");
}

#[test]
fn the_socket_is_for_root_only() {
    let host = Host::start();
    let mode = std::fs::metadata(host.socket()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o660);
}

#[test]
fn configuration_comes_from_a_file_and_clashes_are_told() {
    let host = Host::prepare(&[]);
    let file = host.path("daemon.json");
    std::fs::write(&file, r#"{"labels": ["a=b"], "debug": true}"#).unwrap();
    let check = |extra: &[&str]| {
        let mut command = std::process::Command::new(host.binary());
        command.args(["daemon", "--validate", "--config-file", file.to_str().unwrap()]).args(extra);
        finish(&mut command)
    };
    assert!(check(&[]).ok().is_empty() || check(&[]).stderr.contains("configuration OK"));
    std::fs::write(&file, r#"{"frobnicate": 1}"#).unwrap();
    check(&[]).fails(1, "frobnicate");
    std::fs::write(&file, r#"{"debug": tr"#).unwrap();
    assert_ne!(check(&[]).code, 0);
}
