//! `start`.

use super::{Command, Context, id, listener, make};
use crate::args::Parsed;
use crate::error::Error;
use crate::status::{Container, Status};
use brig_runtime::ExecTarget;
use std::os::fd::AsFd;

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
    if spec.process().is_none() {
        return Err(Error::State("cannot start a container whose config.json has no process".into()));
    }
    let socket = entry.start_socket();
    let Some(pidfd) = &container.pidfd else {
        return Err(Error::State("cannot start a container that has stopped".into()));
    };
    let record = &container.record;
    let state =
        listener::State { id: entry.id(), status: "created", pid: record.pid, bundle: &record.bundle };
    let process = ExecTarget { pid: record.pid, pidfd: pidfd.as_fd() };
    brig_runtime::start(&socket, process, &mut |pid, fd| listener::send(&spec, &state, pid, &fd))?;
    // It waits no longer.
    std::fs::remove_file(&socket).map_err(Error::file("remove", socket))?;
    make::run_poststart_hooks(&entry, &record.bundle, &spec, record.pid, pidfd)?;
    Ok(0)
}
