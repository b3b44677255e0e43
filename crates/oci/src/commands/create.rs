//! `create`.

use super::make::{self, Stay};
use super::{Command, Context};
use crate::args::Parsed;
use crate::error::Error;

pub(super) const CREATE: Command = Command {
    name: "create",
    about: "Make a container that waits for `start`",
    operands: "CONTAINER",
    count: 1..=1,
    flags: &[
        make::BUNDLE,
        make::CONSOLE_SOCKET,
        make::PIDFD_SOCKET,
        make::PID_FILE,
        make::NO_PIVOT,
        make::NO_NEW_KEYRING,
        make::PRESERVE_FDS,
    ],
    examples: "  brig oci create --bundle /bundles/web --pid-file /run/web.pid web",
    failure: 1,
    run,
};

fn run(context: &Context<'_>, own: &Parsed) -> Result<u8, Error> {
    let made = make::make(context, own, Stay::Leaves)?;
    let pid = made.created.pid();
    let record = made.record.clone();
    let parked = match made.created.park(&made.entry.start_socket()) {
        Ok(parked) => parked,
        Err(error) => {
            made.entry.remove()?;
            return Err(error.into());
        }
    };
    if let Err(error) = make::write_pid_file(own, pid) {
        // A container that its supervisor can't find is no use.
        rustix::process::pidfd_send_signal(&parked.pidfd, rustix::process::Signal::KILL)
            .map_err(Error::system("kill the container"))?;
        super::delete::ended_within(&parked.pidfd, std::time::Duration::from_secs(10))?;
        if let Some(cgroup) = crate::status::cgroup(&record) {
            cgroup.remove()?;
        }
        made.entry.remove()?;
        return Err(error);
    }
    drop(made.lock);
    Ok(0)
}
