//! Giving a user namespace its ids: by writing the maps, where there is a right to, else by `newuidmap` and
//! `newgidmap`, which know what the machine's administrator lets a user have (`/etc/subuid`, `/etc/subgid`).

use crate::error::{Errno, Error};
use crate::plan::idmap::{IdKind, IdMap, IdMaps};
use std::io::ErrorKind;
use std::process::{Command, Stdio};

/// Gives the user namespace of process `pid` its ids.
pub(crate) fn write(pid: i32, maps: &IdMaps) -> Result<(), Error> {
    let root = rustix::process::geteuid().is_root();
    if root || maps.users.is_only(rustix::process::geteuid().as_raw()) {
        write_map(pid, IdKind::User, &maps.users)?;
    } else {
        call_helper(pid, IdKind::User, &maps.users)?;
    }
    if root {
        write_map(pid, IdKind::Group, &maps.groups)
    } else if maps.groups.is_only(rustix::process::getegid().as_raw()) {
        // Or somebody could leave a group that is denied something (CVE-2014-8989): the kernel insists.
        let path = format!("/proc/{pid}/setgroups");
        std::fs::write(&path, "deny").map_err(|e| Error::path("write", path, e))?;
        write_map(pid, IdKind::Group, &maps.groups)
    } else {
        call_helper(pid, IdKind::Group, &maps.groups)
    }
}

/// Fails unless the user namespace of process `pid`, which it has joined, has these ids.
pub(crate) fn check(pid: i32, maps: &IdMaps) -> Result<(), Error> {
    for kind in [IdKind::User, IdKind::Group] {
        let path = path(pid, kind);
        let found = std::fs::read_to_string(&path).map_err(|e| Error::path("read", &path, e))?;
        if !maps.of(kind).agrees_with(&found) {
            return Err(Error::Spec(format!(
                "both a user namespace to join and other {kind} mappings than it has are given: it has {:?}; leave \
                 linux.{kind}Mappings out",
                found.split_whitespace().collect::<Vec<_>>().join(" "),
                kind = kind.name()
            )));
        }
    }
    Ok(())
}

fn path(pid: i32, kind: IdKind) -> String {
    format!("/proc/{pid}/{}_map", kind.name())
}

fn write_map(pid: i32, kind: IdKind, map: &IdMap) -> Result<(), Error> {
    // In one call: the kernel takes a map once.
    std::fs::write(path(pid, kind), map.text()).map_err(|e| {
        let errno = Errno::from(e);
        let why = match errno.0 {
            libc::EPERM => ": only ids that this process has itself can be mapped",
            _ => "",
        };
        Error::Namespace(format!("map {}s {}: {errno}{why}", kind.name(), shown(map)))
    })
}

fn shown(map: &IdMap) -> String {
    map.text().trim_end().replace('\n', ", ")
}

fn call_helper(pid: i32, kind: IdKind, map: &IdMap) -> Result<(), Error> {
    let name = format!("new{}map", kind.name());
    let mut command = Command::new(&name);
    command.arg(pid.to_string()).stdin(Stdio::null());
    for range in map.ranges() {
        command.args([range.inside, range.outside, range.size].map(|n| n.to_string()));
    }
    let output = command.output().map_err(|e| match e.kind() {
        ErrorKind::NotFound => Error::Namespace(format!(
            "map {kind}s {}: {name} was not found in PATH: it comes with the package uidmap (Debian) or shadow-utils \
             (Fedora); without it a user can map only the own {kind}, once",
            shown(map),
            kind = kind.name()
        )),
        _ => Error::path("execute", &name, e),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::Namespace(format!(
        "map {kind}s {}: {name}: {}: see whether /etc/sub{kind} gives them to this user",
        shown(map),
        match said.trim().trim_start_matches(&format!("{name}: ")) {
            "" => output.status.to_string(),
            said => said.to_owned(),
        },
        kind = kind.name()
    )))
}
