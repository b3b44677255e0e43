//! `pause` and `resume`.

use super::{Command, Context, id};
use crate::args::Parsed;
use crate::error::Error;
use crate::status::{Container, Status};
use brig_runtime::cgroup::Cgroup;

pub(super) const PAUSE: Command = Command {
    name: "pause",
    about: "Freeze all processes of a container",
    operands: "CONTAINER",
    count: 1..=1,
    flags: &[],
    examples: "  brig oci pause web",
    failure: 1,
    run: |context, own| {
        let container = look(context, own)?;
        match container.status {
            Status::Running | Status::Created => {}
            status => return Err(Error::State(format!("container not running: it is {status}"))),
        }
        group(&container)?.freeze()?;
        Ok(0)
    },
};

pub(super) const RESUME: Command = Command {
    name: "resume",
    about: "Let a paused container go on",
    operands: "CONTAINER",
    count: 1..=1,
    flags: &[],
    examples: "  brig oci resume web",
    failure: 1,
    run: |context, own| {
        let container = look(context, own)?;
        if container.status != Status::Paused {
            return Err(Error::State(format!("container not paused: it is {}", container.status)));
        }
        group(&container)?.thaw()?;
        Ok(0)
    },
};

fn look(context: &Context<'_>, own: &Parsed) -> Result<Container, Error> {
    let entry = context.records().find(id(own))?;
    Container::look(&entry)
}

fn group(container: &Container) -> Result<Cgroup, Error> {
    container.cgroup().ok_or_else(|| {
        Error::State("the container has no cgroup of its own: set linux.cgroupsPath in config.json".into())
    })
}
