//! Mounts of a container that show something of the host's: CRIU is told which, and what is there at the restore.

use brig_runtime::cgroup::Hierarchies;
use oci_spec::runtime::{Mount, Spec};
use std::path::{Path, PathBuf};

/// One of them, inside and on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct External {
    /// Where it is mounted in the container.
    inside: PathBuf,
    /// What is mounted there.
    source: PathBuf,
}

impl External {
    /// For CRIU when it writes: the name under which it is remembered.
    pub(crate) fn to_dump(&self) -> String {
        format!("mnt[{}]:{}", self.inside.display(), self.inside.display())
    }

    /// For CRIU when it makes the mount again.
    pub(crate) fn to_restore(&self) -> String {
        format!("mnt[{}]:{}", self.inside.display(), self.source.display())
    }
}

fn is_bind(mount: &Mount) -> bool {
    let word = |word: &String| word == "bind" || word == "rbind";
    mount.typ().as_deref().is_some_and(|kind| kind == "bind" || kind == "rbind")
        || mount.options().iter().flatten().any(word)
}

/// All of a spec's; `cgroup` is the container's own, below each hierarchy's root.
pub(crate) fn external(spec: &Spec, cgroup: &Path) -> Vec<External> {
    let mut all = Vec::new();
    let machine = Hierarchies::get();
    let below = cgroup.strip_prefix("/").unwrap_or(cgroup);
    for mount in spec.mounts().iter().flatten() {
        let inside = Path::new("/").join(mount.destination());
        if is_bind(mount) {
            let source = mount.source().clone().unwrap_or_default();
            all.push(External { inside, source });
        } else if mount.typ().as_deref() == Some("cgroup") && !machine.is_unified() {
            let v1 =
                machine.iter().filter(|hierarchy| hierarchy.version == brig_runtime::cgroup::Version::V1);
            all.extend(v1.filter_map(|hierarchy| {
                Some(External {
                    inside: inside.join(hierarchy.mount.file_name()?),
                    source: hierarchy.mount.join(below),
                })
            }));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_are_the_hosts() {
        let spec: Spec = serde_json::from_str(
            r#"{"ociVersion":"1.2.0","mounts":[{"destination":"/a","type":"bind","source":"/x"},
                {"destination":"/b","type":"none","source":"/y","options":["rbind","ro"]},
                {"destination":"/proc","type":"proc","source":"proc"}]}"#,
        )
        .unwrap();
        let all = external(&spec, Path::new("/c"));
        assert_eq!(all.iter().map(External::to_dump).collect::<Vec<_>>(), ["mnt[/a]:/a", "mnt[/b]:/b"]);
        assert_eq!(all.iter().map(External::to_restore).collect::<Vec<_>>(), ["mnt[/a]:/x", "mnt[/b]:/y"]);
    }
}
