//! Whether the caller has rights over the machine, or makes do without.

use crate::error::Error;
use std::path::{Path, PathBuf};

/// What `--rootless` says; by itself, whether the caller is anybody but root, or root of a user namespace only.
pub(super) fn decide(flag: Option<&str>) -> Result<bool, Error> {
    match flag.unwrap_or("auto") {
        "" | "auto" => Ok(!rustix::process::geteuid().is_root() || in_user_namespace()),
        text => match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "1" => Ok(true),
            "false" | "f" | "0" => Ok(false),
            _ => {
                Err(Error::Usage(format!("invalid --rootless value {text:?}: it takes true, false or auto")))
            }
        },
    }
}

/// Whether the ids of the calling process are others on the machine. Without a readable map nothing is known of one.
fn in_user_namespace() -> bool {
    std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| !is_whole(&map))
}

/// Whether a map is the machine's own: all ids, each itself.
fn is_whole(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// Where the container's cgroup is made when the spec does not say: beside the caller's own, in what may be delegated
/// to the user. The own one has processes, and so can't have groups with limits in it.
pub(super) fn cgroup_of(id: &str) -> PathBuf {
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    beside(&own, id)
}

/// The same by the content of `/proc/self/cgroup`.
fn beside(own: &str, id: &str) -> PathBuf {
    // More hierarchies, or version 1: nothing is ever delegated to a user there.
    let path = own.strip_prefix("0::").map(str::trim_end).filter(|path| !path.contains('\n'));
    path.and_then(|path| Path::new(path).parent()).map_or_else(|| PathBuf::from(id), |parent| parent.join(id))
}

/// Where containers are kept when `--root` does not say.
pub(crate) fn default_root(default: &str) -> PathBuf {
    let dir = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty());
    let is_user = || {
        !rustix::process::geteuid().is_root()
            // Root of a user namespace, but not by becoming it (`su`), which leaves the variable behind.
            || in_user_namespace() && std::env::var_os("USER").is_none_or(|user| user != "root")
    };
    match dir {
        Some(dir) if is_user() => PathBuf::from(dir).join("brig-oci"),
        _ => default.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        assert!(decide(Some("true")).unwrap() && !decide(Some("FALSE")).unwrap());
        assert_eq!(decide(None).unwrap(), decide(Some("auto")).unwrap());
        assert!(decide(Some("maybe")).unwrap_err().to_string().contains("true, false or auto"));
    }

    #[test]
    fn a_group_beside_the_own() {
        let own = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-7.scope\n";
        let expected = "/user.slice/user-1000.slice/user@1000.service/app.slice/c";
        assert_eq!(beside(own, "c"), Path::new(expected));
        for own in ["0::/\n", "1:name=systemd:/a\n0::/a\n", "0::/a\n1:name=systemd:/a\n", ""] {
            assert_eq!(beside(own, "c"), Path::new("c"), "{own:?}");
        }
    }

    #[test]
    fn maps() {
        assert!(is_whole("         0          0 4294967295\n"));
        assert!(!is_whole("0 1000 1\n") && !is_whole("0 0 1000\n1000 1000 4294966295\n"));
    }
}
