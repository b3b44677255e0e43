//! What a shim leaves in its folder.

use crate::protocol::{EXIT_NAME, ExitRecord, PROTOCOL_VERSION, SOCKET_NAME, STATE_NAME, ShimState, Status};
use brig_core::{
    Id,
    atomic::{self, Durability},
    process,
};
use oci_spec::runtime::Spec;
use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read},
    os::{
        fd::AsRawFd,
        unix::{
            fs::DirBuilderExt,
            net::{UnixListener, UnixStream},
        },
    },
    path::PathBuf,
};

/// What a shim died of that should never happen.
const PANIC_NAME: &str = "panic.txt";

/// Has a panic leave its words in the folder and end the shim: there is no standard error to print them to.
pub(super) fn keep_panics(dir: PathBuf) {
    std::panic::set_hook(Box::new(move |panic| {
        // The folder is the only place there is to say anything.
        let _ = fs::write(dir.join(PANIC_NAME), format!("{panic}\n"));
        std::process::abort();
    }));
}

/// The shim's folder, and what of its state does not change.
#[derive(Debug)]
pub(super) struct Records {
    pub(super) id: Id,
    dir: PathBuf,
    boot_id: String,
    shim_pid: i32,
    shim_start_time: u64,
}

impl Records {
    /// Makes the folder, or takes what an earlier shim left out of it.
    pub(super) fn open(id: Id, dir: PathBuf) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let folder = File::open(&dir)?;
        if UnixStream::connect(format!("/proc/self/fd/{}/{SOCKET_NAME}", folder.as_raw_fd())).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another shim serves this container"));
        }
        for name in [SOCKET_NAME, STATE_NAME, EXIT_NAME, PANIC_NAME] {
            match fs::remove_file(dir.join(name)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        let boot_id = read_small("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
        let shim_pid = std::process::id().cast_signed();
        Ok(Self { id, dir, boot_id, shim_pid, shim_start_time: process::stat(shim_pid)?.start_time })
    }

    /// Listens on the socket, which only its owner may use. The path may be too long for an address, hence the
    /// folder by its descriptor.
    pub(super) fn listen(&self) -> io::Result<UnixListener> {
        let folder = File::open(&self.dir)?;
        let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
        let listener = UnixListener::bind(format!("/proc/self/fd/{}/{SOCKET_NAME}", folder.as_raw_fd()));
        rustix::process::umask(before);
        let listener = listener?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    /// Nobody finds the shim any more.
    pub(super) fn remove_socket(&self) {
        // A socket that stays is refused to connect to, as the shim's end would make it anyway.
        let _ = fs::remove_file(self.dir.join(SOCKET_NAME));
    }

    /// Takes everything away, the folder too.
    pub(super) fn remove(&self) {
        for name in [SOCKET_NAME, STATE_NAME, EXIT_NAME] {
            // What stays is swept with the folder by the daemon.
            let _ = fs::remove_file(self.dir.join(name));
        }
        let _ = fs::remove_dir(&self.dir);
    }

    /// The state of a container that was just made.
    pub(super) fn state(&self, pid: i32, cgroup: Option<String>) -> io::Result<ShimState> {
        Ok(ShimState {
            protocol: PROTOCOL_VERSION,
            id: self.id,
            boot_id: self.boot_id.clone(),
            shim_pid: self.shim_pid,
            shim_start_time: self.shim_start_time,
            pid,
            start_time: process::stat(pid)?.start_time,
            cgroup,
            status: Status::Created,
            started_at: None,
            execs: Vec::new(),
        })
    }

    /// The container's configuration, where hooks look for it.
    pub(super) fn write_spec(&self, spec: &Spec) -> io::Result<()> {
        atomic::write(&self.dir.join("config.json"), &serde_json::to_vec(spec)?, 0o600, Durability::Process)
    }

    pub(super) fn write_state(&self, state: &ShimState) -> io::Result<()> {
        brig_core::failpoint::hit("shim.state")?;
        atomic::write(&self.dir.join(STATE_NAME), &serde_json::to_vec(state)?, 0o600, Durability::Process)
    }

    pub(super) fn write_exit(&self, exit: &ExitRecord) -> io::Result<()> {
        brig_core::failpoint::hit("shim.exit")?;
        atomic::write(&self.dir.join(EXIT_NAME), &serde_json::to_vec(exit)?, 0o600, Durability::Process)
    }
}

/// The text of a file of procfs that is a line: such files have no size to read by, and are whole at the first read.
fn read_small(path: &str) -> io::Result<String> {
    let mut buffer = [0u8; 1024];
    let n = File::open(path)?.read(&mut buffer)?;
    String::from_utf8(buffer[..n].to_vec()).map_err(io::Error::other)
}
