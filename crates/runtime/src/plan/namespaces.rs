//! Which namespaces a container gets: its own, a joined one, or the caller's.

use super::idmap::IdMaps;
use super::time_offsets::time_offsets;
use crate::error::{Errno, Error};
use oci_spec::runtime::{Linux, LinuxNamespaceType};
use rustix::fs::{Mode, OFlags};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

/// The namespaces of a container.
#[derive(Debug, Default)]
pub(crate) struct Namespaces {
    /// `CLONE_NEW*` of those that are made for it.
    new: i32,
    /// Those that it joins.
    pub(crate) joined: Vec<(LinuxNamespaceType, OwnedFd)>,
    /// A network namespace that it joins as soon as that is there.
    pub(crate) network_later: bool,
    /// The ids of its user namespace: those of a new one, or what the spec says of a joined one.
    pub(crate) ids: Option<IdMaps>,
    /// What is written to `timens_offsets` of a new time namespace.
    pub(crate) time_offsets: String,
}

/// The `CLONE_NEW*` flag of a type.
pub(crate) fn flag(kind: LinuxNamespaceType) -> i32 {
    kind as i32
}

impl Namespaces {
    /// Reads the spec; a descriptor given by the caller wins over what the spec says of its type.
    pub(crate) fn new(
        linux: Option<&Linux>,
        given: Vec<(LinuxNamespaceType, OwnedFd)>,
        network_later: bool,
    ) -> Result<Self, Error> {
        let mut namespaces = Self { joined: given, network_later, ..Self::default() };
        let mut seen = 0;
        for namespace in linux.and_then(|l| l.namespaces().as_ref()).into_iter().flatten() {
            let kind = namespace.typ();
            if seen & flag(kind) != 0 {
                return Err(Error::Spec(format!("malformed spec file: duplicated ns {kind}")));
            }
            seen |= flag(kind);
            if namespaces.is_joined(kind) {
                continue;
            }
            match namespace.path().as_ref().filter(|p| !p.as_os_str().is_empty()) {
                None => namespaces.new |= flag(kind),
                Some(path) => {
                    let fd =
                        open(path).map_err(|e| Error::path(format!("open {kind} namespace"), path, e))?;
                    namespaces.joined.push((kind, fd));
                }
            }
        }
        for (kind, fd) in &namespaces.joined {
            check_type(*kind, fd)?;
        }
        if !namespaces.is_own(LinuxNamespaceType::Mount) {
            return Err(Error::Unsupported("a container without a mount namespace of its own".into()));
        }
        namespaces.leave_out_own_user_namespace()?;
        namespaces.ids = namespaces.id_maps(linux)?;
        let offsets = linux.and_then(|l| l.time_offsets().as_ref());
        namespaces.time_offsets = time_offsets(offsets.into_iter().flatten(), &namespaces)?;
        Ok(namespaces)
    }

    /// A process can't join the user namespace that it is in, and has nothing to gain by it.
    fn leave_out_own_user_namespace(&mut self) -> Result<(), Error> {
        use rustix::fs::{fstat, stat};
        const OWN: &str = "/proc/self/ns/user";
        let Some(index) = self.joined.iter().position(|(kind, _)| *kind == LinuxNamespaceType::User) else {
            return Ok(());
        };
        let own = stat(OWN).map_err(|e| Error::path("stat", OWN, e))?;
        let given = fstat(&self.joined[index].1).map_err(|e| Error::step("stat the user namespace", e))?;
        if (given.st_dev, given.st_ino) == (own.st_dev, own.st_ino) {
            self.joined.remove(index);
        }
        Ok(())
    }

    fn id_maps(&self, linux: Option<&Linux>) -> Result<Option<IdMaps>, Error> {
        let users = linux.and_then(|l| l.uid_mappings().as_deref()).unwrap_or_default();
        let groups = linux.and_then(|l| l.gid_mappings().as_deref()).unwrap_or_default();
        let given = !users.is_empty() || !groups.is_empty();
        let is_new = self.is_new(LinuxNamespaceType::User);
        if given && !self.is_own(LinuxNamespaceType::User) {
            return Err(Error::Spec(
                "user namespace mappings specified, but user namespace isn't enabled in the config: add \
                 {\"type\": \"user\"} to linux.namespaces"
                    .into(),
            ));
        }
        for (list, kind) in [(users, "uid"), (groups, "gid")] {
            if is_new && list.is_empty() {
                return Err(Error::Spec(format!(
                    "user namespace enabled, but no {kind} mappings specified: set linux.{kind}Mappings"
                )));
            }
        }
        (is_new || given).then(|| IdMaps::new(users, groups, "the container")).transpose()
    }

    /// Whether a process of its own has to go ahead into namespaces that the maker can't enter and leave again.
    pub(crate) fn need_gateway(&self) -> bool {
        self.is_own(LinuxNamespaceType::User) || self.is_new(LinuxNamespaceType::Time)
    }

    /// The descriptor of one that is joined.
    pub(crate) fn joined(&self, kind: LinuxNamespaceType) -> Option<&OwnedFd> {
        self.joined.iter().find(|(k, _)| *k == kind).map(|(_, fd)| fd)
    }

    /// Takes the descriptor of one that is joined.
    pub(crate) fn take_joined(&mut self, kind: LinuxNamespaceType) -> Option<OwnedFd> {
        let index = self.joined.iter().position(|(k, _)| *k == kind)?;
        Some(self.joined.swap_remove(index).1)
    }

    fn is_joined(&self, kind: LinuxNamespaceType) -> bool {
        let later = self.network_later && kind == LinuxNamespaceType::Network;
        later || self.joined.iter().any(|(k, _)| *k == kind)
    }

    /// Whether one is made for it.
    pub(crate) fn is_new(&self, kind: LinuxNamespaceType) -> bool {
        self.new & flag(kind) != 0
    }

    /// Whether it is not the caller's: made for it or joined.
    pub(crate) fn is_own(&self, kind: LinuxNamespaceType) -> bool {
        self.is_new(kind) || self.is_joined(kind)
    }

    /// Whether what is set in it leaves the caller's alone: the caller's own may have been given as one to join.
    pub(crate) fn is_apart(&self, kind: LinuxNamespaceType) -> bool {
        let given = self.joined.iter().find(|(k, _)| *k == kind);
        self.is_own(kind) && given.is_none_or(|(_, fd)| !is_callers(kind, fd))
    }

    /// The flags for `clone3`: all new ones but cgroup, which has to wait until the child is in its cgroup, and
    /// those that the process before it has made.
    pub(crate) fn clone_flags(&self) -> u64 {
        let earlier = libc::CLONE_NEWUSER | libc::CLONE_NEWTIME;
        (self.new & !libc::CLONE_NEWCGROUP & !earlier) as u32 as u64
    }
}

/// Opens what should be a namespace; a pipe in its place must not keep us waiting, nor a terminal become ours.
fn open(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Whether a namespace is the calling process' own; also where that can't be found out.
fn is_callers(kind: LinuxNamespaceType, fd: &OwnedFd) -> bool {
    use LinuxNamespaceType as T;
    let name = match kind {
        T::Mount => "mnt",
        T::Cgroup => "cgroup",
        T::Uts => "uts",
        T::Ipc => "ipc",
        T::User => "user",
        T::Pid => "pid",
        T::Network => "net",
        T::Time => "time",
    };
    let own = rustix::fs::stat(format!("/proc/self/ns/{name}"));
    match (own, rustix::fs::fstat(fd)) {
        (Ok(own), Ok(given)) => (own.st_dev, own.st_ino) == (given.st_dev, given.st_ino),
        _ => true,
    }
}

/// `NS_GET_NSTYPE` of `linux/nsfs.h`: the `CLONE_NEW*` flag of a namespace descriptor.
const NS_GET_NSTYPE: libc::c_ulong = 0xb703;

/// Refuses a descriptor that is not of a namespace of this type.
pub(crate) fn check_type(kind: LinuxNamespaceType, fd: &OwnedFd) -> Result<(), Error> {
    // SAFETY: the request takes no argument and answers an integer; on other files it fails with ENOTTY.
    let found = unsafe { libc::ioctl(fd.as_raw_fd(), NS_GET_NSTYPE) };
    if found == flag(kind) {
        return Ok(());
    }
    Err(Error::Spec(format!("what was given as {kind} namespace is none")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use LinuxNamespaceType::{Ipc, Network, Pid};

    fn linux(json: &str) -> Linux {
        serde_json::from_str(&format!(r#"{{"namespaces":{json}}}"#)).unwrap()
    }

    fn open(name: &str) -> OwnedFd {
        std::fs::File::open(format!("/proc/self/ns/{name}")).unwrap().into()
    }

    #[test]
    fn a_given_descriptor_wins() {
        let l = linux(r#"[{"type":"mount"},{"type":"network","path":"/nonexistent"},{"type":"pid"}]"#);
        let n = Namespaces::new(Some(&l), vec![(Network, open("net"))], false).unwrap();
        assert!(n.is_own(Network) && !n.is_new(Network));
        assert!(n.is_new(Pid) && !n.is_own(Ipc));
        assert_eq!(n.clone_flags(), (libc::CLONE_NEWNS | libc::CLONE_NEWPID) as u64);
    }

    #[test]
    fn one_that_comes_later_is_not_made() {
        let l = linux(r#"[{"type":"mount"},{"type":"network"}]"#);
        let n = Namespaces::new(Some(&l), vec![], true).unwrap();
        assert!(n.is_own(Network) && !n.is_new(Network));
    }

    #[test]
    fn a_path_is_joined() {
        let l = linux(r#"[{"type":"mount"},{"type":"ipc","path":"/proc/self/ns/ipc"},{"type":"cgroup"}]"#);
        let n = Namespaces::new(Some(&l), vec![], false).unwrap();
        assert_eq!(n.joined.len(), 1);
        assert!(n.is_own(Ipc) && !n.is_apart(Ipc), "it is the caller's");
        assert_eq!(n.clone_flags(), libc::CLONE_NEWNS as u64, "the cgroup namespace comes later");
    }

    #[test]
    fn the_own_user_namespace_is_not_joined() {
        let l = linux(r#"[{"type":"mount"},{"type":"user","path":"/proc/self/ns/user"}]"#);
        let n = Namespaces::new(Some(&l), vec![], false).unwrap();
        assert!(!n.is_own(LinuxNamespaceType::User) && !n.need_gateway());
    }

    #[test]
    fn mappings_and_offsets_belong_to_namespaces() {
        let read = |json: &str| Namespaces::new(Some(&serde_json::from_str(json).unwrap()), vec![], false);
        let maps = r#""uidMappings":[{"hostID":1000,"size":1}],"gidMappings":[{"hostID":1000,"size":1}]"#;
        let n = read(&format!(r#"{{"namespaces":[{{"type":"mount"}},{{"type":"user"}}],{maps}}}"#)).unwrap();
        assert!(n.need_gateway());
        assert_eq!(n.ids.unwrap().users.text(), "0 1000 1\n");
        for (json, expected) in [
            (format!(r#"{{"namespaces":[{{"type":"mount"}}],{maps}}}"#), "isn't enabled"),
            (
                r#"{"namespaces":[{"type":"mount"},{"type":"user"}],"uidMappings":[{"size":1}]}"#.into(),
                "no gid mappings",
            ),
            (r#"{"namespaces":[{"type":"mount"}],"timeOffsets":{"boottime":{"secs":1}}}"#.into(), "time"),
        ] {
            let error = read(&json).unwrap_err().to_string();
            assert!(error.contains(expected), "{json}: {error}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for (json, given) in [
            (r#"[{"type":"mount"},{"type":"pid"},{"type":"pid"}]"#, vec![]),
            (r#"[{"type":"mount"},{"type":"ipc","path":"/nonexistent"}]"#, vec![]),
            (r#"[{"type":"mount"},{"type":"ipc","path":"/proc/self/ns/net"}]"#, vec![]),
            (r#"[{"type":"mount"},{"type":"ipc","path":"/dev/null"}]"#, vec![]),
            (r#"[{"type":"mount"}]"#, vec![(Network, open("ipc"))]),
            (r#"[{"type":"pid"}]"#, vec![]),
            (r#"[{"type":"mount"},{"type":"user"}]"#, vec![]),
        ] {
            assert!(Namespaces::new(Some(&linux(json)), given, false).is_err(), "{json}");
        }
    }
}
