//! What a new container mounts: its wishes, the image's volumes and other containers', with the volumes made.

use super::{
    Claim, VolumeRecord,
    parse::{self, Wanted, What},
};
use crate::{
    core::Core,
    error::{Error, Result},
    record::{Missing, MountOrigin, MountRecord},
};
use brig_api::{ContainerConfig, HostConfig, MountPoint};
use brig_core::Id;
use std::{collections::BTreeMap, path::Path};

/// What a new container mounts.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    /// The mounts, by destination.
    pub(crate) mounts: Vec<MountRecord>,
    /// Volumes to be filled from the image.
    pub(crate) fill: Vec<Fill>,
    /// New volumes, whose folders are made: their records are to be written with the container's.
    pub(crate) made: Vec<VolumeRecord>,
    /// Until the container is known to have them, nobody else removes its volumes.
    pub(crate) claims: Vec<Claim>,
}

/// A volume to be filled from the image, if it is empty.
#[derive(Debug)]
pub(crate) struct Fill {
    /// It.
    pub(crate) volume: VolumeRecord,
    /// The part of it.
    pub(crate) subpath: String,
    /// The path in the image.
    pub(crate) path: String,
}

/// Reads all mounts of a new container and makes its volumes. On failure, those that were made are removed.
pub(crate) fn resolve(core: &Core, config: &ContainerConfig, host: &HostConfig) -> Result<Resolved> {
    let wanted = wanted(config, host)?;
    let mut resolved = Resolved::default();
    match resolve_into(core, host, wanted, &mut resolved) {
        Ok(()) => Ok(resolved),
        Err(error) => {
            take_back(core, &resolved.made);
            Err(error)
        }
    }
}

/// Removes the folders of new volumes of a container whose creation failed.
pub(crate) fn take_back(core: &Core, made: &[VolumeRecord]) {
    for volume in made {
        if let Err(error) = super::remove_unrecorded(core, volume) {
            tracing::error!(volume = volume.name, %error, "a volume of a failed creation could not be removed");
        }
    }
}

/// All wishes in order of precedence: a later one of the same destination is a duplicate, save volumes of the
/// image, which give way.
fn wanted(config: &ContainerConfig, host: &HostConfig) -> Result<Vec<Wanted>> {
    let mut all: Vec<Wanted> = Vec::new();
    let add = |wanted: Wanted, all: &mut Vec<Wanted>| {
        if all.iter().any(|w| w.destination == wanted.destination) {
            return Err(Error::Invalid(format!("Duplicate mount point: {}", wanted.destination)));
        }
        all.push(wanted);
        Ok(())
    };
    for raw in host.binds.iter().flatten() {
        // Docker takes these for failures of its own.
        add(parse::bind(raw).map_err(Error::System)?, &mut all)?;
    }
    for mount in host.mounts.iter().flatten() {
        add(parse::long(mount).map_err(Error::Invalid)?, &mut all)?;
    }
    for (target, options) in host.tmpfs.iter().flatten() {
        add(parse::tmpfs(target, options).map_err(Error::Invalid)?, &mut all)?;
    }
    for target in config.volumes.iter().flatten().map(|(target, _)| target) {
        let destination = parse::destination(target).map_err(Error::Invalid)?;
        if all.iter().all(|w| w.destination != destination) {
            all.push(Wanted {
                destination,
                what: What::Volume {
                    name: None,
                    no_copy: false,
                    labels: None,
                    subpath: String::new(),
                    driver: String::new(),
                    settings: None,
                },
                read_only: false,
                mode: String::new(),
                propagation: String::new(),
            });
        }
    }
    Ok(all)
}

fn resolve_into(core: &Core, host: &HostConfig, wanted: Vec<Wanted>, out: &mut Resolved) -> Result<()> {
    let mut mounts: BTreeMap<String, MountRecord> = BTreeMap::new();
    for raw in host.volumes_from.iter().flatten() {
        let (name, read_only) = parse::volumes_from(raw).map_err(Error::Invalid)?;
        let other = core.registry.resolve(name).map_err(|e| Error::Invalid(e.to_string()))?.snapshot();
        for mount in other.record.mounts.iter().filter(|m| m.origin != MountOrigin::Tmpfs) {
            let mut mount = mount.clone();
            mount.point.rw &= !read_only;
            mount.point.mode.clear();
            if mount.point.kind == "volume" {
                out.claims.push(core.volume_claims.share(&mount.point.name));
                // It may have gone with its container before it was ours to keep.
                if super::find(core, &mount.point.name)?.is_none() {
                    return Err(Error::NoSuchVolume(mount.point.name));
                }
            }
            // It is the other one's to remove.
            if mount.origin == MountOrigin::Anonymous {
                mount.origin = MountOrigin::Volume;
            }
            mounts.insert(mount.point.destination.clone(), mount);
        }
    }
    for wanted in wanted {
        // An image's volume gives way to one of `--volumes-from`.
        let anonymous = matches!(wanted.what, What::Volume { name: None, .. });
        if anonymous && mounts.contains_key(&wanted.destination) {
            continue;
        }
        mounts.insert(wanted.destination.clone(), one(core, &host.volume_driver, wanted, out)?);
    }
    out.mounts = mounts.into_values().collect();
    Ok(())
}

fn one(core: &Core, default_driver: &str, wanted: Wanted, out: &mut Resolved) -> Result<MountRecord> {
    let mut point = MountPoint {
        destination: wanted.destination,
        mode: wanted.mode,
        rw: !wanted.read_only,
        propagation: wanted.propagation,
        ..MountPoint::default()
    };
    let mut policy = Missing::Refuse;
    let (mut driver_options, mut part, mut image) = (None, String::new(), None);
    let (origin, non_recursive, read_only_non_recursive) = match wanted.what {
        What::Bind { source, missing, non_recursive, read_only_non_recursive } => {
            check_source(&source, missing)?;
            policy = missing;
            point.kind = "bind".to_owned();
            point.source = source;
            if point.propagation.is_empty() {
                point.propagation = "rprivate".to_owned();
            }
            (MountOrigin::Bind, non_recursive, read_only_non_recursive)
        }
        What::Volume { name, no_copy, labels, subpath, driver, settings } => {
            let anonymous = name.is_none();
            let name = name.unwrap_or_else(|| Id::random().to_string());
            out.claims.push(core.volume_claims.share(&name));
            let volume = match super::find(core, &name)? {
                Some(volume) => volume,
                None => {
                    let driver = if driver.is_empty() { default_driver } else { &driver };
                    let wish = super::Wish { driver, labels, options: settings, anonymous };
                    let volume = super::prepare(core, &name, wish)?;
                    out.made.push(volume.clone());
                    volume
                }
            };
            let folder = super::folder(core, &name);
            if !no_copy {
                let (volume, subpath) = (volume.clone(), subpath.clone());
                out.fill.push(Fill { volume, subpath, path: point.destination.clone() });
            }
            (driver_options, part) = (volume.options, subpath);
            point.kind = "volume".to_owned();
            point.name = name;
            point.driver = volume.driver;
            // Where a plugin has it is told when it is mounted.
            if point.driver == super::LOCAL {
                point.source = folder.to_string_lossy().into_owned();
            }
            // Of those that a flag or the image asks for by path alone Docker tells no mode.
            if point.mode.is_empty() && !anonymous {
                point.mode = "z".to_owned();
            }
            (if anonymous { MountOrigin::Anonymous } else { MountOrigin::Volume }, false, false)
        }
        What::Image { name } => {
            let found = core.store.image_resolve(&name).map_err(|e| crate::containers::no_image(e, &name))?;
            image = Some(found.id);
            point.kind = "image".to_owned();
            point.source = name;
            point.rw = false;
            (MountOrigin::Image, false, false)
        }
        What::Tmpfs { options } => {
            point.kind = "tmpfs".to_owned();
            point.mode = options.join(",");
            (MountOrigin::Tmpfs, false, false)
        }
    };
    Ok(MountRecord {
        point,
        origin,
        non_recursive,
        read_only_non_recursive,
        missing: policy,
        driver_options,
        subpath: part,
        image,
    })
}

/// Refuses a bind whose source is not there and not to be made. One that is to be made is made by the start.
fn check_source(source: &str, missing: Missing) -> Result<()> {
    if missing == Missing::Refuse && !Path::new(source).exists() {
        return Err(no_source(source));
    }
    Ok(())
}

/// Docker's words for a bind whose source is not there.
pub(crate) fn no_source(source: &str) -> Error {
    Error::Invalid(format!(
        "invalid mount config for type \"bind\": bind source path does not exist: {source}"
    ))
}
