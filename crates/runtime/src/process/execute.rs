//! The last steps of a container's process, in runc's order.

use super::{attributes, home, identity, labels, limits, lookup, reaper};
use crate::channel::{Channel, LastWords, Stage};
use crate::clone::set_dumpable;
use crate::descriptors;
use crate::error::{Errno, Error};
use crate::inroot::Root;
use crate::options::InitProcess;
use crate::plan::process::{MISSING, ProcessPlan, c_string};
use crate::procfs::ProcHandle;
use crate::seccomp::Program;
use std::ffi::CString;
use std::os::fd::AsFd;
use std::path::Path;
use std::ptr;

/// A process that is all but its program.
#[derive(Debug)]
pub(crate) struct Executable<'a> {
    path: String,
    c_path: CString,
    args: Vec<CString>,
    env: Vec<CString>,
    umask: u32,
    identity: identity::Final,
    filter: Option<&'a Program>,
    /// Whether the maker, who has no rights over the machine, has to fetch a descriptor from here.
    open_to_maker: bool,
    preserved: u16,
}

/// Takes on limits, user, rights and working folder, and finds the program. The standard streams are in place.
///
/// `proc` is a procfs of the right pid namespace, asked for only when it is needed.
pub(crate) fn prepare<'a>(
    process: &'a ProcessPlan,
    root: &Root,
    proc: &dyn Fn() -> Result<ProcHandle, Error>,
    warn: &mut dyn FnMut(String),
) -> Result<Executable<'a>, Error> {
    // Before the limits, which may leave no descriptor to read a file by.
    let env = environment(process, root);
    for limit in &process.rlimits {
        limits::set(limit)?.map(&mut *warn);
    }
    if let Some(priority) = process.io_priority {
        set_io_priority(priority)?;
    }
    attributes::set(&process.attributes)?;
    labels::set(process, proc)?;
    // First with our rights, as the folder may be closed to the user; then with theirs, as it may be closed to us
    // (a network file system that squashes root).
    let entered = enter(&process.cwd);
    descriptors::give_to(process.uid)?;
    let (identity, warning) = identity::assume(process)?;
    warning.map(&mut *warn);
    match entered {
        Err(Errno(libc::EACCES | libc::EPERM)) => enter(&process.cwd),
        other => other,
    }
    .map_err(|errno| {
        let cwd = process.cwd.display().to_string();
        Error::step(format!("chdir to cwd ({cwd:?}) set in config.json failed"), errno)
    })?;
    verify_cwd(&process.cwd)?;
    let path = match process.args.first() {
        Some(program) => lookup::find(program, process.variable("PATH"))?,
        None => String::new(),
    };
    Ok(Executable {
        c_path: c_string(&path),
        path,
        args: process.args.iter().map(|text| c_string(text)).collect(),
        env,
        umask: process.umask,
        identity,
        filter: process.seccomp.as_ref(),
        open_to_maker: process.departures.rootless && process.seccomp.as_ref().is_some_and(Program::notifies),
        preserved: process.departures.preserve_fds,
    })
}

impl Executable<'_> {
    /// What will be executed.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Loads the filter and executes the program. Returns only when the filter is refused; what fails after that is
    /// told by `words` alone, since the filter may forbid everything else.
    pub(crate) fn execute(&self, init: InitProcess, words: &LastWords, channel: &Channel) -> Error {
        if self.args.is_empty() {
            return Error::Spec(MISSING.into());
        }
        if let Err(error) = descriptors::seal(self.preserved) {
            return error;
        }
        let (args, env) = (pointers(&self.args), pointers(&self.env));
        // SAFETY: takes an integer and can't fail.
        unsafe { libc::umask(self.umask as libc::mode_t) };
        if let Err(errno) = self.identity.before_filter() {
            return Error::step("raise the capability that loads seccomp", errno);
        }
        if self.open_to_maker {
            // Before the filter, which may notify of this, too. The kernel still keeps those of the container away who
            // have fewer capabilities.
            set_dumpable(true);
        }
        match self.filter.map(Program::load) {
            None | Some(Ok(None)) => {}
            Some(Ok(Some(listener))) => {
                let taken = channel.await_listener(listener.as_fd());
                // Before anything else: while it is open here, a call that is notified of would wait for us.
                drop(listener);
                if let Err(errno) = taken {
                    return Error::step("hand over the seccomp listener", errno);
                }
            }
            Some(Err(errno)) => return Error::Seccomp(format!("load filter: {}", Errno::from(errno))),
        }
        words.leave(Stage::Executing);
        if let Err(errno) = self.identity.after_filter() {
            words.leave(Stage::CapabilitiesFailed(errno));
            exit(127)
        }
        if init == InitProcess::Reaper {
            match reaper::fork_program() {
                Ok(Some(child)) => reaper::serve(child),
                Ok(None) => {}
                Err(errno) => {
                    words.leave(Stage::ForkFailed(errno));
                    exit(127)
                }
            }
        }
        // SAFETY: path, args and env are NUL-terminated, and the arrays end with a null pointer.
        unsafe { libc::execve(self.c_path.as_ptr(), args.as_ptr(), env.as_ptr()) };
        let errno = Errno::last();
        words.leave(Stage::ExecFailed(errno));
        exit(if errno.0 == libc::ENOENT { 127 } else { 126 })
    }
}

/// Ends the process without running anything that belongs to its parent.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: does not return and runs no handlers.
    unsafe { libc::_exit(code) }
}

fn pointers(texts: &[CString]) -> Vec<*const libc::c_char> {
    texts.iter().map(|text| text.as_ptr()).chain(std::iter::once(ptr::null())).collect()
}

fn environment(process: &ProcessPlan, root: &Root) -> Vec<CString> {
    let mut env: Vec<CString> =
        process.env.iter().filter(|text| *text != "HOME=").map(|text| c_string(text)).collect();
    if process.variable("HOME").is_none_or(str::is_empty) {
        env.push(c_string(&format!("HOME={}", home::of(process.uid, root))));
    }
    env
}

fn enter(cwd: &Path) -> Result<(), Errno> {
    Ok(rustix::process::chdir(cwd)?)
}

/// Sees to it that the working folder lies inside the root (CVE-2024-21626): the kernel has no path for one that
/// does not.
fn verify_cwd(cwd: &Path) -> Result<(), Error> {
    match rustix::process::getcwd(Vec::new()) {
        Ok(path) if path.as_bytes().first() == Some(&b'/') => Ok(()),
        Ok(_) | Err(rustix::io::Errno::NOENT) => Err(Error::Breakout {
            what: "current working directory is outside of container mount namespace root:".into(),
            path: cwd.to_string_lossy().into_owned(),
        }),
        Err(e) => Err(Error::path("verify working directory", cwd, e)),
    }
}

/// `IOPRIO_WHO_PROCESS` of `linux/ioprio.h`.
const IOPRIO_WHO_PROCESS: libc::c_int = 1;

fn set_io_priority(priority: u32) -> Result<(), Error> {
    // SAFETY: takes integers; 0 is the calling process.
    match unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, priority) } {
        0 => Ok(()),
        _ => Err(Error::step("set io priority", Errno::last())),
    }
}
