//! Attaching before and after the start.

use crate::{
    Test,
    host::{Client, Host, unframe},
};
use brig_core::{HasKind, Kind};
use brig_engine::options::{AttachOptions, WaitCondition};

pub const TESTS: &[Test] = &[
    ("attached_before_the_start_nothing_is_lost", nothing_is_lost),
    ("input_and_its_end", input_and_its_end),
    ("terminal_and_detach_keys", terminal_and_detach_keys),
    ("several_clients_see_the_same", several_clients),
    ("logs_first", logs_first),
    ("attach_is_refused_or_ends", refused_or_ends),
];

fn all() -> AttachOptions {
    AttachOptions { stdin: true, stdout: true, stderr: true, stream: true, ..AttachOptions::default() }
}

fn nothing_is_lost(host: &Host) {
    let id = host.create(&["sh", "-c", "echo out; echo err >&2"], |_, _| {});
    let session = host.block(host.engine.container_attach(&id, all())).unwrap();
    assert!(!session.tty());
    let client = Client::attach(host, session);
    host.start(&id);
    let (bytes, served) = host.block(client.rest());
    served.unwrap();
    let text = unframe(&bytes);
    assert!(text.contains("out\n") && text.contains("err\n"), "{text}");
    assert!(bytes.windows(8).any(|w| w == [2, 0, 0, 0, 0, 0, 0, 4]), "a frame of stderr");
    host.remove(&id);
}

fn input_and_its_end(host: &Host) {
    let id = host.create(&["cat"], |c, _| (c.open_stdin, c.stdin_once) = (true, true));
    let session = host.block(host.engine.container_attach(&id, all())).unwrap();
    let mut client = Client::attach(host, session);
    host.start(&id);
    let big = "x".repeat(300_000) + "\n";
    let (bytes, served) = host.block(async {
        let Client { io, served } = client;
        let (mut from, mut to) = tokio::io::split(io);
        let sent = big.clone();
        let sender = tokio::spawn(async move {
            tokio::io::AsyncWriteExt::write_all(&mut to, sent.as_bytes()).await.unwrap();
            tokio::io::AsyncWriteExt::shutdown(&mut to).await.unwrap();
        });
        let mut bytes = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut from, &mut bytes).await.unwrap();
        sender.await.unwrap();
        (bytes, served.await.unwrap())
    });
    served.unwrap();
    assert_eq!(unframe(&bytes), big);
    assert_eq!(host.wait(&id, WaitCondition::NotRunning), 0);
    host.remove(&id);
    // A container without stdin takes no input, and goes on.
    let id = host.create(&["sh", "-c", "cat; echo done"], |_, _| {});
    let session = host.block(host.engine.container_attach(&id, all())).unwrap();
    client = Client::attach(host, session);
    host.start(&id);
    let (bytes, _) = host.block(async {
        client.end_input().await;
        client.rest().await
    });
    assert_eq!(unframe(&bytes), "done\n");
    host.remove(&id);
}

fn terminal_and_detach_keys(host: &Host) {
    let id = host.create(&["sh"], |c, _| (c.tty, c.open_stdin) = (true, true));
    let session = host.block(host.engine.container_attach(&id, all())).unwrap();
    assert!(session.tty());
    let mut client = Client::attach(host, session);
    host.start(&id);
    host.block(host.engine.container_resize(&id, 33, 77)).unwrap();
    host.block(async {
        client.send(b"stty size\n").await;
        client.until("33 77").await;
        client.send(b"echo a\x10").await;
        client.send(b"\x11").await;
        let (_, served) = client.rest().await;
        served.unwrap();
    });
    assert!(host.inspect(&id).state.running);
    let keys = AttachOptions { detach_keys: Some("x,y".to_owned()), ..all() };
    let session = host.block(host.engine.container_attach(&id, keys)).unwrap();
    let mut client = Client::attach(host, session);
    host.block(async {
        client.send(b"\necho again\n").await;
        client.until("again").await;
        client.send(b"xy").await;
        client.rest().await.1.unwrap();
    });
    assert!(host.inspect(&id).state.running);
    host.remove(&id);
}

fn several_clients(host: &Host) {
    let id = host.create(&["sh", "-c", "for i in 1 2 3; do echo $i; done"], |_, _| {});
    let clients: Vec<Client> = (0..3)
        .map(|_| Client::attach(host, host.block(host.engine.container_attach(&id, all())).unwrap()))
        .collect();
    let gone = host.block(host.engine.container_attach(&id, all())).unwrap();
    drop(gone);
    host.start(&id);
    for client in clients {
        let (bytes, served) = host.block(client.rest());
        served.unwrap();
        assert_eq!(unframe(&bytes), "1\n2\n3\n");
    }
    host.remove(&id);
}

fn logs_first(host: &Host) {
    let id = host.create(&["sh", "-c", "echo early; read x; echo $x"], |c, _| c.open_stdin = true);
    host.start(&id);
    let options = AttachOptions { logs: true, ..all() };
    let session = host.block(host.engine.container_attach(&id, options.clone())).unwrap();
    let mut client = Client::attach(host, session);
    let bytes = host.block(async {
        client.send(b"late\n").await;
        client.rest().await.0
    });
    assert!(unframe(&bytes).ends_with("late\n"));
    let only = AttachOptions { stream: false, ..options };
    let session = host.block(host.engine.container_attach(&id, only)).unwrap();
    let (bytes, _) = host.block(Client::attach(host, session).rest());
    assert_eq!(unframe(&bytes), "early\nlate\n");
    host.remove(&id);
}

fn refused_or_ends(host: &Host) {
    let id = host.create(&["sleep", "1000"], |_, _| {});
    let bad = AttachOptions { detach_keys: Some("ctrl-!".to_owned()), ..all() };
    let error = host.block(host.engine.container_attach(&id, bad)).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (Kind::InvalidParameter, "Invalid detach keys (ctrl-!) provided")
    );
    let session = host.block(host.engine.container_attach(&id, all())).unwrap();
    let client = Client::attach(host, session);
    // Removed without ever starting: the attachment ends.
    host.remove(&id);
    let (bytes, served) = host.block(client.rest());
    served.unwrap();
    assert_eq!(bytes, b"");
    let id = host.create(&["sleep", "1000"], |_, _| {});
    host.start(&id);
    host.block(host.engine.container_pause(&id)).unwrap();
    let paused = host.block(host.engine.container_attach(&id, all())).unwrap_err();
    assert_eq!(paused.to_string(), format!("container {id} is paused, unpause the container before attach"));
    host.remove(&id);
}
