//! Changing a container's OCI configuration for a device.

use super::file::{Edits, Hook, Mount, Node};
use oci_spec::runtime::{self as oci, LinuxDevice, LinuxDeviceCgroup, LinuxDeviceType, Spec};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

pub(super) fn apply(edits: &Edits, spec: &mut Spec) -> Result<(), String> {
    let mut process = spec.process().clone().unwrap_or_default();
    let mut env = process.env().clone().unwrap_or_default();
    for variable in &edits.env {
        let name = |text: &str| text.split('=').next().unwrap_or_default().to_owned();
        env.retain(|known| name(known) != name(variable));
        env.push(variable.clone());
    }
    process.set_env(Some(env));
    let mut user = process.user().clone();
    let mut groups = user.additional_gids().clone().unwrap_or_default();
    groups.extend(edits.additional_gids.iter().filter(|gid| **gid != 0));
    user.set_additional_gids(Some(groups));
    process.set_user(user);
    spec.set_process(Some(process));

    let mut linux = spec.linux().clone().unwrap_or_default();
    let mut resources = linux.resources().clone().unwrap_or_default();
    let mut devices = linux.devices().clone().unwrap_or_default();
    let mut rules = resources.devices().clone().unwrap_or_default();
    for wanted in &edits.device_nodes {
        let (device, rule) = node(wanted)?;
        devices.retain(|known| known.path() != device.path());
        devices.push(device);
        rules.push(rule);
    }
    resources.set_devices(Some(rules));
    linux.set_devices(Some(devices)).set_resources(Some(resources));
    spec.set_linux(Some(linux));

    let mut mounts = spec.mounts().clone().unwrap_or_default();
    mounts.extend(edits.mounts.iter().map(mount));
    spec.set_mounts(Some(mounts));

    let mut hooks = spec.hooks().clone().unwrap_or_default();
    for wanted in &edits.hooks {
        hook(wanted, &mut hooks)?;
    }
    if hooks != oci::Hooks::default() {
        spec.set_hooks(Some(hooks));
    }
    Ok(())
}

fn node(wanted: &Node) -> Result<(LinuxDevice, LinuxDeviceCgroup), String> {
    let on_host = wanted.host_path.as_ref().unwrap_or(&wanted.path);
    let failed = |reason: &str| format!("device {}: {reason}", on_host.display());
    let metadata = std::fs::metadata(on_host).map_err(|e| failed(&e.to_string()))?;
    let kind = metadata.file_type();
    let kind = match wanted.kind.as_str() {
        "" if kind.is_char_device() => LinuxDeviceType::C,
        "" if kind.is_block_device() => LinuxDeviceType::B,
        "c" | "u" => LinuxDeviceType::C,
        "b" => LinuxDeviceType::B,
        _ => return Err(failed("not a device node")),
    };
    let given = wanted.major != 0 || wanted.minor != 0;
    let (major, minor) = match given {
        true => (wanted.major, wanted.minor),
        false => (rustix::fs::major(metadata.rdev()).into(), rustix::fs::minor(metadata.rdev()).into()),
    };
    let mut device = LinuxDevice::default();
    device
        .set_path(wanted.path.clone())
        .set_typ(kind)
        .set_major(major)
        .set_minor(minor)
        .set_file_mode(Some(wanted.file_mode.unwrap_or(metadata.mode() & 0o7777)))
        .set_uid(Some(wanted.uid.unwrap_or(metadata.uid())))
        .set_gid(Some(wanted.gid.unwrap_or(metadata.gid())));
    let permissions = if wanted.permissions.is_empty() { "rwm" } else { &wanted.permissions };
    let mut rule = LinuxDeviceCgroup::default();
    rule.set_allow(true)
        .set_typ(Some(kind))
        .set_major(Some(major))
        .set_minor(Some(minor))
        .set_access(Some(permissions.to_owned()));
    Ok((device, rule))
}

fn mount(wanted: &Mount) -> oci::Mount {
    let mut options = wanted.options.clone();
    let bind = matches!(wanted.kind.as_str(), "" | "bind");
    if bind && !options.iter().any(|option| matches!(option.as_str(), "bind" | "rbind")) {
        options.push("rbind".to_owned());
    }
    let mut mount = oci::Mount::default();
    mount
        .set_destination(wanted.container_path.clone())
        .set_typ(Some(if bind { "bind".to_owned() } else { wanted.kind.clone() }))
        .set_source(Some(wanted.host_path.clone()))
        .set_options(Some(options));
    mount
}

fn hook(wanted: &Hook, hooks: &mut oci::Hooks) -> Result<(), String> {
    let mut hook = oci::Hook::default();
    hook.set_path(wanted.path.clone())
        .set_args(Some(wanted.args.clone()).filter(|args| !args.is_empty()))
        .set_env(Some(wanted.env.clone()).filter(|env| !env.is_empty()))
        .set_timeout(wanted.timeout);
    let mut add = |get: fn(&oci::Hooks) -> &Option<Vec<oci::Hook>>,
                   set: fn(&mut oci::Hooks, Option<Vec<oci::Hook>>)| {
        let mut all = get(hooks).clone().unwrap_or_default();
        all.push(hook.clone());
        set(hooks, Some(all));
    };
    match wanted.hook_name.as_str() {
        "createRuntime" => add(oci::Hooks::create_runtime, |h, all| {
            h.set_create_runtime(all);
        }),
        "createContainer" => add(oci::Hooks::create_container, |h, all| {
            h.set_create_container(all);
        }),
        "startContainer" => add(oci::Hooks::start_container, |h, all| {
            h.set_start_container(all);
        }),
        // Prestart is deprecated, and what comes after the start nobody waits for.
        other => return Err(format!("brig runs no {other:?} hooks")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_brings_what_it_needs() {
        let edits: Edits = serde_json::from_str(
            r#"{"env":["PATH=/x","A=1"],"deviceNodes":[{"path":"/dev/n","hostPath":"/dev/null","permissions":"rw"}],
                "mounts":[{"hostPath":"/usr","containerPath":"/u","options":["ro"]}],
                "hooks":[{"hookName":"createContainer","path":"/bin/true"}],"additionalGids":[5,0]}"#,
        )
        .unwrap();
        let mut spec = Spec::default();
        apply(&edits, &mut spec).unwrap();
        let process = spec.process().as_ref().unwrap();
        assert!(process.env().as_ref().unwrap().ends_with(&["PATH=/x".to_owned(), "A=1".to_owned()]));
        assert_eq!(process.user().additional_gids().as_deref(), Some(&[5][..]));
        let linux = spec.linux().as_ref().unwrap();
        let device = linux.devices().as_ref().unwrap().last().unwrap();
        assert_eq!((device.path().to_str(), device.major(), device.minor()), (Some("/dev/n"), 1, 3));
        let rules = linux.resources().as_ref().unwrap().devices().as_ref().unwrap();
        assert_eq!(rules.last().unwrap().access().as_deref(), Some("rw"));
        let mount = spec.mounts().as_ref().unwrap().last().unwrap();
        assert_eq!(mount.options().as_deref().unwrap(), ["ro", "rbind"]);
        assert!(spec.hooks().as_ref().unwrap().create_container().is_some());
        for bad in [
            r#"{"deviceNodes":[{"path":"/dev/no/such"}]}"#,
            r#"{"deviceNodes":[{"path":"/tmp"}]}"#,
            r#"{"hooks":[{"hookName":"poststop","path":"/bin/true"}]}"#,
        ] {
            apply(&serde_json::from_str(bad).unwrap(), &mut Spec::default()).unwrap_err();
        }
    }
}
