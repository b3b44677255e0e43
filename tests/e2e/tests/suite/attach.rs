//! Standard streams of a container, with one client and with several.

use brig_e2e::{Client, with_both};
use std::{
    io::{Read, Write},
    process::Stdio,
};

#[test]
fn standard_input_reaches_the_container_and_its_end_too() {
    with_both(|host, client| {
        assert_eq!(
            client.run_with(host, &["run", "--rm", "-i", "busybox", "cat"], b"one\ntwo\n").ok(),
            "one\ntwo"
        );
        let big = vec![b'x'; 3_000_000];
        let counted = client.run_with(host, &["run", "--rm", "-i", "busybox", "wc", "-c"], &big).ok();
        assert_eq!(counted, "3000000");
    });
}

#[test]
fn no_byte_of_a_long_output_is_lost() {
    with_both(|host, client| {
        let out =
            client.run(host, &["run", "--rm", "busybox", "sh", "-c", "yes 0123456789 | head -n 500000"]);
        assert_eq!((out.code, out.stdout.len()), (0, 11 * 500_000));
    });
}

#[test]
fn several_clients_see_the_same() {
    with_both(|host, client| {
        client.run(host, &["create", "-i", "--name", "c1", "busybox", "sh", "-c", "read go; echo went"]).ok();
        client.run(host, &["start", "c1"]).ok();
        let mut watchers: Vec<_> = (0..2).map(|_| Watcher::open(host)).collect();
        let told = client.run_with(host, &["attach", "c1"], b"go\n");
        assert_eq!(told.ok(), "went");
        for watcher in &mut watchers {
            assert_eq!(watcher.all(), b"\x01\0\0\0\0\0\0\x05went\n");
        }
    });
}

/// An attached client that only watches; it has its answer's headers, so it is registered.
struct Watcher(std::os::unix::net::UnixStream);

impl Watcher {
    fn open(host: &brig_e2e::Host) -> Self {
        let mut stream = brig_e2e::http::connect(&host.socket());
        stream.write_all(b"POST /v1.51/containers/c1/attach?stream=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n").unwrap();
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 UPGRADED\r\n"), "{}", String::from_utf8_lossy(&head));
        Self(stream)
    }

    fn all(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes).unwrap();
        bytes
    }
}

#[test]
fn hijack_without_upgrade_answers_200_and_the_raw_stream() {
    let host = brig_e2e::Host::start();
    host.import_busybox();
    host.brig(&["create", "--name", "c1", "busybox", "echo", "hi"]).ok();
    let mut stream = brig_e2e::http::connect(&host.socket());
    stream
        .write_all(b"POST /v1.51/containers/c1/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: d\r\n\r\n")
        .unwrap();
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(!head.to_ascii_lowercase().contains("chunked"), "{head}");
    host.brig(&["start", "c1"]).ok();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"\x01\0\0\0\0\0\0\x03hi\n");
}

#[test]
fn a_terminal_is_raw_and_has_the_size_it_was_given() {
    let host = brig_e2e::Host::start();
    host.import_busybox();
    let body = r#"{"Image":"busybox","Cmd":["sh","-c","read x; stty size; tty"],"Tty":true,"OpenStdin":true,"AttachStdout":true}"#;
    let id = host.api("POST", "/v1.51/containers/create?name=c1", Some(body)).json()["Id"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut stream = brig_e2e::http::connect(&host.socket());
    stream.write_all(format!("POST /v1.51/containers/{id}/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n").as_bytes()).unwrap();
    host.brig(&["start", "c1"]).ok();
    assert_eq!(host.api("POST", "/v1.51/containers/c1/resize?h=33&w=99", None).status, 200);
    stream.write_all(b"\n").unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    let all = String::from_utf8_lossy(&all).into_owned();
    assert!(all.contains("application/vnd.docker.raw-stream"), "{all}");
    assert!(
        all.ends_with("33 99\r\n/dev/console\r\n") || all.ends_with("33 99\r\n/dev/pts/0\r\n"),
        "{all:?}"
    );
}

#[test]
fn detach_keys_leave_the_container_running() {
    let host = brig_e2e::Host::start();
    host.import_busybox();
    host.brig(&["create", "-it", "--name", "c1", "busybox", "cat"]).ok();
    host.brig(&["start", "c1"]).ok();
    let mut stream = brig_e2e::http::connect(&host.socket());
    stream.write_all(b"POST /v1.51/containers/c1/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n").unwrap();
    stream.write_all(b"\x10\x11").unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    assert_eq!(host.brig(&["inspect", "-f", "{{.State.Status}}", "c1"]).ok(), "running");
}

#[test]
fn a_client_that_goes_away_does_not_stop_the_container() {
    with_both(|host, client| {
        client
            .run(host, &["run", "-d", "--name", "c1", "busybox", "sh", "-c", "while :; do echo x; done"])
            .ok();
        let mut attached =
            client.command(host, &["attach", "--no-stdin", "c1"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut some = [0; 4096];
        attached.stdout.as_mut().unwrap().read_exact(&mut some).unwrap();
        attached.kill().unwrap();
        attached.wait().unwrap();
        assert_eq!(Client::Brig.run(host, &["exec", "c1", "echo", "alive"]).ok(), "alive");
    });
}
