//! Hooks: programs of the host's operator (and, for `startContainer`, of the image) that run at fixed points of a
//! container's life and read its state from standard input.

use crate::error::{Errno, Error};
use oci_spec::runtime::{Hook, Hooks};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, SeekFrom, memfd_create, seek};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::json;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Deprecated by the specification, and what everybody uses: as `CreateRuntime`, before those.
    Prestart,
    /// When the namespaces and mounts are made, in the host's namespaces.
    CreateRuntime,
    /// The same, in the container's namespaces, before its root is entered.
    CreateContainer,
    /// When the container is started, inside, before its program.
    StartContainer,
    /// After that, in the host's namespaces.
    Poststart,
    /// After the container was deleted, in the host's namespaces.
    Poststop,
}

impl Moment {
    fn name(self) -> &'static str {
        match self {
            Self::Prestart => "prestart",
            Self::CreateRuntime => "createRuntime",
            Self::CreateContainer => "createContainer",
            Self::StartContainer => "startContainer",
            Self::Poststart => "poststart",
            Self::Poststop => "poststop",
        }
    }

    /// The container's status, as the hook is told.
    fn status(self) -> &'static str {
        match self {
            Self::Prestart | Self::CreateRuntime | Self::CreateContainer => "creating",
            Self::StartContainer => "created",
            Self::Poststart => "running",
            Self::Poststop => "stopped",
        }
    }

    fn of(self, hooks: &Hooks) -> &[Hook] {
        let list = match self {
            Self::Prestart => hooks.prestart(),
            Self::CreateRuntime => hooks.create_runtime(),
            Self::CreateContainer => hooks.create_container(),
            Self::StartContainer => hooks.start_container(),
            Self::Poststart => hooks.poststart(),
            Self::Poststop => hooks.poststop(),
        };
        list.as_deref().unwrap_or_default()
    }
}

/// Which container hooks are told of.
#[derive(Debug, Clone)]
pub struct HookedContainer {
    /// The `ociVersion` that they are told.
    pub version: String,
    /// Its id.
    pub id: String,
    /// Its bundle.
    pub bundle: PathBuf,
    /// Its annotations.
    pub annotations: HashMap<String, String>,
}

impl HookedContainer {
    fn state(&self, moment: Moment, pid: i32) -> Vec<u8> {
        let mut state = json!({
            "ociVersion": self.version,
            "id": self.id,
            "status": moment.status(),
            "bundle": self.bundle,
            "annotations": self.annotations,
        });
        if moment != Moment::Poststop {
            state["pid"] = pid.into();
        }
        state.to_string().into_bytes()
    }
}

/// Runs the hooks of one moment, in order. `pid` is the container's first process, as the caller numbers it.
///
/// # Errors
/// The first that can't be executed, fails, or takes longer than it may; later ones are not run.
pub fn run(hooks: &Hooks, moment: Moment, container: &HookedContainer, pid: i32) -> Result<(), Error> {
    run_in(hooks, moment, container, pid, &[])
}

/// As [`run`]; a hook that says nothing of its environment has `environment`.
pub(crate) fn run_in(
    hooks: &Hooks,
    moment: Moment,
    container: &HookedContainer,
    pid: i32,
    environment: &[String],
) -> Result<(), Error> {
    for (index, hook) in moment.of(hooks).iter().enumerate() {
        run_one(hook, environment, &container.state(moment, pid)).map_err(|reason| {
            Error::Hook(format!("error running {} hook #{index}: {reason}", moment.name()))
        })?;
    }
    Ok(())
}

/// Whether there are any for a moment.
pub(crate) fn has(hooks: &Hooks, moment: Moment) -> bool {
    !moment.of(hooks).is_empty()
}

/// Refuses what can't be run before anything is made.
pub(crate) fn check(hooks: &Hooks) -> Result<(), Error> {
    use Moment::{CreateContainer, CreateRuntime, Poststart, Poststop, Prestart, StartContainer};
    for moment in [Prestart, CreateRuntime, CreateContainer, StartContainer, Poststart, Poststop] {
        for hook in moment.of(hooks) {
            if !hook.path().is_absolute() {
                let path = hook.path().display().to_string();
                return Err(Error::Spec(format!("{} hook {path:?}: path is not absolute", moment.name())));
            }
            if hook.timeout().is_some_and(|seconds| seconds <= 0) {
                return Err(Error::Spec(format!("{} hook: timeout must be greater than 0", moment.name())));
            }
        }
    }
    Ok(())
}

/// The most that is kept of what a hook prints.
const MAX_OUTPUT: usize = 16 * 1024;

fn run_one(hook: &Hook, environment: &[String], state: &[u8]) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("{}: {}", hook.path().display(), Errno::from(e));
    let mut command = Command::new(hook.path());
    if let Some((name, rest)) = hook.args().as_deref().and_then(<[String]>::split_first) {
        command.arg0(name).args(rest);
    }
    command.env_clear();
    for text in hook.env().as_deref().unwrap_or(environment) {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        command.env(name, value);
    }
    let input = input(state).map_err(|e| failed(e.into()))?;
    command.stdin(File::from(input)).stdout(Stdio::piped()).stderr(Stdio::piped());
    die_with_caller(&mut command);
    let mut child = command.spawn().map_err(failed)?;
    let limit = hook.timeout().and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
    let (status, out, err) =
        attend(&mut child, limit).map_err(|e| format!("{}: {e}", hook.path().display()))?;
    match (status, limit) {
        (Some(status), _) if status.success() => Ok(()),
        (Some(status), _) => Err(format!("{status}, stdout: {out}, stderr: {err}")),
        (None, limit) => Err(format!(
            "hook ran past specified timeout of {:.1}s, stdout: {out}, stderr: {err}",
            limit.unwrap_or_default().as_secs_f64()
        )),
    }
}

/// A hook that hangs must not outlive a caller that was killed for it. What it leaves in the background does.
fn die_with_caller(command: &mut Command) {
    // SAFETY: prctl is async-signal-safe, takes integers and touches no memory.
    let work = || match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    };
    // SAFETY: the closure does nothing but the call above.
    unsafe { command.pre_exec(work) };
}

/// A file rather than a pipe: nobody has to write while the hook reads.
fn input(state: &[u8]) -> rustix::io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("hook", MemfdFlags::CLOEXEC)?);
    file.write_all(state).map_err(|_| rustix::io::Errno::NOMEM)?;
    seek(&file, SeekFrom::Start(0))?;
    Ok(file.into())
}

/// Waits for the hook's end and reads what it prints; no status when it was killed for taking too long.
fn attend(child: &mut Child, limit: Option<Duration>) -> Result<(Option<ExitStatus>, String, String), Errno> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(Errno(libc::ESRCH))?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let deadline = limit.map(|limit| Instant::now() + limit);
    let mut out = Output::new(child.stdout.take().map(OwnedFd::from))?;
    let mut err = Output::new(child.stderr.take().map(OwnedFd::from))?;
    let mut killed = false;
    loop {
        let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
        let mut fds = vec![PollFd::new(&pidfd, PollFlags::IN)];
        fds.extend(
            [&out, &err].into_iter().filter_map(|o| Some(PollFd::new(o.from.as_ref()?, PollFlags::IN))),
        );
        let left = if killed { None } else { left.and_then(|l| Timespec::try_from(l).ok()) };
        let n = match poll(&mut fds, left.as_ref()) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        let ended = !fds[0].revents().is_empty();
        drop(fds);
        out.read();
        err.read();
        if n == 0 {
            // Ended meanwhile: seen next.
            let _ = pidfd_send_signal(&pidfd, Signal::KILL);
            killed = true;
        }
        if ended {
            let status = child.wait().map_err(Errno::from)?;
            out.read();
            err.read();
            return Ok(((!killed).then_some(status), out.text(), err.text()));
        }
    }
}

/// What a hook printed. Its own children may keep the pipe open after its end; nobody waits for them.
struct Output {
    from: Option<File>,
    kept: Vec<u8>,
}

impl Output {
    fn new(from: Option<OwnedFd>) -> Result<Self, Errno> {
        if let Some(fd) = &from {
            rustix::io::ioctl_fionbio(fd.as_fd(), true)?;
        }
        Ok(Self { from: from.map(File::from), kept: Vec::new() })
    }

    /// Reads what is there, and keeps its beginning.
    fn read(&mut self) {
        let Some(file) = &mut self.from else { return };
        let mut bytes = [0; 4096];
        loop {
            match file.read(&mut bytes) {
                Ok(n) if n > 0 => {
                    let room = MAX_OUTPUT.saturating_sub(self.kept.len());
                    self.kept.extend_from_slice(&bytes[..n.min(room)]);
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return,
                // Its end; or nothing more can be had.
                _ => break,
            }
        }
        self.from = None;
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.kept).trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container() -> HookedContainer {
        HookedContainer {
            version: "1.2.1".into(),
            id: "c".into(),
            bundle: "/b".into(),
            annotations: HashMap::from([("k".into(), "v".into())]),
        }
    }

    fn hooks(list: serde_json::Value) -> Hooks {
        serde_json::from_value(json!({"prestart": list})).unwrap()
    }

    fn sh(script: &str) -> serde_json::Value {
        json!({"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["A=1"]})
    }

    fn failure(hook: serde_json::Value) -> String {
        run(&hooks(json!([hook])), Moment::Prestart, &container(), 7).unwrap_err().to_string()
    }

    #[test]
    fn a_hook_reads_the_state_and_has_its_environment_alone() {
        let dir = tempfile::tempdir().unwrap();
        let script = format!("cat > {0}/state; env > {0}/env", dir.path().display());
        run(&hooks(json!([sh(&script)])), Moment::Prestart, &container(), 7).unwrap();
        let state: serde_json::Value =
            serde_json::from_slice(&std::fs::read(dir.path().join("state")).unwrap()).unwrap();
        assert_eq!(
            state,
            json!({"ociVersion": "1.2.1", "id": "c", "status": "creating", "pid": 7, "bundle": "/b",
                "annotations": {"k": "v"}})
        );
        let env = std::fs::read_to_string(dir.path().join("env")).unwrap();
        assert!(env.contains("A=1") && !env.contains("HOME="), "{env}");
    }

    #[test]
    fn the_first_failure_ends_it_and_shows_what_was_printed() {
        let dir = tempfile::tempdir().unwrap();
        let later = format!("touch {}/later", dir.path().display());
        let list = json!([sh("exit 0"), sh("echo out; echo err >&2; exit 3"), sh(&later)]);
        let error = run(&hooks(list), Moment::Prestart, &container(), 7).unwrap_err().to_string();
        assert_eq!(error, "error running prestart hook #1: exit status: 3, stdout: out, stderr: err");
        assert!(!dir.path().join("later").exists());
    }

    #[test]
    fn what_hangs_is_killed_and_what_is_not_there_is_named() {
        let mut hangs = sh("exec sleep 100");
        hangs["timeout"] = 1.into();
        assert!(failure(hangs).contains("hook ran past specified timeout of 1.0s"));
        let error = failure(json!({"path": "/nonexistent/hook"}));
        assert!(error.contains("/nonexistent/hook: no such file or directory"), "{error}");
    }

    #[test]
    fn much_output_does_not_block_and_is_cut() {
        let error = failure(sh("head -c 1000000 /dev/zero | tr '\\0' x; exit 1"));
        assert!(error.len() < 2 * MAX_OUTPUT, "{}", error.len());
    }

    #[test]
    fn a_child_that_keeps_the_pipe_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        // It reads until the fifo's writer is gone, which is below, after the hook's end was seen.
        let error = failure(sh(&format!("cat {} & exit 1", fifo.display())));
        assert!(error.contains("exit status: 1"), "{error}");
        drop(std::fs::OpenOptions::new().write(true).open(&fifo).unwrap());
    }

    #[test]
    fn nonsense_is_refused() {
        for (hook, expected) in [
            (json!({"path": "relative"}), "path is not absolute"),
            (json!({"path": "/x", "timeout": 0}), "timeout must be greater than 0"),
        ] {
            let error = check(&hooks(json!([hook]))).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
