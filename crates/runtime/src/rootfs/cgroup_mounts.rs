//! The cgroup hierarchies as a container sees them.
//!
//! On a pure cgroup v2 host: the one hierarchy, seen through the container's cgroup namespace. Otherwise, as Docker
//! has it there: a tmpfs with a folder for each v1 hierarchy, into which the container's own cgroup is bound, and
//! links for the single controllers of a hierarchy that joins several.

use super::mounts::{Failure, is_folder_below, shape, step};
use super::pivot::unescape;
use crate::cgroup::{Hierarchies, Version};
use crate::error::{Errno, Error};
use crate::inroot::{Links, Node, Root};
use crate::mountfd::{Change, Depth, Detached, MountFailure, Setting, attr};
use crate::plan::mount::MountPlan;
use rustix::fs::{Mode, mkdirat, statfs, symlinkat};
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// `CGROUP2_SUPER_MAGIC` of `linux/magic.h`.
const CGROUP2_MAGIC: i64 = 0x6367_7270;

/// Where the calling process' own cgroups are to be found, as the host's names have it.
#[derive(Debug)]
pub(crate) enum CgroupView {
    /// A pure cgroup v2 host: the folder of the own cgroup.
    Unified(PathBuf),
    /// The v1 hierarchies.
    Hierarchies(Vec<Hierarchy>),
}

impl CgroupView {
    /// Where they are for a process whose cgroup is `below` the root of every hierarchy of the machine.
    pub(crate) fn of_group(machine: &Hierarchies, below: &Path) -> Self {
        let own = |mount: &Path| mount.join(below);
        if let (true, Some(only)) = (machine.is_unified(), machine.iter().next()) {
            return Self::Unified(own(&only.mount));
        }
        let v1 = machine.iter().filter(|hierarchy| hierarchy.version == Version::V1);
        Self::Hierarchies(
            v1.map(|hierarchy| Hierarchy {
                point: hierarchy.mount.clone(),
                own: own(&hierarchy.mount),
                controllers: hierarchy.names.split(',').map(str::to_owned).collect(),
            })
            .collect(),
        )
    }

    /// Looks for them. Must come before a cgroup namespace of its own is made, which hides the names.
    pub(crate) fn of_self() -> Result<Self, Error> {
        const ROOT: &str = "/sys/fs/cgroup";
        let read = |path: &str| std::fs::read(path).map_err(|e| Error::path("read", path, e));
        let own = parse_own(&String::from_utf8_lossy(&read("/proc/self/cgroup")?));
        let host = statfs(ROOT).map_err(|e| Error::path("statfs", ROOT, e))?;
        if host.f_type == CGROUP2_MAGIC {
            let path =
                own.iter().find(|(controllers, _)| controllers.is_empty()).map(|(_, path)| path.as_path());
            let below = path.map_or(Path::new(""), |p| p.strip_prefix("/").unwrap_or(p));
            return Ok(Self::Unified(Path::new(ROOT).join(below)));
        }
        Ok(Self::Hierarchies(parse(&read("/proc/self/mountinfo")?, &own)))
    }
}

/// Mounts them where the spec says.
pub(super) fn mount(mount: &MountPlan, root: &Root, view: &CgroupView) -> Result<(), Failure> {
    let target = root.make(&mount.target, Node::Folder, Links::Follow).map_err(step("make mount point"))?;
    is_folder_below(root, target.as_fd(), mount)?;
    let hierarchies = match view {
        CgroupView::Hierarchies(hierarchies) => hierarchies,
        CgroupView::Unified(own) => {
            let made = unified(mount, own)?;
            shape(&made, mount)?;
            return made.attach(target.as_fd()).map_err(step("attach"));
        }
    };
    let mode = [Setting::Text("mode".into(), "755".into())];
    let tmpfs = Detached::filesystem("tmpfs", "tmpfs", &mode, attr::NOSUID | attr::NODEV | attr::NOEXEC)?;
    for hierarchy in hierarchies {
        mkdirat(&tmpfs, hierarchy.name(), Mode::from_raw_mode(0o755))
            .map_err(|e| step("make a folder")(e.into()))?;
    }
    // Mounts can be attached only to what is attached itself (before Linux 6.15).
    tmpfs.attach(target.as_fd()).map_err(step("attach"))?;
    let inside = Root::new(tmpfs.into_fd());
    for hierarchy in hierarchies {
        let name = PathBuf::from(hierarchy.name());
        let place =
            inside.open(&name, rustix::fs::OFlags::PATH, Links::Refuse).map_err(step("open a folder"))?;
        let own = Detached::clone_path(&hierarchy.own, Depth::Top)
            .map_err(|e| MountFailure::new(format!("bind cgroup {}", hierarchy.own.display()), e))?;
        shape(&own, mount)?;
        own.attach(place.as_fd()).map_err(step("attach"))?;
        for controller in hierarchy.links() {
            match symlinkat(hierarchy.name(), &inside, controller) {
                // A hierarchy of this very name is there.
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(e) => return Err(step("link a controller")(e.into())),
            }
        }
    }
    let top = Change { set: mount.top.set & attr::RDONLY, clear: 0 };
    crate::mountfd::change(inside.as_fd(), top, Depth::Top).map_err(step("set mount options"))
}

fn unified(mount: &MountPlan, own: &Path) -> Result<Detached, Failure> {
    match Detached::filesystem("cgroup2", "cgroup", &[], mount.top.set) {
        Ok(made) => Ok(made),
        // Without rights over the cgroup namespace: what the host has, at our own place.
        Err(MountFailure { errno: Errno(libc::EPERM | libc::EBUSY), .. }) => {
            Detached::clone_path(own, Depth::Recursive).map_err(step("bind own cgroup"))
        }
        Err(failure) => Err(failure.into()),
    }
}

/// One v1 hierarchy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    /// Where the host mounts it.
    point: PathBuf,
    /// The own cgroup, below that.
    own: PathBuf,
    /// Controllers, or `name=x`.
    controllers: Vec<String>,
}

impl Hierarchy {
    fn name(&self) -> &std::ffi::OsStr {
        self.point.file_name().unwrap_or_default()
    }

    /// Controllers that are found under another name than their own.
    fn links(&self) -> impl Iterator<Item = &str> {
        let several = self.controllers.len() > 1;
        self.controllers.iter().map(String::as_str).filter(move |_| several)
    }
}

/// `/proc/self/cgroup`: controllers and path, for each hierarchy.
fn parse_own(text: &str) -> Vec<(Vec<String>, PathBuf)> {
    let line = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let controllers = fields.next()?.split(',').filter(|c| !c.is_empty()).map(str::to_owned).collect();
        Some((controllers, PathBuf::from(fields.next()?)))
    };
    text.lines().filter_map(line).collect()
}

/// The v1 hierarchies in a mountinfo, each once.
fn parse(info: &[u8], own: &[(Vec<String>, PathBuf)]) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in info.split(|b| *b == b'\n') {
        let fields: Vec<&[u8]> = line.split(|b| *b == b' ').collect();
        let Some(dash) = fields.iter().position(|f| *f == b"-") else { continue };
        let (Some(root), Some(point), Some(kind), Some(options)) =
            (fields.get(3), fields.get(4), fields.get(dash + 1), fields.get(dash + 3))
        else {
            continue;
        };
        if *kind != b"cgroup" {
            continue;
        }
        let options = String::from_utf8_lossy(options).into_owned();
        let options: Vec<&str> = options.split(',').collect();
        let Some((controllers, path)) =
            own.iter().find(|(c, _)| !c.is_empty() && c.iter().all(|c| options.contains(&c.as_str())))
        else {
            continue;
        };
        let point = PathBuf::from(OsString::from_vec(unescape(point)));
        let root = PathBuf::from(OsString::from_vec(unescape(root)));
        // A mount that shows a part of the hierarchy shows our cgroup only if that is below the part.
        let Ok(below) = path.strip_prefix(&root) else { continue };
        if found.iter().any(|h| h.controllers == *controllers) {
            continue;
        }
        found.push(Hierarchy { own: point.join(below), point, controllers: controllers.clone() });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_of_a_hybrid_host() {
        let own = parse_own("3:cpu,cpuacct:/brig/x\n2:memory:/other\n1:name=systemd:/brig/x\n0::/brig/x\n");
        assert_eq!(own.len(), 4);
        let info = b"30 24 0:26 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
            31 24 0:27 / /sys/fs/cgroup/systemd rw shared:9 - cgroup cgroup rw,xattr,name=systemd\n\
            32 24 0:28 /part /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            33 24 0:26 / /elsewhere rw - cgroup cgroup rw,cpu,cpuacct\n\
            34 24 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let found = parse(info, &own);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].own, Path::new("/sys/fs/cgroup/cpu,cpuacct/brig/x"));
        assert_eq!(found[0].name(), "cpu,cpuacct");
        assert_eq!(found[0].links().collect::<Vec<_>>(), ["cpu", "cpuacct"]);
        assert_eq!(found[1].name(), "systemd");
        assert_eq!(found[1].links().count(), 0);
    }
}
