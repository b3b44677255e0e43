//! How containers end, and that nothing is left of them.

use crate::fixture::{Host, alive, await_gone};
use brig_core::Kind;
use brig_logs::Stream;
use brig_shim::{
    client::Control,
    protocol::{Event, Reply, Request, SOCKET_NAME, STATE_NAME, ShimState, Status, Target},
    zygote::ShimFds,
};
use serde_json::json;

#[test]
fn the_exit_is_recorded_and_nothing_is_left() {
    let host = Host::new();
    let (container, exit) = host.run(host.config(&["sh", "-c", "echo last words; exit 42"]));
    assert_eq!((exit.code, exit.signal, exit.oom_killed, exit.error.as_deref()), (42, None, false, None));
    assert_eq!(container.exit_record(), Some(exit));
    assert_eq!(container.log(), [(Stream::Stdout, "last words\n".to_owned())]);
    assert!(!container.dir().join(SOCKET_NAME).exists());
    assert!(container.cgroups().is_empty(), "{:?}", container.cgroups());
    await_gone(container.state.shim_pid);
    assert!(!alive(container.state.pid));
}

#[test]
fn signals_end_it_with_128_and_more() {
    let host = Host::new();
    for signal in [9, 15] {
        // Process 1 of a pid namespace gets only signals that it handles, and SIGKILL.
        let script = "trap 'exit 143' TERM; echo ready; while :; do sleep 0.05; done";
        let mut container = host.create(host.config(&["sh", "-c", script]));
        let mut attached = container.attach(false);
        container.start();
        attached.read_until("ready\n");
        container.signal(signal);
        let exit = container.wait();
        assert_eq!((exit.code, exit.signal), (128 + signal, (signal == 9).then_some(9)));
    }
}

#[test]
fn a_created_container_goes_with_who_asked_for_it() {
    let host = Host::new();
    let config = host.config(&["sleep", "1000"]);
    let spawned = host.zygote.spawn_shim(&config, ShimFds::default()).unwrap();
    let mut later = Control::open(&config.dir).unwrap();
    drop(spawned.control);
    loop {
        if let Event::Exited(exit) = later.next_event().unwrap().expect("the end is told") {
            assert_eq!(exit.code, 137);
            break;
        }
    }
    await_gone(spawned.state.shim_pid);
    assert!(!alive(spawned.state.pid));
}

#[test]
fn a_created_container_can_be_killed() {
    let host = Host::new();
    let mut container = host.create(host.config(&["true"]));
    let attached = container.attach(false);
    container.signal(9);
    assert_eq!(container.wait().code, 137);
    assert_eq!(attached.read_all().0, "");
    assert!(container.cgroups().is_empty());
}

#[test]
fn commands_that_can_not_be_executed() {
    let host = Host::new();
    for (program, code) in [("nothing-like-this", 127), ("/bin/not-a-program", 126)] {
        let config = host.config(&[program]);
        let dir = config.dir.clone();
        match host.zygote.spawn_shim(&config, ShimFds::default()) {
            // Found out while creating: everything is gone.
            Err(brig_shim::Error::Refused(failure)) => {
                assert_eq!(
                    (failure.exec_exit_code, failure.kind),
                    (Some(code), Kind::InvalidParameter),
                    "{failure}"
                );
                assert!(!dir.exists());
            }
            // Found out by execve: the answer says so, and a record for a daemon that missed it.
            Ok(spawned) => {
                let mut control = Control::new(spawned.control);
                match control.call(Request::Start) {
                    Err(brig_shim::Error::Refused(failure)) => assert_eq!(failure.exec_exit_code, Some(code)),
                    other => panic!("{other:?}"),
                }
                assert_eq!(control.next_event().unwrap(), None);
                assert!(dir.join("exit.json").exists() && !dir.join(SOCKET_NAME).exists());
                await_gone(spawned.state.shim_pid);
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn a_container_that_can_not_be_made_leaves_nothing() {
    let host = Host::new();
    let mut config = host.config(&["true"]);
    Host::change(&mut config, |spec| {
        let mounts = spec["mounts"].as_array_mut().unwrap();
        mounts.push(
            json!({"destination": "/x", "type": "bind", "source": "/nothing/here", "options": ["bind"]}),
        );
    });
    match host.zygote.spawn_shim(&config, ShimFds::default()) {
        Err(brig_shim::Error::Refused(failure)) => {
            assert!(failure.message.contains("/nothing/here"), "{failure}")
        }
        other => panic!("{other:?}"),
    }
    assert!(!config.dir.exists());
    // A log that can't be opened, too.
    let mut config = host.config(&["true"]);
    config.log.path = "/nothing/here/log".into();
    match host.zygote.spawn_shim(&config, ShimFds::default()) {
        Err(brig_shim::Error::Refused(failure)) => {
            assert_eq!(failure.exec_exit_code, Some(125));
            assert!(failure.message.contains("/nothing/here/log"), "{failure}");
        }
        other => panic!("{other:?}"),
    }
    assert!(!config.dir.exists());
}

#[test]
fn it_outlives_the_daemon_and_the_zygote() {
    let host = Host::new();
    let mut config = host.config(&["sh", "-c", "read line; echo got $line; exit 5"]);
    config.open_stdin = true;
    let mut container = host.start(config);
    let Host { dir: _keep, zygote } = host;
    let zygote_pid = zygote.pid();
    // The daemon is killed: its connections and the zygote's socket close.
    drop(zygote);
    assert!(!alive(zygote_pid));
    container.control = Control::open(container.dir()).unwrap();
    let state = match container.call(Request::State) {
        Reply::State { state, .. } => *state,
        other => panic!("{other:?}"),
    };
    assert_eq!((state.status, state.pid), (Status::Running, container.state.pid));
    let file: ShimState =
        serde_json::from_slice(&std::fs::read(container.dir().join(STATE_NAME)).unwrap()).unwrap();
    assert_eq!(file, state);
    assert!(file.started_at.is_some());
    container.attach(true).write("this\n");
    assert_eq!(container.wait().code, 5);
    assert_eq!(container.log(), [(Stream::Stdout, "got this\n".to_owned())]);
}

#[test]
fn an_exit_that_nobody_sees_is_on_record() {
    let host = Host::new();
    let container = host.start(host.config(&["sh", "-c", "exit 7"]));
    let shim = container.state.shim_pid;
    let (dir, exit) = (container.dir().to_owned(), container.exit_record());
    drop(exit);
    // Nothing reads the control connection: the shim ends all the same.
    await_gone(shim);
    let record: brig_shim::protocol::ExitRecord =
        serde_json::from_slice(&std::fs::read(dir.join("exit.json")).unwrap()).unwrap();
    assert_eq!(record.code, 7);
}

#[test]
fn what_it_left_running_ends_with_it() {
    let host = Host::new();
    let script = "sleep 1000 & echo $!; exit 3";
    let mut container = host.create(host.config(&["sh", "-c", script]));
    let attached = container.attach(false);
    container.start();
    let exit = container.wait();
    assert_eq!(exit.code, 3);
    assert!(attached.read_all().0.trim().parse::<i32>().is_ok());
    assert!(container.cgroups().is_empty());
}

#[test]
fn without_a_pid_namespace_of_its_own_too() {
    let host = Host::new();
    let mut config = host.config(&["sh", "-c", "sleep 1000 & echo $!; exit 3"]);
    Host::change(&mut config, |spec| {
        spec["linux"]["namespaces"].as_array_mut().unwrap().retain(|n| n["type"] != "pid");
    });
    let mut container = host.create(config);
    let attached = container.attach(false);
    container.start();
    assert_eq!(container.wait().code, 3);
    let left: i32 = attached.read_all().0.trim().parse().unwrap();
    await_gone(left);
    assert!(container.cgroups().is_empty());
}

#[test]
fn an_init_may_come_first() {
    let host = Host::new();
    let mut config = host.config(&["sh", "-c", "echo $$; exit 9"]);
    config.init = true;
    let (container, exit) = host.run(config);
    assert_eq!(exit.code, 9);
    assert_eq!(container.log(), [(Stream::Stdout, "2\n".to_owned())]);
}

#[test]
fn killed_for_want_of_memory() {
    let host = Host::new();
    let mut config = host.config(&["sh", "-c", "x=a; while :; do x=$x$x; done"]);
    Host::change(&mut config, |spec| {
        spec["linux"]["resources"] = json!({"memory": {"limit": 16 << 20, "swap": 16 << 20}});
    });
    let mut container = host.start(config);
    container.event(|e| matches!(e, Event::Oom));
    let exit = container.wait();
    assert_eq!((exit.code, exit.oom_killed), (137, true));
}

#[test]
fn the_same_container_again() {
    let host = Host::new();
    let config = host.config(&["sh", "-c", "echo again"]);
    for _ in 0..2 {
        let (container, exit) = host.run(config.clone());
        assert_eq!(exit.code, 0);
        drop(container);
    }
    assert_eq!(crate::fixture::read_log(&config.log).len(), 2);
}

#[test]
fn pausing() {
    let host = Host::new();
    let mut container = host.start(host.config(&["sleep", "1000"]));
    assert_eq!(container.call(Request::Pause), Reply::Done);
    container.event(|e| *e == Event::Paused);
    assert_eq!(container.refused(Request::Pause).kind, Kind::Conflict);
    match container.call(Request::State) {
        Reply::State { state, .. } => assert_eq!(state.status, Status::Paused),
        other => panic!("{other:?}"),
    }
    assert_eq!(container.call(Request::Resume), Reply::Done);
    assert_eq!(container.refused(Request::Resume).kind, Kind::Conflict);
    container.call(Request::Pause);
    // Even what is frozen can be killed.
    container.signal(9);
    assert_eq!(container.wait().code, 137);
}

#[test]
fn every_process_gets_the_signal() {
    let host = Host::new();
    let mut config = host.config(&["sh", "-c", "sleep 1000 & sleep 1000 & echo ready; wait"]);
    config.init = true;
    let mut container = host.create(config);
    let mut attached = container.attach(false);
    container.start();
    attached.read_until("ready");
    match container.call(Request::Pids) {
        Reply::Pids(pids) => assert!(pids.len() >= 3, "{pids:?}"),
        other => panic!("{other:?}"),
    }
    container.call(Request::Signal { target: Target::Init, signal: 9, all: true });
    assert_eq!(container.wait().code, 137);
}
