//! Putting the parts together.

use super::{Filter, NamespaceOf, SpecError, SpecInput, hidden, mounts, process, resources};
use crate::host_config::SecurityOptions;
use brig_runtime::capabilities;
use oci_spec::runtime::{
    Linux, LinuxDevice, LinuxDeviceType, LinuxNamespace, LinuxNamespaceType, Root, Spec,
};
use std::{collections::HashMap, path::PathBuf};

/// A container, described.
#[derive(Debug)]
pub struct Built {
    /// Its OCI configuration, less the seccomp filter.
    pub spec: Spec,
    /// That.
    pub filter: Filter,
}

/// Describes a container.
///
/// # Errors
/// A value that can't be used after all: a capability that brig has lost since.
pub fn build(input: &SpecInput<'_>) -> Result<Built, SpecError> {
    let host = input.host_config;
    let security = SecurityOptions::parse(host.security_opt.as_deref())
        .map_err(|e| SpecError::Invalid(e.to_string()))?;
    let capabilities = capabilities::resolve(
        host.cap_add.as_deref().map_or(&[], Vec::as_slice),
        host.cap_drop.as_deref().map_or(&[], Vec::as_slice),
        host.privileged,
        input.host.capabilities,
    )?;
    let (mounts, propagation) = mounts::mounts(input, &security)?;

    let mut linux = Linux::default();
    linux
        .set_cgroups_path(Some(PathBuf::from(input.cgroup_path)))
        .set_namespaces(Some(namespaces(input)))
        .set_sysctl(Some(sysctls(input)))
        .set_devices(Some(devices(input)))
        .set_resources(Some(resources::resources(input)?))
        .set_rootfs_propagation(propagation.map(str::to_owned))
        .set_masked_paths(hidden::masked(input))
        .set_readonly_paths(hidden::read_only(input));

    let mut root = Root::default();
    root.set_path(PathBuf::from("rootfs")).set_readonly(Some(host.readonly_rootfs));

    let mut spec = Spec::default();
    spec.set_root(Some(root))
        .set_mounts(Some(mounts))
        .set_process(Some(process::process(input, &security, capabilities)))
        .set_hostname(own_uts(input).then(|| input.hostname.to_owned()))
        .set_domainname(
            Some(input.config.domainname.clone()).filter(|name| own_uts(input) && !name.is_empty()),
        )
        .set_annotations(host.annotations.clone().map(|all| all.into_iter().collect()))
        .set_linux(Some(linux));
    Ok(Built { spec, filter: Filter::choose(input, &security, capabilities) })
}

fn own_uts(input: &SpecInput<'_>) -> bool {
    input.namespaces.uts != NamespaceOf::Host
}

/// The namespaces that are not the host's. Those to join have no path: the shim gets a descriptor.
fn namespaces(input: &SpecInput<'_>) -> Vec<LinuxNamespace> {
    let all = [
        (LinuxNamespaceType::Mount, NamespaceOf::New),
        (LinuxNamespaceType::Network, input.namespaces.network),
        (LinuxNamespaceType::Uts, input.namespaces.uts),
        (LinuxNamespaceType::Pid, input.namespaces.pid),
        (LinuxNamespaceType::Ipc, input.namespaces.ipc),
        (LinuxNamespaceType::Cgroup, input.namespaces.cgroup),
    ];
    let own = all.into_iter().filter(|(_, of)| *of != NamespaceOf::Host);
    own.map(|(kind, _)| {
        let mut namespace = LinuxNamespace::default();
        namespace.set_typ(kind);
        namespace
    })
    .collect()
}

/// The user's, over Docker's own: in a network namespace of its own a container may ping and listen on any port
/// without a capability.
fn sysctls(input: &SpecInput<'_>) -> HashMap<String, String> {
    let mut sysctls = HashMap::new();
    let mode = input.host_config.network_mode.as_str();
    let own_network =
        input.namespaces.network != NamespaceOf::Host && mode != "host" && !mode.starts_with("container:");
    if own_network && input.host.has_ping_group_range {
        sysctls.insert("net.ipv4.ping_group_range".to_owned(), "0 2147483647".to_owned());
    }
    if own_network && input.host.has_unprivileged_port_start {
        sysctls.insert("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned());
    }
    sysctls.extend(input.host_config.sysctls.clone().unwrap_or_default());
    sysctls
}

/// The devices beside those that every container has.
fn devices(input: &SpecInput<'_>) -> Vec<LinuxDevice> {
    let device = |from: &super::HostDevice| {
        let mut device = LinuxDevice::default();
        device
            .set_path(from.path.clone())
            .set_typ(if from.character { LinuxDeviceType::C } else { LinuxDeviceType::B })
            .set_major(from.major)
            .set_minor(from.minor)
            .set_file_mode(Some(from.mode))
            .set_uid(Some(from.uid))
            .set_gid(Some(from.gid));
        device
    };
    input.host.devices.iter().map(device).collect()
}
