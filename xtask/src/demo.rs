//! `cargo xtask demo`: what a user does first, on a daemon of its own, with the time that each step took.

use crate::{machine, step};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const IMAGE: &str = "demo/busybox";
const BRIDGE: &str = "brigdemo0";
const BRIDGE_ADDRESS: &str = "10.213.77.1/24";
const CGROUP: &str = "/brig-demo";
const PAGE: &str = "hello from a container";

/// Builds, starts, runs, looks, stops and removes.
///
/// # Errors
/// Names the step that did not do what it should.
pub fn run() -> Result<(), String> {
    machine::needs_root()?;
    let busybox = machine::busybox()?;
    let mut demo = Demo::prepare(step::release_binary()?)?;
    let result = demo.steps(busybox);
    let cleaned = demo.clean_up();
    if result.is_err() || cleaned.is_err() {
        eprintln!(
            "--- the daemon's log ---\n{}",
            std::fs::read_to_string(demo.dir.join("daemon.log")).unwrap_or_default()
        );
    }
    let removed = std::fs::remove_dir_all(&demo.dir).map_err(|e| format!("{}: {e}", demo.dir.display()));
    result.and(cleaned).and(removed)?;
    println!("\nAll steps did what they should. Nothing is left of the demo.");
    Ok(())
}

struct Demo {
    binary: PathBuf,
    dir: PathBuf,
    daemon: Option<Child>,
}

impl Demo {
    fn prepare(binary: PathBuf) -> Result<Self, String> {
        let dir = std::env::temp_dir().join(format!("brig-demo-{}", std::process::id()));
        std::fs::create_dir(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        Ok(Self { binary, dir, daemon: None })
    }

    fn steps(&mut self, busybox: &Path) -> Result<(), String> {
        println!();
        timed("start a daemon of its own", || self.start_daemon())?;
        let root = self.base_image(busybox)?;
        timed("import a base image from busybox", || self.import(&root))?;
        let hello =
            timed("run echo \"hello world\"", || self.brig(&["run", "--rm", IMAGE, "echo", "hello world"]))?;
        expect("echo", &hello, |out| out == "hello world\n")?;

        let port = free_port()?;
        let publish = format!("{port}:80");
        let serve = "httpd -p 80 -h /www && echo serving && exec sleep 100000";
        timed("run a web server, detached, with -p", || {
            self.brig(&["run", "-d", "--name", "web", "-p", &publish, IMAGE, "sh", "-c", serve])
        })?;
        timed("wait until its log says that it serves", || self.first_log_line("web", "serving"))?;
        for host in ["127.0.0.1", "[::1]"] {
            let page = timed(&format!("read its page from http://{host}:{port}"), || {
                get(&format!("{host}:{port}"))
            })?;
            expect("the page", &page, |p| p.contains(PAGE))?;
        }
        let table = timed("ps", || self.brig(&["ps"]))?;
        expect("ps", &table, |t| {
            t.contains("web") && t.contains("Up") && t.contains(&format!("{port}->80/tcp"))
        })?;
        let logs = timed("logs", || self.brig(&["logs", "web"]))?;
        expect("logs", &logs, |l| l == "serving\n")?;
        let inside = timed("exec", || self.brig(&["exec", "web", "cat", "/www/index.html"]))?;
        expect("exec", &inside, |p| p.contains(PAGE))?;
        timed("stop", || self.brig(&["stop", "-t", "2", "web"]))?;
        timed("rm", || self.brig(&["rm", "web"]))?;
        let left = self.brig(&["ps", "-aq"])?;
        expect("ps -a after rm", &left, str::is_empty)?;
        timed("rmi", || self.brig(&["rmi", IMAGE]))?;
        println!("\n{table}");
        Ok(())
    }

    fn start_daemon(&mut self) -> Result<(), String> {
        let say = |e: std::io::Error| format!("the daemon: {e}");
        let notify = self.dir.join("notify.sock");
        let ready = UnixDatagram::bind(&notify).map_err(say)?;
        ready.set_read_timeout(Some(Duration::from_secs(30))).map_err(say)?;
        let log = std::fs::File::create(self.dir.join("daemon.log")).map_err(say)?;
        let child = Command::new(&self.binary)
            .arg("daemon")
            .args(["--data-root".as_ref(), self.dir.join("data").as_os_str()])
            .args(["--exec-root".as_ref(), self.dir.join("run").as_os_str()])
            .args(["--pidfile".as_ref(), self.dir.join("brig.pid").as_os_str()])
            .args(["--host", &self.endpoint(), "--bridge", BRIDGE, "--bip", BRIDGE_ADDRESS])
            .args(["--cgroup-parent", CGROUP, "--ephemeral"])
            .env("NOTIFY_SOCKET", &notify)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(say)?)
            .stderr(log)
            .spawn()
            .map_err(|e| format!("{}: {e}", self.binary.display()))?;
        self.daemon = Some(child);
        let mut message = [0; 4096];
        loop {
            let n = ready.recv(&mut message).map_err(|e| format!("the daemon did not become ready: {e}"))?;
            if message[..n].split(|b| *b == b'\n').any(|line| line == b"READY=1") {
                return Ok(());
            }
        }
    }

    fn base_image(&self, busybox: &Path) -> Result<PathBuf, String> {
        let root = self.dir.join("image");
        let say = |e: std::io::Error| format!("{}: {e}", root.display());
        for dir in ["bin", "etc", "tmp", "www"] {
            std::fs::create_dir_all(root.join(dir)).map_err(say)?;
        }
        std::fs::copy(busybox, root.join("bin/busybox")).map_err(say)?;
        for applet in
            step::output(Command::new(busybox).arg("--list"))?.split_whitespace().filter(|a| *a != "busybox")
        {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).map_err(say)?;
        }
        std::fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").map_err(say)?;
        std::fs::write(root.join("etc/group"), "root:x:0:\n").map_err(say)?;
        std::fs::write(root.join("www/index.html"), format!("<h1>{PAGE}</h1>\n")).map_err(say)?;
        Ok(root)
    }

    fn import(&self, root: &Path) -> Result<(), String> {
        let mut tar = Command::new("tar")
            .args(["-C".as_ref(), root.as_os_str(), "-c".as_ref(), ".".as_ref()])
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("tar: {e}"))?;
        let stream = tar.stdout.take().ok_or("tar has no output")?;
        let imported =
            self.command(&["import", "-", IMAGE]).stdin(stream).output().map_err(|e| e.to_string())?;
        let packed = tar.wait().map_err(|e| e.to_string())?;
        if imported.status.success() && packed.success() {
            return Ok(());
        }
        Err(format!("import: {}\n{}", imported.status, String::from_utf8_lossy(&imported.stderr)))
    }

    fn first_log_line(&self, container: &str, expected: &str) -> Result<(), String> {
        let mut logs = self
            .command(&["logs", "--follow", container])
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("logs: {e}"))?;
        let mut line = String::new();
        let read = BufReader::new(logs.stdout.take().ok_or("logs has no output")?).read_line(&mut line);
        // It would follow until the container ends; what it had to tell is told.
        let ended = logs.kill().and_then(|()| logs.wait());
        read.and(ended.map(drop)).map_err(|e| format!("logs: {e}"))?;
        expect("the first log line", &line, |l| l.trim_end() == expected)
    }

    fn endpoint(&self) -> String {
        format!("unix://{}", self.dir.join("brig.sock").display())
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(["--host", &self.endpoint()]).args(args).stdin(Stdio::null());
        command
    }

    fn brig(&self, args: &[&str]) -> Result<String, String> {
        step::output(&mut self.command(args))
    }

    fn clean_up(&mut self) -> Result<(), String> {
        let Some(mut daemon) = self.daemon.take() else { return Ok(()) };
        // After a failed step a container may still be there.
        let ids = self.brig(&["ps", "-aq"]).unwrap_or_default();
        let ids: Vec<&str> = ids.split_whitespace().collect();
        if !ids.is_empty() {
            self.brig(&[&["rm", "-f"], ids.as_slice()].concat())?;
        }
        step::output(Command::new("kill").arg(daemon.id().to_string()))?;
        let status = daemon.wait().map_err(|e| format!("the daemon: {e}"))?;
        if !status.success() {
            return Err(format!("the daemon ended with {status}"));
        }
        remove_cgroups()
    }
}

/// The daemon keeps the parent of its containers' cgroups for the next one; after the demo there is no next one.
fn remove_cgroups() -> Result<(), String> {
    let mounts =
        std::fs::read_to_string("/proc/self/mounts").map_err(|e| format!("/proc/self/mounts: {e}"))?;
    for mount in mounts.lines().map(|l| l.split(' ').collect::<Vec<_>>()) {
        if let [_, point, "cgroup" | "cgroup2", ..] = mount.as_slice() {
            let path = format!("{point}{CGROUP}");
            match std::fs::remove_dir(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(format!("{path}: {e}")),
                _ => {}
            }
        }
    }
    Ok(())
}

fn timed<T>(name: &str, step: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let begun = Instant::now();
    let result = step().map_err(|e| format!("{name}: {e}"))?;
    println!("{:>9.1} ms  {name}", begun.elapsed().as_secs_f64() * 1e3);
    Ok(result)
}

fn expect(what: &str, got: &str, is_right: impl Fn(&str) -> bool) -> Result<(), String> {
    if is_right(got) { Ok(()) } else { Err(format!("{what}: unexpected output: {got:?}")) }
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16, String> {
    TcpListener::bind("0.0.0.0:0")
        .and_then(|l| l.local_addr())
        .map(|a| a.port())
        .map_err(|e| format!("a free port: {e}"))
}

fn get(address: &str) -> Result<String, String> {
    let talk = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    talk().map_err(|e| format!("{address}: {e}"))
}
