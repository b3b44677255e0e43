//! The mounts of the spec, each made detached and attached to a descriptor of its resolved target.

use super::sources::Sources;
use super::{Site, cgroup_mounts, copy_up::copy_up};
use crate::error::{Errno, Error};
use crate::inroot::{Links, Node, Root, is_folder};
use crate::mountfd::{self, Change, Depth, Detached, MountFailure, Setting, attr};
use crate::plan::Plan;
use crate::plan::mount::{MountKind, MountPlan};
use crate::procfs::{PROC_MAGIC, ProcHandle};
use oci_spec::runtime::LinuxNamespaceType;
use rustix::fs::{FileType, fstat, fstatfs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Files of procfs that may be covered, as runc has them: what LXCFS and the like show.
const COVERABLE: [&str; 11] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/net/dev",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

/// What is done with some mounts when all are made.
#[derive(Default)]
pub(super) struct Mounted {
    /// Those that become read-only when all is in them.
    pub(super) late_read_only: Vec<OwnedFd>,
    /// The container's own procfs, writable and nothing mounted in it yet.
    pub(super) proc: Option<ProcHandle>,
    /// What shows the kernel, and where it was mounted. A path in it is resolved from here: who shares the folder that
    /// it was mounted to may rename that, and put a link in its place, while the mount goes along.
    pub(super) kernel: Vec<(PathBuf, Root)>,
}

impl Mounted {
    /// Keeps a mount that shows the kernel.
    fn keep(&mut self, mount: &MountPlan, made: &Detached) -> Result<(), Failure> {
        let again = made.as_fd().try_clone_to_owned().map_err(|e| step("keep the mount")(e.into()))?;
        self.kernel.push((mount.target.clone(), Root::new(again)));
        Ok(())
    }
}

/// Makes all mounts of a plan.
pub(super) fn mount_all(
    plan: &Plan,
    root: &Root,
    mut sources: Sources,
    site: &mut dyn Site,
) -> Result<Mounted, Error> {
    let mut mounted = Mounted::default();
    for (index, mount) in plan.mounts.iter().enumerate() {
        let made = match &mount.kind {
            MountKind::Bind(depth) => match sources.take(plan, index, *depth) {
                Ok(source) => bind(mount, &source, root, &mut mounted),
                Err(Errno(libc::EINVAL)) if plan.process.in_user_namespace && *depth == Depth::Top => {
                    Err(step(
                        "bind source (what is mounted in it can't be left out in a user namespace: use \
                              rbind)",
                    )(Errno(libc::EINVAL)))
                }
                Err(errno) => Err(step("bind source")(errno)),
            },
            MountKind::Remount => remount(mount, root),
            MountKind::Cgroup => {
                let view = site.settle_cgroup()?;
                cgroup_mounts::mount(mount, root, view)
            }
            MountKind::FileSystem(kind) => {
                match kind.as_str() {
                    "cgroup2" => drop(site.settle_cgroup()?),
                    "proc" | "tmpfs" | "devpts" | "mqueue" => {}
                    // Sysfs shows the network namespace that it was mounted in; others may send from it.
                    _ => site.settle_network()?,
                }
                match file_system(mount, kind, root, &mut mounted) {
                    Err(Failure::Call(MountFailure { errno: Errno(libc::EPERM), step }))
                        if plan.process.in_user_namespace =>
                    {
                        instead(plan, mount, kind, root, step, &mut mounted)
                    }
                    other => other,
                }
            }
        };
        made.map_err(|failure| failure.into_error(mount))?;
    }
    Ok(mounted)
}

/// Why a mount of the spec failed.
pub(super) enum Failure {
    /// A call failed.
    Call(MountFailure),
    /// The mount is refused.
    Refused(Error),
}

impl From<MountFailure> for Failure {
    fn from(failure: MountFailure) -> Self {
        Self::Call(failure)
    }
}

impl Failure {
    fn into_error(self, mount: &MountPlan) -> Error {
        match self {
            Self::Refused(error) => error,
            Self::Call(MountFailure { step, errno }) => Error::Mount {
                source_path: mount.source.clone(),
                target: mount.target.to_string_lossy().into_owned(),
                reason: format!("{step}: {errno}"),
                errno,
            },
        }
    }
}

/// A closure that turns an error number into the failure of a step.
pub(super) fn step(what: &'static str) -> impl Fn(Errno) -> Failure {
    move |errno| Failure::Call(MountFailure::new(what, errno))
}

/// What belongs to a namespace that the user namespace does not own can't be mounted: the host's own shows through.
fn instead(
    plan: &Plan,
    mount: &MountPlan,
    kind: &str,
    root: &Root,
    step_taken: String,
    mounted: &mut Mounted,
) -> Result<(), Failure> {
    use LinuxNamespaceType::{Ipc, Network, Pid};
    let refused = MountFailure::new(step_taken, Errno(libc::EPERM));
    let (own, source) = match kind {
        "sysfs" => (plan.namespaces.is_new(Network), "/sys"),
        "mqueue" => (plan.namespaces.is_new(Ipc), "/dev/mqueue"),
        // Of another pid namespace, it would show the wrong processes.
        "proc" => (plan.namespaces.is_own(Pid), "/proc"),
        _ => (true, ""),
    };
    if own {
        return Err(refused.into());
    }
    let source = Detached::clone_path(Path::new(source), Depth::Recursive).map_err(|_| refused)?;
    mountfd::propagate(source.as_fd(), libc::MS_SLAVE, Depth::Recursive).map_err(step("set propagation"))?;
    let target = root.make(&mount.target, Node::Folder, Links::Refuse).map_err(step("make mount point"))?;
    is_folder_below(root, target.as_fd(), mount)?;
    shape(&source, mount)?;
    source.attach(target.as_fd()).map_err(step("attach"))?;
    mounted.keep(mount, &source)
}

fn bind(mount: &MountPlan, source: &Detached, root: &Root, mounted: &mut Mounted) -> Result<(), Failure> {
    let folder = is_folder(source.as_fd()).map_err(step("stat source"))?;
    let node = if folder { Node::Folder } else { Node::File };
    let target = root.make(&mount.target, node, Links::Follow).map_err(step("make mount point"))?;
    if is_folder_below(root, target.as_fd(), mount)? != folder {
        // As mount(2) says it; move_mount(2) says EINVAL.
        return Err(step("attach")(Errno(libc::ENOTDIR)));
    }
    check_proc(mount, target.as_fd(), Some(source.as_fd()))?;
    shape(source, mount)?;
    source.attach(target.as_fd()).map_err(step("attach"))?;
    match mount.target == Path::new("/proc") || mount.target == Path::new("/sys") {
        true => mounted.keep(mount, source),
        false => Ok(()),
    }
}

/// Whether a mount point is a folder. The root itself is none: what covered it would leave all that is hidden and
/// made read-only in the root behind, beneath it.
pub(super) fn is_folder_below(
    root: &Root,
    target: BorrowedFd<'_>,
    mount: &MountPlan,
) -> Result<bool, Failure> {
    let failed = |e: rustix::io::Errno| step("stat mount point")(e.into());
    let (stat, top) = (fstat(target).map_err(failed)?, fstat(root).map_err(failed)?);
    if (stat.st_dev, stat.st_ino) == (top.st_dev, top.st_ino) {
        let target = mount.target.display();
        return Err(Failure::Refused(Error::Spec(format!(
            "{target:?} cannot be mounted because it is the root itself"
        ))));
    }
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// Sets bits and propagation of a mount that is not attached yet.
pub(super) fn shape(detached: &Detached, mount: &MountPlan) -> Result<(), Failure> {
    set_options(detached.as_fd(), mount)?;
    for (flag, depth) in &mount.propagation {
        mountfd::propagate(detached.as_fd(), *flag, *depth).map_err(step("set propagation"))?;
    }
    Ok(())
}

fn remount(mount: &MountPlan, root: &Root) -> Result<(), Failure> {
    let target = root.resolve(&mount.target).map_err(step("find mount point"))?;
    set_options(target.as_fd(), mount)
}

/// Sets the bits of a mount. What the spec does not speak of stays as the source has it.
fn set_options(mount: BorrowedFd<'_>, plan: &MountPlan) -> Result<(), Failure> {
    mountfd::change(mount, plan.top, Depth::Top)
        .map_err(|errno| step(explained("set mount options", plan.top, errno))(errno))?;
    mountfd::change(mount, plan.recursive, Depth::Recursive)
        .map_err(|errno| step(explained("set recursive mount options", plan.recursive, errno))(errno))
}

/// What the machine's mount forbids can't be allowed in a user namespace.
fn explained(what: &'static str, change: Change, errno: Errno) -> &'static str {
    match errno {
        Errno(libc::EPERM) if change.clear != 0 => {
            "set mount options (what the source's mount forbids is locked in a user namespace: leave out rw, exec, suid, \
             dev and the times of access)"
        }
        _ => what,
    }
}

fn file_system(mount: &MountPlan, kind: &str, root: &Root, mounted: &mut Mounted) -> Result<(), Failure> {
    // What decides how the host looks from inside must lie where the spec says, not where the image's links lead
    // (CVE-2019-19921, CVE-2023-27561).
    let links = match kind {
        "proc" | "sysfs" => Links::Refuse,
        _ => Links::Follow,
    };
    let not_ordinary = || {
        Failure::Refused(Error::Spec(format!("filesystem {kind:?} must be mounted on ordinary directory")))
    };
    let is_new = || matches!(root.resolve(&mount.target), Err(Errno(libc::ENOENT)));
    let looks_as_covered = looks_as_covered(mount, kind) && !is_new();
    let target = match root.make(&mount.target, Node::Folder, links) {
        Err(Errno(libc::ELOOP | libc::ENOTDIR)) if links == Links::Refuse => return Err(not_ordinary()),
        other => other.map_err(step("make mount point"))?,
    };
    if !is_folder_below(root, target.as_fd(), mount)? {
        return Err(if links == Links::Refuse {
            not_ordinary()
        } else {
            step("attach")(Errno(libc::ENOTDIR))
        });
    }
    if kind != "proc" {
        check_proc(mount, target.as_fd(), None)?;
    }
    let late = kind == "tmpfs" && mount.is_read_only();
    let mut bits = mount.top.set;
    if late {
        bits &= !attr::RDONLY;
    }
    let settings = settings(mount, kind, target.as_fd(), looks_as_covered)?;
    let made = Detached::filesystem(kind, &mount.source, &settings, bits)?;
    let recursive = match late {
        false => mount.recursive,
        true => Change { set: mount.recursive.set & !attr::RDONLY, ..mount.recursive },
    };
    mountfd::change(made.as_fd(), recursive, Depth::Recursive)
        .map_err(step("set recursive mount options"))?;
    for (flag, depth) in &mount.propagation {
        mountfd::propagate(made.as_fd(), *flag, *depth).map_err(step("set propagation"))?;
    }
    if mount.copy_up {
        copy_up(target.as_fd(), made.as_fd()).map_err(step("copy what the mount point holds"))?;
    }
    made.attach(target.as_fd()).map_err(step("attach"))?;
    if kind == "proc" || kind == "sysfs" {
        mounted.keep(mount, &made)?;
    }
    if late {
        mounted.late_read_only.push(made.into_fd());
    } else if kind == "proc" && mount.target == Path::new("/proc") && shows_all(mount, &settings) {
        mounted.proc = Some(ProcHandle::of(made));
    }
    Ok(())
}

/// Whether a procfs has all that a procfs has, to read and to write.
fn shows_all(mount: &MountPlan, settings: &[Setting]) -> bool {
    settings.is_empty() && !mount.is_read_only()
}

/// As runc: a tmpfs looks like the folder it covers unless told otherwise; one that covers none of the image's is the
/// kernel's usual one, open to all.
fn looks_as_covered(mount: &MountPlan, kind: &str) -> bool {
    kind == "tmpfs" && !mount.settings.iter().any(|s| matches!(s, Setting::Text(key, _) if key == "mode"))
}

fn settings(
    mount: &MountPlan,
    kind: &str,
    target: BorrowedFd<'_>,
    looks_as_covered: bool,
) -> Result<Vec<Setting>, Failure> {
    let mut settings = mount.settings.clone();
    match kind {
        "tmpfs" if looks_as_covered => {
            let mode = fstat(target).map_err(|e| step("stat mount point")(e.into()))?.st_mode & 0o7777;
            settings.push(Setting::Text("mode".into(), format!("{mode:o}")));
        }
        // A virtual file system is read-only by its mount alone: others share its superblock.
        "tmpfs" | "proc" | "sysfs" | "devpts" | "mqueue" | "cgroup2" | "overlay" | "bpf" | "tracefs"
        | "debugfs" => {}
        _ if mount.is_read_only() => settings.push(Setting::Flag("ro".into())),
        _ => {}
    }
    Ok(settings)
}

/// Refuses to cover anything of procfs that programs trust.
fn check_proc(
    mount: &MountPlan,
    target: BorrowedFd<'_>,
    source: Option<BorrowedFd<'_>>,
) -> Result<(), Failure> {
    let on_proc = |fd: BorrowedFd<'_>| match fstatfs(fd) {
        Ok(stat) => Ok(stat.f_type == PROC_MAGIC),
        Err(e) => Err(step("statfs")(e.into())),
    };
    let refused = |why: &str| {
        let target = mount.target.display();
        Err(Failure::Refused(Error::Spec(format!("\"{target}\" cannot be mounted because it is {why}"))))
    };
    if mount.target == Path::new("/proc") {
        return match source {
            Some(source) if on_proc(source)? => Ok(()),
            _ => refused("not of type proc"),
        };
    }
    let inside = mount.target.starts_with("/proc") || on_proc(target)?;
    let coverable = COVERABLE.iter().any(|path| mount.target == Path::new(path));
    if inside && !coverable { refused("inside /proc") } else { Ok(()) }
}
