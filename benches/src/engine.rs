//! An engine under measurement: a command line, and for brig a daemon of its own.

use std::{
    io::Write,
    os::unix::net::UnixDatagram,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// The image that every engine gets.
pub const IMAGE: &str = "localhost/bench/busybox:latest";
/// The container that `exec` goes into.
pub const SLEEPER: &str = "bench-sleeper";

/// A command line that takes Docker's arguments.
#[derive(Debug, Clone)]
pub struct Engine {
    /// How its rows are headed.
    pub name: String,
    program: PathBuf,
    host: Option<String>,
}

impl Engine {
    /// `NAME` or `NAME=COMMAND`.
    pub fn peer(text: &str) -> Self {
        let (name, program) = text.split_once('=').unwrap_or((text, text));
        Self { name: name.to_owned(), program: program.into(), host: None }
    }

    /// The file of the binary under measurement; none for a peer, which may be several programs.
    pub fn private_binary(&self) -> Option<std::fs::Metadata> {
        self.host.as_ref().and_then(|_| std::fs::metadata(&self.program).ok())
    }

    /// Runs it to its end and gives back what it printed.
    pub fn run(&self, args: &[&str]) -> Result<String, String> {
        self.run_with(args, &[])
    }

    fn run_with(&self, args: &[&str], input: &[u8]) -> Result<String, String> {
        let say = |e: std::io::Error| format!("{} {}: {e}", self.name, args.join(" "));
        let mut command = Command::new(&self.program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(host) = &self.host {
            command.env("DOCKER_HOST", host).env_remove("BRIG_HOST");
        }
        let mut child = command.spawn().map_err(say)?;
        let mut stdin = child.stdin.take().ok_or("no stdin")?;
        stdin.write_all(input).map_err(say)?;
        drop(stdin);
        let out = child.wait_with_output().map_err(say)?;
        if out.status.success() {
            return Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned());
        }
        Err(format!(
            "{} {}: {}\n{}",
            self.name,
            args.join(" "),
            out.status,
            String::from_utf8_lossy(&out.stderr)
        ))
    }

    /// Imports the image and starts the container that `exec` goes into.
    pub fn prepare(&self) -> Result<(), String> {
        let rootfs = busybox_tar()?;
        self.run_with(&["import", "-", IMAGE], &rootfs)?;
        // From a run that was cut off.
        let _ = self.run(&["rm", "-f", SLEEPER]);
        self.run(&["run", "-d", "--name", SLEEPER, IMAGE, "sleep", "100000"]).map(drop)
    }

    /// Removes what [`Self::prepare`] made.
    pub fn clean_up(&self) -> Result<(), String> {
        self.run(&["rm", "-f", SLEEPER]).map(drop)
    }
}

fn busybox_tar() -> Result<Vec<u8>, String> {
    let program = ["/usr/bin/busybox", "/bin/busybox"]
        .iter()
        .find_map(|p| std::fs::read(p).ok())
        .ok_or("no busybox: install busybox-static")?;
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |path: &str, kind: tar::EntryType, mode: u32, data: &[u8], link: Option<&str>| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(data.len() as u64);
        match link {
            Some(link) => tar.append_link(&mut header, path, link),
            None => tar.append_data(&mut header, path, data),
        }
        .map_err(|e| format!("{path}: {e}"))
    };
    for dir in ["bin", "etc", "tmp", "root"] {
        add(dir, tar::EntryType::Directory, 0o755, b"", None)?;
    }
    add("bin/busybox", tar::EntryType::Regular, 0o755, &program, None)?;
    for applet in ["sh", "sleep", "true", "echo", "cat"] {
        add(&format!("bin/{applet}"), tar::EntryType::Symlink, 0o777, b"", Some("busybox"))?;
    }
    add("etc/passwd", tar::EntryType::Regular, 0o644, b"root:x:0:0:root:/root:/bin/sh\n", None)?;
    tar.into_inner().map_err(|e| e.to_string())
}

/// brig with a daemon that lives as long as this value.
#[derive(Debug)]
pub struct Private {
    dir: PathBuf,
    binary: PathBuf,
    daemon: Child,
}

impl Private {
    /// Starts the daemon of the release binary that lies beside this program.
    pub fn start() -> Result<Self, String> {
        let say = |e: std::io::Error| format!("the daemon: {e}");
        let own = std::env::current_exe().map_err(say)?;
        let binary = own.with_file_name("brig");
        if !binary.is_file() {
            return Err(format!("{} is missing: run `cargo build --release -p brig`", binary.display()));
        }
        let dir = std::env::temp_dir().join(format!("brig-bench-{}", std::process::id()));
        std::fs::create_dir(&dir).map_err(say)?;
        let notify = dir.join("notify.sock");
        let ready = UnixDatagram::bind(&notify).map_err(say)?;
        ready.set_read_timeout(Some(Duration::from_secs(30))).map_err(say)?;
        let log = std::fs::File::create(dir.join("daemon.log")).map_err(say)?;
        let daemon = Command::new(&binary)
            .arg("daemon")
            .args(["--data-root".as_ref(), dir.join("data").as_os_str()])
            .args(["--exec-root".as_ref(), dir.join("run").as_os_str()])
            .args(["--pidfile".as_ref(), dir.join("brig.pid").as_os_str()])
            .args(["--host", &format!("unix://{}", dir.join("brig.sock").display())])
            .args([
                "--bridge",
                "brigbench0",
                "--bip",
                "10.214.77.1/24",
                "--ephemeral",
                "--cgroup-parent",
                "/brig-bench",
            ])
            .env("NOTIFY_SOCKET", &notify)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(say)?)
            .stderr(log)
            .spawn()
            .map_err(say)?;
        let private = Self { dir, binary, daemon };
        let mut message = [0; 4096];
        ready.recv(&mut message).map_err(|e| {
            format!(
                "the daemon did not become ready: {e}\n{}",
                std::fs::read_to_string(private.dir.join("daemon.log")).unwrap_or_default()
            )
        })?;
        Ok(private)
    }

    /// brig's command line, pointed at this daemon.
    pub fn engine(&self) -> Engine {
        Engine {
            name: "brig".to_owned(),
            program: self.binary.clone(),
            host: Some(format!("unix://{}", self.dir.join("brig.sock").display())),
        }
    }

    /// The size of the release binary.
    pub fn binary_bytes(&self) -> Result<u64, String> {
        std::fs::metadata(&self.binary).map(|m| m.len()).map_err(|e| e.to_string())
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // At the end of a measurement nothing can be done about a failure but to leave the folder for a look.
        let stopped = Command::new("kill").arg(self.daemon.id().to_string()).status();
        if stopped.is_ok_and(|s| s.success()) && self.daemon.wait().is_ok() {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}
