//! Further processes.

use crate::{
    Test,
    host::{Client, Host, unframe},
};
use brig_api::{ExecCreateRequest, ExecStartRequest};
use brig_core::{HasKind, Kind};
use brig_engine::options::EventsOptions;
use std::time::Instant;

pub const TESTS: &[Test] = &[
    ("exec_output_and_code", output_and_code),
    ("exec_input", input),
    ("exec_that_is_not_there", not_there),
    ("exec_detached_terminal_resize", detached_terminal_resize),
    ("exec_ends_with_its_container", ends_with_its_container),
    ("exec_is_refused", refused),
    ("how_long_an_exec_takes", how_long),
];

fn request(command: &[&str]) -> ExecCreateRequest {
    ExecCreateRequest {
        attach_stdout: true,
        attach_stderr: true,
        cmd: Some(command.iter().map(|s| (*s).to_owned()).collect()),
        ..ExecCreateRequest::default()
    }
}

fn sleeper(host: &Host) -> String {
    let id = host.create(&["sleep", "1000"], |c, _| c.env = Some(vec!["FROM=container".to_owned()]));
    host.start(&id);
    id
}

fn exec(host: &Host, id: &str, request: ExecCreateRequest, input: &[u8]) -> (Option<i64>, String) {
    let tty = request.tty;
    let stdin = request.attach_stdin;
    let exec = host.block(host.engine.exec_create(id, request)).unwrap().id;
    let session = host.block(host.engine.exec_start(&exec, ExecStartRequest::default())).unwrap();
    let mut client = Client::exec(host, session);
    let bytes = host.block(async {
        if stdin {
            client.send(input).await;
            client.end_input().await;
        }
        client.rest().await.0
    });
    let inspected = host.block(host.engine.exec_inspect(&exec)).unwrap();
    assert!(!inspected.running);
    let text = if tty { String::from_utf8(bytes).unwrap() } else { unframe(&bytes) };
    (inspected.exit_code, text)
}

fn output_and_code(host: &Host) {
    let id = sleeper(host);
    let env = ExecCreateRequest {
        env: Some(vec!["OWN=1".to_owned()]),
        ..request(&["sh", "-c", "echo $FROM $OWN; exit 9"])
    };
    assert_eq!(exec(host, &id, env, b""), (Some(9), "container 1\n".to_owned()));
    let user = ExecCreateRequest {
        user: "alice".to_owned(),
        working_dir: "/tmp".to_owned(),
        ..request(&["sh", "-c", "id -un; pwd"])
    };
    assert_eq!(exec(host, &id, user, b""), (Some(0), "alice\n/tmp\n".to_owned()));
    assert_eq!(exec(host, &id, request(&["sh", "-c", "kill -9 $$"]), b"").0, Some(137));
    host.remove(&id);
}

fn input(host: &Host) {
    let id = sleeper(host);
    let cat = ExecCreateRequest { attach_stdin: true, ..request(&["cat"]) };
    assert_eq!(exec(host, &id, cat, b"in and out"), (Some(0), "in and out".to_owned()));
    host.remove(&id);
}

fn not_there(host: &Host) {
    let id = sleeper(host);
    for (command, code, text) in [
        ("nosuch", 127, "exec: \"nosuch\": executable file not found in $PATH"),
        ("/bin/text", 126, "exec: \"/bin/text\": permission denied"),
    ] {
        let (got, output) = exec(host, &id, request(&[command]), b"");
        assert_eq!(got, Some(code));
        assert!(output.starts_with("OCI runtime exec failed: exec failed: "), "{output}");
        assert!(output.contains(text) && output.ends_with("\r\n"), "{output}");
    }
    assert!(host.inspect(&id).state.running);
    assert_eq!(host.inspect(&id).exec_ids, None);
    host.remove(&id);
}

fn detached_terminal_resize(host: &Host) {
    let id = sleeper(host);
    let request = ExecCreateRequest {
        tty: true,
        console_size: Some([20, 60]),
        ..request(&["sh", "-c", "stty size > /tmp/a; read x < /tmp/fifo; stty size > /tmp/b"])
    };
    exec(host, &id, ExecCreateRequest { ..self::request(&["mkfifo", "/tmp/fifo"]) }, b"");
    let exec_id = host.block(host.engine.exec_create(&id, request)).unwrap().id;
    let mut events = host.block(host.engine.events(EventsOptions::default())).unwrap();
    let session = host
        .block(
            host.engine
                .exec_start(&exec_id, ExecStartRequest { detach: true, ..ExecStartRequest::default() }),
        )
        .unwrap();
    host.block(session.detach()).unwrap();
    let running = host.block(host.engine.exec_inspect(&exec_id)).unwrap();
    assert!(running.running && running.pid > 0);
    assert_eq!(host.inspect(&id).exec_ids, Some(vec![exec_id.clone()]));
    let (_, first) = exec(
        host,
        &id,
        self::request(&["sh", "-c", "until test -s /tmp/a; do sleep 0.02; done; cat /tmp/a"]),
        b"",
    );
    assert_eq!(first, "20 60\n");
    host.block(host.engine.exec_resize(&exec_id, 11, 22)).unwrap();
    exec(host, &id, self::request(&["sh", "-c", "echo go > /tmp/fifo"]), b"");
    host.block(async {
        loop {
            let event = events.next().await.unwrap();
            if event.action == "exec_die" && event.actor.attributes.get("execID") == Some(&exec_id) {
                break;
            }
        }
    });
    let (_, second) = exec(host, &id, self::request(&["cat", "/tmp/b"]), b"");
    assert_eq!(second, "11 22\n");
    host.remove(&id);
}

fn ends_with_its_container(host: &Host) {
    let id = sleeper(host);
    let exec = host.block(host.engine.exec_create(&id, request(&["sleep", "1000"]))).unwrap().id;
    let session = host.block(host.engine.exec_start(&exec, ExecStartRequest::default())).unwrap();
    let client = Client::exec(host, session);
    host.block(async {
        while host.engine.exec_inspect(&exec).await.unwrap().pid == 0 {
            tokio::task::yield_now().await;
        }
    });
    host.block(host.engine.container_kill(&id, "KILL")).unwrap();
    host.block(client.rest()).1.unwrap();
    let ended = host.block(host.engine.exec_inspect(&exec)).unwrap();
    assert_eq!((ended.running, ended.exit_code), (false, Some(137)));
    host.remove(&id);
    let gone = host.block(host.engine.exec_inspect(&exec)).unwrap_err();
    assert_eq!(gone.to_string(), format!("No such exec instance: {exec}"));
}

fn refused(host: &Host) {
    let id = host.create(&["sleep", "1000"], |_, _| {});
    let idle = host.block(host.engine.exec_create(&id, request(&["true"]))).unwrap_err();
    assert_eq!((idle.kind(), idle.to_string()), (Kind::Conflict, format!("container {id} is not running")));
    host.start(&id);
    let empty = host.block(host.engine.exec_create(&id, request(&[]))).unwrap_err();
    assert_eq!(
        (empty.kind(), empty.to_string().as_str()),
        (Kind::InvalidParameter, "No exec command specified")
    );
    let user = ExecCreateRequest { user: "nobody".to_owned(), ..request(&["true"]) };
    assert_eq!(host.block(host.engine.exec_create(&id, user)).unwrap_err().kind(), Kind::InvalidParameter);
    let exec = host.block(host.engine.exec_create(&id, request(&["true"]))).unwrap().id;
    let session = host.block(host.engine.exec_start(&exec, ExecStartRequest::default())).unwrap();
    let twice = host.block(host.engine.exec_start(&exec, ExecStartRequest::default())).unwrap_err();
    assert_eq!(twice.to_string(), format!("exec command {exec} is already running"));
    host.block(Client::exec(host, session).rest()).1.unwrap();
    let again = host.block(host.engine.exec_start(&exec, ExecStartRequest::default())).unwrap_err();
    assert_eq!(
        (again.kind(), again.to_string()),
        (Kind::Conflict, format!("exec command {exec} has already run"))
    );
    let dropped = host.block(host.engine.exec_create(&id, request(&["true"]))).unwrap().id;
    drop(host.block(host.engine.exec_start(&dropped, ExecStartRequest::default())).unwrap());
    assert_eq!(host.block(host.engine.exec_inspect(&dropped)).unwrap().exit_code, Some(126));
    host.block(host.engine.container_pause(&id)).unwrap();
    let paused = host.block(host.engine.exec_create(&id, request(&["true"]))).unwrap_err();
    assert_eq!(paused.to_string(), format!("Container {id} is paused, unpause the container before exec"));
    host.remove(&id);
}

/// Not a benchmark (the build is not optimised), but a look at the figures.
fn how_long(host: &Host) {
    let id = sleeper(host);
    let mut times = Vec::new();
    for _ in 0..20 {
        let begin = Instant::now();
        assert_eq!(exec(host, &id, request(&["true"]), b"").0, Some(0));
        times.push(begin.elapsed());
    }
    times.sort();
    println!("  exec {:?} (median of {}, debug build)", times[times.len() / 2], times.len());
    host.remove(&id);
}
