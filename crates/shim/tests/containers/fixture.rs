//! A zygote, a busybox image and containers of it.

use brig_core::{Id, RootFs};
use brig_logs::{Driver, LogConfig, LogReader, ReadOptions, Rotation, Step, Stream};
use brig_shim::{
    client::{self, Control},
    protocol::{
        EXIT_NAME, Event, ExecConfig, ExitRecord, Failure, Reply, Request, ShimConfig, ShimState, Target,
    },
    zygote::{self, ShimFds, ZygoteClient},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::Shutdown,
    os::unix::{fs::symlink, net::UnixStream},
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;

const APPLETS: [&str; 18] = [
    "cat", "dd", "echo", "false", "grep", "head", "id", "kill", "ls", "printf", "sh", "sleep", "stat",
    "stty", "tee", "true", "wc", "yes",
];

/// No test waits longer for one thing.
const PATIENCE: Duration = Duration::from_secs(60);

/// A machine with a zygote and an image.
pub struct Host {
    pub dir: TempDir,
    pub zygote: ZygoteClient,
}

impl Host {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        make_image(&dir.path().join("image"));
        Self { dir, zygote: zygote::spawn().unwrap() }
    }

    /// What a container of `args` is made from.
    pub fn config(&self, args: &[&str]) -> ShimConfig {
        let id = Id::random();
        let layers = self.dir.path().join(id.to_string());
        let (upper, work) = (layers.join("upper"), layers.join("work"));
        fs::create_dir_all(&upper).unwrap();
        fs::create_dir_all(&work).unwrap();
        let lower = vec![self.dir.path().join("image")];
        let mut spec = spec(args);
        spec["linux"]["cgroupsPath"] = json!(format!("/brig-shim-test-{id}"));
        ShimConfig {
            id,
            // Longer than a socket's address can be.
            dir: self.dir.path().join("a-folder-with-a-rather-long-name/shims").join(id.to_string()),
            spec: Box::new(serde_json::from_value(spec).unwrap()),
            rootfs: RootFs::Overlay { lower, upper, work, volatile: false },
            terminal: false,
            console_size: None,
            open_stdin: false,
            stdin_once: false,
            init: false,
            network_later: false,
            attached: 0,
            seccomp: None,
            log: LogConfig {
                driver: Driver::JsonFile { rotation: Rotation::default() },
                path: layers.join("json.log"),
                attrs: BTreeMap::new(),
            },
        }
    }

    /// Changes the configuration's spec as JSON.
    pub fn change(config: &mut ShimConfig, change: impl FnOnce(&mut Value)) {
        let mut spec = serde_json::to_value(&config.spec).unwrap();
        change(&mut spec);
        config.spec = serde_json::from_value(spec).unwrap();
    }

    /// A created container.
    pub fn create(&self, config: ShimConfig) -> Container {
        let spawned = self.zygote.spawn_shim(&config, ShimFds::default()).unwrap();
        spawned.control.set_read_timeout(Some(PATIENCE)).unwrap();
        Container { control: Control::new(spawned.control), state: spawned.state, config, exit: None }
    }

    /// A started container.
    pub fn start(&self, config: ShimConfig) -> Container {
        let mut container = self.create(config);
        container.start();
        container
    }

    /// Runs a container to its end.
    pub fn run(&self, config: ShimConfig) -> (Container, ExitRecord) {
        let mut container = self.start(config);
        let exit = container.wait();
        (container, exit)
    }
}

/// A container with its control connection. Killed at the end if it still runs.
pub struct Container {
    pub control: Control,
    pub state: ShimState,
    pub config: ShimConfig,
    pub exit: Option<ExitRecord>,
}

impl Container {
    pub fn dir(&self) -> &Path {
        &self.config.dir
    }

    pub fn call(&mut self, request: Request) -> Reply {
        self.control.call(request).unwrap()
    }

    /// What the shim says when it refuses.
    pub fn refused(&mut self, request: Request) -> Failure {
        match self.control.call(request) {
            Err(brig_shim::Error::Refused(failure)) => failure,
            other => panic!("not refused: {other:?}"),
        }
    }

    pub fn start(&mut self) {
        assert!(matches!(self.call(Request::Start), Reply::Started { pid, .. } if pid == self.state.pid));
    }

    /// Waits for an event.
    pub fn event(&mut self, mut wanted: impl FnMut(&Event) -> bool) -> Event {
        loop {
            let event = self.control.next_event().unwrap().expect("the connection ended before the event");
            if let Event::Exited(record) = &event {
                self.exit = Some(record.clone());
            }
            if wanted(&event) {
                return event;
            }
        }
    }

    /// Waits for the container's end and the shim's.
    pub fn wait(&mut self) -> ExitRecord {
        if self.exit.is_none() {
            self.event(|e| matches!(e, Event::Exited(_)));
        }
        assert_eq!(self.control.next_event().unwrap(), None, "the connection ends after the exit");
        self.exit.clone().unwrap()
    }

    pub fn attach(&self, stdin: bool) -> Attached {
        self.attach_to(Target::Init, stdin)
    }

    pub fn attach_to(&self, target: Target, stdin: bool) -> Attached {
        let stream = client::attach(self.dir(), target, stdin, true, true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Attached { stream, terminal: self.config.terminal }
    }

    /// Registers a further process.
    pub fn exec(&mut self, args: &[&str], change: impl FnOnce(&mut ExecConfig)) -> Id {
        let id = Id::random();
        let mut config = ExecConfig {
            id,
            process: Box::new(serde_json::from_value(process(args)).unwrap()),
            terminal: false,
            console_size: None,
            open_stdin: false,
            unconfined: false,
        };
        change(&mut config);
        assert_eq!(self.call(Request::Exec(Box::new(config))), Reply::Done);
        id
    }

    /// Runs a further process to its end: code, stdout and stderr.
    pub fn run_exec(&mut self, args: &[&str]) -> (i32, String, String) {
        let id = self.exec(args, |_| {});
        let attached = self.attach_to(Target::Exec(id), false);
        assert!(matches!(self.call(Request::StartExec { id }), Reply::Started { .. }));
        let (out, err) = attached.read_all();
        (self.exec_code(id), out, err)
    }

    pub fn exec_code(&mut self, id: Id) -> i32 {
        match self.event(|e| matches!(e, Event::ExecExited { id: ended, .. } if *ended == id)) {
            Event::ExecExited { code, .. } => code,
            _ => unreachable!(),
        }
    }

    pub fn signal(&mut self, signal: i32) {
        let request = Request::Signal { target: Target::Init, signal, all: false };
        assert_eq!(self.call(request), Reply::Done);
    }

    pub fn log(&self) -> Vec<(Stream, String)> {
        read_log(&self.config.log)
    }

    pub fn exit_record(&self) -> Option<ExitRecord> {
        let bytes = fs::read(self.dir().join(EXIT_NAME)).ok()?;
        Some(serde_json::from_slice(&bytes).unwrap())
    }

    /// Cgroups of this container that exist.
    pub fn cgroups(&self) -> Vec<PathBuf> {
        let Some(path) = self.config.spec.linux().as_ref().and_then(|l| l.cgroups_path().clone()) else {
            return Vec::new();
        };
        let below = path.strip_prefix("/").unwrap().to_owned();
        let mut roots: Vec<PathBuf> = fs::read_dir("/sys/fs/cgroup")
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|p| p.is_dir())
            .collect();
        roots.push("/sys/fs/cgroup".into());
        roots.into_iter().map(|root| root.join(&below)).filter(|p| p.exists()).collect()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if self.exit.is_some() {
            return;
        }
        let kill = Request::Signal { target: Target::Init, signal: 9, all: false };
        if self.control.call(kill).is_ok() {
            while let Ok(Some(event)) = self.control.next_event() {
                if matches!(event, Event::Exited(_)) {
                    break;
                }
            }
        }
    }
}

/// An attached client.
pub struct Attached {
    pub stream: UnixStream,
    pub terminal: bool,
}

impl Attached {
    pub fn write(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    pub fn end_input(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Everything up to the end: stdout and stderr.
    pub fn read_all(mut self) -> (String, String) {
        let mut out = [String::new(), String::new()];
        while let Some((stream, bytes)) = self.frame() {
            out[usize::from(stream == Stream::Stderr)].push_str(&String::from_utf8_lossy(&bytes));
        }
        out.into()
    }

    /// The next output; `None` at the end.
    pub fn frame(&mut self) -> Option<(Stream, Vec<u8>)> {
        if self.terminal {
            let mut bytes = vec![0; 4096];
            let n = self.stream.read(&mut bytes).unwrap();
            bytes.truncate(n);
            return (n > 0).then_some((Stream::Stdout, bytes));
        }
        let mut head = [0u8; 8];
        match self.stream.read(&mut head).unwrap() {
            0 => return None,
            n => self.stream.read_exact(&mut head[n..]).unwrap(),
        }
        let stream = match head[..4] {
            [1, 0, 0, 0] => Stream::Stdout,
            [2, 0, 0, 0] => Stream::Stderr,
            _ => panic!("not a frame: {head:?}"),
        };
        let mut bytes = vec![0; u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize];
        self.stream.read_exact(&mut bytes).unwrap();
        Some((stream, bytes))
    }

    /// Reads until the output has this text; answers all that was read.
    pub fn read_until(&mut self, text: &str) -> String {
        let mut all = String::new();
        while !all.contains(text) {
            let (_, bytes) = self.frame().unwrap_or_else(|| panic!("end of output before {text:?}: {all:?}"));
            all.push_str(&String::from_utf8_lossy(&bytes));
        }
        all
    }
}

pub fn read_log(config: &LogConfig) -> Vec<(Stream, String)> {
    let mut reader = LogReader::open(config, &ReadOptions::default()).unwrap();
    let mut records = Vec::new();
    while let Step::Record(record) = reader.step().unwrap() {
        records.push((record.stream, record.text));
    }
    records
}

/// Whether a process exists (a zombie counts as gone).
pub fn alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|s| !s.rsplit_once(')').unwrap().1.trim_start().starts_with(['Z', 'X']))
}

/// Waits until a process is gone, through a pidfd.
pub fn await_gone(pid: i32) {
    use rustix::{
        event::{PollFd, PollFlags, Timespec, poll},
        process::{Pid, PidfdFlags, pidfd_open},
    };
    let Ok(pidfd) = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()) else { return };
    let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
    let patience = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
    assert_eq!(poll(&mut fds, Some(&patience)).unwrap(), 1, "process {pid} is still there");
}

fn make_image(root: &Path) {
    for folder in ["bin", "dev", "etc", "proc", "sys", "tmp", "root"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::copy("/usr/bin/busybox", root.join("bin/busybox")).expect("Debian's busybox-static");
    for applet in APPLETS {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").unwrap();
    fs::write(root.join("bin/not-a-program"), "x").unwrap();
}

/// A process as Docker asks for it by default.
pub fn process(args: &[&str]) -> Value {
    let capabilities =
        ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SYS_CHROOT"];
    json!({
        "user": {"uid": 0, "gid": 0},
        "args": args,
        "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "cwd": "/",
        "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
    })
}

fn spec(args: &[&str]) -> Value {
    json!({
        "ociVersion": "1.2.0",
        "process": process(args),
        "root": {"path": "", "readonly": false},
        "hostname": "box",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        ],
        "linux": {
            "namespaces": [
                {"type": "mount"}, {"type": "network"}, {"type": "uts"}, {"type": "pid"}, {"type": "ipc"},
            ],
        },
    })
}
