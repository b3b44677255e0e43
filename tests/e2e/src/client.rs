//! The two command lines that every behaviour is tried with.

use crate::Host;
use std::{
    io::Write,
    process::{Command, Stdio},
};

/// A command line that speaks to the daemon's socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// brig's own.
    Brig,
    /// Docker's, from the machine's PATH.
    Docker,
}

/// What a finished command left.
#[derive(Debug, Clone)]
pub struct Output {
    /// Exit code; 128+n when a signal ended it.
    pub code: i32,
    /// Standard output, lossily as text.
    pub stdout: String,
    /// Standard error, lossily as text.
    pub stderr: String,
}

impl Output {
    /// Standard output without white space at its ends; the test fails unless the exit code is 0.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.stdout.trim().to_owned()
    }

    /// The test fails unless it ended with `code` and `text` is in its standard error.
    #[track_caller]
    pub fn fails(self, code: i32, text: &str) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        assert!(self.stderr.contains(text), "expected {text:?} in: {}", self.stderr);
        self
    }
}

impl Client {
    /// brig, and docker where it is installed.
    pub fn available() -> Vec<Self> {
        let docker = std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join("docker").is_file()));
        if docker { vec![Self::Brig, Self::Docker] } else { vec![Self::Brig] }
    }

    /// The program's name, as it stands in its messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Brig => "brig",
            Self::Docker => "docker",
        }
    }

    /// A command against `host`, not started yet. Its configuration folder is the host's own and empty.
    pub fn command(self, host: &Host, args: &[&str]) -> Command {
        let mut command = match self {
            Self::Brig => Command::new(host.binary()),
            Self::Docker => Command::new("docker"),
        };
        command
            .args(args)
            .env("DOCKER_HOST", host.endpoint())
            .env("DOCKER_CONFIG", host.path("client-config"))
            .env_remove("BRIG_HOST")
            .env_remove("BRIG_FAILPOINTS")
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn run(self, host: &Host, args: &[&str]) -> Output {
        finish(&mut self.command(host, args))
    }

    /// Runs a command to its end with `input` as its standard input.
    pub fn run_with(self, host: &Host, args: &[&str], input: &[u8]) -> Output {
        let mut command = self.command(host, args);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let mut stdin = child.stdin.take().expect("piped");
        let input = input.to_owned();
        // The child may end without reading it all, so a broken pipe is no failure.
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let out = child.wait_with_output().expect("wait");
        drop(writer.join().expect("the writer does not panic"));
        Output::from(out)
    }
}

/// Runs a command to its end.
pub fn finish(command: &mut Command) -> Output {
    let out = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    Output::from(out)
}

impl From<std::process::Output> for Output {
    fn from(out: std::process::Output) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        Self {
            code: out.status.code().unwrap_or_else(|| 128 + out.status.signal().unwrap_or_default()),
            stdout: text(&out.stdout),
            stderr: text(&out.stderr),
        }
    }
}
