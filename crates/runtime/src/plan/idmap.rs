//! Which ids of a user namespace are which outside of it.

use crate::error::Error;
use oci_spec::runtime::LinuxIdMapping;
use std::fmt::Write;

/// The kernel takes so many lines in one map (`UID_GID_MAP_MAX_EXTENTS`).
const MAX_RANGES: usize = 340;

/// Users or groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdKind {
    /// Users.
    User,
    /// Groups.
    Group,
}

impl IdKind {
    /// `uid` or `gid`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::User => "uid",
            Self::Group => "gid",
        }
    }
}

/// Ids that follow one another inside and outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IdRange {
    /// The first one inside.
    pub(crate) inside: u32,
    /// The first one outside.
    pub(crate) outside: u32,
    /// How many.
    pub(crate) size: u32,
}

/// A map that the kernel takes: not empty, and no id in it twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdMap(Vec<IdRange>);

impl IdMap {
    /// Checks a map of the spec; `whose` says in messages what it is for.
    pub(crate) fn new(kind: IdKind, list: &[LinuxIdMapping], whose: &str) -> Result<Self, Error> {
        let kind = kind.name();
        let refused = |why: String| Err(Error::Spec(format!("{kind} mappings of {whose}: {why}")));
        if list.is_empty() {
            return refused("there are none".into());
        }
        if list.len() > MAX_RANGES {
            return refused(format!("{} are more than the {MAX_RANGES} that Linux takes", list.len()));
        }
        let mut ranges: Vec<IdRange> = Vec::with_capacity(list.len());
        for mapping in list {
            let (inside, outside, size) = (mapping.container_id(), mapping.host_id(), mapping.size());
            let text = format!("containerID {inside}, hostID {outside}, size {size}");
            if size == 0 {
                return refused(format!("{text}: the size must not be 0"));
            }
            // The last id means "none" to the kernel.
            if [inside, outside].into_iter().any(|first| first.checked_add(size).is_none()) {
                return refused(format!("{text}: ends beyond {}", u32::MAX - 1));
            }
            let overlaps = |a: u32, b: u32, n: u32| a < b + n && b < a + size;
            if let Some(other) = ranges.iter().find(|other| {
                overlaps(inside, other.inside, other.size) || overlaps(outside, other.outside, other.size)
            }) {
                return refused(format!(
                    "{text}: overlaps containerID {}, hostID {}, size {}",
                    other.inside, other.outside, other.size
                ));
            }
            ranges.push(IdRange { inside, outside, size });
        }
        Ok(Self(ranges))
    }

    /// As the kernel and the helpers take it.
    pub(crate) fn ranges(&self) -> &[IdRange] {
        &self.0
    }

    /// The content of `/proc/<pid>/uid_map`.
    pub(crate) fn text(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, range| {
            // Writing to a string can't fail.
            let _ = writeln!(text, "{} {} {}", range.inside, range.outside, range.size);
            text
        })
    }

    /// Which id `inside` is outside.
    pub(crate) fn to_outside(&self, inside: u32) -> Option<u32> {
        let range = self.0.iter().find(|r| inside >= r.inside && inside - r.inside < r.size)?;
        Some(range.outside + (inside - range.inside))
    }

    /// Whether it holds just one id, and that is `outside` there.
    pub(crate) fn is_only(&self, outside: u32) -> bool {
        matches!(self.0[..], [IdRange { outside: own, size: 1, .. }] if own == outside)
    }

    /// Whether the content of a `uid_map` says the same.
    pub(crate) fn agrees_with(&self, text: &str) -> bool {
        let line = |line: &str| {
            let mut numbers = line.split_whitespace().map(str::parse::<u32>);
            let mut next = || numbers.next()?.ok();
            Some((next()?, next()?, next()?))
        };
        let mut theirs: Vec<_> = text.lines().map(line).collect();
        let mut ours: Vec<_> = self.0.iter().map(|r| Some((r.inside, r.outside, r.size))).collect();
        theirs.sort();
        ours.sort();
        ours == theirs
    }
}

/// Both maps of a user namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdMaps {
    /// Of users.
    pub(crate) users: IdMap,
    /// Of groups.
    pub(crate) groups: IdMap,
}

impl IdMaps {
    /// Checks both.
    pub(crate) fn new(
        users: &[LinuxIdMapping],
        groups: &[LinuxIdMapping],
        whose: &str,
    ) -> Result<Self, Error> {
        Ok(Self {
            users: IdMap::new(IdKind::User, users, whose)?,
            groups: IdMap::new(IdKind::Group, groups, whose)?,
        })
    }

    /// The map of one kind.
    pub(crate) fn of(&self, kind: IdKind) -> &IdMap {
        match kind {
            IdKind::User => &self.users,
            IdKind::Group => &self.groups,
        }
    }

    /// Fails unless an id of the container is mapped.
    pub(crate) fn check(&self, kind: IdKind, id: u32, what: &str) -> Result<u32, Error> {
        self.of(kind).to_outside(id).ok_or_else(|| {
            Error::Spec(format!(
                "{what} {id} is not mapped in the container's user namespace: add it to linux.{}Mappings",
                kind.name()
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(json: &str) -> Result<IdMap, String> {
        let list: Vec<LinuxIdMapping> = serde_json::from_str(json).unwrap();
        IdMap::new(IdKind::User, &list, "the container").map_err(|e| e.to_string())
    }

    #[test]
    fn ids_are_found() {
        let map = map(
            r#"[{"containerID":0,"hostID":1000,"size":1},{"containerID":1,"hostID":100000,"size":65535}]"#,
        );
        let map = map.unwrap();
        assert_eq!(map.text(), "0 1000 1\n1 100000 65535\n");
        assert_eq!(map.to_outside(0), Some(1000));
        assert_eq!(map.to_outside(65535), Some(165_534));
        assert_eq!(map.to_outside(65536), None);
        assert!(map.agrees_with("         1     100000      65535\n         0       1000          1\n"));
        assert!(!map.agrees_with("0 1000 1\n") && !map.agrees_with("0 1000 1\nx y z\n"));
        assert!(!map.is_only(1000));
    }

    #[test]
    fn what_the_kernel_would_not_take_is_named() {
        for (json, expected) in [
            ("[]", "there are none"),
            (r#"[{"containerID":0,"hostID":1,"size":0}]"#, "must not be 0"),
            (r#"[{"containerID":4294967295,"hostID":1,"size":1}]"#, "ends beyond 4294967294"),
            (r#"[{"containerID":0,"hostID":4294967290,"size":10}]"#, "ends beyond"),
            (
                r#"[{"containerID":0,"hostID":1000,"size":10},{"containerID":9,"hostID":5000,"size":1}]"#,
                "overlaps containerID 0, hostID 1000, size 10",
            ),
            (
                r#"[{"containerID":0,"hostID":1000,"size":10},{"containerID":10,"hostID":1009,"size":1}]"#,
                "overlaps",
            ),
        ] {
            let error = map(json).unwrap_err();
            assert!(error.contains(expected), "{json}: {error}");
        }
        map(r#"[{"containerID":0,"hostID":0,"size":4294967295}]"#).unwrap();
    }

    proptest::proptest! {
        #[test]
        fn any_numbers_are_checked(list in proptest::collection::vec((0u32.., 0u32.., 0u32..), 0..5)) {
            let list: Vec<_> = list
                .iter()
                .map(|(c, h, s)| serde_json::json!({"containerID": c, "hostID": h, "size": s}))
                .collect();
            let list: Vec<LinuxIdMapping> = serde_json::from_value(list.into()).unwrap();
            let _ = IdMap::new(IdKind::Group, &list, "x");
        }
    }
}
