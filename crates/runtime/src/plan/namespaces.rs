//! Which namespaces a container gets: its own, a joined one, or the caller's.

use crate::error::Error;
use oci_spec::runtime::{Linux, LinuxNamespaceType};
use std::os::fd::{AsRawFd, OwnedFd};

/// The namespaces of a container.
#[derive(Debug, Default)]
pub(crate) struct Namespaces {
    /// `CLONE_NEW*` of those that are made for it.
    new: i32,
    /// Those that it joins.
    pub(crate) joined: Vec<(LinuxNamespaceType, OwnedFd)>,
    /// A network namespace that it joins as soon as that is there.
    pub(crate) network_later: bool,
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
        let mut namespaces = Self { new: 0, joined: given, network_later };
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
                    let file = std::fs::File::open(path)
                        .map_err(|e| Error::path(format!("open {kind} namespace"), path, e))?;
                    namespaces.joined.push((kind, file.into()));
                }
            }
        }
        for (kind, fd) in &namespaces.joined {
            check_type(*kind, fd)?;
        }
        namespaces.check()?;
        Ok(namespaces)
    }

    fn check(&self) -> Result<(), Error> {
        if !self.is_new(LinuxNamespaceType::Mount) {
            return Err(Error::Unsupported("a container without a new mount namespace".into()));
        }
        for kind in [LinuxNamespaceType::User, LinuxNamespaceType::Time] {
            if self.is_own(kind) {
                return Err(Error::Unsupported(format!("a {kind} namespace")));
            }
        }
        Ok(())
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

    /// The flags for `clone3`: all new ones but cgroup, which has to wait until the child is in its cgroup.
    pub(crate) fn clone_flags(&self) -> u64 {
        (self.new & !libc::CLONE_NEWCGROUP) as u32 as u64
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
        assert_eq!(n.clone_flags(), libc::CLONE_NEWNS as u64, "the cgroup namespace comes later");
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
        ] {
            assert!(Namespaces::new(Some(&linux(json)), given, false).is_err(), "{json}");
        }
    }
}
