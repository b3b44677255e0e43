//! The protocol against peers that are late, wrong or hostile.

use crate::fixture::Host;
use brig_core::Kind;
use brig_shim::{
    client::{self, Control},
    protocol::{self, ClientFrame, Event, MAX_FRAME, PROTOCOL_VERSION, Reply, Request, SOCKET_NAME, Target},
};
use std::{
    io::{Read, Write},
    os::unix::fs::MetadataExt,
};

#[test]
fn every_subscribed_connection_gets_events() {
    let host = Host::new();
    let mut container = host.create(host.config(&["sh", "-c", "exit 2"]));
    let mut other = Control::open(container.dir()).unwrap();
    let silent = client::connect(container.dir()).unwrap();
    container.start();
    let mut seen = Vec::new();
    while let Some(event) = other.next_event().unwrap() {
        seen.push(event);
    }
    assert!(matches!(seen[..], [Event::Started { .. }, Event::Exited(_)]), "{seen:?}");
    container.wait();
    assert_eq!((&silent).read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_malformed_peer_loses_its_own_connection_only() {
    let host = Host::new();
    let mut container = host.start(host.config(&["sleep", "1000"]));
    let too_long = (MAX_FRAME as u32 + 1).to_le_bytes().to_vec();
    let not_json = [&5u32.to_le_bytes()[..], b"{{{{{"].concat();
    let unknown = protocol::encode(&serde_json::json!({"id": 1, "request": "fly"})).unwrap();
    let request = Request::Attach { target: Target::Init, stdin: true, stdout: true, stderr: true };
    let attach = protocol::encode(&ClientFrame { id: 1, request }).unwrap();
    let impatient = [attach, b"input before the reply".to_vec()].concat();
    for bytes in [too_long, not_json, unknown, impatient] {
        let mut bad = client::connect(container.dir()).unwrap();
        bad.write_all(&bytes).unwrap();
        let mut answer = Vec::new();
        let ended = bad.read_to_end(&mut answer);
        assert!(ended.is_ok(), "{ended:?}");
        assert_eq!(
            container.call(Request::Hello { protocol: PROTOCOL_VERSION }),
            Reply::Hello { protocol: 1 }
        );
    }
    // A frame that arrives in pieces is none the worse for it.
    let mut slow = client::connect(container.dir()).unwrap();
    for byte in protocol::encode(&ClientFrame { id: 3, request: Request::State }).unwrap() {
        slow.write_all(&[byte]).unwrap();
    }
    assert!(protocol::read_frame(&mut slow).unwrap().is_some());
}

#[test]
fn many_requests_in_one_write() {
    let host = Host::new();
    let container = host.create(host.config(&["true"]));
    let mut stream = client::connect(container.dir()).unwrap();
    let frames: Vec<u8> = (0..500)
        .flat_map(|id| protocol::encode(&ClientFrame { id, request: Request::State }).unwrap())
        .collect();
    stream.write_all(&frames).unwrap();
    for wanted in 0..500 {
        let json = protocol::read_frame(&mut stream).unwrap().unwrap();
        let value: serde_json::Value = protocol::decode(&json).unwrap();
        assert_eq!(value["reply"]["id"], wanted);
    }
}

#[test]
fn the_socket_is_for_its_owner_alone() {
    let host = Host::new();
    let container = host.create(host.config(&["true"]));
    let socket = std::fs::metadata(container.dir().join(SOCKET_NAME)).unwrap();
    assert_eq!(socket.mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(container.dir()).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn requests_that_clash_with_the_state() {
    let host = Host::new();
    let mut container = host.create(host.config(&["sleep", "1000"]));
    let config = Box::new(container.config.clone());
    assert_eq!(container.refused(Request::Create(config)).kind, Kind::Conflict);
    assert_eq!(container.refused(Request::Pause).kind, Kind::Conflict);
    container.start();
    assert_eq!(container.refused(Request::Start).kind, Kind::Conflict);
    let target = Target::Exec(brig_core::Id::random());
    assert_eq!(container.refused(Request::CloseStdin { target }).kind, Kind::NotFound);
    let attach = Request::Attach { target, stdin: false, stdout: true, stderr: true };
    assert_eq!(container.refused(attach).kind, Kind::NotFound);
    let signal = Request::Signal { target: Target::Init, signal: 99, all: false };
    assert_eq!(container.refused(signal).kind, Kind::InvalidParameter);
}

#[test]
fn connecting_to_nobody_says_where() {
    let error = client::connect(std::path::Path::new("/nothing/here")).unwrap_err();
    assert!(error.to_string().contains("/nothing/here"), "{error}");
    assert_eq!(brig_core::HasKind::kind(&error), Kind::Unavailable);
}

#[test]
fn statistics_and_limits() {
    let host = Host::new();
    let mut container = host.start(host.config(&["sleep", "1000"]));
    match container.call(Request::Stats) {
        Reply::Stats(stats) => assert!(stats.pids.is_some_and(|p| p.current >= 1), "{stats:?}"),
        other => panic!("{other:?}"),
    }
    let resources = serde_json::from_value(serde_json::json!({"pids": {"limit": 77}})).unwrap();
    assert_eq!(container.call(Request::Update { resources: Box::new(resources) }), Reply::Done);
    match container.call(Request::Stats) {
        Reply::Stats(stats) => assert_eq!(stats.pids.unwrap().limit, Some(77)),
        other => panic!("{other:?}"),
    }
}
