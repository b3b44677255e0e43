//! `slice:prefix:name`, and what it comes to.

use super::Property;
use super::annotations;
use super::error::SystemdError;
use super::unit::Owner;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The scope that a container asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The unit's name.
    pub(super) unit: String,
    /// The container's name, for the description.
    pub(super) name: String,
    /// The slice that it is in.
    pub(super) slice: String,
    /// Below the manager's own group: the slice's folders, and the unit's.
    pub(super) path: PathBuf,
    /// What the bundle adds.
    pub(super) properties: Vec<Property>,
    /// Whose systemd makes it.
    pub(super) owner: Owner,
}

impl Scope {
    /// From `cgroupsPath` (empty: a scope of its own in the usual slice, with `prefix` and `id`) and annotations.
    ///
    /// # Errors
    /// A path of another form, a bad slice or name, a bad annotation.
    pub fn new(
        cgroups_path: &str,
        (prefix, id): (&str, &str),
        annotations: Option<&HashMap<String, String>>,
        owner: Owner,
    ) -> Result<Self, SystemdError> {
        let mut parts = cgroups_path.split(':');
        let (slice, prefix, name) = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(""), None, ..) => ("", prefix, id),
            (Some(slice), Some(prefix), Some(name), None) => (slice, prefix, name),
            _ => return Err(SystemdError::Form(cgroups_path.to_owned())),
        };
        let slice = match (slice, owner) {
            ("", Owner::System) => "system.slice",
            ("", Owner::User) => "user.slice",
            (given, _) => given,
        };
        let unit = format!("{prefix}-{name}.scope");
        let is_good = |c: char| c.is_ascii_alphanumeric() || ":_.-\\@".contains(c);
        if name.ends_with(".slice") || unit.len() > 255 || !unit.chars().all(is_good) {
            return Err(SystemdError::Unit(unit));
        }
        Ok(Self {
            path: expand(slice)?.join(&unit),
            properties: annotations::properties(annotations)?,
            slice: slice.to_owned(),
            name: name.to_owned(),
            unit,
            owner,
        })
    }

    /// The unit's name.
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// Whose systemd makes it.
    pub fn owner(&self) -> Owner {
        self.owner
    }
}

/// The folders of a slice: `a-b.slice` lies in `a.slice`, and `-.slice` is the root.
fn expand(slice: &str) -> Result<PathBuf, SystemdError> {
    let bad = || SystemdError::Slice(slice.to_owned());
    let name = slice.strip_suffix(".slice").filter(|name| !name.contains('/')).ok_or_else(bad)?;
    if name == "-" {
        return Ok(PathBuf::new());
    }
    let mut path = PathBuf::new();
    let mut length = 0;
    for part in name.split('-') {
        if part.is_empty() || part == ".." {
            return Err(bad());
        }
        length += part.len();
        path.push(format!("{}.slice", &name[..length]));
        length += 1;
    }
    Ok(path)
}

/// A path below a hierarchy's root, by the manager's own group.
pub(super) fn below(root: &str, path: &Path) -> PathBuf {
    Path::new(root.trim_matches('/')).join(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(path: &str, owner: Owner) -> Result<Scope, SystemdError> {
        Scope::new(path, ("brig", "web"), None, owner)
    }

    #[test]
    fn slices_are_nested_by_their_name() {
        let path = |slice| expand(slice).unwrap();
        assert_eq!(path("system.slice"), Path::new("system.slice"));
        assert_eq!(path("a-b-c.slice"), Path::new("a.slice/a-b.slice/a-b-c.slice"));
        assert_eq!(path("-.slice"), Path::new(""));
        for bad in
            ["", ".slice", "a", "a.scope", "-a.slice", "a-.slice", "a--b.slice", "a/b.slice", "../a.slice"]
        {
            assert_eq!(expand(bad), Err(SystemdError::Slice(bad.into())), "{bad}");
        }
    }

    #[test]
    fn paths_become_units() {
        let made = scope("machine.slice:libpod:12", Owner::System).unwrap();
        assert_eq!((made.unit(), &*made.slice), ("libpod-12.scope", "machine.slice"));
        assert_eq!(made.path, Path::new("machine.slice/libpod-12.scope"));
        for (owner, slice) in [(Owner::System, "system.slice"), (Owner::User, "user.slice")] {
            assert_eq!(scope("", owner).unwrap().path, Path::new(slice).join("brig-web.scope"));
            assert_eq!(scope(":p:n", owner).unwrap().path, Path::new(slice).join("p-n.scope"));
        }
    }

    #[test]
    fn what_is_no_scope_is_refused() {
        for path in ["/brig/x", "a:b", "a:b:c:d", "system.slice"] {
            let error = scope(path, Owner::System).unwrap_err().to_string();
            assert!(error.contains("slice:prefix:name") && error.contains(path), "{error}");
        }
        for path in
            ["system.slice:p:a/b", "system.slice:p:a b", "system.slice:..:../x", "system.slice:p:x.slice"]
        {
            assert!(matches!(scope(path, Owner::System), Err(SystemdError::Unit(_))), "{path}");
        }
        let long = format!("system.slice:p:{}", "x".repeat(250));
        assert!(matches!(scope(&long, Owner::System), Err(SystemdError::Unit(_))));
        assert!(matches!(scope("x:p:n", Owner::System), Err(SystemdError::Slice(_))));
    }

    #[test]
    fn a_manager_may_have_a_group_of_its_own() {
        let path = Path::new("user.slice/x.scope");
        assert_eq!(below("", path), path);
        assert_eq!(below("/", path), path);
        let own = "/user.slice/user-1.slice/user@1.service";
        assert_eq!(below(own, path), Path::new("user.slice/user-1.slice/user@1.service/user.slice/x.scope"));
    }
}
