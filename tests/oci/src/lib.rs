//! A contract suite for OCI runtimes: each test makes bundles in a folder of its own and calls the runtime under test
//! as containerd, Docker and Podman do.
//!
//! The runtime is `brig oci`, built beside the tests, or the program that `OCI_RUNTIME` names
//! (`OCI_RUNTIME=runc cargo test -p brig-oci-contract`). Where a runtime knowingly differs, the test says so.
//!
//! With `OCI_CGROUP_DRIVER=systemd`, on a machine whose init that is, it is called with `--systemd-cgroup`.

mod agent;
mod console;
mod waiting;

pub use agent::{Agent, Notified};
pub use console::Console;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A runtime with a state folder and a cgroup of its own. Checks at its end that nothing is left.
pub struct Runtime {
    dir: tempfile::TempDir,
    name: String,
    /// Who calls the runtime, when that is not the tests' own user.
    user: Option<u32>,
}

impl Default for Runtime {
    fn default() -> Self {
        Self::new()
    }
}

/// The program that is built beside the tests; none where `OCI_RUNTIME` names another.
fn own_program() -> Option<PathBuf> {
    if std::env::var_os("OCI_RUNTIME").is_some() {
        return None;
    }
    let tests = std::env::current_exe().expect("own path");
    let path = tests.ancestors().nth(2).expect("target/<profile>/deps/<test>").join("brig");
    assert!(path.is_file(), "{} is missing: run `cargo build` first", path.display());
    Some(path)
}

/// What a finished command said.
#[derive(Debug)]
pub struct Said {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// Standard output of a command that succeeded.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self.out
    }

    /// Standard error of a command that failed.
    #[track_caller]
    pub fn failed(self) -> String {
        assert_ne!(self.code, Some(0), "it succeeded: {}", self.out);
        self.err
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

impl Runtime {
    /// A fresh one.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("oci-contract-").tempdir().expect("a temporary folder");
        let name = dir.path().file_name().expect("a name").to_string_lossy().into_owned();
        Self { dir, name, user: None }
    }

    /// A fresh one that is called by a user (and their group of the same number) without any rights.
    pub fn of_user(user: u32) -> Self {
        let mut runtime = Self::new();
        runtime.user = Some(user);
        runtime.give(runtime.dir.path());
        if let Some(program) = own_program() {
            // The user may not be let into the folder that it was built in, `/root` say.
            let reachable = runtime.path("brig");
            if std::fs::hard_link(&program, &reachable).is_err() {
                std::fs::copy(&program, &reachable).expect("a copy of the runtime");
            }
        }
        runtime
    }

    /// Gives a file to who calls the runtime.
    pub fn give(&self, path: &Path) {
        if let Some(user) = self.user {
            std::os::unix::fs::lchown(path, Some(user), Some(user)).expect("a change of owner");
        }
    }

    /// Whether it is brig's own runtime, which promises more than others do.
    pub fn is_brig(&self) -> bool {
        std::env::var_os("OCI_RUNTIME").is_none()
    }

    /// Whether a test says nothing about the runtime under test, as that is another which knowingly differs: `why`
    /// brig is right.
    pub fn leaves_out(&self, why: &str) -> bool {
        if !self.is_brig() {
            eprintln!("left out: {why}");
        }
        !self.is_brig()
    }

    /// Whether its containers' cgroups are made by systemd: `OCI_CGROUP_DRIVER=systemd`. Those of users are not, who
    /// have no systemd of their own in the machines that tests run in.
    pub fn has_systemd(&self) -> bool {
        self.user.is_none() && std::env::var("OCI_CGROUP_DRIVER").is_ok_and(|driver| driver == "systemd")
    }

    /// The scope of its container whose `cgroupsPath` is the bundle's own.
    pub fn scope(&self) -> String {
        format!("{}-c.scope", self.name)
    }

    /// A path in the test's own folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A console socket in the test's own folder.
    pub fn console(&self, name: &str) -> Console {
        Console::new(self.path(name))
    }

    /// The runtime with its state folder, for further arguments.
    pub fn command(&self) -> Command {
        let mut command = self.command_without_root();
        if self.has_systemd() {
            command.arg("--systemd-cgroup");
        }
        command.arg("--root").arg(self.path("state"));
        command
    }

    /// The runtime, which keeps its state where it does by itself.
    pub fn command_without_root(&self) -> Command {
        let mut command = match own_program() {
            None => Command::new(std::env::var_os("OCI_RUNTIME").expect("another's program")),
            Some(path) => {
                let mut command = Command::new(if self.user.is_some() { self.path("brig") } else { path });
                command.arg("oci");
                command
            }
        };
        if let Some(user) = self.user {
            // Other groups are given up with that.
            command.uid(user).gid(user).env("XDG_RUNTIME_DIR", self.dir.path());
        }
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command of the runtime to its end.
    pub fn call<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Said {
        // To files: a container that stays would hold a pipe open.
        let (out, err) = (self.path("out"), self.path("err"));
        let open = |path: &Path| std::fs::File::create(path).expect("a file for output");
        let mut command = self.command();
        command.args(args).stdout(open(&out)).stderr(open(&err));
        let code = command.status().expect("the runtime to run").code();
        let read = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).expect("output")).into_owned();
        Said { code, out: read(&out), err: read(&err) }
    }

    /// Starts a command of the runtime and goes on; output comes by pipes.
    pub fn spawn<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Child {
        let mut command = self.command();
        command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the runtime to run")
    }

    /// A bundle whose program is a shell script, in a root with busybox. `change` changes its `config.json`.
    pub fn bundle(&self, script: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
        let bundle = tempfile::Builder::new().prefix("bundle-").tempdir_in(self.dir.path());
        let bundle = bundle.expect("a folder for the bundle").keep();
        let root = bundle.join("rootfs");
        for folder in ["bin", "etc", "tmp", "proc", "dev", "sys"] {
            std::fs::create_dir_all(root.join(folder)).expect("folders of the root");
        }
        std::fs::copy("/bin/busybox", root.join("bin/busybox")).expect("Debian's busybox-static");
        for tool in ["sh", "cat", "echo", "env", "id", "ls", "sleep", "true", "tty", "pwd", "kill"] {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(tool)).expect("a link");
        }
        let mut config = json!({
            "ociVersion": "1.0.2",
            "process": {
                "terminal": false,
                "user": {"uid": 0, "gid": 0},
                "args": ["sh", "-c", script],
                "env": ["PATH=/bin"],
                "cwd": "/",
            },
            "root": {"path": "rootfs"},
            "hostname": "contract",
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755", "size=65536k"]},
                {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
                    "options": ["newinstance", "ptmxmode=0666", "mode=0620"]},
            ],
            "linux": {
                "cgroupsPath": match self.has_systemd() {
                    true => format!("system.slice:{}:c", self.name),
                    false => format!("/{}/c", self.name),
                },
                "namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"},
                    {"type": "network"}],
            },
        });
        change(&mut config);
        std::fs::write(bundle.join("config.json"), config.to_string()).expect("config.json");
        for path in [bundle.clone(), root.clone()] {
            self.give(&path);
            for entry in std::fs::read_dir(path).expect("a folder").flatten() {
                self.give(&entry.path());
            }
        }
        bundle
    }

    /// Creates and starts a container; its program stays.
    #[track_caller]
    pub fn start(&self, id: &str, bundle: &Path) {
        self.call(["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), id.as_ref()]).ok();
        self.call(["start", id]).ok();
    }

    /// Creates and starts a container whose standard output goes to a file; answers how to read that.
    #[track_caller]
    pub fn start_with_output(&self, id: &str, bundle: &Path) -> impl Fn() -> String + use<> {
        let path = self.path(&format!("output of {id}"));
        let file = std::fs::File::create(&path).expect("a file for output");
        let mut command = self.command();
        command.args(["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), id.as_ref()]);
        let err = self.path("err");
        let errors = std::fs::File::create(&err).expect("a file for output");
        let made = command.stdout(file).stderr(errors).status().expect("the runtime to run").success();
        assert!(made, "{}", std::fs::read_to_string(err).expect("output"));
        self.call(["start", id]).ok();
        move || std::fs::read_to_string(&path).expect("output")
    }

    /// The state that the runtime tells.
    #[track_caller]
    pub fn state(&self, id: &str) -> Value {
        serde_json::from_str(&self.call(["state", id]).ok()).expect("JSON")
    }

    /// Waits until the container has a status.
    #[track_caller]
    pub fn await_status(&self, id: &str, status: &str) {
        eventually(|| self.state(id)["status"] == status);
    }

    /// The groups of its container whose `cgroupsPath` is the bundle's own, one a hierarchy that has any.
    pub fn groups(&self) -> Vec<PathBuf> {
        match self.has_systemd() {
            true => vec![Path::new("/sys/fs/cgroup/system.slice").join(self.scope())],
            false => self.cgroups().into_iter().map(|group| group.join("c")).collect(),
        }
    }

    /// The parents of its containers' groups, one a hierarchy that has any.
    pub fn cgroups(&self) -> Vec<PathBuf> {
        let roots = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|e| e.path());
        let roots = roots.chain(["/sys/fs/cgroup".into()]);
        roots.map(|root| root.join(&self.name)).filter(|path| path.is_dir()).collect()
    }
}

/// Waits for a condition that another process brings about and that nothing announces.
#[track_caller]
pub fn eventually(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "it did not come about within 20 s");
        std::thread::yield_now();
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let mut left = Vec::new();
        for entry in std::fs::read_dir(self.path("state")).into_iter().flatten().flatten() {
            left.push(format!("state of {}", entry.file_name().to_string_lossy()));
            self.call(["delete".as_ref(), "--force".as_ref(), entry.file_name().as_os_str()]);
        }
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        left.extend(mounts.lines().filter(|l| l.contains(&self.name)).map(|l| format!("mount {l}")));
        let slice = std::fs::read_dir("/sys/fs/cgroup/system.slice").into_iter().flatten().flatten();
        let scopes = slice.map(|entry| entry.file_name().to_string_lossy().into_owned());
        left.extend(scopes.filter(|scope| scope.starts_with(&self.name)));
        for cgroup in self.cgroups() {
            // The parent is the test's own; the container's group must be gone.
            if cgroup.join("c").exists() {
                left.push(format!("cgroup {}", cgroup.join("c").display()));
                let _ = std::fs::remove_dir(cgroup.join("c"));
            }
            let _ = std::fs::remove_dir(cgroup);
        }
        if !std::thread::panicking() {
            assert!(left.is_empty(), "left behind: {left:#?}");
        }
    }
}
