use super::*;

fn facts() -> Facts {
    Facts {
        id: "0123456789abcdef".repeat(4),
        name: "web".to_owned(),
        image: "busybox".to_owned(),
        image_id: "sha256:ab".to_owned(),
        command: "sh -c x".to_owned(),
        created: "2026-01-01T00:00:00Z".to_owned(),
        host: "h1".to_owned(),
        pid: 7,
        tag: "0123456789ab".to_owned(),
        extra: BTreeMap::from([("a.b".to_owned(), "1".to_owned())]),
    }
}

fn record(text: &str, stream: Stream) -> Record {
    // 2023-11-14T22:13:20.12Z
    Record { text: text.to_owned(), stream, time: 1_700_000_000_120_000_000, attrs: BTreeMap::new() }
}

fn remote(driver: &str, options: &[(&str, &str)]) -> Result<Remote, String> {
    let options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Remote::from_docker(driver, &options)
        .map(|found| found.expect("a driver that sends"))
        .map_err(|e| e.to_string())
}

fn bytes(driver: &str, options: &[(&str, &str)], text: &str, stream: Stream) -> Vec<u8> {
    let message = remote(driver, options).unwrap().message(&facts(), &record(text, stream), 5).unwrap();
    message.parts.concat()
}

fn text(driver: &str, options: &[(&str, &str)], line: &str, stream: Stream) -> String {
    String::from_utf8(bytes(driver, options, line, stream)).unwrap()
}

#[test]
fn syslog_in_its_forms() {
    let udp = ("syslog-address", "udp://1.2.3.4");
    assert_eq!(text("syslog", &[], "hi\n", Stream::Stdout), "<30>Nov 14 22:13:20 0123456789ab[7]: hi\n");
    assert_eq!(
        text("syslog", &[udp, ("syslog-facility", "local0")], "hi\n", Stream::Stderr),
        "<131>Nov 14 22:13:20 h1 0123456789ab[7]: hi\n"
    );
    assert_eq!(
        text("syslog", &[udp, ("syslog-format", "rfc5424")], "hi\n", Stream::Stdout),
        "<30>1 2023-11-14T22:13:20Z h1 0123456789ab 7 0123456789ab - hi\n"
    );
    assert_eq!(
        text("syslog", &[udp, ("syslog-format", "rfc5424micro")], "hi\n", Stream::Stdout),
        "<30>1 2023-11-14T22:13:20.120000Z h1 0123456789ab 7 0123456789ab - hi\n"
    );
    let tls = ("syslog-address", "tcp+tls://h:1");
    let framed = text("syslog", &[tls, ("syslog-format", "rfc5424")], "hi\n", Stream::Stdout);
    assert_eq!(framed, "62 <30>1 2023-11-14T22:13:20Z h1 0123456789ab 7 0123456789ab - hi");
    let addresses = |given: &str| remote("syslog", &[("syslog-address", given)]).unwrap().addresses();
    assert_eq!(addresses("tcp://h"), [Address::Tcp("h:514".to_owned())]);
    assert_eq!(addresses("tcp+tls://[::1]:99"), [Address::Tls("[::1]:99".to_owned())]);
    assert_eq!(addresses("unix:///x")[0], Address::Stream("/x".into()));
    assert_eq!(remote("syslog", &[]).unwrap().addresses()[0], Address::Datagram("/dev/log".into()));
}

#[test]
fn journal_entries() {
    let entry = text("journald", &[], "hi\n", Stream::Stderr);
    for part in [
        "PRIORITY=3\n",
        "CONTAINER_ID=0123456789ab\n",
        "CONTAINER_NAME=web\n",
        "SYSLOG_IDENTIFIER=0123456789ab\n",
        "A_B=1\n",
        "MESSAGE=hi\n",
    ] {
        assert!(entry.contains(part), "{part} in {entry}");
    }
    assert!(!entry.contains("PARTIAL"));
    let partial = bytes("journald", &[], "a\nb", Stream::Stdout);
    assert!(partial.ends_with(b"CONTAINER_PARTIAL_MESSAGE=true\nMESSAGE\n\x03\0\0\0\0\0\0\0a\nb\n"));
}

#[test]
fn gelf_whole_packed_and_in_pieces() {
    let tcp = bytes("gelf", &[("gelf-address", "tcp://h:1")], "hi\n", Stream::Stdout);
    let (last, json) = tcp.split_last().unwrap();
    let json: serde_json::Value = serde_json::from_slice(json).unwrap();
    assert_eq!(*last, 0);
    assert_eq!(json["short_message"], "hi");
    assert_eq!((json["level"].as_u64(), json["timestamp"].as_f64()), (Some(6), Some(1_700_000_000.12)));
    assert_eq!((&json["_a.b"], &json["_container_name"]), (&"1".into(), &"web".into()));

    let packed = bytes("gelf", &[("gelf-address", "udp://h:1")], "hi\n", Stream::Stdout);
    assert_eq!(packed[..2], [0x1f, 0x8b]);
    let plain = [("gelf-address", "udp://h:1"), ("gelf-compression-type", "none")];
    let long =
        remote("gelf", &plain).unwrap().message(&facts(), &record(&"x".repeat(5000), Stream::Stdout), 1);
    let parts = long.unwrap().parts;
    assert!(
        parts.len() == 4 && parts.iter().all(|p| p.len() <= 1420 && p[..2] == [0x1e, 0x0f] && p[11] == 4)
    );
    assert_eq!(parts.iter().map(|p| p[10]).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(remote("gelf", &plain).unwrap().message(&facts(), &record("\n", Stream::Stdout), 1), None);
}

#[test]
fn fluentd_messages() {
    let plain = bytes("fluentd", &[], "hi\n", Stream::Stdout);
    assert_eq!(plain[..2], [0x93, 0xac]);
    assert_eq!(plain[14..20], [0xce, 0x65, 0x53, 0xf1, 0x00, 0x85]);
    assert!(plain.windows(7).any(|w| w == b"\xa3log\xa2hi"));
    let options = [("fluentd-sub-second-precision", "true"), ("fluentd-request-ack", "1")];
    let message =
        remote("fluentd", &options).unwrap().message(&facts(), &record("x", Stream::Stdout), 9).unwrap();
    assert_eq!(message.parts[0][0], 0x94);
    assert_eq!(message.parts[0][14..16], [0xd7, 0]);
    let ack = message.ack.unwrap();
    assert!(message.parts[0].ends_with(ack.as_bytes()));
    assert_eq!(
        remote("fluentd", &[("fluentd-address", "h")]).unwrap().addresses(),
        [Address::Tcp("h:24224".to_owned())]
    );
}

#[test]
fn what_cannot_be_is_refused() {
    for (driver, options, words) in [
        ("syslog", ("foo", "1"), "unknown log opt 'foo' for syslog log driver"),
        ("syslog", ("syslog-address", "h:1"), "invalid value 'h:1' for log opt 'syslog-address'"),
        ("syslog", ("syslog-facility", "x"), "invalid syslog facility"),
        ("syslog", ("syslog-format", "x"), "Invalid syslog format"),
        ("gelf", ("tag", "x"), "invalid value '' for log opt 'gelf-address'"),
        ("gelf", ("gelf-address", "unix:///x"), "expected udp://HOST:PORT or tcp://HOST:PORT"),
        ("fluentd", ("fluentd-address", "udp://h:1"), "invalid value"),
        ("fluentd", ("fluentd-request-ack", "maybe"), "expected true or false"),
        ("journald", ("syslog-format", "x"), "unknown log opt 'syslog-format' for journald log driver"),
    ] {
        let error = remote(driver, &[options]).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}
