//! Images to and from registries, with brig's own registry beside the daemon.

use brig_e2e::{Host, with_both};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Barrier,
        atomic::{AtomicU64, Ordering},
    },
};

/// `brig registry serve` in the network namespace of a host.
struct Registry(Child);

const AT: &str = "127.0.0.1:5000";

impl Registry {
    fn start(host: &Host, flags: &[&str]) -> Self {
        let mut command = Command::new(host.binary());
        command.args(["registry", "serve", "--addr", AT, "--root"]).arg(host.path("registry")).args(flags);
        let mut child = host.spawn({
            command.stdout(Stdio::piped()).stdin(Stdio::null());
            command
        });
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        assert!(line.starts_with("serving "), "{line}");
        Self(child)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself, which the test has seen then.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn digest_of(output: &str) -> &str {
    let at = output.find("sha256:").unwrap_or_else(|| panic!("no digest in {output}"));
    &output[at..at + 71]
}

#[test]
fn what_is_pushed_is_pulled_with_the_same_digest() {
    with_both(|host, client| {
        let _registry = Registry::start(host, &[]);
        let name = format!("{AT}/some/box:v1");
        let id =
            client.run(host, &["create", "busybox", "sh", "-c", "echo more > /more && ln /more /again"]).ok();
        client.run(host, &["start", &id]).ok();
        client.run(host, &["wait", &id]).ok();
        client.run(host, &["commit", &id, &name]).ok();
        client.run(host, &["rm", &id]).ok();
        let image = client.run(host, &["images", "-q", "--no-trunc", &name]).ok();

        let pushed = client.run(host, &["push", &name]).ok();
        assert!(pushed.starts_with(&format!("The push refers to repository [{AT}/some/box]")), "{pushed}");
        assert_eq!(pushed.matches(": Pushed").count(), 2, "{pushed}");
        let again = client.run(host, &["push", &name]).ok();
        assert_eq!(again.matches(": Layer already exists").count(), 2, "{again}");
        assert_eq!(digest_of(&pushed), digest_of(&again));
        let other = format!("{AT}/another:v2");
        client.run(host, &["tag", &name, &other]).ok();
        let mounted = client.run(host, &["push", &other]).ok();
        assert_eq!(mounted.matches(": Mounted from some/box").count(), 2, "{mounted}");
        assert_eq!(digest_of(&pushed), digest_of(&mounted));

        client.run(host, &["rmi", &name, &other, "busybox"]).ok();
        assert_eq!(client.run(host, &["images", "-q"]).ok(), "");
        let pulled = client.run(host, &["pull", &name]).ok();
        let lines: Vec<&str> = pulled.lines().collect();
        assert_eq!(lines[0], "v1: Pulling from some/box");
        assert_eq!(pulled.matches(": Pull complete").count(), 2, "{pulled}");
        assert_eq!(lines[lines.len() - 3], format!("Digest: {}", digest_of(&pushed)));
        assert_eq!(lines[lines.len() - 2], format!("Status: Downloaded newer image for {name}"));
        assert_eq!(lines[lines.len() - 1], name);
        assert_eq!(client.run(host, &["images", "-q", "--no-trunc"]).ok(), image);
        assert_eq!(client.run(host, &["run", "--rm", &name, "cat", "/again"]).ok(), "more");
        let digests = client.run(host, &["image", "inspect", "-f", "{{json .RepoDigests}}", &name]).ok();
        assert_eq!(digests, format!("[\"{AT}/some/box@{}\"]", digest_of(&pushed)));

        let same = client.run(host, &["pull", &name]).ok();
        assert!(same.contains("Status: Image is up to date for"), "{same}");
        assert_eq!(client.run(host, &["pull", "-q", &name]).ok(), name);
        let pinned = format!("{AT}/some/box@{}", digest_of(&pushed));
        client.run(host, &["rmi", "-f", &image]).ok();
        client.run(host, &["pull", "-q", &pinned]).ok();
        assert_eq!(client.run(host, &["run", "--rm", &pinned, "cat", "/more"]).ok(), "more");
        client.run(host, &["rmi", &pinned]).ok();
        // A run pulls what is missing.
        let ran = client.run(host, &["run", "--rm", &other, "cat", "/more"]);
        assert_eq!(ran.ok(), "more");
    });
}

#[test]
fn what_is_not_there_is_told_in_dockers_words() {
    with_both(|host, client| {
        let name = format!("{AT}/nothing:v1");
        client
            .run(host, &["pull", &name])
            .fails(1, &format!("Get \"http://{AT}/v2/\": dial tcp {AT}: connect: connection refused"));
        let _registry = Registry::start(host, &[]);
        client.run(host, &["pull", &name]).fails(
            1,
            &format!(
                "repository {AT}/nothing not found: name unknown: repository name not known to registry"
            ),
        );
        client
            .run(host, &["push", &name])
            .fails(1, &format!("An image does not exist locally with the tag: {AT}/nothing"));
        client.run(host, &["tag", "busybox", &format!("{AT}/nothing:v2")]).ok();
        client.run(host, &["push", &name]).fails(1, &format!("tag does not exist: {name}"));
        client.run(host, &["push", "-q", &format!("{AT}/nothing:v2")]).ok();
        client
            .run(host, &["pull", &name])
            .fails(1, &format!("manifest for {name} not found: manifest unknown: manifest unknown"));
    });
}

#[test]
fn who_is_not_let_in_logs_in() {
    with_both(|host, client| {
        // bcrypt of `U*U`, as published with the algorithm's reference code.
        let users = host.path("users");
        std::fs::write(&users, "alice:$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n")
            .unwrap();
        let _registry = Registry::start(host, &["--htpasswd", users.to_str().unwrap()]);
        let name = format!("{AT}/mine:v1");
        client.run(host, &["tag", "busybox", &name]).ok();
        client.run(host, &["push", &name]).fails(1, "no basic auth credentials");
        client.run(host, &["login", "-u", "alice", "-p", "wrong", AT]).fails(1, "401 Unauthorized");
        let login = client.run(host, &["login", "-u", "alice", "-p", "U*U", AT]);
        assert_eq!(login.ok(), "Login Succeeded");
        client.run(host, &["push", "-q", &name]).ok();
        client.run(host, &["rmi", &name]).ok();
        client.run(host, &["pull", "-q", &name]).ok();
        assert_eq!(client.run(host, &["logout", AT]).ok(), format!("Removing login credentials for {AT}"));
        client.run(host, &["pull", &name]).fails(1, "no basic auth credentials");
    });
}

#[test]
fn a_daemon_that_is_killed_while_it_pulls_leaves_nothing_visible() {
    let host = Host::start();
    host.import_busybox();
    let _registry = Registry::start(&host, &[]);
    let name = format!("{AT}/box:v1");
    host.brig(&["tag", "busybox", &name]).ok();
    host.brig(&["push", "-q", &name]).ok();
    host.brig(&["rmi", "busybox", &name]).ok();
    host.stop_daemon();
    for place in ["store.layer.publish", "store.layer.recorded", "store.image.publish", "store.image.record"]
    {
        host.start_daemon(&[("BRIG_FAILPOINTS", &format!("{place}=kill"))]);
        assert_ne!(host.brig(&["pull", "-q", &name]).code, 0, "{place}");
        host.await_daemon_death();
        host.start_daemon(&[]);
        assert_eq!(host.brig(&["images", "-aq"]).ok(), "", "{place}");
        let left = std::fs::read_dir(host.path("data/snapshots")).unwrap().count();
        assert_eq!(left, 0, "{place}: layers of a pull that never was");
        host.stop_daemon();
    }
    host.start_daemon(&[]);
    host.brig(&["pull", "-q", &name]).ok();
    assert_eq!(host.brig(&["run", "--rm", &name, "echo", "ok"]).ok(), "ok");
}

#[test]
fn pulls_of_the_same_image_share_the_work() {
    let host = Host::start();
    host.import_busybox();
    let _registry = Registry::start(&host, &[]);
    let name = format!("{AT}/box:v1");
    host.brig(&["tag", "busybox", &name]).ok();
    host.brig(&["push", "-q", &name]).ok();
    host.brig(&["rmi", "busybox", &name]).ok();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| host.brig(&["pull", "-q", &name]).ok());
        }
    });
    assert_eq!(host.brig(&["images", "-q"]).ok().lines().count(), 1);
    let metrics = host.inside(|| {
        let mut stream = std::net::TcpStream::connect(AT).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    });
    let gets = metrics
        .lines()
        .find_map(|line| line.strip_prefix("brig_registry_sent_bytes_total "))
        .and_then(|count| count.parse::<u64>().ok())
        .unwrap();
    let layer = layer_size(&host);
    assert!(gets < 2 * layer, "{gets} bytes were sent for a layer of {layer}");
}

/// A line between the daemon and the registry that can be cut.
struct Line {
    /// Bytes that pass to the daemon on each connection before it stalls.
    limit: AtomicU64,
    /// Bytes that have passed to the daemon.
    passed: AtomicU64,
    /// The test waits here until a connection has stalled.
    stalled: Barrier,
}

const LINE: &str = "127.0.0.1:5001";

impl Line {
    /// Its threads end with the test.
    fn start(host: &Host) -> Arc<Self> {
        let line = Arc::new(Self {
            limit: AtomicU64::new(u64::MAX),
            passed: AtomicU64::new(0),
            stalled: Barrier::new(2),
        });
        let listener = host.inside(|| TcpListener::bind(LINE).expect("a port"));
        let shared = line.clone();
        // A thread is in the network namespace of the one that starts it.
        host.inside(move || {
            std::thread::spawn(move || {
                for from in listener.incoming().map_while(Result::ok) {
                    let line = shared.clone();
                    std::thread::spawn(move || line.carry(from));
                }
            });
        });
        line
    }

    fn carry(&self, mut from: TcpStream) {
        let Ok(mut to) = TcpStream::connect(AT) else { return };
        let (Ok(mut up_from), Ok(mut up_to)) = (from.try_clone(), to.try_clone()) else { return };
        std::thread::spawn(move || {
            // Whoever hangs up ends both ways.
            let _ = std::io::copy(&mut up_from, &mut up_to);
            let _ = up_to.shutdown(std::net::Shutdown::Both);
        });
        let mut buffer = [0; 16 << 10];
        let mut sent = 0;
        while let Ok(n @ 1..) = to.read(&mut buffer) {
            if from.write_all(&buffer[..n]).is_err() {
                break;
            }
            sent += n as u64;
            self.passed.fetch_add(n as u64, Ordering::SeqCst);
            if sent > self.limit.load(Ordering::SeqCst) {
                // Nothing more comes, until the other side has had enough.
                self.stalled.wait();
                let _ = from.read(&mut [0]);
                break;
            }
        }
        let _ = from.shutdown(std::net::Shutdown::Both);
    }
}

/// Asks for a pull, and waits until something of a layer is there.
fn begin_pull(host: &Host, image: &str, tag: &str) -> UnixStream {
    let mut stream = UnixStream::connect(host.socket()).unwrap();
    let request = format!(
        "POST /v1.51/images/create?fromImage={image}&tag={tag} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let begun = lines.take(200).any(|line| line.contains("\"Downloading\""));
    assert!(begun, "the pull has not begun");
    stream
}

#[test]
fn a_pull_that_is_broken_off_is_gone_on_with() {
    let host = Host::start();
    host.import_busybox();
    let _registry = Registry::start(&host, &[]);
    let line = Line::start(&host);
    let name = format!("{AT}/box:v1");
    host.brig(&["tag", "busybox", &name]).ok();
    host.brig(&["push", "-q", &name]).ok();
    host.brig(&["rmi", "busybox", &name]).ok();
    let layer = layer_size(&host);
    let through = format!("{LINE}/box:v1");
    for kill in [false, true] {
        line.limit.store(layer / 2, Ordering::SeqCst);
        let pull = begin_pull(&host, &format!("{LINE}/box"), "v1");
        // What has passed is in the sockets' buffers, perhaps; what is kept is what the daemon has read.
        grows_to(&host.path("data/partial"), layer / 4);
        line.stalled.wait();
        if kill {
            host.kill_daemon();
            host.start_daemon(&[]);
        }
        // A client that leaves cancels its pull.
        drop(pull);
        line.limit.store(u64::MAX, Ordering::SeqCst);
        line.passed.store(0, Ordering::SeqCst);
        host.brig(&["pull", "-q", &through]).ok();
        let passed = line.passed.load(Ordering::SeqCst);
        assert!(passed < layer, "all was fetched again: {passed} of {layer}");
        assert_eq!(host.brig(&["run", "--rm", &through, "echo", "ok"]).ok(), "ok");
        host.brig(&["rmi", &through]).ok();
        let left = std::fs::read_dir(host.path("data/partial")).unwrap().count();
        assert_eq!(left, 0, "a finished pull leaves nothing");
    }
}

/// Waits until a file in a folder has so many bytes.
fn grows_to(folder: &Path, bytes: u64) {
    use rustix::fs::inotify;
    let changes = inotify::init(inotify::CreateFlags::CLOEXEC).unwrap();
    inotify::add_watch(&changes, folder, inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE).unwrap();
    let length = || {
        let files = std::fs::read_dir(folder).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len()).max().unwrap_or(0)
    };
    let mut events = [0; 4 << 10];
    while length() < bytes {
        rustix::io::read(&changes, &mut events).unwrap();
    }
}

fn layer_size(host: &Host) -> u64 {
    std::fs::read_dir(host.path("registry/blobs/sha256"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .max()
        .unwrap()
}
