//! Networks of a container: host, none, the default bridge, published ports.

use brig_e2e::{Client, Host, host::follow_until, with_both};

const SERVE: &str = "httpd -p 80 -h /www && echo serving && exec sleep 1000";

fn serve(host: &Host, client: Client, name: &str, flags: &[&str]) {
    client.run(host, &[&["run", "-d", "--name", name], flags, &["busybox", "sh", "-c", SERVE]].concat()).ok();
    follow_until(host, client, name, "serving");
}

#[test]
fn a_published_port_is_reached_by_every_address_of_the_host() {
    with_both(|host, client| {
        serve(host, client, "web", &["-p", "8080:80"]);
        let gateway =
            client.run(host, &["inspect", "-f", "{{.NetworkSettings.Networks.bridge.Gateway}}", "web"]).ok();
        for address in ["127.0.0.1:8080".to_owned(), "[::1]:8080".to_owned(), format!("{gateway}:8080")] {
            assert_eq!(
                host.get(&address).unwrap_or_else(|e| panic!("{address}: {e}")),
                "hello from brig\n",
                "{address}"
            );
        }
        assert_eq!(client.run(host, &["port", "web", "80"]).ok(), "0.0.0.0:8080\n[::]:8080");
        client.run(host, &["rm", "-f", "web"]).ok();
        assert!(host.get("127.0.0.1:8080").is_err(), "the port is still open");
    });
}

#[test]
fn a_port_on_loopback_only_and_an_ephemeral_one() {
    with_both(|host, client| {
        serve(host, client, "web", &["-p", "127.0.0.1::80"]);
        let at = client.run(host, &["port", "web", "80/tcp"]).ok();
        assert!(at.starts_with("127.0.0.1:"), "{at}");
        assert_eq!(host.get(&at).unwrap(), "hello from brig\n");
    });
}

#[test]
fn containers_reach_each_other_and_themselves_through_the_host() {
    with_both(|host, client| {
        serve(host, client, "web", &["-p", "8080:80"]);
        let ip = client
            .run(host, &["inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "web"])
            .ok();
        let gateway =
            client.run(host, &["inspect", "-f", "{{.NetworkSettings.Networks.bridge.Gateway}}", "web"]).ok();
        let page = |container: &[&str], url: &str| {
            client.run(host, &[container, &["wget", "-q", "-O", "-", url]].concat()).ok()
        };
        assert_eq!(page(&["run", "--rm", "busybox"], &format!("http://{ip}/")), "hello from brig");
        assert_eq!(page(&["run", "--rm", "busybox"], &format!("http://{gateway}:8080/")), "hello from brig");
        assert_eq!(page(&["exec", "web"], &format!("http://{gateway}:8080/")), "hello from brig");
    });
}

/// The namespace of an ended container, and its interface, live until the kernel, or whoever holds it, lets it go.
#[test]
fn an_address_that_is_given_again_is_the_new_containers_alone() {
    let host = Host::start_with(&["--bip", "10.42.0.1/30"], &[]);
    host.import_busybox();
    serve(&host, Client::Brig, "web", &["-p", "8080:80"]);
    assert_eq!(host.get("127.0.0.1:8080").unwrap(), "hello from brig\n");
    let pid = host.brig(&["inspect", "-f", "{{.State.Pid}}", "web"]).ok();
    let namespace = std::fs::File::open(format!("/proc/{pid}/ns/net")).unwrap();
    host.brig(&["rm", "-f", "web"]).ok();
    serve(&host, Client::Brig, "next", &["-p", "8080:80"]);
    assert_eq!(host.get("127.0.0.1:8080").unwrap(), "hello from brig\n");
    drop(namespace);
    assert_eq!(host.get("127.0.0.1:8080").unwrap(), "hello from brig\n");
}

/// A static program that says when it listens on UDP port 9 and sends back what comes.
const UDP_ECHO: &str = r#"
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
int main(void) {
    char data[512];
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(9)}, from;
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    if (bind(s, (struct sockaddr *)&own, sizeof own)) return 1;
    puts("listening");
    fflush(stdout);
    for (;;) {
        socklen_t size = sizeof from;
        ssize_t n = recvfrom(s, data, sizeof data, 0, (struct sockaddr *)&from, &size);
        if (n < 0 || sendto(s, data, n, 0, (struct sockaddr *)&from, size) != n) return 2;
    }
}
"#;

#[test]
fn udp_is_published() {
    with_both(|host, client| {
        let (source, program) = (host.path("echo.c"), host.path("echo"));
        std::fs::write(&source, UDP_ECHO).unwrap();
        let mut cc = std::process::Command::new("cc");
        brig_e2e::client::finish(cc.arg("-static").arg("-o").arg(&program).arg(&source)).ok();
        let bind = format!("{}:/echo:ro", program.display());
        client
            .run(host, &["run", "-d", "--name", "c1", "-p", "9000:9/udp", "-v", &bind, "busybox", "/echo"])
            .ok();
        follow_until(host, client, "c1", "listening");
        host.inside(|| {
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
            socket.send_to(b"datagram", "127.0.0.1:9000").unwrap();
            let mut answer = [0; 64];
            let n = socket.recv(&mut answer).expect("an answer");
            assert_eq!(&answer[..n], b"datagram");
        });
    });
}

#[test]
fn none_has_loopback_only_and_host_is_the_host() {
    with_both(|host, client| {
        let links =
            client.run(host, &["run", "--rm", "--network", "none", "busybox", "ls", "/sys/class/net"]).ok();
        assert_eq!(links, "lo");
        let inode =
            |c: &[&str]| client.run(host, &[c, &["busybox", "readlink", "/proc/self/ns/net"]].concat()).ok();
        let of_daemon = std::fs::read_link(format!("/proc/{}/ns/net", host.daemon_pid())).unwrap();
        assert_eq!(inode(&["run", "--rm", "--network", "host"]), of_daemon.to_str().unwrap());
        assert_ne!(inode(&["run", "--rm"]), of_daemon.to_str().unwrap());
    });
}

#[test]
fn a_network_is_shared_with_another_container() {
    with_both(|host, client| {
        serve(host, client, "web", &[]);
        let page = client.run(
            host,
            &[
                "run",
                "--rm",
                "--network",
                "container:web",
                "busybox",
                "wget",
                "-q",
                "-O",
                "-",
                "http://127.0.0.1/",
            ],
        );
        assert_eq!(page.ok(), "hello from brig");
    });
}

#[test]
fn names_and_resolvers_are_written() {
    with_both(|host, client| {
        let out = client
            .run(
                host,
                &[
                    "run",
                    "--rm",
                    "-h",
                    "box",
                    "--add-host",
                    "db:10.9.8.7",
                    "--dns",
                    "9.9.9.9",
                    "busybox",
                    "sh",
                    "-c",
                    "cat /etc/hostname /etc/hosts /etc/resolv.conf; ip -o -4 addr show eth0",
                ],
            )
            .ok();
        let ip = out
            .lines()
            .last()
            .and_then(|l| l.split_whitespace().nth(3))
            .and_then(|a| a.split('/').next())
            .unwrap()
            .to_owned();
        assert!(out.starts_with("box\n"), "{out}");
        assert!(out.contains("10.9.8.7\tdb"), "{out}");
        assert!(out.contains(&format!("{ip}\tbox")), "{out}");
        assert!(out.contains("nameserver 9.9.9.9"), "{out}");
    });
}

#[test]
fn a_port_that_is_taken_is_told_and_nothing_is_left() {
    with_both(|host, client| {
        serve(host, client, "one", &["-p", "8080:80"]);
        client
            .run(host, &["run", "-d", "--name", "two", "-p", "8080:80", "busybox", "true"])
            .fails(125, "port is already allocated");
        assert_eq!(client.run(host, &["inspect", "-f", "{{.State.Status}}", "two"]).ok(), "created");
        client.run(host, &["rm", "two"]).ok();
        assert_eq!(host.get("127.0.0.1:8080").unwrap(), "hello from brig\n");
        let listener = host.inside(|| std::net::TcpListener::bind("0.0.0.0:8081")).unwrap();
        client
            .run(host, &["run", "-d", "--name", "two", "-p", "8081:80", "busybox", "true"])
            .fails(125, "address already in use");
        drop(listener);
        client.run(host, &["start", "two"]).ok();
    });
}

#[test]
fn services_on_the_hosts_loopback_are_out_of_a_containers_reach() {
    with_both(|host, client| {
        let listener = host.inside(|| std::net::TcpListener::bind("127.0.0.1:7777")).unwrap();
        let gateway = "ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p'";
        let script = format!(
            "ip addr add 127.0.0.9/32 dev eth0; ip route add 127.0.0.1 via $({gateway}) dev eth0; nc -w 1 $({gateway}) 7777 </dev/null; echo $?"
        );
        let out =
            client.run(host, &["run", "--rm", "--cap-add", "NET_ADMIN", "busybox", "sh", "-c", &script]).ok();
        assert_eq!(out.lines().last(), Some("1"), "{out}");
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "a container reached a loopback service");
    });
}
