//! `state`.

use super::{Command, Context, id};
use crate::args::Parsed;
use crate::bundle;
use crate::error::Error;
use crate::out;
use crate::records::Entry;
use crate::status::{Container, Status};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

pub(super) const STATE: Command = Command {
    name: "state",
    about: "Print what a container is doing, as JSON",
    operands: "CONTAINER",
    count: 1..=1,
    flags: &[],
    examples: "  brig oci state web",
    failure: 1,
    run,
};

fn run(context: &Context<'_>, own: &Parsed) -> Result<u8, Error> {
    let entry = context.records().find(id(own))?;
    let text = serde_json::to_string_pretty(&describe(&entry)?).unwrap_or_default();
    out::line(&text)?;
    Ok(0)
}

/// The specification's state, with runc's additions, in runc's order.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct State {
    oci_version: &'static str,
    pub(super) id: String,
    pub(super) pid: i32,
    pub(super) status: String,
    pub(super) bundle: PathBuf,
    rootfs: PathBuf,
    pub(super) created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<BTreeMap<String, String>>,
    pub(super) owner: String,
}

/// What a container is doing.
pub(super) fn describe(entry: &Entry) -> Result<State, Error> {
    let container = Container::look(entry)?;
    let record = container.record;
    let pid = if container.status == Status::Stopped { 0 } else { record.pid };
    let annotations = entry.spec()?.annotations().clone();
    Ok(State {
        oci_version: bundle::NEWEST,
        id: record.id,
        pid,
        status: container.status.to_string(),
        bundle: record.bundle,
        rootfs: record.rootfs,
        created: record.created,
        annotations: annotations.map(|all| all.into_iter().collect()),
        owner: owner(record.owner),
    })
}

/// The name of a user, from the host's own list; empty when it is not there, as with runc.
pub(super) fn owner(uid: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    };
    users.lines().find_map(name).unwrap_or_default()
}

#[cfg(test)]
impl State {
    /// One to show.
    pub(super) fn example() -> Self {
        Self {
            oci_version: bundle::NEWEST,
            id: "a-long-container-id".into(),
            pid: 7,
            status: "running".into(),
            bundle: "/b".into(),
            rootfs: "/b/rootfs".into(),
            created: "2026-01-01T00:00:00Z".into(),
            annotations: None,
            owner: "root".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_in_runcs_order() {
        let text = serde_json::to_string(&State::example()).unwrap();
        let at = |key: &str| text.find(&format!("\"{key}\":")).unwrap();
        let keys = ["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "owner"];
        assert!(keys.map(at).is_sorted(), "{text}");
    }
}
