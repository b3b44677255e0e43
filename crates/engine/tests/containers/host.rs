//! A machine with an engine and an image.

use brig_api::{ContainerConfig, ContainerCreateRequest, ContainerInspectResponse, HostConfig};
use brig_core::StatePaths;
use brig_engine::{
    Backends, Engine, EngineConfig, Error,
    options::{CreateOptions, ImportOptions, ListOptions, LogOptions, RemoveOptions, Running, WaitCondition},
};
use brig_net::{Net, NetConfig};
use brig_store::{Store, StoreOptions};
use std::{path::Path, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    runtime::Runtime,
    task::JoinHandle,
};

/// The name of the image.
pub const IMAGE: &str = "busybox:latest";
/// No test waits longer for one thing.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// An engine on a data root of its own. When a test fails, its containers are removed all the same.
pub struct Host {
    dir: Option<TempDir>,
    runtime: Option<Runtime>,
    pub engine: Arc<Engine>,
}

impl Drop for Host {
    fn drop(&mut self) {
        let (Some(dir), Some(runtime)) = (self.dir.take(), self.runtime.take()) else { return };
        let engine = self.engine.clone();
        runtime.block_on(async {
            let list = ListOptions { all: true, ..ListOptions::default() };
            for container in engine.container_list(list).await.unwrap_or_default() {
                let options = RemoveOptions { force: true, volumes: true, link: false };
                let _ = engine.container_remove(&container.id, options).await;
            }
            engine.shutdown(Running::Stop).await;
        });
        runtime.shutdown_timeout(PATIENCE);
        remove_cgroup_parents(dir.path());
    }
}

/// Brings the loopback interface of a fresh namespace up.
pub fn loopback_up() {
    let status = std::process::Command::new("busybox").args(["ip", "link", "set", "lo", "up"]).status();
    assert!(status.expect("busybox: `cargo xtask test` installs Debian's busybox-static").success());
}

/// The paths of a test's data root.
pub fn paths(dir: &Path) -> StatePaths {
    StatePaths::new(dir.join("data"), dir.join("run"))
}

/// Where this test's cgroups are.
pub fn cgroup_parent(dir: &Path) -> String {
    format!("/brig-engine-{}", dir.file_name().unwrap().to_string_lossy().trim_start_matches('.'))
}

/// Opens an engine; a runtime is started after the zygote, which must be forked off a single thread.
pub fn open(dir: &Path) -> (Runtime, Arc<Engine>) {
    let paths = paths(dir);
    std::fs::create_dir_all(paths.exec_root()).unwrap();
    let zygote = brig_shim::zygote::spawn().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build().unwrap();
    let store = Store::open(&paths, StoreOptions::default()).unwrap();
    let net = Net::open(NetConfig::new(&paths)).unwrap();
    let mut config = EngineConfig::new(paths);
    config.cgroup_parent = cgroup_parent(dir);
    let engine = runtime.block_on(Engine::open(config, Backends { store, net, zygote })).unwrap();
    (runtime, engine)
}

impl Host {
    pub fn new() -> Self {
        let host = Self::at(tempfile::tempdir().unwrap());
        host.import();
        host
    }

    pub fn at(dir: TempDir) -> Self {
        let (runtime, engine) = open(dir.path());
        Self { dir: Some(dir), runtime: Some(runtime), engine }
    }

    /// Around an engine whose data root is somebody else's.
    pub fn of(runtime: Runtime, engine: Arc<Engine>) -> Self {
        Self { dir: None, runtime: Some(runtime), engine }
    }

    /// Removes what is left of a data root's containers.
    pub fn sweep(dir: &Path) {
        let (runtime, engine) = open(dir);
        let copy = tempfile::tempdir().unwrap();
        drop(Self { dir: Some(copy), runtime: Some(runtime), engine });
    }

    /// The data root's parent.
    pub fn dir(&self) -> &Path {
        self.dir.as_ref().unwrap().path()
    }

    /// What runs its tasks.
    pub fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().unwrap()
    }

    /// Ends the daemon and keeps what it had on disk.
    pub fn leave(mut self, running: Running) -> TempDir {
        self.block(self.engine.shutdown(running));
        self.runtime.take().unwrap().shutdown_timeout(PATIENCE);
        self.dir.take().unwrap()
    }

    pub fn block<F: Future>(&self, future: F) -> F::Output {
        self.runtime()
            .block_on(async { tokio::time::timeout(PATIENCE, future).await.expect("took too long") })
    }

    pub fn import(&self) {
        let body = futures_util::stream::iter([Ok(bytes::Bytes::from(busybox()))]);
        let options = ImportOptions { repository: Some(IMAGE.to_owned()), ..ImportOptions::default() };
        self.block(async {
            let mut lines = self.engine.image_import(options, Box::pin(body)).await.unwrap();
            let line = lines.next().await.unwrap();
            assert!(line.status.starts_with("sha256:"), "{line:?}");
        });
    }

    /// Makes a container.
    pub fn create(
        &self,
        args: &[&str],
        change: impl FnOnce(&mut ContainerConfig, &mut HostConfig),
    ) -> String {
        self.try_create(None, args, change).unwrap()
    }

    pub fn try_create(
        &self,
        name: Option<&str>,
        args: &[&str],
        change: impl FnOnce(&mut ContainerConfig, &mut HostConfig),
    ) -> Result<String, Error> {
        let mut config = ContainerConfig {
            image: IMAGE.to_owned(),
            cmd: Some(args.iter().map(|s| (*s).to_owned()).collect()),
            ..ContainerConfig::default()
        };
        let mut host = HostConfig { network_mode: "none".to_owned(), ..HostConfig::default() };
        change(&mut config, &mut host);
        let request = ContainerCreateRequest { config, host_config: Some(host), networking_config: None };
        let options = CreateOptions { name: name.map(str::to_owned), platform: None, request };
        Ok(self.block(self.engine.container_create(options))?.id)
    }

    pub fn start(&self, id: &str) {
        self.block(self.engine.container_start(id)).unwrap();
    }

    pub fn inspect(&self, id: &str) -> ContainerInspectResponse {
        self.block(self.engine.container_inspect(id, false)).unwrap()
    }

    pub fn exists(&self, id: &str) -> bool {
        self.block(self.engine.container_inspect(id, false)).is_ok()
    }

    pub fn wait(&self, id: &str, condition: WaitCondition) -> i64 {
        self.block(async { self.engine.container_wait(id, condition).await.unwrap().wait().await })
            .status_code
    }

    pub fn remove(&self, id: &str) {
        let options = RemoveOptions { force: true, volumes: true, link: false };
        self.block(self.engine.container_remove(id, options)).unwrap();
    }

    /// A container's log without frames, stdout and stderr as they came.
    pub fn logs(&self, id: &str) -> String {
        let options = LogOptions { stdout: true, stderr: true, ..LogOptions::default() };
        self.logs_with(id, options)
    }

    pub fn logs_with(&self, id: &str, options: LogOptions) -> String {
        self.block(async {
            let mut log = self.engine.container_logs(id, options).await.unwrap();
            let mut bytes = Vec::new();
            while let Some(chunk) = log.bytes.next().await {
                bytes.extend_from_slice(&chunk.unwrap());
            }
            if log.tty { String::from_utf8(bytes).unwrap() } else { unframe(&bytes) }
        })
    }

    /// Reads a container's log until it contains a text.
    pub fn follow_until(&self, id: &str, text: &str) {
        let options = LogOptions { stdout: true, stderr: true, follow: true, ..LogOptions::default() };
        self.block(async {
            let mut log = self.engine.container_logs(id, options).await.unwrap();
            let mut seen = Vec::new();
            while !String::from_utf8_lossy(&seen).contains(text) {
                seen.extend_from_slice(&log.bytes.next().await.expect("the log ended").unwrap());
            }
        });
    }

    /// Runs a container to its end: exit code and output.
    pub fn run(
        &self,
        args: &[&str],
        change: impl FnOnce(&mut ContainerConfig, &mut HostConfig),
    ) -> (i64, String) {
        let id = self.create(args, change);
        self.start(&id);
        let code = self.wait(&id, WaitCondition::NotRunning);
        let output = self.logs(&id);
        self.remove(&id);
        (code, output)
    }

    /// Removes everything and checks that nothing is left.
    pub fn end(self) {
        let list = ListOptions { all: true, ..ListOptions::default() };
        for container in self.block(self.engine.container_list(list)).unwrap() {
            self.remove(&container.id);
        }
        let dir = self.leave(Running::Stop);
        let checked = std::panic::catch_unwind(|| leftovers(dir.path()));
        remove_cgroup_parents(dir.path());
        if let Err(panic) = checked {
            std::panic::resume_unwind(panic);
        }
    }
}

/// What a test must not leave.
pub fn leftovers(dir: &Path) {
    let names = |path: &Path| -> Vec<String> {
        let entries =
            std::fs::read_dir(path).map(|d| d.map(|e| e.unwrap().file_name().into_string().unwrap()));
        entries.map(Iterator::collect).unwrap_or_default()
    };
    let paths = paths(dir);
    assert_eq!(names(&paths.shims()), Vec::<String>::new(), "shims");
    assert_eq!(names(&paths.containers()), Vec::<String>::new(), "containers");
    assert_eq!(names(&paths.volumes()), Vec::<String>::new(), "volumes");
    let parent = cgroup_parent(dir);
    for controller in names(Path::new("/sys/fs/cgroup")) {
        let group = Path::new("/sys/fs/cgroup").join(&controller).join(parent.trim_start_matches('/'));
        let inside: Vec<String> =
            names(&group).into_iter().filter(|name| group.join(name).is_dir()).collect();
        assert_eq!(inside, Vec::<String>::new(), "cgroups of {controller}");
    }
    // The kernel takes a dead namespace's interfaces away when it gets round to it.
    let begin = std::time::Instant::now();
    let links = || std::fs::read_to_string("/proc/net/dev").unwrap();
    while links().contains("veth") {
        assert!(begin.elapsed() < PATIENCE, "{}", links());
        std::thread::yield_now();
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&*dir.to_string_lossy()), "{mounts}");
}

/// The cgroup under which containers' cgroups were; empty by now.
fn remove_cgroup_parents(dir: &Path) {
    let parent = cgroup_parent(dir);
    for controller in std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
        let _ = std::fs::remove_dir(controller.path().join(parent.trim_start_matches('/')));
    }
}

/// Frames to text.
pub fn unframe(bytes: &[u8]) -> String {
    let mut decoder = brig_api::stream::Decoder::new();
    let mut input = bytes;
    let mut out = Vec::new();
    while let Some((_, payload)) = decoder.next(&mut input).unwrap() {
        out.extend_from_slice(payload);
    }
    assert!(decoder.at_boundary(), "{bytes:?}");
    String::from_utf8(out).unwrap()
}

/// A client's end of a connection that a session serves.
pub struct Client {
    pub io: DuplexStream,
    pub served: JoinHandle<Result<(), Error>>,
}

impl Client {
    pub fn attach(host: &Host, session: brig_engine::AttachSession) -> Self {
        let (io, theirs) = tokio::io::duplex(1 << 16);
        Self { io, served: host.runtime().spawn(session.serve(theirs)) }
    }

    pub fn exec(host: &Host, session: brig_engine::ExecSession) -> Self {
        let (io, theirs) = tokio::io::duplex(1 << 16);
        Self { io, served: host.runtime().spawn(session.serve(theirs)) }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.unwrap();
    }

    /// Ends the input.
    pub async fn end_input(&mut self) {
        self.io.shutdown().await.unwrap();
    }

    /// Everything up to the end of the output.
    pub async fn rest(mut self) -> (Vec<u8>, Result<(), Error>) {
        let mut bytes = Vec::new();
        self.io.read_to_end(&mut bytes).await.unwrap();
        (bytes, self.served.await.unwrap())
    }

    /// Output until it contains `text`.
    pub async fn until(&mut self, text: &str) -> String {
        let mut bytes = Vec::new();
        loop {
            let mut buffer = [0u8; 4096];
            let read = self.io.read(&mut buffer).await.unwrap();
            assert!(read > 0, "ended before {text:?}: {:?}", String::from_utf8_lossy(&bytes));
            bytes.extend_from_slice(&buffer[..read]);
            let seen = String::from_utf8_lossy(&bytes);
            if seen.contains(text) {
                return seen.into_owned();
            }
        }
    }
}

/// A root file system with busybox, its applets, users, and a folder to make a volume of.
fn busybox() -> Vec<u8> {
    let program = ["/usr/bin/busybox", "/bin/busybox"].iter().find_map(|p| std::fs::read(p).ok());
    let program = program.expect("busybox: `cargo xtask test` installs Debian's busybox-static");
    let list = std::process::Command::new("busybox").arg("--list").output().unwrap();
    let mut tar = tar::Builder::new(Vec::new());
    let mut entry = |path: &str, kind: tar::EntryType, mode: u32, data: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(data.len() as u64);
        if kind == tar::EntryType::Symlink {
            header.set_size(0);
            header.set_link_name("busybox").unwrap();
        }
        header.set_path(path).unwrap();
        header.set_cksum();
        tar.append(&header, if kind == tar::EntryType::Symlink { &[][..] } else { data }).unwrap();
    };
    for (name, mode) in [("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777), ("root", 0o700), ("data", 0o755)] {
        entry(name, tar::EntryType::Directory, mode, b"");
    }
    entry("bin/busybox", tar::EntryType::Regular, 0o755, &program);
    for applet in String::from_utf8(list.stdout).unwrap().split_whitespace().filter(|a| *a != "busybox") {
        entry(&format!("bin/{applet}"), tar::EntryType::Symlink, 0o777, b"");
    }
    entry("bin/text", tar::EntryType::Regular, 0o644, b"no program\n");
    entry("data/file", tar::EntryType::Regular, 0o640, b"from the image\n");
    let passwd = b"root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1001::/home/alice:/bin/sh\n";
    entry("etc/passwd", tar::EntryType::Regular, 0o644, passwd);
    entry("etc/group", tar::EntryType::Regular, 0o644, b"root:x:0:\nalice:x:1001:\nstaff:x:50:alice\n");
    tar.into_inner().unwrap()
}
