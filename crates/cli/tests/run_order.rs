//! `run` against a daemon that only records: what is asked, in what order, and what the client makes of the
//! answers.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    sync::{Arc, Condvar, Mutex},
    thread,
};

/// How the recording daemon behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    /// The container ends with code 3 after it wrote a line.
    Runs,
    /// The streams end, and only then the start is refused.
    StartFails,
    /// The first creation finds no image; pulls are refused.
    NoImage,
}

struct Daemon {
    behaviour: Behaviour,
    requests: Mutex<Vec<String>>,
    started: Mutex<bool>,
    changed: Condvar,
}

impl Daemon {
    fn record(&self, line: &str) {
        self.requests.lock().unwrap().push(line.to_owned());
    }

    fn await_start(&self) {
        let mut started = self.started.lock().unwrap();
        while !*started {
            started = self.changed.wait(started).unwrap();
        }
    }

    fn set_started(&self) {
        *self.started.lock().unwrap() = true;
        self.changed.notify_all();
    }

    fn serve(&self, stream: UnixStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut writer = stream;
        loop {
            let mut request = String::new();
            if reader.read_line(&mut request).unwrap_or(0) == 0 {
                return;
            }
            let mut length = 0;
            loop {
                let mut header = String::new();
                reader.read_line(&mut header).unwrap();
                if header.trim().is_empty() {
                    break;
                }
                if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let line = request.trim().trim_end_matches(" HTTP/1.1").to_owned();
            self.record(&line);
            if !self.answer(&line, &mut writer) {
                return;
            }
        }
    }

    /// Answers one request; false when the connection ends with it.
    fn answer(&self, line: &str, writer: &mut UnixStream) -> bool {
        let mut json = |status: &str, body: &str| {
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            writer.write_all(format!("{head}{body}").as_bytes()).unwrap();
        };
        if line.contains("/_ping") {
            writer.write_all(b"HTTP/1.1 200 OK\r\nApi-Version: 1.51\r\nContent-Length: 0\r\n\r\n").unwrap();
        } else if line.contains("/containers/create") {
            if self.behaviour == Behaviour::NoImage {
                json("404 Not Found", "{\"message\":\"No such image: busybox:latest\"}");
            } else {
                json("201 Created", "{\"Id\":\"abc\",\"Warnings\":[]}");
            }
        } else if line.contains("/images/create") {
            json("501 Not Implemented", "{\"message\":\"pulling is not there\"}");
        } else if line.contains("/attach") {
            let head = "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
            writer.write_all(head.as_bytes()).unwrap();
            if self.behaviour == Behaviour::Runs {
                self.await_start();
                writer.write_all(b"\x01\0\0\0\0\0\0\x03hi\n").unwrap();
            }
            writer.shutdown(std::net::Shutdown::Both).unwrap();
            if self.behaviour == Behaviour::StartFails {
                self.set_started();
            }
            return false;
        } else if line.contains("/wait") {
            writer
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
                .unwrap();
            self.await_start();
            let body = "{\"StatusCode\":3}";
            // The client may have gone meanwhile.
            let _ = writer.write_all(format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).as_bytes());
        } else if line.contains("/start") {
            if self.behaviour == Behaviour::StartFails {
                self.await_start();
                json(
                    "400 Bad Request",
                    "{\"message\":\"exec: \\\"nope\\\": executable file not found in $PATH\"}",
                );
            } else {
                self.set_started();
                writer.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
            }
        } else {
            json("404 Not Found", "{\"message\":\"page not found\"}");
        }
        true
    }
}

fn call(behaviour: Behaviour, words: &[&str]) -> (u8, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("daemon.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let daemon = Arc::new(Daemon {
        behaviour,
        requests: Mutex::default(),
        started: Mutex::new(false),
        changed: Condvar::new(),
    });
    let serving = Arc::clone(&daemon);
    // Ends with the process: nothing but this test's threads hangs on it.
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let daemon = Arc::clone(&serving);
            thread::spawn(move || daemon.serve(stream));
        }
    });
    let config = dir.path().display().to_string();
    let host = format!("unix://{}", path.display());
    let mut args = vec!["brig", "--config", &config, "-H", &host];
    args.extend(words);
    let code = brig_cli::dispatch::run(args.into_iter().map(str::to_owned).collect());
    let requests = daemon.requests.lock().unwrap().clone();
    (code, requests)
}

#[test]
fn streams_and_wait_are_there_before_the_start() {
    let (code, mut requests) = call(Behaviour::Runs, &["run", "busybox", "true"]);
    assert_eq!(code, 3);
    // These two are sent side by side.
    requests[1..3].sort();
    assert_eq!(
        requests,
        [
            "POST /v1.51/containers/create",
            "POST /v1.51/containers/abc/attach?stderr=1&stdout=1&stream=1",
            "POST /v1.51/containers/abc/wait?condition=next-exit",
            "POST /v1.51/containers/abc/start",
        ]
    );
}

#[test]
fn rm_waits_for_the_removal_and_detached_containers_are_only_started() {
    let (code, requests) = call(Behaviour::Runs, &["run", "--rm", "busybox", "true"]);
    assert_eq!(code, 3);
    assert!(requests[1..3].iter().any(|r| r.ends_with("/wait?condition=removed")), "{requests:?}");
    let (code, requests) = call(Behaviour::Runs, &["run", "-d", "--name", "x", "busybox"]);
    assert_eq!(code, 0);
    assert_eq!(
        requests,
        ["POST /v1.51/containers/create?name=x", "POST /v1.51/containers/abc/start"].map(str::to_owned)
    );
}

#[test]
fn a_start_that_is_refused_after_the_streams_ended_gives_its_code() {
    let (code, _) = call(Behaviour::StartFails, &["run", "busybox", "nope"]);
    assert_eq!(code, 127);
}

#[test]
fn a_missing_image_is_pulled_unless_told_not_to() {
    let (code, requests) = call(Behaviour::NoImage, &["run", "busybox"]);
    assert_eq!(code, 125);
    assert_eq!(requests[1], "POST /v1.51/images/create?fromImage=docker.io%2Flibrary%2Fbusybox&tag=latest");
    let (code, requests) = call(Behaviour::NoImage, &["run", "--pull", "never", "busybox"]);
    assert_eq!((code, requests.len()), (125, 1));
}

#[test]
fn wrong_calls_ask_the_daemon_nothing() {
    for (words, expected) in [
        (&["run", "--nope", "busybox"][..], 125),
        (&["run"], 1),
        (&["run", "-p", "a:b", "busybox"], 125),
        (&["run", "Busybox"], 125),
        (&["ps", "x"], 1),
        (&["nope"], 1),
        (&["run", "-d", "-a", "stdin", "busybox"], 1),
    ] {
        let (code, requests) = call(Behaviour::Runs, words);
        assert_eq!((code, requests), (expected, Vec::new()), "{words:?}");
    }
}

#[test]
fn a_daemon_that_is_not_there_is_an_error_of_the_client() {
    let run = |words: &[&str]| brig_cli::dispatch::run(words.iter().map(|w| (*w).to_owned()).collect());
    assert_eq!(run(&["brig", "-H", "unix:///nonexistent/x.sock", "run", "busybox"]), 125);
    assert_eq!(run(&["brig", "-H", "unix:///nonexistent/x.sock", "ps"]), 1);
    assert_eq!(run(&["brig", "-H", "foo://x", "ps"]), 1);
}
