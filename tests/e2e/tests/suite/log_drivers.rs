//! Logs that are sent on: each line once, whoever dies meanwhile, and nobody waits for a receiver that doesn't answer.

use brig_e2e::{Client, Host, host::follow_until};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    os::unix::net::UnixDatagram,
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(30);

fn host() -> Host {
    let host = Host::start();
    host.import_busybox();
    host
}

/// Runs a program whose log goes to `driver`.
fn run(host: &Host, client: Client, driver: &str, options: &[&str], program: &str) -> brig_e2e::Output {
    let mut args = vec!["run", "--name", "c1", "--log-driver", driver];
    for option in options {
        args.extend(["--log-opt", option]);
    }
    args.extend(["busybox", "sh", "-c", program]);
    client.run(host, &args)
}

#[test]
fn syslog_by_datagrams_and_connections() {
    let host = host();
    for client in Client::available() {
        let server = host.inside(|| UdpSocket::bind("127.0.0.1:0").unwrap());
        server.set_read_timeout(Some(PATIENCE)).unwrap();
        let address = format!("syslog-address=udp://{}", server.local_addr().unwrap());
        let options = [address.as_str(), "syslog-format=rfc5424", "tag={{.Name}}"];
        run(&host, client, "syslog", &options, "echo one; echo two >&2; printf three").ok();
        let receive = || {
            let mut datagram = [0u8; 2000];
            let length = server.recv(&mut datagram).unwrap();
            String::from_utf8_lossy(&datagram[..length]).into_owned()
        };
        let mut lines = [receive(), receive(), receive()];
        lines.sort();
        let pid = host.daemon_pid();
        assert!(
            lines[0].starts_with("<27>1 20") && lines[0].ends_with(&format!(" c1 {pid} c1 - two\n")),
            "{lines:?}"
        );
        assert!(lines[1].starts_with("<30>1 20") && lines[2].starts_with("<30>1 20"), "{lines:?}");
        // What is sent away can be read here as well.
        assert_eq!(client.run(&host, &["logs", "c1"]).ok(), "one\nthree");
        assert_eq!(client.run(&host, &["inspect", "-f", "{{.LogPath}}", "c1"]).ok(), "");
        client.run(&host, &["rm", "-f", "c1"]).ok();

        run(&host, client, "syslog", &["syslog-facility=nope"], "true").fails(125, "invalid syslog facility");
        run(&host, client, "gelf", &[], "true").fails(125, "gelf-address");
        let hidden = [address.as_str(), "cache-disabled=true"];
        run(&host, client, "syslog", &hidden, "echo x").ok();
        client.run(&host, &["logs", "c1"]).fails(1, "configured logging driver does not support reading");
        client.run(&host, &["rm", "-f", "c1"]).ok();
    }
}

#[test]
fn the_last_lines_of_what_is_removed_at_its_end_arrive() {
    let host = host();
    let path = host.path("log");
    let server = UnixDatagram::bind(&path).unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = format!("syslog-address=unixgram://{}", path.display());
    let program = "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); done";
    let args =
        ["run", "--rm", "--log-driver", "syslog", "--log-opt", &address, "busybox", "sh", "-c", program];
    let client = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            for n in 0..300 {
                let mut datagram = [0u8; 500];
                let length = server.recv(&mut datagram).unwrap();
                let text = String::from_utf8_lossy(&datagram[..length]).into_owned();
                assert!(text.starts_with("<30>") && text.ends_with(&format!("]: line {n}\n")), "{text}");
            }
        });
        let output = host.brig(&args);
        reader.join().unwrap();
        output
    });
    client.ok();
    // Nothing twice.
    server.set_nonblocking(true).unwrap();
    assert!(server.recv(&mut [0u8; 10]).is_err());
}

#[test]
fn a_killed_daemon_and_a_receiver_that_is_away_lose_no_line() {
    let host = host();
    // Nobody listens there yet.
    let address = host.inside(|| TcpListener::bind("127.0.0.1:0").unwrap()).local_addr().unwrap();
    let option = format!("gelf-address=tcp://{address}");
    let program = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; exec sleep 1000";
    let fixed = ["run", "-d", "--name", "c1", "--log-driver", "gelf", "--log-opt", &option, "--label", "a=b"];
    host.brig(&[&fixed[..], &["--log-opt", "labels=a", "busybox", "sh", "-c", program]].concat()).ok();
    follow_until(&host, Client::Brig, "c1", "line 1999");
    let server = host.inside(|| TcpListener::bind(address).unwrap());
    let mut seen: Vec<usize> = Vec::new();
    let mut next = |reader: &mut BufReader<TcpStream>| {
        let mut message = Vec::new();
        reader.read_until(0, &mut message).unwrap();
        if message.pop() != Some(0) {
            return None;
        }
        let text = String::from_utf8(message).unwrap();
        assert!(text.contains(r#""_a":"b""#) && text.contains(r#""_container_name":"c1""#), "{text}");
        let line = text.split(r#""short_message":"line "#).nth(1).unwrap();
        let line = line.split('"').next().unwrap().parse().unwrap();
        seen.push(line);
        Some(line)
    };
    let accept = || {
        let (stream, _) = server.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        BufReader::new(stream)
    };
    let mut first = accept();
    assert_eq!(next(&mut first), Some(0));
    host.kill_daemon();
    while next(&mut first).is_some() {}
    host.start_daemon(&[]);
    // Was all of it sent before the end, then the next line opens a connection.
    host.brig(&["exec", "c1", "sh", "-c", "echo line 2000 > /proc/1/fd/1"]).ok();
    let mut second = accept();
    while next(&mut second) != Some(2000) {}
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, (0..=2000).collect::<Vec<_>>());
    drop((server, second));
    let started = std::time::Instant::now();
    host.brig(&["exec", "c1", "sh", "-c", "echo more > /proc/1/fd/1"]).ok();
    assert_eq!(host.brig(&["logs", "--tail", "1", "c1"]).ok(), "more");
    assert!(started.elapsed() < PATIENCE, "a receiver that is gone held somebody up");
}

#[test]
fn fluentd_acknowledges() {
    let host = host();
    let server = host.inside(|| TcpListener::bind("127.0.0.1:0").unwrap());
    let address = format!("fluentd-address={}", server.local_addr().unwrap());
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut all: Vec<u8> = Vec::new();
        let mut block = [0u8; 1024];
        loop {
            let read = stream.read(&mut block).unwrap();
            all.extend_from_slice(&block[..read]);
            // The last value of a message is the name by which it is acknowledged.
            if let Some(at) = all.windows(6).position(|part| part == b"\xa5chunk") {
                let name = &all[at + 6..];
                let mut answer = vec![0x81];
                answer.extend_from_slice(b"\xa3ack");
                answer.extend_from_slice(name);
                stream.write_all(&answer).unwrap();
                return all;
            }
        }
    });
    let options = [address.as_str(), "fluentd-request-ack=true", "fluentd-async=true", "mode=non-blocking"];
    run(&host, Client::Brig, "fluentd", &options, "echo hello").ok();
    let message = answering.join().unwrap();
    for part in [&b"\xa3log\xa5hello"[..], b"\xaccontainer_id", b"\xa3/c1", b"\xa6stdout"] {
        assert!(message.windows(part.len()).any(|window| window == part), "{part:?} in {message:?}");
    }
}
