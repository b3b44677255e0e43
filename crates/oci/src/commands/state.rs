//! `state`.

use super::{Command, Context, id};
use crate::args::Parsed;
use crate::bundle;
use crate::error::Error;
use crate::out;
use crate::records::Entry;
use crate::status::{Container, Status};
use serde_json::{Value, json};

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

/// The specification's state, with runc's additions.
pub(super) fn describe(entry: &Entry) -> Result<Value, Error> {
    let container = Container::look(entry)?;
    let record = &container.record;
    let pid = if container.status == Status::Stopped { 0 } else { record.pid };
    let mut state = json!({
        "ociVersion": bundle::NEWEST,
        "id": record.id,
        "pid": pid,
        "status": container.status.to_string(),
        "bundle": record.bundle,
        "rootfs": record.rootfs,
        "created": record.created,
        "owner": owner(record.owner),
    });
    if let Some(annotations) = entry.spec()?.annotations() {
        state["annotations"] = json!(annotations);
    }
    Ok(state)
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
