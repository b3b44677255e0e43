//! One step of a task: a command with a name, timed, whose failure ends the task.

use std::{
    process::{Command, Stdio},
    time::Instant,
};

/// Runs a command with its output shown.
///
/// # Errors
/// When it can't be started or does not exit with 0.
pub fn run(name: &str, command: &mut Command) -> Result<(), String> {
    eprintln!("── {name}");
    let begun = Instant::now();
    let status = command.status().map_err(|e| format!("{name}: {command:?}: {e}"))?;
    if !status.success() {
        return Err(format!("{name}: {status}"));
    }
    eprintln!("   {name}: {:.1} s", begun.elapsed().as_secs_f64());
    Ok(())
}

/// Runs a command and gives back what it printed.
///
/// # Errors
/// When it can't be started or does not exit with 0; its standard error is in the message.
pub fn output(command: &mut Command) -> Result<String, String> {
    let out = command.stdin(Stdio::null()).output().map_err(|e| format!("{command:?}: {e}"))?;
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    if !out.status.success() {
        return Err(format!("{command:?}: {}\n{}{}", out.status, text(&out.stdout), text(&out.stderr)));
    }
    Ok(text(&out.stdout))
}

/// A cargo command in the workspace.
pub fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    command
}

/// The workspace's folder.
pub fn root() -> &'static std::path::Path {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}
