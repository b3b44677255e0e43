//! Whether the caller has rights over the machine, or makes do without.

use crate::error::Error;

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
    fn maps() {
        assert!(is_whole("         0          0 4294967295\n"));
        assert!(!is_whole("0 1000 1\n") && !is_whole("0 0 1000\n1000 1000 4294966295\n"));
    }
}
