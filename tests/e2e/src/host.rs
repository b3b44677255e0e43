//! One daemon and all that is its own.

use crate::{Client, Output, http, image, leftovers, netns};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};
use std::{
    fs::File,
    io::Read,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{net::UnixDatagram, process::ExitStatusExt},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::Duration,
};

/// How long a daemon may take until it answers, in a debug build on a loaded machine.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How long a daemon may take to come to its failpoint after the last request was answered.
const DEAD_WITHIN: Duration = Duration::from_secs(15);

/// A daemon with its own roots, socket, cgroup parent and network namespace.
#[derive(Debug)]
pub struct Host {
    dir: tempfile::TempDir,
    netns: OwnedFd,
    cgroup: String,
    flags: Vec<String>,
    daemon: Mutex<Option<Child>>,
}

impl Host {
    /// Starts a daemon and waits until it says that it is ready.
    pub fn start() -> Self {
        Self::start_with(&[], &[])
    }

    /// The same with further flags and environment variables of the daemon.
    pub fn start_with(flags: &[&str], env: &[(&str, &str)]) -> Self {
        let host = Self::prepare(flags);
        host.start_daemon(env);
        host
    }

    /// A host whose daemon is not started yet.
    pub fn prepare(flags: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("brig-e2e-").tempdir().expect("a temporary folder");
        let netns = netns::create().expect("a network namespace");
        let cgroup = format!("/{}", dir.path().file_name().expect("a name").to_string_lossy());
        Self {
            dir,
            netns,
            cgroup,
            flags: flags.iter().map(|f| (*f).to_owned()).collect(),
            daemon: Mutex::new(None),
        }
    }

    /// The binary under test, built beside the tests.
    pub fn binary(&self) -> PathBuf {
        let tests = std::env::current_exe().expect("own path");
        // target/<profile>/deps/<test>, or target/<profile>/<program>
        let found = tests.ancestors().skip(1).take(2).map(|dir| dir.join("brig")).find(|p| p.is_file());
        found.unwrap_or_else(|| panic!("no brig beside {}: run `cargo build` first", tests.display()))
    }

    /// A path in the host's own folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The daemon's socket.
    pub fn socket(&self) -> PathBuf {
        self.path("brig.sock")
    }

    /// The value of DOCKER_HOST.
    pub fn endpoint(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// The cgroup under which the daemon's containers are.
    pub fn cgroup(&self) -> &str {
        &self.cgroup
    }

    /// The daemon's command, in the host's network namespace once started by [`Self::spawn`].
    pub fn daemon_command(&self) -> Command {
        let mut command = Command::new(self.binary());
        command
            .arg("daemon")
            .args(["--data-root".as_ref(), self.path("data").as_os_str()])
            .args(["--exec-root".as_ref(), self.path("run").as_os_str()])
            .args(["--pidfile".as_ref(), self.path("brig.pid").as_os_str()])
            .args(["--host", &self.endpoint(), "--cgroup-parent", &self.cgroup, "--debug"])
            .args(&self.flags)
            .stdin(Stdio::null());
        command
    }

    /// Starts the daemon again after it was stopped or killed.
    pub fn start_daemon(&self, env: &[(&str, &str)]) {
        if !self.try_start_daemon(env) {
            let status = self.daemon.lock().expect("not poisoned").take().map(|mut child| child.wait());
            panic!("the daemon ended before it was ready: {status:?}\n{}", self.log());
        }
    }

    /// The same; whether it became ready, or died before, as one with a failpoint may.
    pub fn try_start_daemon(&self, env: &[(&str, &str)]) -> bool {
        let notify = self.path("notify.sock");
        // From an earlier start of the same host; absent at the first.
        let _ = std::fs::remove_file(&notify);
        let ready = UnixDatagram::bind(&notify).expect("notify socket");
        let mut child = self.launch(env, &notify);
        let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).expect("pidfd");
        let limit = Timespec::try_from(READY_WITHIN).expect("a time");
        let mut message = [0u8; 4096];
        let lives = loop {
            let mut polled = [PollFd::new(&ready, PollFlags::IN), PollFd::new(&process, PollFlags::IN)];
            match poll(&mut polled, Some(&limit)) {
                Ok(0) => {
                    let _ = child.kill();
                    panic!("the daemon did not become ready\n{}", self.log());
                }
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(e) => panic!("poll: {e}"),
            }
            if polled[0].revents().is_empty() {
                break false;
            }
            let n = ready.recv(&mut message).expect("a message");
            if message[..n].split(|b| *b == b'\n').any(|l| l == b"READY=1") {
                break true;
            }
        };
        *self.daemon.lock().expect("not poisoned") = Some(child);
        lives
    }

    /// Starts a daemon that is to die before it is ready, and waits for that.
    pub fn start_daemon_in_vain(&self, env: &[(&str, &str)]) {
        let child = self.launch(env, &self.path("nobody.sock"));
        *self.daemon.lock().expect("not poisoned") = Some(child);
        self.await_daemon_death();
    }

    fn launch(&self, env: &[(&str, &str)], notify: &Path) -> Child {
        let log = File::options().create(true).append(true).open(self.path("daemon.log")).expect("log file");
        let mut command = self.daemon_command();
        command
            .env("NOTIFY_SOCKET", notify)
            .envs(env.iter().copied())
            .stdout(log.try_clone().expect("log file"))
            .stderr(log);
        self.spawn(command)
    }

    /// Starts a command inside the host's network namespace.
    pub fn spawn(&self, mut command: Command) -> Child {
        self.inside(move || command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}")))
    }

    /// Runs `body` on a thread that is in the host's network namespace.
    pub fn inside<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                rustix::thread::move_into_link_name_space(
                    self.netns.as_fd(),
                    Some(rustix::thread::LinkNameSpaceType::Network),
                )
                .expect("setns");
                body()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// The daemon's pid.
    pub fn daemon_pid(&self) -> u32 {
        self.daemon.lock().expect("not poisoned").as_ref().expect("the daemon runs").id()
    }

    /// Whether the daemon has not ended.
    pub fn daemon_lives(&self) -> bool {
        let mut daemon = self.daemon.lock().expect("not poisoned");
        daemon.as_mut().is_some_and(|d| d.try_wait().expect("wait").is_none())
    }

    /// `kill -9`.
    pub fn kill_daemon(&self) {
        let mut child = self.daemon.lock().expect("not poisoned").take().expect("the daemon runs");
        child.kill().expect("kill");
        child.wait().expect("wait");
    }

    /// Reaps a daemon that has died.
    pub fn forget_daemon(&self) {
        let child = self.daemon.lock().expect("not poisoned").take();
        if let Some(mut child) = child {
            child.wait().expect("wait");
        }
    }

    /// Waits for a daemon that kills itself, as one with a failpoint does. The test fails if it lives on.
    #[track_caller]
    pub fn await_daemon_death(&self) {
        assert!(ends_within(self.daemon_pid(), DEAD_WITHIN), "the daemon never came to its failpoint");
        let mut child = self.daemon.lock().expect("not poisoned").take().expect("the daemon was started");
        let status = child.wait().expect("wait");
        assert_eq!(status.signal(), Some(9), "the daemon ended by itself: {status}");
    }

    /// SIGTERM, and waits for the end. The exit code.
    pub fn stop_daemon(&self) -> Option<i32> {
        let mut child = self.daemon.lock().expect("not poisoned").take().expect("the daemon runs");
        terminate(&child);
        child.wait().expect("wait").code()
    }

    /// What the daemon logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("daemon.log")).unwrap_or_default()
    }

    /// Runs `brig` against this host.
    pub fn brig(&self, args: &[&str]) -> Output {
        Client::Brig.run(self, args)
    }

    /// Imports [`image::BUSYBOX`].
    pub fn import_busybox(&self) {
        Client::Brig.run_with(self, &["import", "-", image::BUSYBOX], image::busybox_tar()).ok();
    }

    /// One request to the API.
    pub fn api(&self, method: &str, path: &str, body: Option<&str>) -> http::Response {
        http::request(&self.socket(), method, path, body)
    }

    /// The host's folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The network namespace that the daemon is in.
    pub fn netns(&self) -> &OwnedFd {
        &self.netns
    }

    /// Sends an HTTP/1.0 GET to a server reachable from the host and gives back the body.
    pub fn get(&self, address: &str) -> std::io::Result<String> {
        self.inside(|| {
            let mut stream = std::net::TcpStream::connect(address)?;
            stream.set_read_timeout(Some(Duration::from_secs(20)))?;
            std::io::Write::write_all(&mut stream, b"GET / HTTP/1.0\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
        })
    }

    fn tear_down(&self) -> Vec<String> {
        let mut left = Vec::new();
        if self.daemon_lives() {
            let ids = self.brig(&["ps", "-aq"]);
            let ids: Vec<&str> = ids.stdout.split_whitespace().collect();
            if !ids.is_empty() {
                let removed = self.brig(&[&["rm", "-f"], ids.as_slice()].concat());
                if removed.code != 0 {
                    left.push(format!("rm -f failed: {}", removed.stderr));
                }
            }
            left.extend(leftovers::of_live_daemon(self));
            if self.stop_daemon() != Some(0) {
                left.push("the daemon did not end with 0 on SIGTERM".to_owned());
            }
        }
        left.extend(leftovers::after_daemon(self));
        left
    }
}

/// Waits for the end of any process; `false` when it lives on.
pub fn ends_within(pid: u32, limit: Duration) -> bool {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).expect("a pid");
    // One that is gone already can't be opened.
    let Ok(fd) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) else { return true };
    let mut fds = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
    let limit = rustix::event::Timespec::try_from(limit).expect("a short time");
    rustix::event::poll(&mut fds, Some(&limit)).expect("poll") > 0
}

fn terminate(child: &Child) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("not zero");
    // An already dead child is what the caller wants to see.
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- daemon log of {}:\n{}", self.dir.path().display(), self.log());
            if let Some(mut child) = self.daemon.lock().ok().and_then(|mut d| d.take()) {
                let _ = child.kill();
                let _ = child.wait();
            }
            leftovers::remove_by_force(self);
            return;
        }
        let left = self.tear_down();
        leftovers::remove_by_force(self);
        assert!(left.is_empty(), "left behind:\n  {}\n--- daemon log:\n{}", left.join("\n  "), self.log());
    }
}

/// Follows a container's log until `text` is in a line of it.
#[track_caller]
pub fn follow_until(host: &Host, client: Client, container: &str, text: &str) {
    assert!(logs(host, client, container, text), "{text:?} never came in the log of {container}");
}

/// Follows a container's log until `text` is in a line of it; `false` when the log ends before.
pub fn logs(host: &Host, client: Client, container: &str, text: &str) -> bool {
    use std::io::BufRead;
    let mut logs =
        client.command(host, &["logs", "-f", container]).stdout(Stdio::piped()).spawn().expect("logs starts");
    let found = std::io::BufReader::new(logs.stdout.take().expect("piped"))
        .lines()
        .map_while(Result::ok)
        .any(|line| line.contains(text));
    logs.kill().expect("kill");
    logs.wait().expect("wait");
    found
}
