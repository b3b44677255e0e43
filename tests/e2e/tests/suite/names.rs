//! Names of containers on networks that users make, looked up in containers.

use brig_e2e::{Client, Host, host::follow_until, with_both};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::{fs::File, net::UdpSocket, os::fd::AsFd, thread, time::Duration};

const SERVE: &str = "httpd -p 80 -h /www && echo serving && exec sleep 1000";

/// Starts a container that waits.
fn waits(host: &Host, client: Client, name: &str, flags: &[&str]) -> String {
    let command = [&["run", "-d", "--name", name], flags, &["busybox", "sleep", "1000"]].concat();
    client.run(host, &command).ok()
}

/// The addresses that a container finds for a name; none when it finds nothing.
fn lookup(host: &Host, client: Client, container: &str, name: &str) -> Vec<String> {
    let said = client.run(host, &["exec", container, "nslookup", name]).stdout;
    let found = said.split_once("\nName:").map_or("", |(_, found)| found);
    let addresses = found.lines().filter_map(|line| line.strip_prefix("Address:"));
    let mut addresses: Vec<String> = addresses.map(|address| address.trim().to_owned()).collect();
    addresses.sort();
    addresses
}

fn netns_of(host: &Host, client: Client, container: &str) -> File {
    let pid = client.run(host, &["inspect", "-f", "{{.State.Pid}}", container]).ok();
    File::open(format!("/proc/{pid}/ns/net")).unwrap()
}

/// A socket in a container's network.
fn bound(netns: &File, address: &str) -> UdpSocket {
    thread::scope(|scope| {
        let bound = scope.spawn(|| {
            move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            UdpSocket::bind(address).unwrap()
        });
        bound.join().unwrap()
    })
}

/// A name server in a container's network, which knows one address for all names.
struct NameServer {
    runs: thread::JoinHandle<()>,
    stop: UdpSocket,
}

impl NameServer {
    fn inside(netns: &File, address: &str, known: [u8; 4]) -> Self {
        let socket = bound(netns, address);
        let stop = bound(netns, "0.0.0.0:0");
        stop.connect(address).unwrap();
        let runs = thread::spawn(move || {
            let mut buffer = [0; 512];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).unwrap();
                if length < 12 {
                    return;
                }
                let mut answer = buffer[..length].to_vec();
                answer[2] |= 0x80;
                // To a question for an IPv4 address: the name again, type, class, time to live, length, address.
                if buffer[length - 3] == 1 {
                    answer[7] = 1;
                    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4]);
                    answer.extend(known);
                }
                socket.send_to(&answer, from).unwrap();
            }
        });
        Self { runs, stop }
    }

    fn end(self) {
        self.stop.send(b"end").unwrap();
        self.runs.join().unwrap();
    }
}

#[test]
fn found_by_name_alias_id_and_link() {
    with_both(|host, client| {
        let run = |args: &[&str]| client.run(host, args);
        run(&["network", "create", "--subnet", "10.44.0.0/24", "one"]).ok();
        let flags = ["--network", "one", "--ip", "10.44.0.10", "--network-alias", "site", "--hostname", "hh"];
        let id =
            run(&[&["run", "-d", "--name", "web"], &flags[..], &["busybox", "sh", "-c", SERVE]].concat())
                .ok();
        follow_until(host, client, "web", "serving");
        waits(host, client, "box", &["--network", "one", "--link", "web:store"]);
        for name in ["web", "WEB", "site", "hh", &id[..12], "web.one", "store"] {
            assert_eq!(lookup(host, client, "box", name), ["10.44.0.10"], "{name}");
        }
        assert_eq!(run(&["exec", "box", "wget", "-q", "-O", "-", "http://site/"]).ok(), "hello from brig");
        assert!(run(&["exec", "box", "nslookup", "10.44.0.10"]).ok().contains("name = web.one"));
        let resolv_conf = run(&["exec", "box", "cat", "/etc/resolv.conf"]).ok();
        assert!(resolv_conf.contains("nameserver 127.0.0.11\n"), "{resolv_conf}");
        assert!(resolv_conf.lines().any(|l| l.starts_with("options ") && l.ends_with("ndots:0")));
        // Nobody else knows the link, and a container on the default network knows nobody.
        assert_eq!(lookup(host, client, "web", "store"), Vec::<String>::new());
        waits(host, client, "lone", &[]);
        assert!(!run(&["exec", "lone", "cat", "/etc/resolv.conf"]).ok().contains("127.0.0.11"));

        // An alias of two is found at both.
        waits(host, client, "web2", &["--network", "one", "--ip", "10.44.0.11", "--network-alias", "site"]);
        assert_eq!(lookup(host, client, "box", "site"), ["10.44.0.10", "10.44.0.11"]);
        run(&["rm", "-f", "web2"]).ok();
        assert_eq!(lookup(host, client, "box", "site"), ["10.44.0.10"]);

        run(&["rename", "web", "www"]).ok();
        assert_eq!(lookup(host, client, "box", "www"), ["10.44.0.10"]);
        assert_eq!(lookup(host, client, "box", "web"), Vec::<String>::new());

        // One that comes to the network later has the names too, and one that leaves it loses them.
        run(&["network", "connect", "--alias", "late", "--ip", "10.44.0.12", "one", "lone"]).ok();
        assert_eq!(lookup(host, client, "lone", "www"), ["10.44.0.10"]);
        assert_eq!(lookup(host, client, "box", "late"), ["10.44.0.12"]);
        assert!(run(&["exec", "lone", "cat", "/etc/resolv.conf"]).ok().contains("nameserver 127.0.0.11"));
        run(&["network", "disconnect", "one", "lone"]).ok();
        assert_eq!(lookup(host, client, "box", "late"), Vec::<String>::new());

        // After a start anew.
        run(&["restart", "-t", "0", "box"]).ok();
        assert_eq!(lookup(host, client, "box", "www"), ["10.44.0.10"]);
        // A container in another's network looks up as that one does.
        let shared = ["run", "--rm", "--network", "container:box", "busybox", "nslookup", "www"];
        assert!(run(&shared).ok().contains("10.44.0.10"));
        run(&["rm", "-f", "www", "box", "lone"]).ok();
        run(&["network", "rm", "one"]).ok();
    });
}

#[test]
fn names_outside_are_asked_of_the_servers_given() {
    with_both(|host, client| {
        let run = |args: &[&str]| client.run(host, args);
        run(&["network", "create", "--subnet", "10.44.0.0/24", "one"]).ok();
        run(&["network", "create", "--internal", "in"]).ok();
        waits(host, client, "ns", &["--network", "one", "--ip", "10.44.0.53"]);
        let server = NameServer::inside(&netns_of(host, client, "ns"), "10.44.0.53:53", [192, 0, 2, 7]);
        waits(host, client, "box", &["--network", "one", "--dns", "10.44.0.53", "--dns-search", "example"]);
        assert_eq!(lookup(host, client, "box", "outside.example"), ["192.0.2.7"]);
        let resolv_conf = run(&["exec", "box", "cat", "/etc/resolv.conf"]).ok();
        assert!(resolv_conf.contains("search example\n"), "{resolv_conf}");
        assert!(!resolv_conf.contains("10.44.0.53"), "{resolv_conf}");
        // From a network that nothing leads out of nothing is asked, but names on it are found.
        waits(host, client, "shut", &["--network", "in", "--dns", "10.44.0.53"]);
        let refused = run(&["exec", "shut", "nslookup", "outside.example"]);
        assert!((refused.stdout.clone() + &refused.stderr).contains("SERVFAIL"), "{refused:?}");
        assert_eq!(lookup(host, client, "shut", "shut").len(), 1);
        assert_eq!(lookup(host, client, "shut", "host.docker.internal"), Vec::<String>::new());
        assert_eq!(lookup(host, client, "box", "host.docker.internal").len(), 1);
        server.end();
        run(&["rm", "-f", "ns", "box", "shut"]).ok();
        run(&["network", "rm", "one", "in"]).ok();
    });
}

/// Asks a container's resolver for a name from inside its network, without anybody's help; the answer's last bytes.
fn ask(netns: &File, name: &str) -> [u8; 4] {
    let mut question = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, u8::try_from(name.len()).unwrap()];
    question.extend(name.bytes().chain([0, 0, 1, 0, 1]));
    let socket = bound(netns, "0.0.0.0:0");
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.send_to(&question, "127.0.0.11:53").unwrap();
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer).unwrap();
    <[u8; 4]>::try_from(&answer[length - 4..length]).unwrap()
}

#[test]
fn answered_while_the_daemon_is_away() {
    let host = Host::start();
    host.import_busybox();
    let run = |args: &[&str]| host.brig(args);
    run(&["network", "create", "--subnet", "10.44.0.0/24", "one"]).ok();
    waits(&host, Client::Brig, "web", &["--network", "one", "--ip", "10.44.0.10"]);
    waits(&host, Client::Brig, "box", &["--network", "one"]);
    let netns = netns_of(&host, Client::Brig, "box");
    assert_eq!(ask(&netns, "web"), [10, 44, 0, 10]);
    host.kill_daemon();
    assert_eq!(ask(&netns, "web"), [10, 44, 0, 10]);
    host.start_daemon(&[]);
    assert_eq!(ask(&netns, "web"), [10, 44, 0, 10]);
    waits(&host, Client::Brig, "new", &["--network", "one", "--ip", "10.44.0.11"]);
    assert_eq!(ask(&netns, "new"), [10, 44, 0, 11]);
    drop(netns);
    // Its namespace goes with a container, and what served it too.
    host.brig(&["rm", "-f", "box", "web", "new"]).ok();
    host.brig(&["network", "rm", "one"]).ok();
}
