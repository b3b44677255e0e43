//! Mounts as clients write them: `source:target[:options]` and the long form. Pure; Docker's words.

use super::subpath;
use crate::record::Missing;
use brig_api::Mount;

/// A mount as asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Where in the container, absolute and clean.
    pub(super) destination: String,
    /// What.
    pub(super) what: What,
    /// Whether it is read-only.
    pub(super) read_only: bool,
    /// The options as given.
    pub(super) mode: String,
    /// Mount propagation; empty for the default.
    pub(super) propagation: String,
}

/// What is to be mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// A path of the host.
    Bind {
        /// Absolute and clean.
        source: String,
        /// What happens when it is not there.
        missing: Missing,
        /// Leave out what is mounted below.
        non_recursive: bool,
        read_only_non_recursive: bool,
    },
    /// A volume.
    Volume {
        /// Its name; `None` for an anonymous one.
        name: Option<String>,
        /// Don't fill an empty volume from the image.
        no_copy: bool,
        /// Its labels when it is made.
        labels: Option<std::collections::BTreeMap<String, String>>,
        /// The part of it that is mounted; empty for all of it.
        subpath: String,
        /// Its driver when it is made; empty for the default.
        driver: String,
        /// The driver's options when it is made.
        settings: Option<std::collections::BTreeMap<String, String>>,
    },
    /// The files of an image, read-only.
    Image {
        /// Its name or id.
        name: String,
    },
    /// Memory.
    Tmpfs {
        /// Mount options.
        options: Vec<String>,
    },
}

const PROPAGATIONS: [&str; 6] = ["private", "rprivate", "slave", "rslave", "shared", "rshared"];

/// Reads one of `HostConfig.Binds`.
pub(super) fn bind(raw: &str) -> Result<Wanted, String> {
    let invalid = || format!("invalid volume specification: '{raw}'");
    let parts: Vec<&str> = raw.splitn(4, ':').collect();
    let (source, target, mode) = match parts.as_slice() {
        ["", ..] => return Err(invalid()),
        [target] => ("", *target, ""),
        [_, mode] if is_mode(mode) => return Err(invalid()),
        [source, target] => (*source, *target, ""),
        [source, target, mode] => (*source, *target, *mode),
        _ => return Err(invalid()),
    };
    if !is_mode(mode) {
        return Err(format!("invalid mode: {mode}"));
    }
    let options = || mode.split(',').filter(|o| !o.is_empty());
    let kind = if source.starts_with('/') { "bind" } else { "volume" };
    let target = destination(target)
        .map_err(|reason| format!("{}: invalid mount config for type \"{kind}\": {reason}", invalid()))?;
    let what = if kind == "bind" {
        What::Bind {
            source: clean(source),
            missing: Missing::Make,
            non_recursive: false,
            read_only_non_recursive: false,
        }
    } else {
        let name = (!source.is_empty()).then(|| source.to_owned());
        if let Some(name) = &name {
            volume_name(name).map_err(|reason| format!("{}: {reason}", invalid()))?;
        }
        What::Volume {
            name,
            no_copy: options().any(|o| o == "nocopy"),
            labels: None,
            subpath: String::new(),
            driver: String::new(),
            settings: None,
        }
    };
    let propagation = options().find(|o| PROPAGATIONS.contains(o)).unwrap_or_default().to_owned();
    Ok(Wanted {
        destination: target,
        what,
        read_only: options().any(|o| o == "ro"),
        mode: mode.to_owned(),
        propagation,
    })
}

/// Whether the words are mount options, each sort given once at most.
fn is_mode(mode: &str) -> bool {
    if mode.is_empty() {
        return true;
    }
    let mut seen = [0u8; 5];
    for option in mode.split(',') {
        let sort = match option {
            "rw" | "ro" => 0,
            "Z" | "z" => 1,
            o if PROPAGATIONS.contains(&o) => 2,
            "nocopy" => 3,
            "consistent" | "cached" | "delegated" | "default" => 4,
            _ => return false,
        };
        seen[sort] += 1;
    }
    seen.iter().all(|n| *n <= 1)
}

/// Reads one of `HostConfig.Mounts`.
pub(super) fn long(mount: &Mount) -> Result<Wanted, String> {
    let invalid = |reason: &str| format!("invalid mount config for type \"{}\": {reason}", mount.kind);
    if mount.target.is_empty() {
        return Err(invalid("field Target must not be empty"));
    }
    let target = destination(&mount.target).map_err(|reason| invalid(&reason))?;
    let mut propagation = String::new();
    let what = match mount.kind.as_str() {
        "bind" => {
            if mount.source.is_empty() {
                return Err(invalid("field Source must not be empty"));
            }
            if !mount.source.starts_with('/') {
                return Err(invalid(&format!(
                    "invalid mount path: '{}' mount path must be absolute",
                    mount.source
                )));
            }
            let options = mount.bind_options.clone().unwrap_or_default();
            if !options.propagation.is_empty() && !PROPAGATIONS.contains(&options.propagation.as_str()) {
                return Err(invalid(&format!("invalid propagation mode: {}", options.propagation)));
            }
            propagation = options.propagation;
            let missing = if options.create_mountpoint { Missing::Make } else { Missing::Refuse };
            if options.read_only_non_recursive && options.read_only_force_recursive {
                return Err(invalid("ReadOnlyForceRecursive conflicts with ReadOnlyNonRecursive"));
            }
            What::Bind {
                source: clean(&mount.source),
                missing,
                non_recursive: options.non_recursive,
                read_only_non_recursive: options.read_only_non_recursive,
            }
        }
        "volume" => {
            let name = (!mount.source.is_empty()).then(|| mount.source.clone());
            if let Some(name) = &name {
                volume_name(name).map_err(|reason| invalid(&reason))?;
            }
            let options = mount.volume_options.clone().unwrap_or_default();
            let driver = options.driver_config.unwrap_or_default();
            let settings = driver.options.filter(|settings| !settings.is_empty());
            if name.is_none() && !options.subpath.is_empty() {
                return Err(invalid("must not set Subpath when using anonymous volumes"));
            }
            subpath::check(&options.subpath).map_err(|reason| invalid(&reason))?;
            let subpath = subpath::clean(&options.subpath);
            What::Volume {
                name,
                no_copy: options.no_copy,
                labels: options.labels,
                subpath,
                driver: driver.name,
                settings,
            }
        }
        "tmpfs" => {
            if !mount.source.is_empty() {
                return Err(invalid("field Source must not be specified"));
            }
            let given = mount.tmpfs_options.clone().unwrap_or_default();
            let mut options = Vec::new();
            if given.size_bytes > 0 {
                options.push(format!("size={}", given.size_bytes));
            }
            if given.mode > 0 {
                options.push(format!("mode={:o}", given.mode));
            }
            for option in given.options.unwrap_or_default() {
                match option.as_slice() {
                    [word] if matches!(word.as_str(), "exec" | "noexec") => options.push(word.clone()),
                    [word, ..] => return Err(invalid(&format!("invalid option: {word}"))),
                    [] => return Err(invalid("invalid option array length")),
                }
            }
            What::Tmpfs { options }
        }
        "image" => {
            if mount.source.is_empty() {
                return Err(invalid("field Source must not be empty"));
            }
            if mount.image_options.as_ref().is_some_and(|options| !options.subpath.is_empty()) {
                // All of the image in its place would show more than was asked for.
                return Err(invalid("ImageOptions.Subpath is not supported by this version of brig"));
            }
            What::Image { name: mount.source.clone() }
        }
        "npipe" | "cluster" => return Err(invalid("mount type is not supported")),
        _ => return Err(invalid("mount type unknown")),
    };
    Ok(Wanted { destination: target, what, read_only: mount.read_only, mode: String::new(), propagation })
}

/// Reads one of `HostConfig.Tmpfs`.
pub(super) fn tmpfs(target: &str, options: &str) -> Result<Wanted, String> {
    Ok(Wanted {
        destination: destination(target)?,
        what: What::Tmpfs {
            options: options.split(',').filter(|o| !o.is_empty()).map(str::to_owned).collect(),
        },
        read_only: options.split(',').any(|o| o == "ro"),
        mode: options.to_owned(),
        propagation: String::new(),
    })
}

/// Reads one of `HostConfig.VolumesFrom`: the container and whether it is read-only.
pub(super) fn volumes_from(raw: &str) -> Result<(&str, bool), String> {
    if raw.is_empty() {
        return Err("volumes-from specification cannot be an empty string".to_owned());
    }
    let (name, mode) = raw.split_once(':').unwrap_or((raw, ""));
    let forbidden = |o: &str| PROPAGATIONS.contains(&o) || o == "nocopy";
    if !is_mode(mode) || mode.split(',').any(forbidden) {
        return Err(format!("invalid mode: {mode}"));
    }
    Ok((name, mode.split(',').any(|o| o == "ro")))
}

/// A path in the container, made clean.
pub(super) fn destination(path: &str) -> Result<String, String> {
    if !path.starts_with('/') {
        return Err(format!("invalid mount path: '{path}' mount path must be absolute"));
    }
    let path = clean(path);
    if path == "/" { Err("invalid specification: destination can't be '/'".to_owned()) } else { Ok(path) }
}

/// A path without `.`, `..` and doubled slashes, as Go's `path.Clean` for absolute paths.
pub(super) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Checks a volume's name.
pub(super) fn volume_name(name: &str) -> Result<(), String> {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest = bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if name.len() < 2 {
        return Err(
            "volume name is too short, names should be at least two alphanumeric characters".to_owned()
        );
    }
    if first && rest {
        return Ok(());
    }
    Err(format!(
        "{name:?} includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are \
         allowed. If you intended to pass a host directory, use absolute path"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms() {
        let parsed = bind("/a/../b//c:/x/./y:ro,rslave").unwrap();
        assert_eq!(parsed.destination, "/x/y");
        assert!(
            matches!(&parsed.what, What::Bind { source, missing: Missing::Make, .. } if source == "/b/c")
        );
        assert!(parsed.read_only && parsed.propagation == "rslave");
        let volume = bind("data:/x:nocopy").unwrap();
        assert!(matches!(&volume.what, What::Volume { name: Some(n), no_copy: true, .. } if n == "data"));
        assert!(matches!(bind("/x").unwrap().what, What::Volume { name: None, .. }));
        for bad in
            [":/x", "/a:", "/a:ro", "/a:/b:xx", "/a:/b:ro,rw", "/a:b", "a/b:/x", "/a:/", "", "/a:/b:ro:z"]
        {
            bind(bad).unwrap_err();
        }
        assert_eq!(bind("/a:/b:foo").unwrap_err(), "invalid mode: foo");
    }

    #[test]
    fn long_forms() {
        let mount = |kind: &str, source: &str, target: &str| Mount {
            kind: kind.to_owned(),
            source: source.to_owned(),
            target: target.to_owned(),
            ..Mount::default()
        };
        assert!(long(&mount("bind", "/a", "/b")).is_ok());
        assert!(matches!(long(&mount("volume", "", "/b")).unwrap().what, What::Volume { name: None, .. }));
        assert!(matches!(long(&mount("tmpfs", "", "/b")).unwrap().what, What::Tmpfs { .. }));
        for (kind, source, target) in [
            ("bind", "", "/b"),
            ("bind", "a", "/b"),
            ("bind", "/a", ""),
            ("tmpfs", "/a", "/b"),
            ("x", "", "/b"),
        ] {
            long(&mount(kind, source, target)).unwrap_err();
        }
        assert_eq!(
            long(&mount("bind", "/a", "")).unwrap_err(),
            "invalid mount config for type \"bind\": field Target must not be empty"
        );
    }

    #[test]
    fn volumes_of_others() {
        assert_eq!(volumes_from("x").unwrap(), ("x", false));
        assert_eq!(volumes_from("x:ro").unwrap(), ("x", true));
        volumes_from("").unwrap_err();
        volumes_from("x:shared").unwrap_err();
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_paths_stay_clean(raw in ".{0,40}") {
            if let Ok(parsed) = bind(&raw) {
                proptest::prop_assert!(parsed.destination.starts_with('/'));
                proptest::prop_assert!(!parsed.destination.split('/').any(|p| p == ".."));
            }
        }
    }
}
