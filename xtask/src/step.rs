//! One step of a task: a command with a name, timed, whose failure ends the task.

use serde_json::Value;
use std::{
    path::PathBuf,
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

/// Builds brig's release binary and answers where it lies, which is for cargo to say.
///
/// # Errors
/// When it does not build.
pub fn release_binary() -> Result<PathBuf, String> {
    build(&["build", "--release", "--locked", "--package", "brig"], "brig")
}

/// Builds something by cargo's arguments and answers where the executable `name` lies.
///
/// # Errors
/// When it does not build.
pub fn build(arguments: &[&str], name: &str) -> Result<PathBuf, String> {
    eprintln!("── build {name}");
    let begun = Instant::now();
    let mut command = cargo(arguments);
    let out = command
        .arg("--message-format=json-render-diagnostics")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("build: {command:?}: {e}"))?;
    if !out.status.success() {
        return Err(format!("build: {}", out.status));
    }
    eprintln!("   build: {:.1} s", begun.elapsed().as_secs_f64());
    executable(&String::from_utf8_lossy(&out.stdout), name)
        .ok_or_else(|| "build: cargo did not say where the binary is".into())
}

/// The path of a binary in cargo's messages, one a line.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|m| m["reason"] == "compiler-artifact" && m["target"]["name"] == name)
        .find_map(|m| m["executable"].as_str().map(PathBuf::from))
}

/// The workspace's folder.
pub fn root() -> &'static std::path::Path {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_says_where_a_binary_is() {
        let messages = concat!(
            "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"brig\"},\"executable\":null}\n",
            "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"other\"},\"executable\":\"/t/other\"}\n",
            "not JSON\n",
            "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"brig\"},\"executable\":\"/t/brig\"}\n",
        );
        assert_eq!(executable(messages, "brig"), Some(PathBuf::from("/t/brig")));
        assert_eq!(executable(messages, "missing"), None);
    }
}
