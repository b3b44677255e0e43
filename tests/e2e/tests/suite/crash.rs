//! `kill -9` of the daemon between any two steps of a run: the next daemon adopts or undoes, and loses nothing.

use brig_e2e::Host;

/// A host with the image, whose daemon then runs with a failpoint set to kill it.
fn dying_at(failpoint: &str) -> Host {
    let host = Host::start();
    host.import_busybox();
    assert_eq!(host.stop_daemon(), Some(0));
    host.start_daemon(&[("BRIG_FAILPOINTS", &format!("{failpoint}=kill"))]);
    host
}

#[test]
fn a_killed_daemon_finds_its_containers_again() {
    let host = Host::start();
    host.import_busybox();
    host.brig(&[
        "run",
        "-d",
        "--name",
        "lives",
        "-p",
        "8080:80",
        "busybox",
        "sh",
        "-c",
        "httpd -p 80 -h /www; echo up; exec sleep 1000",
    ])
    .ok();
    brig_e2e::host::follow_until(&host, brig_e2e::Client::Brig, "lives", "up");
    host.brig(&[
        "run",
        "-d",
        "-i",
        "--name",
        "ends",
        "busybox",
        "sh",
        "-c",
        "sleep 0.2; echo last words; exit 4",
    ])
    .ok();
    let pid = host.brig(&["inspect", "-f", "{{.State.Pid}}", "ends"]).ok();
    host.kill_daemon();
    assert_eq!(host.get("127.0.0.1:8080").unwrap(), "hello from brig\n", "a published port needs no daemon");
    await_end_of(&pid);
    host.start_daemon(&[]);
    assert_eq!(
        host.brig(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "ends"]).ok(),
        "exited 4"
    );
    assert_eq!(host.brig(&["logs", "ends"]).ok(), "last words");
    assert_eq!(host.brig(&["inspect", "-f", "{{.State.Status}}", "lives"]).ok(), "running");
    assert_eq!(host.brig(&["exec", "lives", "echo", "hi"]).ok(), "hi");
    assert_eq!(host.get("127.0.0.1:8080").unwrap(), "hello from brig\n");
    host.brig(&["stop", "-t", "0", "lives"]).ok();
    host.brig(&["start", "lives"]).ok();
}

/// Waits for the end of a process that is not ours.
fn await_end_of(pid: &str) {
    let pid = rustix::process::Pid::from_raw(pid.parse().expect("a pid")).expect("not zero");
    if let Ok(fd) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
        let mut fds = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut fds, None).expect("poll");
    }
}

macro_rules! killed_at {
    ($($name:ident: $failpoint:literal,)*) => {$(
        #[test]
        fn $name() {
            let host = dying_at($failpoint);
            // The client loses its connection; what it says of that is not the point here.
            host.brig(&["run", "-d", "--name", "c1", "-p", "8080:80", "busybox", "sleep", "1000"]);
            host.brig(&["rm", "-f", "c1"]);
            host.await_daemon_death();
            host.start_daemon(&[]);
            let state = host.brig(&["ps", "-a", "--format", "{{.Names}} {{.State}}"]).ok();
            assert!(["", "c1 created", "c1 running", "c1 exited"].contains(&state.as_str()), "{state}");
            if !state.is_empty() {
                host.brig(&["rm", "-f", "c1"]).ok();
            }
            host.brig(&["run", "--rm", "--name", "c1", "-p", "8080:80", "busybox", "true"]).ok();
        }
    )*};
}

include!("failpoints.rs");
