//! What the OCI configuration of a container is made from. Everything that needs looking up (users, volumes,
//! other containers, the host) has been looked up: the function over it is pure.

use brig_api::{ContainerConfig, HostConfig};
use brig_core::Id;
use brig_runtime::{capabilities::CapabilitySet, seccomp::Abi};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// All that [`super::build`] needs.
#[derive(Debug, Clone)]
pub struct SpecInput<'a> {
    /// The container.
    pub id: &'a Id,
    /// What does not depend on the host; the image's configuration is merged in.
    pub config: &'a ContainerConfig,
    /// What depends on the host; validated when the container was made.
    pub host_config: &'a HostConfig,
    /// The name inside: of the container, or of the host in its UTS namespace.
    pub hostname: &'a str,
    /// Variables that tell of linked containers, below the container's own.
    pub linked: &'a [String],
    /// Entry point and command, never empty.
    pub args: &'a [String],
    /// Who runs it, looked up in the container's own files.
    pub user: &'a ResolvedUser,
    /// Volumes, binds and tmpfs, in the order in which they are to be mounted (parents first). hosts, hostname
    /// and resolv.conf are not among them.
    pub mounts: &'a [SpecMount],
    /// The files that brig writes for the container.
    pub files: &'a SpecFiles<'a>,
    /// Its namespaces. Where one is [`NamespaceOf::Joined`], the shim gets a descriptor; the configuration only has
    /// to name the type without a path.
    pub namespaces: SpecNamespaces,
    /// The cgroup's path, such as `/brig/<id>`.
    pub cgroup_path: &'a str,
    /// The daemon's defaults and what the host has.
    pub host: &'a SpecHost,
}

/// Who runs a process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolvedUser {
    /// The user.
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
    /// All other groups, `--group-add` among them.
    pub additional_gids: Vec<u32>,
    /// The home folder, `/` when the user has no entry.
    pub home: String,
}

/// A mount beside the defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecMount {
    /// The absolute path in the container.
    pub destination: String,
    /// What is mounted there.
    pub source: SpecSource,
    /// Whether it is read-only.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpecSource {
    /// A file or folder of the host, or a volume's folder.
    Bind {
        /// Its absolute path.
        path: PathBuf,
        /// The part of it that is mounted, out of which nothing leads; `None` for all of it.
        beneath: Option<String>,
        /// `rprivate`, `private`, `rshared`, `shared`, `rslave` or `slave`; empty for the default (`rprivate`).
        propagation: String,
        /// Leave out what is mounted below the source.
        non_recursive: bool,
        /// Where it is read-only, leave what is mounted below it as it is.
        read_only_non_recursive: bool,
    },
    /// Layers, topmost first, read-only.
    Layers {
        /// Their folders; never empty.
        folders: Vec<PathBuf>,
    },
    /// Memory.
    Tmpfs {
        /// Mount options as given (`size=64m`, `mode=1777`, …).
        options: Vec<String>,
    },
}

/// The files that brig writes for a container; `None` where the container brings its own or shares another's
/// network without them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpecFiles<'a> {
    /// For /etc/hosts.
    pub hosts: Option<&'a Path>,
    /// For /etc/hostname.
    pub hostname: Option<&'a Path>,
    /// For /etc/resolv.conf.
    pub resolv_conf: Option<&'a Path>,
}

/// Where a namespace comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NamespaceOf {
    /// Made for the container.
    #[default]
    New,
    /// The host's.
    Host,
    /// Joined by a descriptor that the shim gets.
    Joined,
}

/// The namespaces that modes can change. mnt is always new; there is no user namespace yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpecNamespaces {
    /// Network. A new one is made by the engine too, so it is `Joined` for `bridge` and `none`.
    pub network: NamespaceOf,
    /// Processes (`--pid`).
    pub pid: NamespaceOf,
    /// System V IPC, POSIX message queues and /dev/shm (`--ipc`).
    pub ipc: NamespaceOf,
    /// Host name (`--uts`).
    pub uts: NamespaceOf,
    /// Cgroups (`--cgroupns`).
    pub cgroup: NamespaceOf,
}

/// The daemon's defaults and what the host has. Made by [`SpecHost::look_up`]; tests make their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecHost {
    /// Bytes of /dev/shm when the container does not say.
    pub shm_size: u64,
    /// The devices of `--device`, and all of the host's with `--privileged`.
    pub devices: Vec<HostDevice>,
    /// The numbers of the block devices whose use is limited, by their path.
    pub block_devices: BTreeMap<String, (i64, i64)>,
    /// The capabilities that brig can hand on.
    pub capabilities: CapabilitySet,
    /// The calling convention of the machine; `None` where brig has no seccomp compiler.
    pub abi: Option<Abi>,
    /// Major and minor version of the kernel.
    pub kernel: (u32, u32),
    /// Paths that show how hot the CPUs run, as far as the machine has them; hidden from containers.
    pub thermal_paths: Vec<String>,
    /// Whether the kernel has `net.ipv4.ping_group_range`.
    pub has_ping_group_range: bool,
    /// Whether the kernel has `net.ipv4.ip_unprivileged_port_start`.
    pub has_unprivileged_port_start: bool,
}

/// A device node of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostDevice {
    /// Its path in the container.
    pub path: PathBuf,
    /// Whether it is a character device; a block device otherwise.
    pub character: bool,
    /// Its major number.
    pub major: i64,
    /// Its minor number.
    pub minor: i64,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// What the devices cgroup allows: some of `rwm`.
    pub permissions: String,
}
