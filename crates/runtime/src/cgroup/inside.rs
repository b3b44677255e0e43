//! Groups that a container made inside its own, for a process that joins it there.

use super::error::CgroupError;
use super::group::Group;
use super::hierarchy::Controller;
use super::{Cgroup, create};
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// One group inside a container's: of some hierarchies, or of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// Version 1's hierarchies, by a controller of each; empty for all hierarchies.
    pub controllers: Vec<Controller>,
    /// The path below the container's own group; `/` is that one.
    pub path: PathBuf,
}

impl Inside {
    /// Reads runc's form: `PATH`, or `CONTROLLER[,CONTROLLER...]:PATH`.
    ///
    /// # Errors
    /// A controller that nobody knows.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (names, path) = text.split_once(':').unwrap_or(("", text));
        let known = |name: &str| {
            Controller::from_v1(name).ok_or_else(|| format!("--cgroup {text}: unknown controller {name:?}"))
        };
        let controllers =
            names.split(',').filter(|name| !name.is_empty()).map(known).collect::<Result<_, _>>()?;
        Ok(Self { controllers, path: path.into() })
    }
}

impl Cgroup {
    /// The same groups, but those of `inside` in place of the container's.
    ///
    /// # Errors
    /// A group that is not there, or a path that leads out; a controller that has no hierarchy of its own.
    pub fn inside(self, inside: &[Inside]) -> Result<Self, CgroupError> {
        let Self { below, mut groups, unit } = self;
        for one in inside {
            let mut found = false;
            let path = one.path.strip_prefix("/").unwrap_or(&one.path);
            for group in &mut groups {
                let controllers = &one.controllers;
                if !controllers.is_empty()
                    && !controllers.iter().any(|c| group.hierarchy.controllers.contains(*c))
                {
                    continue;
                }
                found = true;
                if path.as_os_str().is_empty() || path == Path::new(".") {
                    continue;
                }
                let relative = below.join(create::below_root(path)?);
                *group = Group::open(&group.hierarchy, &relative).map_err(|errno| {
                    CgroupError::io("open cgroup", &group.hierarchy.mount.join(&relative), errno)
                })?;
            }
            if !found {
                let names: Vec<_> = one.controllers.iter().map(|c| c.name()).collect();
                let path = PathBuf::from(names.join(","));
                return Err(CgroupError::io("find the hierarchy of controllers", &path, Errno::NOENT));
            }
        }
        Ok(Self { below, groups, unit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_alone_or_with_controllers() {
        let read = |text| Inside::parse(text).unwrap();
        assert_eq!(read("/sub"), Inside { controllers: vec![], path: "/sub".into() });
        let both = Inside { controllers: vec![Controller::Cpu, Controller::Memory], path: "a/b".into() };
        assert_eq!(read("cpu,memory:a/b"), both);
        assert!(Inside::parse("what:a").unwrap_err().contains("unknown controller \"what\""));
    }
}
