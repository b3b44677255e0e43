//! Where the daemon serves: sockets in use, sockets left by a killed daemon, TCP.

use brig_e2e::{Host, client::finish};
use std::io::{Read, Write};

#[test]
fn a_socket_of_a_living_daemon_is_refused() {
    let host = Host::start();
    let mut second = host.daemon_command();
    second
        .arg("--data-root")
        .arg(host.path("other-data"))
        .arg("--exec-root")
        .arg(host.path("other-run"))
        .arg("--pidfile")
        .arg(host.path("other.pid"));
    let out = host.inside(|| finish(&mut second));
    out.fails(1, &format!("{} is in use by another daemon", host.socket().display()));
    assert_eq!(host.api("GET", "/_ping", None).status, 200);
    assert!(!host.path("other.pid").exists(), "the pid file is left");
    for folder in ["other-data", "other-run"] {
        std::fs::remove_dir_all(host.path(folder)).unwrap();
    }
}

#[test]
fn a_socket_that_a_killed_daemon_left_is_replaced() {
    let host = Host::start();
    host.kill_daemon();
    assert!(host.socket().exists());
    host.start_daemon(&[]);
    assert_eq!(host.api("GET", "/_ping", None).status, 200);
}

#[test]
fn tcp_is_served_with_a_warning() {
    let host = Host::start_with(&["--host", "tcp://127.0.0.1:2375"], &[]);
    let answer = host.inside(|| {
        let mut stream = std::net::TcpStream::connect("127.0.0.1:2375").unwrap();
        stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nOK"), "{answer}");
    assert!(host.log().contains("everyone who can connect to it is root on this machine"), "{}", host.log());
}

#[test]
fn a_stop_is_quick_although_somebody_listens_to_events() {
    let host = Host::start();
    let mut events = brig_e2e::http::connect(&host.socket());
    events.write_all(b"GET /v1.51/events HTTP/1.1\r\nHost: d\r\n\r\n").unwrap();
    let mut first = [0; 12];
    events.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200", "the headers come before the first event");
    let began = std::time::Instant::now();
    assert_eq!(host.stop_daemon(), Some(0));
    assert!(began.elapsed().as_secs() < 10, "the stop took {:?}", began.elapsed());
    // What is left of the answer, and that it does not end as if it were whole.
    let mut rest = Vec::new();
    // The connection may also be reset, which says the same.
    let _ = events.read_to_end(&mut rest);
    assert!(!rest.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&rest));
}
