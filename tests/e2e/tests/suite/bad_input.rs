//! What goes wrong gets Docker's message, status and exit code, leaves nothing half-made and the daemon up.

use brig_e2e::{Host, http, with_both};
use std::io::Write;

const NOT_FOUND: &str = "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init";

#[test]
fn commands_that_can_not_be_run_are_127_and_126() {
    with_both(|host, client| {
        let run = |command: &str| client.run(host, &["run", "--rm", "busybox", command]);
        run("nope")
            .fails(127, &format!("Error response from daemon: {NOT_FOUND}: "))
            .fails(127, "exec: \"nope\": executable file not found in $PATH: unknown");
        run("/bin/nope")
            .fails(127, "exec: \"/bin/nope\": stat /bin/nope: no such file or directory: unknown");
        run("/bin/not-executable").fails(126, "exec: \"/bin/not-executable\": permission denied: unknown");
        run("/etc").fails(126, "exec: \"/etc\": is a directory: unknown: permission denied");
        assert_eq!(client.run(host, &["ps", "-aq"]).ok(), "");
    });
}

#[test]
fn a_container_that_could_not_start_keeps_the_reason() {
    with_both(|host, client| {
        client.run(host, &["run", "--name", "c1", "busybox", "nope"]).fails(127, "executable file not found");
        let state = client.run(host, &["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "c1"]).ok();
        assert_eq!(state, "created 127");
    });
}

#[test]
fn unknown_things_are_told_in_dockers_words() {
    with_both(|host, client| {
        for command in ["logs", "stop", "attach", "wait", "rm", "restart", "kill", "port"] {
            client.run(host, &[command, "nope"]).fails(1, "No such container: nope");
        }
        for command in [&["tag", "nope", "x"][..], &["history", "nope"], &["rmi", "nope"]] {
            client.run(host, command).fails(1, "No such image: nope:latest");
        }
        client.run(host, &["inspect", "nope"]).fails(1, "No such object: nope");
        client
            .run(host, &["run", "--rm", "--network", "nonet", "busybox", "true"])
            .fails(125, "network nonet not found");
        client
            .run(host, &["run", "--pull", "never", "nosuch", "true"])
            .fails(125, "No such image: nosuch:latest");
        client.run(host, &["ps", "--filter", "foo=bar"]).fails(1, "invalid filter 'foo'");
        client
            .run(host, &["run", "--rm", "-u", "nouser", "busybox", "true"])
            .fails(125, "unable to find user nouser: no matching entries in passwd file");
        assert_eq!(client.run(host, &["ps", "-aq"]).ok(), "");
    });
}

#[test]
fn a_name_that_is_taken_or_no_name_is_refused() {
    with_both(|host, client| {
        let id = client.run(host, &["create", "--name", "c1", "busybox", "true"]).ok();
        client.run(host, &["run", "--name", "c1", "busybox", "true"]).fails(
            125,
            &format!("Conflict. The container name \"/c1\" is already in use by container \"{id}\". You have to remove (or rename) that container to be able to reuse that name."),
        );
        client
            .run(host, &["create", "--name", "bad name", "busybox"])
            .fails(1, "Invalid container name (bad name), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed");
        assert_eq!(client.run(host, &["ps", "-aq", "--no-trunc"]).ok(), id);
    });
}

#[test]
fn what_a_running_container_forbids_and_a_stopped_one() {
    with_both(|host, client| {
        client.run(host, &["run", "-d", "--name", "c1", "busybox", "sleep", "1000"]).ok();
        client.run(host, &["rm", "c1"]).fails(1, "cannot remove container \"/c1\": container is running: stop the container before removing or force remove");
        client.run(host, &["kill", "-s", "FOO", "c1"]).fails(1, "FOO");
        client.run(host, &["kill", "c1"]).ok();
        client.run(host, &["wait", "c1"]).ok();
        client.run(host, &["kill", "c1"]).fails(1, "is not running");
        client.run(host, &["attach", "c1"]).fails(1, "annot attach to a stopped container, start it first");
        assert_eq!(client.run(host, &["stop", "c1"]).ok(), "c1");
    });
}

#[test]
fn flags_and_mounts_that_are_wrong() {
    with_both(|host, client| {
        let run = |args: &[&str]| client.run(host, &[&["run", "--rm"], args, &["busybox", "true"]].concat());
        run(&["--badflag"]).fails(125, "unknown flag: --badflag");
        run(&["-v", "/nonexist:/x:zz"]).fails(125, "invalid mode: zz");
        run(&["-v", "/a:rel"]).fails(125, "invalid volume specification: '/a:rel'");
        run(&["--mount", "type=bind,src=/nonexist,dst=/x"])
            .fails(125, "invalid mount config for type \"bind\": bind source path does not exist: /nonexist");
        run(&["-v", "/tmp:/x:ro", "-v", "/tmp:/x"]).fails(125, "Duplicate mount point: /x");
        run(&["-p", "99999:80"]).fails(125, "99999");
        run(&["--memory", "1m"]).fails(125, "Minimum memory limit allowed is 6MB");
        run(&["-w", "relative"])
            .fails(125, "the working directory 'relative' is invalid, it needs to be an absolute path");
        run(&["--security-opt", "foo"]).fails(125, "foo");
        client.run(host, &["run", "--rm", "busybox"]).fails(125, "no command specified");
        client
            .run(host, &["run", "Bad"])
            .fails(125, "invalid reference format: repository name (library/Bad) must be lowercase");
        assert_eq!(client.run(host, &["ps", "-aq"]).ok(), "");
    });
}

#[test]
fn a_daemon_that_is_not_there_is_told() {
    for client in brig_e2e::Client::available() {
        let host = Host::prepare(&[]);
        let out = client.run(&host, &["ps"]);
        assert_eq!(out.code, 1, "{out:?}");
        assert!(
            out.stderr.contains(&format!(
                "Cannot connect to the Docker daemon at {}. Is the docker daemon running?",
                host.endpoint()
            )),
            "{out:?}"
        );
    }
}

#[test]
fn json_that_is_none() {
    let host = Host::start();
    let create = |body: &str| host.api("POST", "/v1.51/containers/create", Some(body));
    for (body, message) in [
        ("{bad", "invalid JSON: invalid character 'b' looking for beginning of object key string"),
        ("", "invalid JSON: got EOF while reading request body"),
        ("{}", "config cannot be empty in order to create a container"),
    ] {
        let answer = create(body);
        assert_eq!((answer.status, answer.message().as_str()), (400, message), "{body}");
    }
    assert_eq!(create(r#"{"Image":5}"#).status, 400);
    let wrong_type = http::raw(&host.socket(), b"POST /v1.51/containers/create HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}");
    assert_eq!(
        (wrong_type.status, wrong_type.message().as_str()),
        (400, "unsupported Content-Type header (text/plain): must be 'application/json'")
    );
    assert!(host.daemon_lives());
}

#[test]
fn a_body_of_100_mb_does_not_fill_the_daemon() {
    let host = Host::start();
    let size = 100 << 20;
    let mut request = format!("POST /v1.51/containers/create HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n").into_bytes();
    request.resize(request.len() + size, b'a');
    let answer = http::raw(&host.socket(), &request);
    assert!([400, 413].contains(&answer.status), "{}", answer.status);
    let status = std::fs::read_to_string(format!("/proc/{}/status", host.daemon_pid())).unwrap();
    let peak: u64 = status
        .lines()
        .find_map(|l| l.strip_prefix("VmHWM:"))
        .and_then(|l| l.split_whitespace().next())
        .unwrap()
        .parse()
        .unwrap();
    assert!(peak < 90 << 10, "the daemon took {peak} KiB");
    assert_eq!(host.api("GET", "/_ping", None).status, 200);
}

#[test]
fn requests_that_are_cut_off_leave_nothing() {
    let host = Host::start();
    let tar = brig_e2e::image::busybox_tar();
    for (path, body) in [
        ("/v1.51/images/create?fromSrc=-&repo=half", tar),
        ("/v1.51/images/load", tar),
        ("/v1.51/containers/create", &b"{\"Image\":\"bu"[..]),
    ] {
        let mut stream = http::connect(&host.socket());
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len() + 10
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body[..body.len() / 2]).unwrap();
        drop(stream);
    }
    assert_eq!(host.brig(&["images", "-q"]).ok(), "");
    assert_eq!(host.brig(&["ps", "-aq"]).ok(), "");
}

#[test]
fn two_of_one_name_at_once_make_one() {
    let host = Host::start();
    host.import_busybox();
    let host = &host;
    let codes: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(move || {
                    host.api(
                        "POST",
                        "/v1.51/containers/create?name=one",
                        Some(r#"{"Image":"busybox","Cmd":["true"]}"#),
                    )
                    .status
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(codes.iter().filter(|c| **c == 201).count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|c| **c == 409).count(), 7, "{codes:?}");
}
