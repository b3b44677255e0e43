//! The options of the driver `local`: what a volume is instead of a folder of its own.

use crate::error::{Error, Result};
use std::{
    collections::BTreeMap,
    net::{IpAddr, ToSocketAddrs},
    path::PathBuf,
};

type Options = BTreeMap<String, String>;

const KNOWN: [&str; 4] = ["type", "o", "device", "size"];

/// What is mounted for a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Backing {
    /// Its own folder.
    Folder,
    /// A file or folder of the host.
    Bind(PathBuf),
    /// A file system, mounted in each container that uses it.
    FileSystem {
        /// Its type, as in mount(8).
        kind: String,
        /// Its device.
        device: String,
        /// Mount options.
        options: Vec<String>,
    },
}

/// Refuses options that no volume can have, in Docker's words.
pub(super) fn check(options: &Options) -> Result<(), String> {
    if let Some(unknown) = options.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return Err(format!("invalid option: {unknown:?}"));
    }
    let given = |key: &str| options.get(key).is_some_and(|value| !value.is_empty());
    if given("size") {
        return Err("quota size requested but no quota support".to_owned());
    }
    match (given("type"), given("device")) {
        (false, true) => Err("missing required option: \"type\"".to_owned()),
        (true, false) => Err("missing required option: \"device\"".to_owned()),
        _ => Ok(()),
    }
}

impl Backing {
    /// What a volume of these options is.
    pub(crate) fn of(options: Option<&Options>) -> Self {
        let get = |key: &str| options.and_then(|options| options.get(key)).map_or("", String::as_str);
        let (kind, device) = (get("type"), get("device"));
        if device.is_empty() {
            return Self::Folder;
        }
        let options: Vec<String> = get("o").split(',').filter(|o| !o.is_empty()).map(str::to_owned).collect();
        if options.iter().any(|o| o == "bind" || o == "rbind") {
            return Self::Bind(device.into());
        }
        let mut options = options;
        // As the kernel makes it; elsewhere a tmpfs takes the mode of the folder that it is mounted on.
        if kind == "tmpfs" && !options.iter().any(|o| o.starts_with("mode=")) {
            options.push("mode=1777".to_owned());
        }
        Self::FileSystem { kind: kind.to_owned(), device: device.to_owned(), options }
    }

    /// The same with the server's address in numbers, which the kernel wants for network file systems.
    pub(crate) fn resolved(self) -> Result<Self> {
        let Self::FileSystem { kind, device, mut options } = self else { return Ok(self) };
        if kind.starts_with("nfs") || kind == "cifs" {
            for option in &mut options {
                if let Some(host) = option.strip_prefix("addr=")
                    && host.parse::<IpAddr>().is_err()
                {
                    let failed = |why: String| {
                        Error::System(format!("error resolving passed in network volume address: {why}"))
                    };
                    let found = (host, 0).to_socket_addrs().map_err(|e| failed(e.to_string()))?.next();
                    let found = found.ok_or_else(|| failed(format!("lookup {host}: no such host")))?;
                    *option = format!("addr={}", found.ip());
                }
            }
        }
        Ok(Self::FileSystem { kind, device, options })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> Options {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn what_is_refused() {
        for (given, why) in [
            (&[("foo", "bar")][..], "invalid option: \"foo\""),
            (&[("type", "tmpfs")], "missing required option: \"device\""),
            (&[("device", "tmpfs")], "missing required option: \"type\""),
            (&[("size", "10m")], "quota size requested but no quota support"),
        ] {
            assert_eq!(check(&options(given)), Err(why.to_owned()));
        }
        check(&options(&[("type", "nfs"), ("device", ":/x"), ("o", "addr=1.2.3.4,rw")])).unwrap();
        check(&Options::new()).unwrap();
    }

    #[test]
    fn what_they_mean() {
        assert_eq!(Backing::of(None), Backing::Folder);
        let bind = options(&[("type", "none"), ("o", "bind,ro"), ("device", "/srv")]);
        assert_eq!(Backing::of(Some(&bind)), Backing::Bind("/srv".into()));
        let tmpfs = options(&[("type", "tmpfs"), ("o", "size=1m,uid=3"), ("device", "tmpfs")]);
        let Backing::FileSystem { kind, options, .. } = Backing::of(Some(&tmpfs)) else { panic!() };
        assert_eq!((kind.as_str(), options.len()), ("tmpfs", 3));
        let nfs = Backing::FileSystem {
            kind: "nfs".to_owned(),
            device: ":/x".to_owned(),
            options: vec!["addr=localhost".to_owned(), "rw".to_owned()],
        };
        let Backing::FileSystem { options, .. } = nfs.resolved().unwrap() else { panic!() };
        assert!(matches!(options[0].as_str(), "addr=127.0.0.1" | "addr=::1"), "{options:?}");
    }
}
