//! `ps`.

use super::{Command, Context, id};
use crate::args::{Flag, Parsed};
use crate::error::Error;
use crate::out;
use crate::status::Container;
use std::process::Stdio;

pub(super) const PS: Command = Command {
    name: "ps",
    about: "List the processes of a container",
    operands: "CONTAINER [PS OPTIONS]",
    count: 1..=usize::MAX,
    flags: &[Flag::value("format", "FORMAT", "table or json (default table)").or("f")],
    examples: "  brig oci ps web\n  brig oci ps web -o pid,args",
    failure: 1,
    run,
};

fn run(context: &Context<'_>, own: &Parsed) -> Result<u8, Error> {
    let entry = context.records().find(id(own))?;
    let container = Container::look(&entry)?;
    let pids = match container.cgroup() {
        Some(cgroup) => cgroup.pids()?,
        None => container.pidfd.is_some().then_some(container.record.pid).into_iter().collect(),
    };
    match own.text("format").unwrap_or("table") {
        "json" => out::line(&serde_json::json!(pids).to_string())?,
        "table" => out::line(&table(&pids, own.operands.get(1..).unwrap_or_default())?)?,
        _ => return Err(Error::Usage("invalid format option".into())),
    }
    Ok(0)
}

/// The host's `ps` knows its users' options; the lines of other processes are left out, as runc does it.
fn table(pids: &[i32], options: &[String]) -> Result<String, Error> {
    let default = ["-ef".to_owned()];
    let options = if options.is_empty() { &default } else { options };
    let out = std::process::Command::new("ps")
        .args(options)
        .stderr(Stdio::inherit())
        .output()
        .map_err(Error::file("run (install Debian's procps)", "ps"))?;
    if !out.status.success() {
        return Err(Error::State(format!("ps {}: {}", options.join(" "), out.status)));
    }
    select(&String::from_utf8_lossy(&out.stdout), pids)
}

fn select(text: &str, pids: &[i32]) -> Result<String, Error> {
    let head = text.lines().next().unwrap_or_default();
    let column = head
        .split_whitespace()
        .position(|title| title == "PID")
        .ok_or_else(|| Error::Usage("couldn't find PID field in ps output".into()))?;
    let ours = |line: &&str| {
        line.split_whitespace()
            .nth(column)
            .and_then(|pid| pid.parse().ok())
            .is_some_and(|pid| pids.contains(&pid))
    };
    let lines = std::iter::once(head).chain(text.lines().skip(1).filter(ours));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::select;

    #[test]
    fn lines_of_others_are_left_out() {
        let text = "UID PID CMD\nroot 1 init\nroot 17 sleep 1\n1 171 x\n";
        assert_eq!(select(text, &[17]).unwrap(), "UID PID CMD\nroot 17 sleep 1");
        assert!(select("CMD\nx\n", &[1]).is_err());
    }
}
