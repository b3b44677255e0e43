//! From the OCI spec to checked values. Pure but for opening the namespaces that are to be joined: what can be
//! refused is refused here, before anything is made.

pub(crate) mod attributes;
pub(crate) mod idmap;
mod list;
pub(crate) mod mount;
mod mount_options;
pub(crate) mod namespaces;
pub(crate) mod process;
mod sysctl;
mod time_offsets;

pub use mount_options::{BENEATH, MOUNT_OPTIONS};

use crate::error::Error;
use crate::hooks::{self, Moment};
use crate::mountfd::Detached;
use crate::net_devices::{self, NetDevice};
use crate::options::{ConsoleSize, Departures, Stdio};
use crate::procfs::ProcHandle;
use crate::seccomp::{self, Program};
use crate::security_modules;
use idmap::IdKind;
use mount::MountPlan;
use namespaces::Namespaces;
use oci_spec::runtime::{Hooks, Linux, LinuxDeviceType, LinuxNamespaceType, Mount, Process, Spec};
use process::ProcessPlan;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// A device node to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    /// Where, absolute inside the root.
    pub(crate) path: PathBuf,
    /// What sort of node.
    pub(crate) kind: LinuxDeviceType,
    /// Device numbers; not of a FIFO.
    pub(crate) major: u32,
    /// See `major`.
    pub(crate) minor: u32,
    /// Permission bits, exactly.
    pub(crate) mode: u32,
    /// Owner.
    pub(crate) uid: u32,
    /// Group.
    pub(crate) gid: u32,
}

/// All that the child has to do to become the container.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Namespaces.
    pub(crate) namespaces: Namespaces,
    /// Whether the root file system is read-only.
    pub(crate) read_only_root: bool,
    /// Propagation (`MS_*`) of the whole tree while it is built, recursively.
    pub(crate) propagation: u64,
    /// Whether the container's root keeps that propagation afterwards (the spec asked for it).
    pub(crate) root_propagation: Option<u64>,
    /// Mounts, in order.
    pub(crate) mounts: Vec<MountPlan>,
    /// Devices, the defaults of the OCI spec first.
    pub(crate) devices: Vec<Device>,
    /// Paths to hide.
    pub(crate) masked: Vec<PathBuf>,
    /// Paths to make read-only.
    pub(crate) read_only: Vec<PathBuf>,
    /// Path below `/proc/sys` and value.
    pub(crate) sysctls: Vec<(String, String)>,
    /// Host name.
    pub(crate) hostname: Option<String>,
    /// NIS domain name.
    pub(crate) domainname: Option<String>,
    /// The process.
    pub(crate) process: ProcessPlan,
    /// Interfaces that become the container's.
    pub(crate) net_devices: Vec<NetDevice>,
    /// Programs to run on the way.
    pub(crate) hooks: Option<Hooks>,
    /// The sources of id-mapped mounts, by the mount's place; made before the container's process.
    pub(crate) idmapped: BTreeMap<usize, Detached>,
}

impl Plan {
    /// Writes the sysctls, of the namespaces that the calling process is in.
    pub(crate) fn write_sysctls(&self, proc: &ProcHandle) -> Result<(), Error> {
        self.sysctls.iter().try_for_each(|(name, value)| proc.write(&format!("sys/{name}"), value))
    }

    /// Checks a spec.
    pub(crate) fn new(
        spec: &Spec,
        given: Vec<(LinuxNamespaceType, OwnedFd)>,
        network_later: bool,
        filter: Option<Program>,
        stdio: &Stdio,
        console_size: Option<ConsoleSize>,
        departures: Departures,
    ) -> Result<Self, Error> {
        let linux = spec.linux().as_ref();
        refuse_unsupported(linux)?;
        spec.hooks().as_ref().map_or(Ok(()), hooks::check)?;
        let namespaces = Namespaces::new(linux, given, network_later)?;
        if network_later && namespaces.need_gateway() {
            return Err(Error::Unsupported(
                "a network namespace that comes later beside a user namespace".into(),
            ));
        }
        let nothing = departures.may_lack_process.then(process::nothing);
        let process = spec.process().as_ref().or(nothing.as_ref());
        let process = process.ok_or_else(|| Error::Spec(process::MISSING.into()))?;
        check_ids(&namespaces, process, spec.mounts().as_deref().unwrap_or_default())?;
        let filter = match filter {
            Some(filter) => Some(filter),
            None => linux.and_then(|l| l.seccomp().as_ref()).map(seccomp::compile).transpose()?,
        };
        let mut process = ProcessPlan::new(process, linux, stdio, console_size, filter, departures)?;
        process.in_user_namespace |= namespaces.is_own(LinuxNamespaceType::User);
        let mut mounts = spec.mounts().iter().flatten().map(MountPlan::new).collect::<Result<Vec<_>, _>>()?;
        let names = |name: &Option<String>| name.as_ref().is_some_and(|n| !n.is_empty());
        let mount_label = linux.and_then(|l| l.mount_label().as_deref()).filter(|label| !label.is_empty());
        if let Some(label) = mount_label {
            if !security_modules::has_selinux() {
                return Err(process::no_selinux(label, "linux.mountLabel"));
            }
            mounts.iter_mut().for_each(|mount| mount.label(label));
        }
        let uts = (names(spec.hostname()) || names(spec.domainname()))
            && namespaces.is_apart(LinuxNamespaceType::Uts);
        let name = |name: &Option<String>, what| match name.as_ref().filter(|n| !n.is_empty()) {
            Some(_) if !uts => {
                Err(Error::Spec(format!("unable to set {what} without a private UTS namespace")))
            }
            name => Ok(name.cloned()),
        };
        let root_propagation = linux.and_then(|l| l.rootfs_propagation().as_deref());
        let root_propagation = root_propagation.filter(|p| !p.is_empty()).map(propagation).transpose()?;
        let paths = |list: &Option<Vec<String>>| -> Result<Vec<PathBuf>, Error> {
            let mut paths = Vec::new();
            for path in list.iter().flatten() {
                let path = mount::clean(path.as_ref())?;
                if !paths.contains(&path) {
                    paths.push(path);
                }
            }
            Ok(paths)
        };
        Ok(Self {
            read_only_root: spec.root().as_ref().and_then(|r| r.readonly()).unwrap_or(false),
            propagation: match root_propagation {
                // What can't be bound can't be cloned either: the root becomes so when all is made.
                Some(libc::MS_UNBINDABLE) => libc::MS_PRIVATE,
                given => given.unwrap_or(libc::MS_SLAVE),
            },
            root_propagation,
            mounts,
            devices: devices(linux)?,
            masked: linux.map_or(Ok(vec![]), |l| paths(l.masked_paths()))?,
            read_only: linux.map_or(Ok(vec![]), |l| paths(l.readonly_paths()))?,
            sysctls: sysctls(linux, &namespaces)?,
            hostname: name(spec.hostname(), "hostname")?,
            domainname: name(spec.domainname(), "domainname")?,
            net_devices: net_devices::plan(linux, &namespaces)?,
            namespaces,
            process,
            hooks: spec.hooks().clone(),
            idmapped: BTreeMap::new(),
        })
    }

    /// Who makes what is made in the root, when that is not the caller: the root of the user namespace, or else the
    /// user of the program, where that root is not mapped.
    pub(crate) fn owners(&self) -> Option<[(u32, u32); 2]> {
        let own = self.namespaces.is_own(LinuxNamespaceType::User);
        own.then_some([(0, 0), (self.process.uid, self.process.gid)])
    }

    /// Whether there are hooks for a moment.
    pub(crate) fn has_hooks(&self, moment: Moment) -> bool {
        self.hooks.as_ref().is_some_and(|hooks| hooks::has(hooks, moment))
    }

    /// Whether anything runs between building the root and entering it.
    pub(crate) fn has_create_hooks(&self) -> bool {
        [Moment::Prestart, Moment::CreateRuntime, Moment::CreateContainer]
            .into_iter()
            .any(|m| self.has_hooks(m))
    }

    /// Whether the cgroup hierarchies are mounted in it.
    pub(crate) fn shows_cgroups(&self) -> bool {
        self.mounts.iter().any(|m| m.kind == mount::MountKind::Cgroup)
    }

    /// Whether `/dev` is to be filled: not when the user brings a `/dev` of their own.
    pub(crate) fn fills_dev(&self) -> bool {
        let is_own = |m: &MountPlan| {
            m.target == std::path::Path::new("/dev") && matches!(m.kind, mount::MountKind::Bind(_))
        };
        !self.mounts.iter().any(is_own)
    }
}

/// Fails when the spec speaks of ids that the container's user namespace does not have.
fn check_ids(namespaces: &Namespaces, process: &Process, mounts: &[Mount]) -> Result<(), Error> {
    let Some(ids) = &namespaces.ids else { return Ok(()) };
    let user = process.user();
    ids.check(IdKind::User, user.uid(), "process.user.uid")?;
    ids.check(IdKind::Group, user.gid(), "process.user.gid")?;
    for gid in user.additional_gids().iter().flatten() {
        ids.check(IdKind::Group, *gid, "process.user.additionalGids")?;
    }
    for mount in mounts.iter().filter(|mount| mount.typ().as_deref() != Some("bind")) {
        for option in mount.options().iter().flatten() {
            for (kind, prefix) in [(IdKind::User, "uid="), (IdKind::Group, "gid=")] {
                if let Some(Ok(id)) = option.strip_prefix(prefix).map(str::parse) {
                    let what = format!("mount {}: option {prefix}", mount.destination().display());
                    ids.check(kind, id, &what)?;
                }
            }
        }
    }
    Ok(())
}

fn refuse_unsupported(linux: Option<&Linux>) -> Result<(), Error> {
    for (set, what) in [(linux.is_some_and(|l| l.intel_rdt().is_some()), "linux.intelRdt")] {
        if set {
            return Err(Error::Unsupported(what.into()));
        }
    }
    Ok(())
}

fn propagation(word: &str) -> Result<u64, Error> {
    match word.strip_prefix('r').unwrap_or(word) {
        "private" => Ok(libc::MS_PRIVATE),
        "slave" => Ok(libc::MS_SLAVE),
        "shared" => Ok(libc::MS_SHARED),
        "unbindable" => Ok(libc::MS_UNBINDABLE),
        _ => Err(Error::Spec(format!("rootfsPropagation={word} is not supported"))),
    }
}

fn sysctls(linux: Option<&Linux>, namespaces: &Namespaces) -> Result<Vec<(String, String)>, Error> {
    let mut all = Vec::new();
    for (name, value) in linux.and_then(|l| l.sysctl().as_ref()).into_iter().flatten() {
        all.push((sysctl::check(name, |kind| namespaces.is_apart(kind))?, value.clone()));
    }
    all.sort();
    Ok(all)
}

/// The devices that the OCI spec wants in every Linux container.
fn default_devices() -> impl Iterator<Item = Device> {
    const ALL: [(&str, u32, u32); 6] = [
        ("/dev/null", 1, 3),
        ("/dev/zero", 1, 5),
        ("/dev/full", 1, 7),
        ("/dev/random", 1, 8),
        ("/dev/urandom", 1, 9),
        ("/dev/tty", 5, 0),
    ];
    ALL.into_iter().map(|(path, major, minor)| Device {
        path: path.into(),
        kind: LinuxDeviceType::C,
        major,
        minor,
        mode: 0o666,
        uid: 0,
        gid: 0,
    })
}

fn devices(linux: Option<&Linux>) -> Result<Vec<Device>, Error> {
    let mut all: Vec<Device> = default_devices().collect();
    for device in linux.and_then(|l| l.devices().as_ref()).into_iter().flatten() {
        let path = mount::clean(device.path())?;
        let number = |n: i64| {
            let invalid = || Error::Spec(format!("device {} has an invalid number {n}", path.display()));
            u32::try_from(n).map_err(|_| invalid())
        };
        let (major, minor) = match device.typ() {
            LinuxDeviceType::P => (0, 0),
            LinuxDeviceType::A => {
                return Err(Error::Spec(format!("device {} can't be of type a", path.display())));
            }
            _ => (number(device.major())?, number(device.minor())?),
        };
        let device = Device {
            kind: device.typ(),
            major,
            minor,
            mode: device.file_mode().unwrap_or(0o666) & 0o7777,
            uid: device.uid().unwrap_or(0),
            gid: device.gid().unwrap_or(0),
            path,
        };
        // What the user says of a default device counts.
        match all.iter_mut().find(|known| known.path == device.path) {
            Some(known) => *known = device,
            None => all.push(device),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
