//! Output to attached clients and to the log; input from clients.

use crate::fixture::{Container, Host};
use brig_logs::Stream;
use brig_shim::protocol::{Request, Target};
use std::{io::Read, time::Duration};

#[test]
fn a_client_attached_before_the_start_gets_everything() {
    let host = Host::new();
    let mut container = host.create(host.config(&["sh", "-c", "echo out; echo err >&2; printf tail"]));
    let attached = container.attach(false);
    container.start();
    assert_eq!(attached.read_all(), ("out\ntail".into(), "err\n".into()));
    let exit = container.wait();
    assert_eq!((exit.code, exit.signal, exit.error), (0, None, None));
    let mut log = container.log();
    // Between two streams there is no order.
    log.sort_by_key(|(stream, text)| (*stream == Stream::Stderr, text != "out\n"));
    let expected = [
        (Stream::Stdout, "out\n".to_owned()),
        (Stream::Stdout, "tail".to_owned()),
        (Stream::Stderr, "err\n".to_owned()),
    ];
    assert_eq!(log, expected);
}

#[test]
fn several_clients_see_the_same_and_late_ones_see_the_rest() {
    let host = Host::new();
    let mut config = host.config(&["sh", "-c", "echo first; read x; echo second $x"]);
    (config.open_stdin, config.stdin_once) = (true, true);
    let mut container = host.create(config);
    let mut clients = [container.attach(true), container.attach(false), container.attach(false)];
    container.start();
    for client in &mut clients {
        assert_eq!(client.read_until("\n"), "first\n");
    }
    let late = container.attach(false);
    let [mut typist, second, third] = clients;
    typist.write("line\n");
    for client in [typist, second, third, late] {
        assert_eq!(client.read_all().0, "second line\n");
    }
    container.wait();
}

#[test]
fn half_closing_ends_the_input() {
    let host = Host::new();
    let mut config = host.config(&["cat"]);
    (config.open_stdin, config.stdin_once) = (true, true);
    let mut container = host.create(config);
    let mut client = container.attach(true);
    client.write("before the start ");
    container.start();
    client.write("and after");
    client.end_input();
    assert_eq!(client.read_all().0, "before the start and after");
    assert_eq!(container.wait().code, 0);
}

#[test]
fn without_stdin_once_the_client_detaches_and_the_input_stays_open() {
    let host = Host::new();
    let mut config = host.config(&["cat"]);
    config.open_stdin = true;
    let mut container = host.start(config);
    let mut first = container.attach(true);
    first.write("one\n");
    first.read_until("one\n");
    first.end_input();
    assert_eq!(first.read_all().0, "");
    let mut second = container.attach(true);
    second.write("two\n");
    second.read_until("two\n");
    container.call(Request::CloseStdin { target: Target::Init });
    assert_eq!(second.read_all().0, "");
    assert_eq!(container.wait().code, 0);
}

#[test]
fn a_client_that_vanishes_after_writing_is_heard_and_does_not_block() {
    let host = Host::new();
    let mut config = host.config(&["sh", "-c", "read go; wc -c"]);
    (config.open_stdin, config.stdin_once) = (true, true);
    let mut container = host.start(config);
    let mut client = container.attach(true);
    // More than the pipe takes, so that some of it is read after the client is gone.
    client.write(&format!("go\n{}", "x".repeat(150_000)));
    drop(client);
    assert_eq!(container.wait().code, 0);
    assert_eq!(container.log(), [(Stream::Stdout, "150000\n".to_owned())]);
}

#[test]
fn without_input_it_reads_the_end() {
    let host = Host::new();
    let mut container = host.create(host.config(&["cat"]));
    let mut client = container.attach(true);
    client.write("for nobody");
    container.start();
    assert_eq!(container.wait().code, 0);
    assert_eq!(client.read_all().0, "");
}

#[test]
fn a_process_that_closes_its_input_does_not_end_the_client() {
    let host = Host::new();
    let mut config = host.config(&["sh", "-c", "exec 0<&-; echo closed; sleep 0.2; echo done"]);
    (config.open_stdin, config.stdin_once) = (true, true);
    let mut container = host.create(config);
    let mut client = container.attach(true);
    container.start();
    client.read_until("closed\n");
    client.write(&"x".repeat(100_000));
    assert_eq!(client.read_all().0, "done\n");
    assert_eq!(container.wait().code, 0);
}

const HUNDRED_MB: u64 = 100_000_000;

fn writer_of_100_mb(host: &Host) -> Container {
    let mut config = host.config(&["sh", "-c", "yes 0123456789012345678 | head -c 100000000; echo end >&2"]);
    config.log.driver = brig_logs::Driver::None;
    host.create(config)
}

#[test]
fn a_hundred_megabytes_through_a_slow_client() {
    let host = Host::new();
    let mut container = writer_of_100_mb(&host);
    let mut slow = container.attach(false);
    container.start();
    // It first does nothing until the container can't go on: its process sleeps in write(2).
    await_blocked(&container);
    let (mut total, mut last) = (0, Vec::new());
    while let Some((stream, bytes)) = slow.frame() {
        if stream == Stream::Stdout {
            total += bytes.len() as u64;
        } else {
            last = bytes;
        }
    }
    assert_eq!((total, last.as_slice()), (HUNDRED_MB, &b"end\n"[..]));
    assert_eq!(container.wait().code, 0);
}

#[test]
fn a_client_that_does_not_read_holds_the_container_back_until_it_is_gone() {
    let host = Host::new();
    let mut container = writer_of_100_mb(&host);
    let stuck = container.attach(false);
    container.start();
    await_blocked(&container);
    drop(stuck);
    assert_eq!(container.wait().code, 0);
}

#[test]
fn output_that_a_slow_client_is_owed_at_the_end_is_still_sent() {
    let host = Host::new();
    let mut container = host.create(host.config(&["sh", "-c", "yes | head -c 300000"]));
    let mut slow = container.attach(false);
    container.start();
    // The exit is told although the client has not taken a byte: what is left fits a pipe.
    container.event(|e| matches!(e, brig_shim::protocol::Event::Exited(_)));
    let mut total = 0;
    while let Some((_, bytes)) = slow.frame() {
        total += bytes.len();
    }
    assert_eq!(total, 300_000);
}

/// Waits until a process of the container waits for room in a pipe.
fn await_blocked(container: &Container) {
    let pid = container.state.pid;
    loop {
        let children =
            std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let blocked = children.split_whitespace().any(|child| {
            std::fs::read_to_string(format!("/proc/{child}/wchan")).is_ok_and(|w| w.contains("pipe_write"))
        });
        if blocked {
            return;
        }
        std::thread::yield_now();
    }
}

#[test]
fn attaching_to_what_has_ended_is_the_end_at_once() {
    let host = Host::new();
    let mut container = host.start(host.config(&["sleep", "1000"]));
    let (code, out, _) = container.run_exec(&["echo", "x"]);
    assert_eq!((code, out.as_str()), (0, "x\n"));
    let ended = match container.call(Request::State) {
        brig_shim::protocol::Reply::State { state, .. } => state.execs[0].id,
        other => panic!("{other:?}"),
    };
    let mut late = container.attach_to(Target::Exec(ended), true);
    assert_eq!(late.frame(), None);
    late.stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    assert_eq!(late.stream.read(&mut [0]).unwrap(), 0);
}
