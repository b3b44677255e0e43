//! One mount of the spec, checked.

use super::idmap::IdMaps;
use super::mount_options::MountOptions;
use crate::error::{Errno, Error};
use crate::mountfd::{Change, Depth, Detached, Setting};
use oci_spec::runtime::Mount;
use std::path::{Component, Path, PathBuf};

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MountKind {
    /// Something of the host's, seen in a second place.
    Bind(Depth),
    /// The container's view of the cgroup hierarchies.
    Cgroup,
    /// A new file system of this type.
    FileSystem(String),
    /// Nothing new: bits of the mount that is there are changed.
    Remount,
}

/// One mount of the spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MountPlan {
    /// What is mounted.
    pub(crate) kind: MountKind,
    /// Source, as the spec has it.
    pub(crate) source: String,
    /// Where, absolute inside the root, without `.` and `..`.
    pub(crate) target: PathBuf,
    /// Bits of the mount itself.
    pub(crate) top: Change,
    /// Bits of the mount and of all below it.
    pub(crate) recursive: Change,
    /// Propagation, in order.
    pub(crate) propagation: Vec<(u64, Depth)>,
    /// Settings of the file system.
    pub(crate) settings: Vec<Setting>,
    /// Start a tmpfs with a copy of what its mount point holds.
    pub(crate) copy_up: bool,
    /// Whose the files are shown to be.
    pub(crate) idmap: Option<Idmap>,
    /// Of a bind: the path in its source that is mounted.
    pub(crate) beneath: Option<String>,
}

/// Files that belong to others than on their file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Idmap {
    /// In this mount, or in all below it, too.
    pub(crate) depth: Depth,
    /// To whom: an id on the file system (inside) is shown as another (outside). Without it, as the container's user
    /// namespace has it.
    pub(crate) maps: Option<IdMaps>,
}

fn idmap(mount: &Mount, option: Option<Depth>) -> Result<Option<Idmap>, Error> {
    let users = mount.uid_mappings().as_deref().unwrap_or_default();
    let groups = mount.gid_mappings().as_deref().unwrap_or_default();
    let whose = || format!("mount {}", mount.destination().display());
    let maps = match (users.is_empty(), groups.is_empty()) {
        (true, true) => None,
        (false, false) => Some(IdMaps::new(users, groups, &whose())?),
        _ => {
            let message = "id-mapped mounts must have both uid and gid mappings specified";
            return Err(Error::Spec(format!("{}: {message}", whose())));
        }
    };
    let depth = option.or(maps.is_some().then_some(Depth::Top));
    Ok(depth.map(|depth| Idmap { depth, maps }))
}

impl MountPlan {
    /// Reads one mount of the spec.
    pub(crate) fn new(mount: &Mount) -> Result<Self, Error> {
        let words = mount.options().iter().flatten().map(String::as_str);
        let options = MountOptions::parse(words);
        let target = clean(mount.destination())?;
        let source = mount.source().as_deref().unwrap_or(Path::new(""));
        let source = source
            .to_str()
            .ok_or_else(|| Error::Spec(format!("mount source {} is not valid UTF-8", source.display())))?;
        let kind = match (options.bind, mount.typ().as_deref()) {
            _ if options.remount => MountKind::Remount,
            (Some(depth), _) => MountKind::Bind(depth),
            (None, Some("bind")) => MountKind::Bind(Depth::Top),
            (None, Some("rbind")) => MountKind::Bind(Depth::Recursive),
            (None, Some("cgroup")) => MountKind::Cgroup,
            (None, Some(kind)) if !kind.is_empty() => MountKind::FileSystem(kind.to_owned()),
            (None, _) => {
                return Err(Error::Spec(format!("mount {} has neither a type nor bind", target.display())));
            }
        };
        if matches!(kind, MountKind::Bind(_)) && source.is_empty() {
            return Err(Error::Spec(format!("bind mount {} has no source", target.display())));
        }
        let idmap = idmap(mount, options.idmap)?;
        if idmap.is_some() && !matches!(kind, MountKind::Bind(_)) {
            let target = target.display();
            return Err(Error::Spec(format!(
                "mount {target}: id-mapped mounts are only supported for bind mounts"
            )));
        }
        Ok(Self {
            kind,
            source: source.to_owned(),
            target,
            top: options.top,
            recursive: options.recursive,
            propagation: options.propagation,
            settings: options.settings,
            copy_up: options.copy_up,
            idmap,
            beneath: options.beneath,
        })
    }

    /// Gives the files of a new file system an SELinux label, where the kernel takes one from a mount: procfs and sysfs
    /// have labels of their own, and binds those of their source.
    pub(crate) fn label(&mut self, label: &str) {
        let MountKind::FileSystem(kind) = &self.kind else { return };
        let labelled = |s: &Setting| matches!(s, Setting::Text(key, _) if key.ends_with("context"));
        if !["proc", "sysfs", "mqueue", "cgroup2"].contains(&kind.as_str())
            && !self.settings.iter().any(labelled)
        {
            self.settings.push(Setting::Text("context".into(), label.to_owned()));
        }
    }

    /// A clone of what a bind shows.
    pub(crate) fn clone_source(&self, depth: Depth) -> Result<Detached, Errno> {
        let source = Path::new(&self.source);
        match &self.beneath {
            Some(inner) => Detached::clone_beneath(source, Path::new(inner), depth),
            None => Detached::clone_path(source, depth),
        }
    }

    /// Whether the mount ends up read-only.
    pub(crate) fn is_read_only(&self) -> bool {
        (self.top.set | self.recursive.set) & crate::mountfd::attr::RDONLY != 0
    }
}

/// Makes a destination absolute and takes `.` and `..` out of it, lexically, as runc does.
pub(crate) fn clean(path: &Path) -> Result<PathBuf, Error> {
    if path.as_os_str().is_empty() {
        return Err(Error::Spec("a mount has an empty destination".into()));
    }
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            _ => {}
        }
    }
    Ok(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(json: &str) -> Result<MountPlan, Error> {
        MountPlan::new(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn kinds() {
        let bind = mount(r#"{"destination":"/a/../b","type":"bind","source":"/x","options":["rbind","ro"]}"#);
        let bind = bind.unwrap();
        assert_eq!(bind.kind, MountKind::Bind(Depth::Recursive));
        assert_eq!(bind.target, Path::new("/b"));
        assert!(bind.is_read_only());
        let proc = mount(r#"{"destination":"proc","type":"proc","source":"proc"}"#).unwrap();
        assert_eq!(proc.kind, MountKind::FileSystem("proc".into()));
        assert_eq!(proc.target, Path::new("/proc"));
        let cgroup = mount(r#"{"destination":"/sys/fs/cgroup","type":"cgroup","source":"cgroup"}"#).unwrap();
        assert_eq!(cgroup.kind, MountKind::Cgroup);
    }

    #[test]
    fn refused_before_anything_is_made() {
        assert!(mount(r#"{"destination":"","type":"tmpfs"}"#).is_err());
        assert!(mount(r#"{"destination":"/a"}"#).is_err());
        assert!(mount(r#"{"destination":"/a","options":["bind"]}"#).is_err());
        let not_bind = mount(r#"{"destination":"/a","type":"tmpfs","options":["idmap"]}"#).unwrap_err();
        assert!(not_bind.to_string().contains("only supported for bind mounts"));
        let one =
            r#"{"destination":"/a","source":"/b","options":["bind"],"uidMappings":[{"hostID":7,"size":1}]}"#;
        assert!(mount(one).unwrap_err().to_string().contains("both uid and gid mappings"));
    }

    #[test]
    fn whose_files_are_shown_to_be() {
        let maps = r#""uidMappings":[{"hostID":7,"size":1}],"gidMappings":[{"hostID":8,"size":1}]"#;
        let idmap = |options: &str, maps: &str| {
            let json = format!(r#"{{"destination":"/a","source":"/b","options":["rbind"{options}]{maps}}}"#);
            mount(&json).unwrap().idmap
        };
        assert_eq!(idmap("", ""), None);
        assert_eq!(idmap(r#","idmap""#, ""), Some(Idmap { depth: Depth::Top, maps: None }));
        let both = idmap(r#","ridmap""#, &format!(",{maps}")).unwrap();
        assert_eq!(both.depth, Depth::Recursive);
        assert_eq!(both.maps.unwrap().groups.to_outside(0), Some(8));
        assert_eq!(idmap("", &format!(",{maps}")).unwrap().depth, Depth::Top);
    }
}
