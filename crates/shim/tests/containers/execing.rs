//! Further processes in a container.

use crate::fixture::{Attached, Host, alive};
use brig_core::{Id, Kind};
use brig_shim::protocol::{ExecStatus, Reply, Request, Target};

#[test]
fn exit_codes() {
    let host = Host::new();
    let mut container = host.start(host.config(&["sleep", "1000"]));
    assert_eq!(container.run_exec(&["true"]).0, 0);
    assert_eq!(
        container.run_exec(&["sh", "-c", "echo o; echo e >&2; exit 3"]),
        (3, "o\n".into(), "e\n".into())
    );
    assert_eq!(container.run_exec(&["sh", "-c", "kill -9 $$"]).0, 137);
    for (program, code) in [("nothing-like-this", 127), ("/bin/not-a-program", 126), ("/tmp", 126)] {
        let id = container.exec(&[program], |_| {});
        let attached = container.attach_to(Target::Exec(id), false);
        let failure = container.refused(Request::StartExec { id });
        assert_eq!(failure.exec_exit_code, Some(code), "{failure:?}");
        assert_eq!(attached.read_all().0, "");
        assert_eq!(container.refused(Request::StartExec { id }).kind, Kind::NotFound);
    }
    // Exec output is not logged.
    container.signal(9);
    container.wait();
    assert_eq!(container.log(), []);
}

#[test]
fn several_at_once_each_with_its_own_streams() {
    let host = Host::new();
    let mut container = host.start(host.config(&["sleep", "1000"]));
    let mut execs: Vec<(Id, Attached)> = (0..3)
        .map(|_| {
            let id = container.exec(&["cat"], |c| c.open_stdin = true);
            let attached = container.attach_to(Target::Exec(id), true);
            container.call(Request::StartExec { id });
            (id, attached)
        })
        .collect();
    for (n, (_, attached)) in execs.iter_mut().enumerate() {
        attached.write(&format!("I am {n}\n"));
    }
    for (n, (_, attached)) in execs.iter_mut().enumerate() {
        assert_eq!(attached.read_until("\n"), format!("I am {n}\n"));
    }
    match container.call(Request::State) {
        Reply::State { state, .. } => {
            assert_eq!(state.execs.len(), 3);
            assert!(state.execs.iter().all(|e| matches!(e.status, ExecStatus::Running { .. })));
        }
        other => panic!("{other:?}"),
    }
    for (id, attached) in execs {
        attached.end_input();
        assert_eq!(attached.read_all().0, "");
        assert_eq!(container.exec_code(id), 0);
    }
}

#[test]
fn input_written_before_the_start_arrives() {
    let host = Host::new();
    let mut container = host.start(host.config(&["sleep", "1000"]));
    let id = container.exec(&["cat"], |c| c.open_stdin = true);
    let mut attached = container.attach_to(Target::Exec(id), true);
    attached.write("early");
    attached.end_input();
    container.call(Request::StartExec { id });
    assert_eq!(attached.read_all().0, "early");
    assert_eq!(container.exec_code(id), 0);
}

#[test]
fn a_child_that_keeps_the_streams_does_not_keep_the_exec() {
    let host = Host::new();
    let mut container = host.start(host.config(&["sleep", "1000"]));
    let (code, out, _) = container.run_exec(&["sh", "-c", "sleep 1000 & echo started"]);
    assert_eq!((code, out.as_str()), (0, "started\n"));
}

#[test]
fn refused_when_it_makes_no_sense() {
    let host = Host::new();
    let mut container = host.create(host.config(&["sleep", "1000"]));
    let process = serde_json::from_value(crate::fixture::process(&["true"])).unwrap();
    let id = Id::random();
    let exec = brig_shim::protocol::ExecConfig {
        id,
        process: Box::new(process),
        terminal: false,
        console_size: None,
        open_stdin: false,
        unconfined: false,
    };
    let failure = container.refused(Request::Exec(Box::new(exec.clone())));
    assert_eq!(failure.kind, Kind::Conflict);
    assert!(failure.message.ends_with("is not running"), "{failure}");
    container.start();
    assert_eq!(container.refused(Request::StartExec { id }).kind, Kind::NotFound);
    container.call(Request::Exec(Box::new(exec.clone())));
    assert_eq!(container.refused(Request::Exec(Box::new(exec))).kind, Kind::Conflict);
    assert_eq!(container.call(Request::RemoveExec { id }), Reply::Done);
    assert_eq!(container.refused(Request::RemoveExec { id }).kind, Kind::NotFound);
}

#[test]
fn the_end_of_the_container_ends_execs_and_tells_of_them() {
    let host = Host::new();
    let mut container = host.start(host.config(&["sleep", "1000"]));
    let waiting = container.exec(&["true"], |_| {});
    let waiting = container.attach_to(Target::Exec(waiting), false);
    let id = container.exec(&["sleep", "1000"], |_| {});
    let attached = container.attach_to(Target::Exec(id), false);
    let pid = match container.call(Request::StartExec { id }) {
        Reply::Started { pid, .. } => pid,
        other => panic!("{other:?}"),
    };
    container.signal(9);
    assert_eq!(container.exec_code(id), 137);
    assert_eq!(container.wait().code, 137);
    assert!(!alive(pid));
    assert_eq!((attached.read_all().0, waiting.read_all().0), (String::new(), String::new()));
}

#[test]
fn signals_reach_the_exec_only() {
    let host = Host::new();
    let mut container = host.start(host.config(&["sleep", "1000"]));
    let id = container.exec(&["sleep", "1000"], |_| {});
    container.call(Request::StartExec { id });
    container.call(Request::Signal { target: Target::Exec(id), signal: 15, all: false });
    assert_eq!(container.exec_code(id), 143);
    let gone = container.refused(Request::Signal { target: Target::Exec(id), signal: 15, all: false });
    assert_eq!(gone.kind, Kind::NotFound);
}
