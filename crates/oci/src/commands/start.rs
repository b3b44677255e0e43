//! `start`.

use super::{Command, Context, id, make};
use crate::args::Parsed;
use crate::error::Error;
use crate::status::{Container, Status};
use brig_runtime::hooks::Moment;

pub(super) const START: Command = Command {
    name: "start",
    about: "Run the program of a created container",
    operands: "CONTAINER",
    count: 1..=1,
    flags: &[],
    examples: "  brig oci create web && brig oci start web",
    failure: 1,
    run,
};

fn run(context: &Context<'_>, own: &Parsed) -> Result<u8, Error> {
    let entry = context.records().find(id(own))?;
    let _lock = entry.lock()?;
    let container = Container::look(&entry)?;
    match container.status {
        Status::Created => {}
        Status::Stopped => return Err(Error::State("cannot start a container that has stopped".into())),
        Status::Running | Status::Paused => {
            return Err(Error::State("cannot start an already running container".into()));
        }
    }
    context.log.debug("the container's first process is told to go on");
    let spec = entry.spec()?;
    let socket = entry.start_socket();
    brig_runtime::start(&socket)?;
    // It waits no longer.
    std::fs::remove_file(&socket).map_err(Error::file("remove", socket))?;
    let record = &container.record;
    make::run_late_hooks(context, Moment::Poststart, &entry, &record.bundle, &spec, record.pid);
    Ok(0)
}
