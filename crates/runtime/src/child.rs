//! The child's side of [`crate::create`]: from a fresh clone to a process that waits to execute the program.

use crate::cgroup::Hierarchies;
use crate::channel::{Channel, LastWords, Order, Report};
use crate::clone::{set_namespace, unshare};
use crate::descriptors;
use crate::error::{Errno, Error};
use crate::hooks::{self, HookedContainer, Moment};
use crate::inroot::{Links, Node, Root};
use crate::mountfd::{self, Change, Depth, attr};
use crate::options::{InitProcess, Stdio};
use crate::parked;
use crate::plan::Plan;
use crate::plan::namespaces::flag;
use crate::process::{self, Executable};
use crate::procfs::ProcHandle;
use crate::rootfs::{self, CgroupView, Site};
use crate::terminal::Terminal;
use brig_core::RootFs;
use oci_spec::runtime::LinuxNamespaceType;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// All that the child works from; a copy of the parent's memory.
pub(crate) struct Child<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) rootfs: &'a RootFs,
    pub(crate) stdio: &'a Stdio,
    pub(crate) init: InitProcess,
    /// The machine's hierarchies, and the container's cgroup below each, when it gets one of its own.
    pub(crate) cgroup: Option<(&'a Hierarchies, &'a Path)>,
    pub(crate) channel: &'a Channel,
    pub(crate) words: &'a LastWords,
    pub(crate) hooks: Option<&'a HookedContainer>,
}

/// Runs a child's work, reports if it fails, and ends the process.
pub(crate) fn run(channel: &Channel, work: impl FnOnce() -> Error) -> ! {
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    let error = caught.unwrap_or_else(|_| Error::step("panic", Errno(libc::EFAULT)));
    // When this fails, the parent is gone or sees from our exit that we are.
    let _ = channel.report(&Report::Failed(error), None);
    process_exit()
}

fn process_exit() -> ! {
    // SAFETY: does not return and runs nothing that belongs to the parent.
    unsafe { libc::_exit(1) }
}

impl Child<'_> {
    /// Becomes the container. Returns only on failure.
    pub(crate) fn become_container(&self) -> Error {
        match self.prepare() {
            Err(error) => error,
            Ok(executable) => {
                if self.plan.process.departures.mortal_before_start {
                    // Before it is known to be there.
                    process::end_by_signals();
                }
                if let Err(error) = self.channel.report(&Report::Ready(executable.path().to_owned()), None) {
                    return error;
                }
                match self.channel.await_order() {
                    Ok(Some((Order::Start, _))) => self.execute(&executable, self.words, self.channel),
                    Ok(Some((Order::Park, Some(socket)))) => {
                        parked::wait(socket, executable.path(), &|words, channel| {
                            self.execute(&executable, words, channel)
                        })
                    }
                    Ok(_) => process_exit(),
                    Err(error) => error,
                }
            }
        }
    }

    /// Executes the program, after what has to run right before it. Returns only on failure.
    fn execute(&self, executable: &Executable<'_>, words: &LastWords, channel: &Channel) -> Error {
        match self.run_hooks(Moment::StartContainer) {
            Err(error) => error,
            Ok(()) => executable.execute(self.init, words, channel),
        }
    }

    fn run_hooks(&self, moment: Moment) -> Result<(), Error> {
        let (Some(container), Some(hooks)) = (self.hooks, &self.plan.hooks) else { return Ok(()) };
        // Those that run in the container have its program's environment, if they don't say another.
        let environment = match moment {
            Moment::StartContainer => self.plan.process.env.as_slice(),
            _ => &[],
        };
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        hooks::run_in(hooks, moment, container, pid, environment)
    }

    fn prepare(&self) -> Result<Executable<'_>, Error> {
        process::reset_signals();
        self.close_foreign()?;
        // Modes of what is made are exactly those of the plan.
        // SAFETY: takes an integer and can't fail.
        unsafe { libc::umask(0) };
        self.join_namespaces()?;
        rustix::process::setsid().map_err(|e| Error::step("make a session", e))?;
        process::new_session_keyring(self.plan.process.departures)?;
        self.name_host()?;
        if self.plan.namespaces.is_new(LinuxNamespaceType::Network) {
            loopback_up()?;
        }
        let begun = rootfs::begin(self.plan, self.rootfs)?;
        if let Some(owners) = self.plan.owners() {
            process::become_owner(owners)?;
        }
        let mut site = ChildSite { child: self, view: None, networked: false };
        let built = rootfs::build(self.plan, begun, &mut site)?;
        site.settle_cgroup()?;
        if self.plan.has_create_hooks() {
            self.channel.report(&Report::Built, None)?;
            let Some((Order::HooksDone, _)) = self.channel.await_order()? else { process_exit() };
            self.run_hooks(Moment::CreateContainer)?;
        }
        let sysctls_set = built.sysctls_set;
        let (root, terminal) = built.enter(self.plan)?;
        let cwd = &self.plan.process.cwd;
        root.make(cwd, Node::Folder, Links::Follow)
            .map_err(|e| Error::path("make the working folder", cwd, e))?;
        if self.plan.read_only_root {
            mountfd::change(root.as_fd(), Change { set: attr::RDONLY, clear: 0 }, Depth::Top)
                .map_err(|e| Error::step("make the root file system read-only", e))?;
        }
        if !sysctls_set {
            self.plan.write_sysctls(&ProcHandle::new()?)?;
        }
        connect(self.channel, self.stdio, terminal)?;
        process::prepare(&self.plan.process, &root, &ProcHandle::new, &mut |warning| site.warn(warning))
    }

    /// Joins what it was not born in.
    fn join_namespaces(&self) -> Result<(), Error> {
        use LinuxNamespaceType::{Mount, Pid};
        if self.plan.namespaces.need_gateway() {
            return Ok(());
        }
        let joined = || self.plan.namespaces.joined.iter().filter(|(kind, _)| *kind != Pid);
        // The mount namespace last: whose it is decides what paths mean.
        for (kind, fd) in joined().filter(|(k, _)| *k != Mount).chain(joined().filter(|(k, _)| *k == Mount)) {
            set_namespace(fd.as_fd(), flag(*kind))
                .map_err(|e| Error::step(format!("join the {kind} namespace"), e))?;
        }
        Ok(())
    }

    /// Keeps nothing of the parent's but what is worked with here.
    fn close_foreign(&self) -> Result<(), Error> {
        let mut keep: Vec<BorrowedFd<'_>> =
            self.plan.namespaces.joined.iter().map(|(_, fd)| fd.as_fd()).collect();
        keep.extend(self.plan.idmapped.values().map(AsFd::as_fd));
        keep.push(self.channel.as_fd());
        keep.extend(self.stdio.fds());
        descriptors::close_all_but(&keep, self.plan.process.departures.preserve_fds)
    }

    fn name_host(&self) -> Result<(), Error> {
        use rustix::system::{setdomainname, sethostname};
        if let Some(name) = &self.plan.hostname {
            sethostname(name.as_bytes()).map_err(|e| Error::step(format!("set hostname {name}"), e))?;
        }
        if let Some(name) = &self.plan.domainname {
            setdomainname(name.as_bytes()).map_err(|e| Error::step(format!("set domainname {name}"), e))?;
        }
        Ok(())
    }

    /// Enters what it was not born into of its cgroup, and makes that the root of what it sees.
    fn join_cgroup(&self) -> Result<CgroupView, Error> {
        let Some(entrance) = self.channel.await_go_on()? else { process_exit() };
        entrance.enter()?;
        let view = match (self.plan.shows_cgroups(), self.cgroup) {
            (false, _) => CgroupView::Hierarchies(Vec::new()),
            (true, Some((machine, below))) if entrance.is_everywhere() => {
                CgroupView::of_group(machine, below)
            }
            (true, _) => CgroupView::of_self()?,
        };
        if self.plan.namespaces.is_new(LinuxNamespaceType::Cgroup) {
            unshare(libc::CLONE_NEWCGROUP).map_err(|e| Error::step("make a cgroup namespace", e))?;
        }
        Ok(view)
    }
}

struct ChildSite<'a> {
    child: &'a Child<'a>,
    view: Option<CgroupView>,
    /// The network namespace was joined that came later.
    networked: bool,
}

impl Site for ChildSite<'_> {
    fn settle_network(&mut self) -> Result<(), Error> {
        if !self.child.plan.namespaces.network_later || self.networked {
            return Ok(());
        }
        self.networked = true;
        let Some((Order::Network, Some(network))) = self.child.channel.await_order()? else { process_exit() };
        set_namespace(network.as_fd(), libc::CLONE_NEWNET)
            .map_err(|e| Error::step("join the network namespace", e))
    }

    fn settle_cgroup(&mut self) -> Result<&CgroupView, Error> {
        // Its order comes first.
        self.settle_network()?;
        let view = match self.view.take() {
            Some(view) => view,
            None => self.child.join_cgroup()?,
        };
        Ok(self.view.insert(view))
    }

    fn warn(&mut self, warning: String) {
        // A parent that is gone is noticed when the next order is awaited.
        let _ = self.child.channel.report(&Report::Warning(warning), None);
    }
}

/// Puts the standard streams in place and hands the terminal's master over.
pub(crate) fn connect(channel: &Channel, stdio: &Stdio, terminal: Option<Terminal>) -> Result<(), Error> {
    match (stdio, terminal) {
        (Stdio::Pipes { stdin, stdout, stderr }, _) => {
            descriptors::install(stdin.as_fd(), stdout.as_fd(), stderr.as_fd())
        }
        (Stdio::Terminal, Some(terminal)) => {
            channel.report(&Report::Terminal, Some(terminal.master.as_fd()))?;
            terminal.control()?;
            let slave = terminal.slave.as_fd();
            descriptors::install(slave, slave, slave)
        }
        (Stdio::Terminal, None) => Err(Error::Spec("a terminal was asked for and not made".into())),
    }
}

/// Brings `lo` of a fresh network namespace up.
fn loopback_up() -> Result<(), Error> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    use std::os::fd::AsRawFd;
    let failed = |errno: Errno| Error::step("bring the loopback interface up", errno);
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .map_err(|e| failed(e.into()))?;
    // SAFETY: an all-zero ifreq is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads the request, which outlives the call.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) } {
        0 => Ok(()),
        _ => Err(failed(Errno::last())),
    }
}

/// The root of the mount namespace that the calling process is in.
pub(crate) fn own_root() -> Result<Root, Error> {
    use rustix::fs::{CWD, Mode, OFlags, openat};
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, "/", flags, Mode::empty()).map(Root::new).map_err(|e| Error::path("open", "/", e))
}
