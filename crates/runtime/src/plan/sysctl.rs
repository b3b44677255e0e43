//! Which sysctls a container may set: those that belong to a namespace of its own. The words are runc's.

use crate::error::Error;
use oci_spec::runtime::LinuxNamespaceType;

/// Checks one sysctl; `own` says whether the container has a namespace of a type that is not the host's.
///
/// Answers its path below `/proc/sys`.
pub(crate) fn check(name: &str, own: impl Fn(LinuxNamespaceType) -> bool) -> Result<String, Error> {
    const IPC: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    let path = to_path(name);
    let dotted = path.replace('/', ".");
    let refused = |why: &str| Err(Error::Spec(format!("sysctl \"{name}\" {why}")));
    if path.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return refused("is not a valid name");
    }
    if IPC.contains(&dotted.as_str()) || dotted.starts_with("fs.mqueue.") {
        return match own(LinuxNamespaceType::Ipc) {
            true => Ok(path),
            false => refused("is not allowed in the hosts ipc namespace"),
        };
    }
    if dotted.starts_with("net.") {
        return match own(LinuxNamespaceType::Network) {
            true => Ok(path),
            false => refused("not allowed in host network namespace"),
        };
    }
    match dotted.as_str() {
        "kernel.domainname" if own(LinuxNamespaceType::Uts) => Ok(path),
        "kernel.domainname" => refused("is not allowed in the hosts uts namespace"),
        "kernel.hostname" => refused("is not allowed as it conflicts with the OCI \"hostname\" field"),
        _ => refused("is not in a separate kernel namespace"),
    }
}

/// `a.b/c` means `a/b.c` and `a/b.c` stays: the first separator says which one it is, as in sysctl(8).
fn to_path(name: &str) -> String {
    match name.find(['.', '/']) {
        Some(at) if name.as_bytes()[at] == b'.' => name
            .chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                c => c,
            })
            .collect(),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use LinuxNamespaceType::{Ipc, Network, Uts};

    #[test]
    fn only_those_of_own_namespaces() {
        assert_eq!(check("net.ipv4.ip_forward", |n| n == Network).unwrap(), "net/ipv4/ip_forward");
        assert_eq!(check("net/ipv4/conf/eth0.1/x", |n| n == Network).unwrap(), "net/ipv4/conf/eth0.1/x");
        assert_eq!(check("net.ipv4.conf.eth0/1.x", |n| n == Network).unwrap(), "net/ipv4/conf/eth0.1/x");
        assert_eq!(check("kernel.shmmax", |n| n == Ipc).unwrap(), "kernel/shmmax");
        assert_eq!(check("kernel.domainname", |n| n == Uts).unwrap(), "kernel/domainname");
        for (name, why) in [
            ("net.ipv4.ip_forward", "not allowed in host network namespace"),
            ("kernel.sem", "is not allowed in the hosts ipc namespace"),
            ("kernel.hostname", "conflicts"),
            ("vm.swappiness", "is not in a separate kernel namespace"),
            ("kernel.core_pattern", "is not in a separate kernel namespace"),
        ] {
            let text = check(name, |_| false).unwrap_err().to_string();
            assert!(text.contains(why), "{text}");
        }
        for name in ["", "net..x", "net/../kernel/core_pattern", "net/./x", "/net/x"] {
            assert!(check(name, |_| true).is_err(), "{name}");
        }
    }
}
