//! `exec`.

use super::make::{self, Stay};
use super::{Command, Context, foreground, id, listener, terminal};
use crate::args::{Flag, Parsed};
use crate::bundle;
use crate::error::Error;
use crate::status::{Container, Status};
use brig_runtime::cgroup::{Cgroup, Inside};
use brig_runtime::{ExecOptions, ExecTarget, seccomp};
use oci_spec::runtime::{Capability, Process, Spec, User};
use std::os::fd::AsFd;
use std::path::Path;

pub(super) const EXEC: Command = Command {
    name: "exec",
    about: "Run a further process in a running container",
    operands: "CONTAINER COMMAND [ARG...]",
    count: 1..=usize::MAX,
    flags: &[
        make::CONSOLE_SOCKET,
        make::PIDFD_SOCKET,
        Flag::value("cwd", "DIR", "its working folder"),
        Flag::value("env", "NAME=VALUE", "add to its environment; may be repeated").or("e"),
        Flag::switch("tty", "give it a terminal").or("t"),
        Flag::value("user", "UID[:GID]", "who it runs as").or("u"),
        Flag::value("additional-gids", "GID", "further group; may be repeated").or("g"),
        Flag::value("process", "FILE", "JSON file with the process, in place of the command").or("p"),
        Flag::switch("detach", "end when the process runs").or("d"),
        make::PID_FILE,
        Flag::value("process-label", "LABEL", "its SELinux label"),
        Flag::value("apparmor", "PROFILE", "its AppArmor profile"),
        Flag::switch("no-new-privs", "programs give it no rights"),
        Flag::value("cap", "CAPABILITY", "give it a capability; may be repeated").or("c"),
        Flag::value(
            "cgroup",
            "[CONTROLLER,...:]PATH",
            "a group inside the container's to run in; may be repeated",
        ),
        Flag::switch("ignore-paused", "join a paused container, too, and run when it is resumed"),
        make::PRESERVE_FDS,
    ],
    examples: "  brig oci exec web ls -l /\n  brig oci exec --tty --user 1000:1000 --cwd /tmp web sh",
    failure: 255,
    run,
};

fn run(context: &Context<'_>, own: &Parsed) -> Result<u8, Error> {
    make::leave_host_binary(context);
    make::run_on_all_processors(context);
    let detach = own.is_set("detach");
    let stay = if detach { Stay::Leaves } else { Stay::Stays };
    let entry = context.records().find(id(own))?;
    let container = Container::look(&entry)?;
    match container.status {
        Status::Running | Status::Created => {}
        Status::Paused if own.is_set("ignore-paused") => {}
        Status::Paused => {
            return Err(Error::State(
                "cannot exec in a paused container: resume it first, or use --ignore-paused".into(),
            ));
        }
        Status::Stopped => return Err(Error::State("cannot exec in a stopped container".into())),
    }
    let Some(pidfd) = &container.pidfd else { return Err(Error::State("container not running".into())) };
    let spec = entry.spec()?;
    let process = process(own, &spec, &mut |warning| context.log.warn(&warning))?;
    let wants_terminal = make::wants_terminal(Some(&process));
    // Unlike `run`, a terminal can go to a socket although the command stays.
    let to_socket = own.text("console-socket").filter(|s| !s.is_empty());
    terminal::check(own, wants_terminal, if to_socket.is_some() { Stay::Leaves } else { stay })?;
    let filter = spec.linux().as_ref().and_then(|l| l.seccomp().as_ref());
    let filter = filter.map(seccomp::compile).transpose().map_err(brig_runtime::Error::from)?;
    let cgroup = cgroup(own, &container)?;
    let departures = make::departures(context, own)?;
    let record = &container.record;
    let state =
        listener::State { id: entry.id(), status: "running", pid: record.pid, bundle: &record.bundle };
    let options = ExecOptions {
        target: ExecTarget { pid: container.record.pid, pidfd: pidfd.as_fd() },
        process: &process,
        stdio: make::stdio(wants_terminal)?,
        console_size: None,
        seccomp: filter.as_ref(),
        cgroup: cgroup.as_ref(),
        departures,
        linux: spec.linux().as_ref(),
    };
    let execed = brig_runtime::exec_with(options, &mut |pid, fd| listener::send(&spec, &state, pid, &fd))?;
    execed.warnings.iter().for_each(|warning| context.log.warn(warning));
    let mut master = execed.terminal;
    if let (Some(socket), Some(master)) = (to_socket, master.take_if(|_| to_socket.is_some())) {
        terminal::send(Path::new(socket), &master, "/dev/ptmx")?;
    }
    if let Some(socket) = own.text("pidfd-socket").filter(|s| !s.is_empty()) {
        terminal::send(Path::new(socket), &execed.pidfd, "pidfd")?;
    }
    make::write_pid_file(own, execed.pid)?;
    if detach {
        return Ok(0);
    }
    if let Some(master) = &master {
        // A program that has ended already writes no more lines.
        let _ = terminal::end_lines_plainly(master.as_fd());
    }
    let signals = brig_runtime::Signals::all()?;
    foreground::attend(&execed.pidfd, master, &signals)
}

/// The container's group, or those inside it that the flags name.
fn cgroup(own: &Parsed, container: &Container) -> Result<Option<Cgroup>, Error> {
    let inside: Vec<Inside> = own
        .all("cgroup")
        .iter()
        .map(|text| Inside::parse(text))
        .collect::<Result<_, _>>()
        .map_err(Error::Usage)?;
    match container.cgroup() {
        Some(cgroup) if !inside.is_empty() => Ok(Some(cgroup.inside(&inside)?)),
        None if !inside.is_empty() => {
            Err(Error::Usage("--cgroup: the container has no cgroup of its own".into()))
        }
        cgroup => Ok(cgroup),
    }
}

/// The process to run: a file's, or the container's own with what the flags change.
fn process(own: &Parsed, spec: &Spec, warn: &mut dyn FnMut(String)) -> Result<Process, Error> {
    if let Some(path) = own.text("process").filter(|p| !p.is_empty()) {
        return bundle::load_process(Path::new(path), warn);
    }
    let args = own.operands.get(1..).unwrap_or_default();
    if args.is_empty() {
        return Err(Error::Usage("exec args cannot be empty".into()));
    }
    let mut process = spec.process().clone().unwrap_or_default();
    process.set_args(Some(args.to_vec()));
    if let Some(cwd) = own.text("cwd").filter(|c| !c.is_empty()) {
        process.set_cwd(cwd.into());
    }
    let mut env = process.env().clone().unwrap_or_default();
    env.extend_from_slice(own.all("env"));
    process.set_env(Some(env));
    process.set_terminal(Some(own.is_set("tty")));
    process.set_console_size(None);
    if own.is_set("no-new-privs") {
        process.set_no_new_privileges(Some(true));
    }
    for (flag, set) in [
        ("apparmor", Process::set_apparmor_profile as fn(&mut Process, Option<String>) -> &mut Process),
        ("process-label", Process::set_selinux_label),
    ] {
        if let Some(value) = own.text(flag).filter(|v| !v.is_empty()) {
            set(&mut process, Some(value.to_owned()));
        }
    }
    add_capabilities(own, &mut process)?;
    let mut user = process.user().clone();
    set_user(own, &mut user)?;
    process.set_user(user);
    Ok(process)
}

/// Inheritable ones stay as they are: programs of other users would gain them (CVE-2022-24769). Those that are
/// inheritable already become ambient, too, as with runc.
fn add_capabilities(own: &Parsed, process: &mut Process) -> Result<(), Error> {
    let mut given = Vec::new();
    for name in own.all("cap") {
        let name = name.to_ascii_uppercase();
        let name = name.strip_prefix("CAP_").unwrap_or(&name);
        let capability = serde_json::from_value::<Capability>(format!("CAP_{name}").into());
        given.push(capability.map_err(|_| Error::Usage(format!("unknown capability \"CAP_{name}\"")))?);
    }
    if given.is_empty() {
        return Ok(());
    }
    let mut sets = process.capabilities().clone().unwrap_or_default();
    let more = |set: &Option<std::collections::HashSet<Capability>>| {
        Some(set.iter().flatten().chain(&given).copied().collect())
    };
    let (bounding, effective, permitted) =
        (more(sets.bounding()), more(sets.effective()), more(sets.permitted()));
    let inheritable = sets.inheritable().clone().unwrap_or_default();
    let ambient = sets.ambient().iter().flatten().chain(given.iter().filter(|c| inheritable.contains(*c)));
    let ambient = Some(ambient.copied().collect());
    sets.set_bounding(bounding).set_effective(effective).set_permitted(permitted).set_ambient(ambient);
    process.set_capabilities(Some(sets));
    Ok(())
}

fn set_user(own: &Parsed, user: &mut User) -> Result<(), Error> {
    let number = |what: &str, text: &str| {
        text.parse::<u32>().map_err(|_| Error::Usage(format!("parsing {text} as {what}: invalid syntax")))
    };
    if let Some(text) = own.text("user").filter(|u| !u.is_empty()) {
        let (uid, gid) = text.split_once(':').map_or((text, None), |(uid, gid)| (uid, Some(gid)));
        user.set_uid(number("int for uid", uid)?);
        if let Some(gid) = gid {
            user.set_gid(number("int for gid", gid)?);
        }
    }
    let mut groups = user.additional_gids().clone().unwrap_or_default();
    for text in own.all("additional-gids") {
        groups.push(number("int for additional gid", text)?);
    }
    user.set_additional_gids(Some(groups));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::parse;

    fn given(line: &str) -> Parsed {
        parse(EXEC.flags, &line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).unwrap()
    }

    fn spec() -> Spec {
        serde_json::from_str(
            r#"{"ociVersion":"1.2.0","process":{"terminal":true,"cwd":"/","args":["sh"],"env":["A=1"],
                "user":{"uid":0,"gid":0},"capabilities":{"bounding":["CAP_KILL"],"inheritable":[]}}}"#,
        )
        .unwrap()
    }

    #[test]
    fn flags_change_the_containers_own_process() {
        let line = "--cwd /tmp -e B=2 -u 5:6 -g 7 -g 8 --cap net_admin --no-new-privs id ls -l";
        let process = process(&given(line), &spec(), &mut |_| ()).unwrap();
        assert_eq!(process.args().as_ref().unwrap(), &["ls", "-l"]);
        assert_eq!(process.env().as_ref().unwrap(), &["A=1", "B=2"]);
        assert_eq!(process.cwd(), Path::new("/tmp"));
        assert_eq!((process.user().uid(), process.user().gid()), (5, 6));
        assert_eq!(process.user().additional_gids().as_ref().unwrap(), &[7, 8]);
        assert_eq!(process.terminal(), Some(false), "only when asked for");
        assert_eq!(process.no_new_privileges(), Some(true));
        let sets = process.capabilities().clone().unwrap();
        assert!(sets.effective().as_ref().unwrap().contains(&Capability::NetAdmin));
        assert_eq!(sets.bounding().as_ref().unwrap().len(), 2);
        assert!(sets.inheritable().as_ref().unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, expected) in [
            ("id", "exec args cannot be empty"),
            ("-u x id ls", "parsing x as int for uid"),
            ("-u 1:x id ls", "parsing x as int for gid"),
            ("--cap what id ls", "unknown capability \"CAP_WHAT\""),
            ("--process /nonexistent id", "/nonexistent"),
        ] {
            let error = process(&given(line), &spec(), &mut |_| ()).unwrap_err().to_string();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
