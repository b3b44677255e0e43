//! The options of the driver `local`: what is mounted for a volume instead of its own folder.

use brig_runtime::Errno;
use rustix::mount::MountFlags;
use std::{
    collections::BTreeMap,
    ffi::CString,
    net::{IpAddr, ToSocketAddrs},
    path::Path,
};

type Options = BTreeMap<String, String>;

const KNOWN: [&str; 4] = ["type", "o", "device", "size"];

/// What is mounted for a volume: the arguments of mount(2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Backing {
    kind: String,
    device: String,
    flags: MountFlags,
    /// What the file system reads itself.
    data: Vec<String>,
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
    match (given("type") || given("o"), given("device")) {
        (_, true) if !given("type") => Err("missing required option: \"type\"".to_owned()),
        (true, false) => Err("missing required option: \"device\"".to_owned()),
        _ => Ok(()),
    }
}

/// Whether something is to be mounted for a volume of these options.
pub(super) fn is_mounted(options: Option<&Options>) -> bool {
    options.is_some_and(|options| options.get("device").is_some_and(|device| !device.is_empty()))
}

impl Backing {
    /// What is mounted for a volume of these options; `None` for one that is a folder of its own.
    pub(super) fn of(options: Option<&Options>) -> Option<Self> {
        let options = options.filter(|options| is_mounted(Some(options)))?;
        let get = |key: &str| options.get(key).map_or("", String::as_str);
        let (mut flags, mut data) = (MountFlags::empty(), Vec::new());
        for option in get("o").split(',').filter(|option| !option.is_empty() && *option != "defaults") {
            match flag(option) {
                Some((flag, true)) => flags |= flag,
                Some((flag, false)) => flags -= flag,
                None => data.push(option.to_owned()),
            }
        }
        Some(Self { kind: get("type").to_owned(), device: get("device").to_owned(), flags, data })
    }

    /// The same with the server's address in numbers, which the kernel wants for network file systems.
    pub(super) fn resolved(mut self) -> Result<Self, String> {
        let is_cifs = self.kind == "cifs";
        if !self.kind.starts_with("nfs") && !is_cifs {
            return Ok(self);
        }
        let place = self.data.iter().position(|option| option.starts_with("addr="));
        match place {
            Some(place) => {
                let host = &self.data[place]["addr=".len()..];
                self.data[place] = format!("addr={}", address(host)?);
            }
            // The server's name is in `//server/share`.
            None if is_cifs => {
                let server = self.device.trim_start_matches('/').split('/').next().unwrap_or_default();
                if !server.is_empty() {
                    self.data.insert(0, format!("addr={}", address(server)?));
                }
            }
            None => {}
        }
        Ok(self)
    }

    /// Mounts it.
    pub(super) fn mount(&self, target: &Path) -> Result<(), String> {
        let data = CString::new(self.data.join(",")).map_err(|_| self.failed(target, Errno(22)))?;
        let failed = |e: rustix::io::Errno| self.failed(target, Errno::from(e));
        let data = (!self.data.is_empty()).then_some(data.as_c_str());
        rustix::mount::mount(self.device.as_str(), target, self.kind.as_str(), self.flags, data)
            .map_err(failed)?;
        // The kernel makes a bind first, and changes it then.
        let change = self.flags - (MountFlags::BIND | MountFlags::REC);
        if self.flags.contains(MountFlags::BIND) && !change.is_empty() {
            let changed = rustix::mount::mount_remount(target, change | MountFlags::BIND, c"");
            if let Err(e) = changed {
                // Nobody uses it yet: what is left is told of by the failure.
                let _ = unmount(target);
                return Err(failed(e));
            }
        }
        Ok(())
    }

    /// Docker's words for a mount that failed.
    fn failed(&self, target: &Path, errno: Errno) -> String {
        let mut text = format!("failed to mount local volume: mount {}:{}", self.device, target.display());
        if !self.flags.is_empty() {
            text.push_str(&format!(", flags: {:#x}", self.flags.bits()));
        }
        let shown = self.data.iter().map(|option| match option.split_once('=') {
            Some((key @ ("password" | "pass"), _)) => format!("{key}=********"),
            _ => option.clone(),
        });
        let shown: Vec<String> = shown.collect();
        if !shown.is_empty() {
            text.push_str(&format!(", data: {}", shown.join(",")));
        }
        format!("{text}: {errno}")
    }
}

/// Takes away what is mounted at a path; whoever has it open keeps it. Answers whether something was.
pub(super) fn unmount(target: &Path) -> std::io::Result<bool> {
    use rustix::{io::Errno, mount::UnmountFlags};
    match rustix::mount::unmount(target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        Ok(()) => Ok(true),
        Err(Errno::INVAL | Errno::NOENT) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

fn address(host: &str) -> Result<IpAddr, String> {
    if let Ok(address) = host.parse() {
        return Ok(address);
    }
    let failed = |why: String| format!("error resolving passed in network volume address: {why}");
    let mut found = (host, 0).to_socket_addrs().map_err(|e| failed(format!("lookup {host}: {e}")))?;
    found.next().map(|found| found.ip()).ok_or_else(|| failed(format!("lookup {host}: no such host")))
}

/// A word of mount(8) that is a bit: which one, and whether it sets or clears it.
fn flag(word: &str) -> Option<(MountFlags, bool)> {
    const MANDATORY_LOCKS: MountFlags = MountFlags::from_bits_retain(1 << 6);
    const UNBINDABLE: MountFlags = MountFlags::from_bits_retain(1 << 17);
    const PRIVATE: MountFlags = MountFlags::from_bits_retain(1 << 18);
    const SLAVE: MountFlags = MountFlags::from_bits_retain(1 << 19);
    const SHARED: MountFlags = MountFlags::from_bits_retain(1 << 20);
    const REC: MountFlags = MountFlags::REC;
    Some(match word {
        "ro" => (MountFlags::RDONLY, true),
        "rw" => (MountFlags::RDONLY, false),
        "nosuid" => (MountFlags::NOSUID, true),
        "suid" => (MountFlags::NOSUID, false),
        "nodev" => (MountFlags::NODEV, true),
        "dev" => (MountFlags::NODEV, false),
        "noexec" => (MountFlags::NOEXEC, true),
        "exec" => (MountFlags::NOEXEC, false),
        "sync" => (MountFlags::SYNCHRONOUS, true),
        "async" => (MountFlags::SYNCHRONOUS, false),
        "dirsync" => (MountFlags::DIRSYNC, true),
        "mand" => (MANDATORY_LOCKS, true),
        "nomand" => (MANDATORY_LOCKS, false),
        "noatime" => (MountFlags::NOATIME, true),
        "atime" => (MountFlags::NOATIME, false),
        "nodiratime" => (MountFlags::NODIRATIME, true),
        "diratime" => (MountFlags::NODIRATIME, false),
        "relatime" => (MountFlags::RELATIME, true),
        "norelatime" => (MountFlags::RELATIME, false),
        "strictatime" => (MountFlags::STRICTATIME, true),
        "nostrictatime" => (MountFlags::STRICTATIME, false),
        "bind" => (MountFlags::BIND, true),
        "rbind" => (MountFlags::BIND | REC, true),
        "unbindable" => (UNBINDABLE, true),
        "runbindable" => (UNBINDABLE | REC, true),
        "private" => (PRIVATE, true),
        "rprivate" => (PRIVATE | REC, true),
        "slave" => (SLAVE, true),
        "rslave" => (SLAVE | REC, true),
        "shared" => (SHARED, true),
        "rshared" => (SHARED | REC, true),
        _ => return None,
    })
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
            (&[("o", "bind")], "missing required option: \"device\""),
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
        assert_eq!(Backing::of(None), None);
        let of = |pairs: &[(&str, &str)]| Backing::of(Some(&options(pairs))).unwrap();
        let bind = of(&[("type", "none"), ("o", "bind,ro,defaults"), ("device", "/srv")]);
        assert_eq!((bind.flags, bind.data.len()), (MountFlags::BIND | MountFlags::RDONLY, 0));
        let tmpfs = of(&[("type", "tmpfs"), ("o", "size=1m,uid=3,ro,rw"), ("device", "tmpfs")]);
        assert_eq!((tmpfs.flags, tmpfs.data.join(",").as_str()), (MountFlags::empty(), "size=1m,uid=3"));
        let nfs = of(&[("type", "nfs4"), ("o", "addr=localhost,rw"), ("device", ":/x")]).resolved().unwrap();
        assert!(matches!(nfs.data[0].as_str(), "addr=127.0.0.1" | "addr=::1"), "{nfs:?}");
        let cifs =
            of(&[("type", "cifs"), ("o", "username=x"), ("device", "//127.0.0.1/x")]).resolved().unwrap();
        assert_eq!(cifs.data, ["addr=127.0.0.1", "username=x"]);
    }

    #[test]
    fn failures_are_told_in_dockers_words_and_without_passwords() {
        let cifs = options(&[
            ("type", "cifs"),
            ("o", "addr=127.0.0.1,ro,username=x,password=secret"),
            ("device", "//127.0.0.1/x"),
        ]);
        let text = Backing::of(Some(&cifs)).unwrap().failed(Path::new("/v"), Errno(19));
        let data = "data: addr=127.0.0.1,username=x,password=********";
        assert_eq!(
            text,
            format!(
                "failed to mount local volume: mount //127.0.0.1/x:/v, flags: 0x1, {data}: no such device"
            )
        );
    }
}
