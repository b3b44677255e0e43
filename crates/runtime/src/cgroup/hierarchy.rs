//! Which cgroup hierarchies the machine has: read once from `/proc/self/mountinfo`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A resource controller, or a core feature that behaves as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Controller {
    /// CPU shares and bandwidth.
    Cpu,
    /// CPU accounting; a part of `cpu` in version 2.
    Cpuacct,
    /// Which CPUs and memory nodes.
    Cpuset,
    /// Memory and swap.
    Memory,
    /// Which devices; a BPF program in version 2.
    Devices,
    /// Freezing; a core feature in version 2.
    Freezer,
    /// Block devices (`blkio` in version 1, `io` in version 2).
    Io,
    /// How many processes and threads.
    Pids,
    /// Huge pages.
    Hugetlb,
    /// Traffic classes; version 1 only.
    NetCls,
    /// Traffic priorities; version 1 only.
    NetPrio,
    /// Grouping for `perf`.
    PerfEvent,
    /// RDMA resources.
    Rdma,
}

impl Controller {
    const ALL: [(Self, &'static str, &'static str); 13] = [
        (Self::Cpu, "cpu", "cpu"),
        (Self::Cpuacct, "cpuacct", ""),
        (Self::Cpuset, "cpuset", "cpuset"),
        (Self::Memory, "memory", "memory"),
        (Self::Devices, "devices", ""),
        (Self::Freezer, "freezer", ""),
        (Self::Io, "blkio", "io"),
        (Self::Pids, "pids", "pids"),
        (Self::Hugetlb, "hugetlb", "hugetlb"),
        (Self::NetCls, "net_cls", ""),
        (Self::NetPrio, "net_prio", ""),
        (Self::PerfEvent, "perf_event", ""),
        (Self::Rdma, "rdma", "rdma"),
    ];

    /// Its name in version 1.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(known, ..)| *known == self).map_or("", |(_, name, _)| name)
    }

    /// By its name in version 1.
    pub(super) fn from_v1(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| *known == name).map(|(controller, ..)| *controller)
    }

    /// By its name in `cgroup.controllers`.
    pub(super) fn from_v2(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(.., known)| !known.is_empty() && *known == name)
            .map(|(controller, ..)| *controller)
    }
}

/// A set of controllers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Controllers(u16);

impl Controllers {
    /// Whether it is one of them.
    pub fn contains(self, controller: Controller) -> bool {
        self.0 & (1 << controller as u16) != 0
    }
}

impl FromIterator<Controller> for Controllers {
    fn from_iter<I: IntoIterator<Item = Controller>>(iter: I) -> Self {
        Self(iter.into_iter().fold(0, |all, controller| all | 1 << controller as u16))
    }
}

/// The kernel's two interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// One hierarchy for each controller, or for a few.
    V1,
    /// One hierarchy for everything.
    V2,
}

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// The interface.
    pub version: Version,
    /// What it controls; empty for a named hierarchy of version 1.
    pub controllers: Controllers,
    /// What it controls as mount options have it, `name=x` included; empty for version 2.
    pub(crate) names: String,
    /// Where it is mounted.
    pub mount: PathBuf,
}

/// All hierarchies of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hierarchies {
    /// Those of version 1 in the order of their mounts, then that of version 2.
    pub(super) all: Vec<Hierarchy>,
    /// Whether there are others of version 1, of which only the kernel knows what they are for.
    others: bool,
}

static KNOWN: Mutex<Option<Arc<Hierarchies>>> = Mutex::new(None);

impl Hierarchies {
    /// Those of this machine; probed at the first call. A process that forks others (the zygote) keeps them fresh
    /// by a [`HierarchyWatch`](super::HierarchyWatch), so that they have them already.
    pub fn get() -> Arc<Self> {
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.get_or_insert_with(|| Arc::new(Self::probe())).clone()
    }

    /// Looks for them anew.
    pub(super) fn renew() {
        let fresh = Arc::new(Self::probe());
        *KNOWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(fresh);
    }

    fn probe() -> Self {
        // Without /proc there is nothing to be had; the callers then warn of missing controllers.
        let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        Self::parse(&mountinfo, |mount| {
            std::fs::read_to_string(mount.join("cgroup.controllers")).unwrap_or_default()
        })
    }

    /// Whether there are no hierarchies beside these.
    pub(crate) fn are_all_known(&self) -> bool {
        !self.others
    }

    /// From the text of `/proc/self/mountinfo`; `v2_controllers` reads `cgroup.controllers` of a mount.
    pub(super) fn parse(mountinfo: &str, v2_controllers: impl Fn(&Path) -> String) -> Self {
        let (mut v1, mut v2): (Vec<Hierarchy>, Option<Hierarchy>) = (Vec::new(), None);
        let mut others = false;
        for line in mountinfo.lines() {
            // "36 35 0:33 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory"
            let Some((left, right)) = line.split_once(" - ") else { continue };
            let mut right = right.split(' ');
            let (Some(kind), _, Some(options)) = (right.next(), right.next(), right.next()) else { continue };
            let Some(mount) = left.split(' ').nth(4).map(unescape) else { continue };
            match kind {
                "cgroup2" if v2.is_none() => {
                    let names = v2_controllers(&mount);
                    let controllers = names.split_whitespace().filter_map(Controller::from_v2).collect();
                    v2 = Some(Hierarchy { version: Version::V2, controllers, names: String::new(), mount });
                }
                "cgroup" => {
                    // A hierarchy may be mounted again elsewhere; the first mount is the usual one.
                    let which =
                        |option: &&str| Controller::from_v1(option).is_some() || option.starts_with("name=");
                    let parts: Vec<&str> = options.split(',').filter(which).collect();
                    let names = parts.join(",");
                    others |= parts.is_empty();
                    if parts.is_empty() || v1.iter().any(|seen| seen.names == names) {
                        continue;
                    }
                    let controllers = parts.iter().filter_map(|part| Controller::from_v1(part)).collect();
                    v1.push(Hierarchy { version: Version::V1, controllers, names, mount });
                }
                _ => {}
            }
        }
        v1.extend(v2);
        Self { all: v1, others }
    }

    /// The interface that a controller is reached by, if the machine has it.
    pub fn version_of(&self, controller: Controller) -> Option<Version> {
        self.all
            .iter()
            .find(|hierarchy| hierarchy.controllers.contains(controller))
            .map(|found| found.version)
    }

    /// Whether there is nothing but version 2.
    pub fn is_unified(&self) -> bool {
        !self.all.is_empty() && self.all.iter().all(|hierarchy| hierarchy.version == Version::V2)
    }

    /// Every hierarchy.
    pub fn iter(&self) -> impl Iterator<Item = &Hierarchy> {
        self.all.iter()
    }
}

/// mountinfo writes space, tab, newline and backslash as three octal digits.
fn unescape(text: &str) -> PathBuf {
    let mut path = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        path.push_str(&rest[..at]);
        let digits = rest.get(at + 1..at + 4).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match digits {
            Some(byte) => {
                path.push(char::from(byte));
                rest = &rest[at + 4..];
            }
            None => {
                path.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    path.push_str(rest);
    PathBuf::from(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
36 31 0:32 / /mnt/again rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/with\\040space rw,relatime - cgroup2 cgroup2 rw,nsdelegate
";

    #[test]
    fn a_hybrid_machine() {
        let all = Hierarchies::parse(HYBRID, |_| "hugetlb misc\n".to_owned());
        let mounts: Vec<_> = all.iter().map(|hierarchy| hierarchy.mount.to_str().unwrap()).collect();
        assert_eq!(
            mounts,
            [
                "/sys/fs/cgroup/cpu,cpuacct",
                "/sys/fs/cgroup/memory",
                "/sys/fs/cgroup/systemd",
                "/sys/fs/cgroup/with space"
            ]
        );
        assert_eq!(all.version_of(Controller::Cpuacct), Some(Version::V1));
        assert_eq!(all.version_of(Controller::Hugetlb), Some(Version::V2));
        assert_eq!(all.version_of(Controller::Pids), None);
        assert!(!all.is_unified());
    }

    #[test]
    fn a_unified_machine() {
        let line =
            "25 23 0:22 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n";
        let all = Hierarchies::parse(line, |_| "cpuset cpu io memory hugetlb pids rdma misc".to_owned());
        assert!(all.is_unified());
        assert_eq!(all.version_of(Controller::Io), Some(Version::V2));
        assert_eq!(all.version_of(Controller::Devices), None);
    }

    #[test]
    fn nothing_and_nonsense() {
        assert_eq!(Hierarchies::parse("", |_| String::new()), Hierarchies::default());
        assert_eq!(Hierarchies::parse("a b c\n1 - cgroup\n - cgroup2 x y", |_| String::new()).all, []);
        assert!(!Hierarchies::default().is_unified());
        assert_eq!(unescape("a\\04"), PathBuf::from("a\\04"));
    }
}
