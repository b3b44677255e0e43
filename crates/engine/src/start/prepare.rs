//! Looking up all that the OCI configuration of a container is made from.

use super::{Paths, files, links};
use crate::{
    core::Core,
    error::{Error, Result},
    record::{ContainerRecord, Missing, MountOrigin, MountRecord},
    spec::{
        self, Built, ResolvedUser, SpecFiles, SpecHost, SpecInput, SpecMount, SpecNamespaces, SpecSource,
    },
    user, volumes,
};
use brig_core::RootFs;
use oci_spec::runtime::Spec;
use rustix::fs::OFlags;
use std::path::{Path, PathBuf};

/// The OCI configuration of a container.
pub(super) fn spec_of(
    core: &Core,
    record: &ContainerRecord,
    rootfs: &RootFs,
    namespaces: SpecNamespaces,
    paths: &Paths,
    linked: &[String],
) -> Result<Built> {
    make_sources(record)?;
    let runs_as = user_of(record, rootfs, &record.config.user)?;
    let args = record.command();
    if args.is_empty() {
        return Err(Error::Invalid("no command specified".to_owned()));
    }
    let host = SpecHost::look_up(&record.host_config, core.config.shm_size)?;
    let covered = |destination: &str| record.mounts.iter().any(|m| m.point.destination == destination);
    let files = SpecFiles {
        hosts: (!covered("/etc/hosts")).then_some(paths.hosts.as_path()),
        hostname: (!covered("/etc/hostname")).then_some(paths.hostname.as_path()),
        resolv_conf: (!covered("/etc/resolv.conf")).then_some(paths.resolv_conf.as_path()),
    };
    let cgroup_path = cgroup_of(core, record);
    let mut built = spec::build(&SpecInput {
        id: &record.id,
        config: &record.config,
        host_config: &record.host_config,
        hostname: &files::hostname(record),
        linked,
        args: &args,
        user: &runs_as,
        mounts: &mounts(core, record)?,
        files: &files,
        namespaces,
        cgroup_path: &cgroup_path,
        host: &host,
    })?;
    crate::cdi::apply(core, record, &mut built.spec)?;
    Ok(built)
}

/// Makes the folders on the host that `-v` names and that are not there.
pub(crate) fn make_sources(record: &ContainerRecord) -> Result<()> {
    for mount in record.mounts.iter().filter(|m| m.origin == MountOrigin::Bind) {
        let source = &mount.point.source;
        match (std::fs::symlink_metadata(source), mount.missing) {
            (Ok(_), _) => {}
            (Err(_), Missing::Refuse) => return Err(volumes::no_source(source)),
            (Err(_), Missing::Make) => {
                let context = format!("error while creating mount source path '{source}'");
                std::fs::create_dir_all(source)
                    .map_err(|e| Error::file("mkdir", source, e).context(context))?;
            }
        }
    }
    Ok(())
}

/// Looks up a user in a container's own files.
pub(crate) fn user_of(record: &ContainerRecord, rootfs: &RootFs, user: &str) -> Result<ResolvedUser> {
    user::resolve(rootfs, user, record.host_config.group_add.as_deref().unwrap_or_default())
}

/// The OCI configuration of a container that runs, once more: for the process of an exec.
pub(crate) fn spec_again(core: &Core, record: &ContainerRecord, rootfs: &RootFs) -> Result<Spec> {
    // A container that it links to may have ended since: that is no reason to let nobody in.
    let linked = links::environment(core, record).unwrap_or_default();
    let again = spec_of(core, record, rootfs, SpecNamespaces::default(), &Paths::of(core, record), &linked)?;
    Ok(again.spec)
}

/// The cgroup of a container.
pub(crate) fn cgroup_of(core: &Core, record: &ContainerRecord) -> String {
    let parent = match record.host_config.cgroup_parent.as_str() {
        "" => core.config.cgroup_parent.as_str(),
        given => given,
    };
    format!("/{}/{}", parent.trim_matches('/'), record.id)
}

/// The part of a volume that is mounted. That it is there is seen now, for Docker's words; what is there is opened by
/// the runtime, as whoever writes to the volume may change it meanwhile.
fn part(folder: &Path, mount: &MountRecord) -> Result<Option<String>> {
    if mount.subpath.is_empty() {
        return Ok(None);
    }
    volumes::subpath::open(folder, &mount.subpath, OFlags::PATH)?;
    Ok(Some(mount.subpath.clone()))
}

/// The layers of an image that is mounted.
fn layers_of(core: &Core, mount: &MountRecord) -> Result<Vec<PathBuf>> {
    let folders = mount.image.as_ref().map(|image| core.store.image_folders(image)).transpose()?;
    let folders = folders.filter(|folders| !folders.is_empty());
    folders.ok_or_else(|| Error::NoSuchImage(crate::containers::familiar(&mount.point.source)))
}

/// What is mounted beside the defaults, parents before what lies in them.
fn mounts(core: &Core, record: &ContainerRecord) -> Result<Vec<SpecMount>> {
    let mut mounts: Vec<SpecMount> = record
        .mounts
        .iter()
        .map(|mount| {
            Ok(SpecMount {
                destination: mount.point.destination.clone(),
                source: match mount.origin {
                    MountOrigin::Tmpfs => SpecSource::Tmpfs {
                        options: mount
                            .point
                            .mode
                            .split(',')
                            .filter(|o| !o.is_empty())
                            .map(str::to_owned)
                            .collect(),
                    },
                    MountOrigin::Image => SpecSource::Layers { folders: layers_of(core, mount)? },
                    MountOrigin::Bind | MountOrigin::Volume | MountOrigin::Anonymous => {
                        let path = volumes::place(core, record, mount);
                        SpecSource::Bind {
                            beneath: part(&path, mount)?,
                            path,
                            propagation: mount.point.propagation.clone(),
                            non_recursive: mount.non_recursive,
                            read_only_non_recursive: mount.read_only_non_recursive,
                        }
                    }
                },
                read_only: !mount.point.rw,
            })
        })
        .collect::<Result<_>>()?;
    mounts.sort_by_key(|mount| mount.destination.split('/').filter(|part| !part.is_empty()).count());
    Ok(mounts)
}
