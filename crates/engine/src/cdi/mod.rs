//! Devices by the Container Device Interface: `--device vendor.com/class=name`, and `--gpus` where a vendor describes its
//! GPUs this way. A vendor's files say what a container needs besides: nodes, mounts, variables, hooks.

mod apply;
mod file;

use crate::{
    core::Core,
    error::{Error, Result},
    record::ContainerRecord,
};
use brig_api::{DeviceRequest, HostConfig};
use file::{Edits, File};
use oci_spec::runtime::Spec;
use std::path::PathBuf;

/// Where vendors put their files, where the daemon is not told otherwise. A later folder's device wins.
#[must_use]
pub fn default_folders() -> Vec<PathBuf> {
    ["/etc/cdi", "/var/run/cdi"].map(PathBuf::from).to_vec()
}

/// Refuses devices that no vendor describes.
pub(crate) fn check(core: &Core, host: &HostConfig) -> Result<()> {
    edits(core, host).map(drop)
}

/// Gives a container the devices that it asks for.
pub(crate) fn apply(core: &Core, record: &ContainerRecord, spec: &mut Spec) -> Result<()> {
    for edits in edits(core, &record.host_config)? {
        apply::apply(&edits, spec).map_err(injection)?;
    }
    Ok(())
}

fn injection(reason: String) -> Error {
    Error::System(format!("CDI device injection failed: {reason}"))
}

/// What is to be changed for all devices of a container, in order. Most have none, and nothing is read for them.
fn edits(core: &Core, host: &HostConfig) -> Result<Vec<Edits>> {
    let Some(requests) = host.device_requests.as_deref().filter(|requests| !requests.is_empty()) else {
        return Ok(Vec::new());
    };
    let files = file::all(&core.config.cdi_folders).map_err(injection)?;
    let mut found = Vec::new();
    let mut missing = Vec::new();
    let mut common: Vec<&File> = Vec::new();
    for request in requests {
        for name in names(request, &files)? {
            // The last file that has it.
            let device = files.iter().rev().find_map(|file| Some((file, file.device(&name)?)));
            match device {
                Some((file, device)) => {
                    if !common.iter().any(|known| std::ptr::eq(*known, file)) {
                        common.push(file);
                        found.push(file.edits.clone());
                    }
                    found.push(device.clone());
                }
                None => missing.push(name),
            }
        }
    }
    match missing.is_empty() {
        true => Ok(found),
        false => Err(injection(format!("unresolvable CDI devices {}", missing.join(", ")))),
    }
}

/// The names of the devices of a request.
fn names(request: &DeviceRequest, files: &[File]) -> Result<Vec<String>> {
    let ids = request.device_ids.as_deref().unwrap_or_default();
    if request.driver == "cdi" {
        return Ok(ids.to_vec());
    }
    let wants_gpu = request.capabilities.iter().flatten().any(|all| all.iter().any(|name| name == "gpu"));
    let kind = match request.driver.as_str() {
        "" | "nvidia" if wants_gpu => "nvidia.com/gpu",
        "amd" if wants_gpu => "amd.com/gpu",
        _ => "",
    };
    if !files.iter().any(|file| file.kind == kind) {
        return Err(Error::Invalid(no_driver(request)));
    }
    Ok(match (ids, request.count) {
        ([], -1) => vec![format!("{kind}=all")],
        ([], count) => (0..count).map(|number| format!("{kind}={number}")).collect(),
        (ids, _) => ids.iter().map(|id| format!("{kind}={id}")).collect(),
    })
}

/// Docker's words for a request that nobody can serve.
fn no_driver(request: &DeviceRequest) -> String {
    let lists = request.capabilities.iter().flatten().map(|all| format!("[{}]", all.join(" ")));
    format!(
        "could not select device driver {:?} with capabilities: [{}]",
        request.driver,
        lists.collect::<Vec<_>>().join(" ")
    )
}
