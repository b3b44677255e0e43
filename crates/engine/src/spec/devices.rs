//! Looking up what a container needs of the machine: device nodes, and what the kernel is.

use super::{HostDevice, SpecError, SpecHost};
use crate::host_config::Machine;
use brig_api::HostConfig;
use std::{
    collections::BTreeMap,
    fs::Metadata,
    io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

impl SpecHost {
    /// Looks up what a container needs of this machine. `shm_size` is the daemon's default, in bytes.
    ///
    /// # Errors
    /// A device that is not there or is none.
    pub fn look_up(host: &HostConfig, shm_size: u64) -> Result<Self, SpecError> {
        let machine = Machine::get();
        Ok(Self {
            shm_size,
            devices: devices(host)?,
            block_devices: block_devices(host)?,
            capabilities: machine.capabilities,
            abi: brig_runtime::seccomp::Abi::NATIVE,
            kernel: machine.kernel,
            thermal_paths: machine.thermal_paths.clone(),
            has_ping_group_range: machine.has_ping_group_range,
            has_unprivileged_port_start: machine.has_unprivileged_port_start,
        })
    }
}

fn devices(host: &HostConfig) -> Result<Vec<HostDevice>, SpecError> {
    let mut all = Vec::new();
    if host.privileged {
        let failed = |error: io::Error| SpecError::Device { path: "/dev".to_owned(), reason: words(&error) };
        below(Path::new("/dev"), Path::new("/dev"), "rwm", &mut all).map_err(failed)?;
    }
    for mapping in host.devices.iter().flatten() {
        if host.privileged && mapping.path_on_host == mapping.path_in_container {
            continue;
        }
        let inside = match mapping.path_in_container.as_str() {
            "" => mapping.path_on_host.as_str(),
            inside => inside,
        };
        let permissions = match mapping.cgroup_permissions.as_str() {
            _ if host.privileged => "rwm",
            "" => "rwm",
            given => given,
        };
        let path = Path::new(&mapping.path_on_host);
        let failed = |reason: String| SpecError::Device { path: mapping.path_on_host.clone(), reason };
        // A link to a device stands for it, as in Docker.
        let metadata = std::fs::metadata(path).map_err(|error| failed(words(&error)))?;
        if metadata.is_dir() {
            let before = all.len();
            below(path, Path::new(inside), permissions, &mut all).map_err(|error| failed(words(&error)))?;
            if all.len() == before {
                return Err(failed("not a device node".to_owned()));
            }
        } else {
            let device = node(&metadata, PathBuf::from(inside), permissions);
            all.push(device.ok_or_else(|| failed("not a device node".to_owned()))?);
        }
    }
    Ok(all)
}

fn words(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |code| brig_runtime::Errno(code).to_string())
}

fn node(metadata: &Metadata, path: PathBuf, permissions: &str) -> Option<HostDevice> {
    let kind = metadata.file_type();
    if !kind.is_char_device() && !kind.is_block_device() {
        return None;
    }
    Some(HostDevice {
        path,
        character: kind.is_char_device(),
        major: i64::from(rustix::fs::major(metadata.rdev())),
        minor: i64::from(rustix::fs::minor(metadata.rdev())),
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        permissions: permissions.to_owned(),
    })
}

/// All device nodes below a folder. What belongs to the runtime in each container is left out.
fn below(folder: &Path, inside: &Path, permissions: &str, all: &mut Vec<HostDevice>) -> io::Result<()> {
    let mut entries = std::fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        // Not followed: a link is made by whoever needs it.
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if metadata.is_dir() {
            const NOT_INTO: [&str; 6] = ["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts"];
            if !NOT_INTO.iter().any(|skipped| name == *skipped) && name != ".udev" {
                below(&entry.path(), &inside.join(&name), permissions, all)?;
            }
        } else if name != "console" && name != "ptmx" {
            all.extend(node(&metadata, inside.join(&name), permissions));
        }
    }
    Ok(())
}

/// The numbers of the block devices whose use is limited, by their path.
pub(super) fn block_devices(host: &HostConfig) -> Result<BTreeMap<String, (i64, i64)>, SpecError> {
    let weights = host.blkio_weight_device.iter().flatten().map(|device| &device.path);
    let throttles = [
        &host.blkio_device_read_bps,
        &host.blkio_device_write_bps,
        &host.blkio_device_read_iops,
        &host.blkio_device_write_iops,
    ];
    let throttles = throttles.into_iter().flat_map(|list| list.iter().flatten()).map(|device| &device.path);
    weights
        .chain(throttles)
        .map(|path| {
            let metadata = std::fs::metadata(path)
                .map_err(|error| SpecError::BlockDevice { path: path.clone(), reason: words(&error) })?;
            let device = metadata.rdev();
            Ok((path.clone(), (rustix::fs::major(device).into(), rustix::fs::minor(device).into())))
        })
        .collect()
}
