//! The process that goes ahead into user and time namespaces, so that a container's process is born in them.
//!
//! A new user namespace has to be there before the namespaces that it owns, and its ids have to be mapped by somebody
//! outside; those of the host that are joined must be joined before, while there are rights over them. A time
//! namespace is entered by being born in it. The maker itself could not come back from either. So it forks a
//! gateway, which goes through all of them in the right order, clones the container's first process as a child of
//! the maker (`CLONE_PARENT`), and ends. It is in no pid namespace of a container at any time: nobody there can
//! look at it (CVE-2016-9962).

use crate::channel::{self, Channel, Order, Report};
use crate::child::run;
use crate::clone::{self, Child, Side, set_dumpable, set_namespace, unshare};
use crate::create::write_oom_score_adj;
use crate::error::{Errno, Error};
use crate::id_maps;
use crate::plan::Plan;
use crate::plan::namespaces::{Namespaces, flag};
use crate::plan::process::ProcessPlan;
use crate::process;
use oci_spec::runtime::LinuxNamespaceType::{self, Mount, Time, User};
use rustix::fs::{Mode, OFlags, openat};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Clones the container's first process by way of a gateway; `cgroup` as in [`clone::clone`].
pub(crate) fn clone(plan: &Plan, cgroup: Option<BorrowedFd<'_>>) -> Result<Side, Error> {
    through(
        plan.namespaces.ids.is_some(),
        |maker| Create { plan, cgroup, maker }.go(),
        |gateway, maker| {
            let Some(maps) = &plan.namespaces.ids else { return Ok(()) };
            match plan.namespaces.is_new(User) {
                true => id_maps::write(gateway.pid(), maps)?,
                false => id_maps::check(gateway.pid(), maps)?,
            }
            maker.order(Order::Mapped, None);
            Ok(())
        },
    )
}

/// Clones a process that is born in namespaces of a running container, its user namespace among them.
pub(crate) fn clone_into(
    target: BorrowedFd<'_>,
    namespaces: i32,
    process: &ProcessPlan,
    cgroup: Option<BorrowedFd<'_>>,
) -> Result<Side, Error> {
    through(
        false,
        |_| {
            before_users(process);
            // All at once: those that belong to the host are joined with its rights, the others with the new ones.
            set_namespace(target, namespaces)
                .map_err(|e| Error::step("join the container's namespaces", e))?;
            clone::clone_sibling(0, cgroup)
        },
        |_, _| Ok(()),
    )
}

/// Forks a gateway that does `go`, and answers what it cloned. `map` is called when it asks for its ids.
fn through(
    maps: bool,
    go: impl FnOnce(&Channel) -> Result<Side, Error>,
    map: impl Fn(&Child, &Channel) -> Result<(), Error>,
) -> Result<Side, Error> {
    let (ours, theirs) = channel::pair()?;
    let gateway = match clone::clone(0, None)? {
        Side::Child => {
            drop(ours);
            return gateway_side(&theirs, go);
        }
        Side::Parent(gateway) => gateway,
    };
    drop(theirs);
    let gone = "the making of its namespaces";
    loop {
        match ours.await_report()? {
            Some((Report::Apart, _)) if maps => map(&gateway, &ours)?,
            Some((Report::Born(pid), Some(pidfd))) => {
                // It ends by itself; dropping it reaps it.
                return Ok(Side::Parent(Child::adopt(pid, pidfd)));
            }
            Some((Report::Failed(error), _)) => return Err(error),
            Some(_) => return Err(Error::step("read a report of the gateway", Errno(libc::EBADMSG))),
            None => return Err(Error::Died { step: gone.into(), how: gateway.reap() }),
        }
    }
}

/// The gateway; only the process that it clones returns from here.
fn gateway_side(maker: &Channel, go: impl FnOnce(&Channel) -> Result<Side, Error>) -> Result<Side, Error> {
    let mut born = false;
    let work = || match go(maker) {
        Ok(Side::Child) => {
            born = true;
            None
        }
        Ok(Side::Parent(child)) => {
            let pid = child.pid();
            let told = maker.report(&Report::Born(pid), Some(child.pidfd()));
            if told.is_ok() {
                // It is the maker's from here on; otherwise it is killed by being dropped.
                drop(child.release());
            }
            told.err()
        }
        Err(error) => Some(error),
    };
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
        Ok(None) if born => Ok(Side::Child),
        Ok(None) => process::exit(0),
        Ok(Some(error)) => run(maker, || error),
        Err(_) => run(maker, || Error::step("panic", Errno(libc::EFAULT))),
    }
}

/// The way into the namespaces of a new container.
struct Create<'a> {
    plan: &'a Plan,
    cgroup: Option<BorrowedFd<'a>>,
    maker: &'a Channel,
}

impl Create<'_> {
    fn go(&self) -> Result<Side, Error> {
        let namespaces = &self.plan.namespaces;
        let myself = own_folder()?;
        if namespaces.is_own(User) {
            before_users(&self.plan.process);
        }
        let mut later: Vec<LinuxNamespaceType> = Vec::new();
        for (kind, fd) in in_order(namespaces) {
            match set_namespace(fd.as_fd(), flag(kind)) {
                Ok(()) => {}
                // Perhaps it belongs to the user namespace that comes next.
                Err(Errno(libc::EPERM)) if namespaces.is_own(User) => later.push(kind),
                Err(e) => return Err(Error::step(format!("join the {kind} namespace"), e)),
            }
        }
        self.change_users(namespaces)?;
        if namespaces.is_new(Time) {
            self.shift_clocks(&myself)?;
        }
        drop(myself);
        set_dumpable(false);
        for (kind, fd) in in_order(namespaces).filter(|(kind, _)| later.contains(kind)) {
            set_namespace(fd.as_fd(), flag(kind))
                .map_err(|e| Error::step(format!("join the {kind} namespace"), e))?;
        }
        clone::clone_sibling(namespaces.clone_flags(), self.cgroup)
    }

    fn change_users(&self, namespaces: &Namespaces) -> Result<(), Error> {
        if let Some(fd) = namespaces.joined(User) {
            set_namespace(fd.as_fd(), libc::CLONE_NEWUSER)
                .map_err(|e| Error::step("join the user namespace", e))?;
        } else if namespaces.is_new(User) {
            // Without rights over the machine, who maps ids needs to get at our files below /proc, and so do we to
            // shift clocks. Nobody else is in this namespace; in one that is joined somebody may be, who has rights
            // over us there.
            set_dumpable(!rustix::process::geteuid().is_root());
            unshare(libc::CLONE_NEWUSER).map_err(|e| match e {
                Errno(libc::EPERM) => Error::Namespace(format!(
                    "make a user namespace: {e}: this machine doesn't let its users make any (see the sysctls \
                     kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns)"
                )),
                Errno(libc::ENOSPC | libc::EUSERS) => Error::Namespace(format!(
                    "make a user namespace: {e}: too many, or nested too deeply (see the sysctl \
                     user.max_user_namespaces)"
                )),
                e => Error::step("make a user namespace", e),
            })?;
        }
        if namespaces.ids.is_none() {
            return Ok(());
        }
        self.maker.report(&Report::Apart, None)?;
        match self.maker.await_order()? {
            Some((Order::Mapped, _)) => Ok(()),
            // The maker is gone, or knows why not.
            _ => process::exit(1),
        }
    }

    fn shift_clocks(&self, myself: &OwnedFd) -> Result<(), Error> {
        unshare(libc::CLONE_NEWTIME).map_err(|e| Error::step("make a time namespace", e))?;
        let offsets = &self.plan.namespaces.time_offsets;
        if offsets.is_empty() {
            return Ok(());
        }
        let failed = |e: rustix::io::Errno| {
            let step = match e {
                rustix::io::Errno::RANGE => {
                    "set the time namespace's offsets (a clock would be below 0 or beyond \
                                             146 years)"
                }
                _ => "set the time namespace's offsets",
            };
            Error::step(format!("{step}: {}", offsets.trim_end().replace('\n', ", ")), e)
        };
        let file = openat(myself, "timens_offsets", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(failed)?;
        rustix::io::write(&file, offsets.as_bytes()).map_err(failed)?;
        Ok(())
    }
}

/// What takes rights that are lost in a user namespace. The gateway is nobody's but its user's yet, who may not write
/// the score of what is closed to them.
fn before_users(process: &ProcessPlan) {
    process::raise_hard_limits(&process.rlimits);
    if let Some(adj) = process.oom_score_adj {
        set_dumpable(true);
        // The maker tries again, and says what is in force then.
        let _ = write_oom_score_adj("self", adj);
        set_dumpable(false);
    }
}

/// Our folder below `/proc`, which is not to be found any more from a joined mount namespace.
fn own_folder() -> Result<OwnedFd, Error> {
    const MYSELF: &str = "/proc/self";
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(MYSELF, flags, Mode::empty()).map_err(|e| Error::path("open", MYSELF, e))
}

/// What is joined besides the user namespace; the mount namespace last, which changes what paths mean.
fn in_order(namespaces: &Namespaces) -> impl Iterator<Item = (LinuxNamespaceType, &OwnedFd)> {
    let all = move |last: bool| {
        let kinds = namespaces.joined.iter().map(|(kind, fd)| (*kind, fd));
        kinds.filter(move |(kind, _)| *kind != User && (*kind == Mount) == last)
    };
    all(false).chain(all(true))
}
