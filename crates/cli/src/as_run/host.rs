//! What depends on the host, but limits and networks.

use super::{Defaults, Words};
use brig_api::{DeviceRequest, HostConfig, Mount};

/// What Docker gives where nobody says, in bytes.
const SHM_SIZE: i64 = 64 << 20;

pub(super) fn flags(words: &mut Words, host: &HostConfig, defaults: &Defaults) {
    let unless = |same: bool, value: &str| if same { String::new() } else { value.to_owned() };
    words.on("rm", host.auto_remove);
    let policy = &host.restart_policy;
    words.flag(
        "restart",
        match (policy.name.as_str(), policy.maximum_retry_count) {
            ("" | "no", _) => String::new(),
            (name, 0) => name.to_owned(),
            (name, count) => format!("{name}:{count}"),
        },
    );
    words.each("volume", host.binds.iter().flatten());
    words.each("mount", host.mounts.iter().flatten().map(mount));
    let tmpfs = host.tmpfs.iter().flatten();
    words.each(
        "tmpfs",
        tmpfs.map(|(path, o)| if o.is_empty() { path.clone() } else { format!("{path}:{o}") }),
    );
    words.each("volumes-from", host.volumes_from.iter().flatten());
    words.flag("volume-driver", host.volume_driver.as_str());
    words.on("privileged", host.privileged);
    words.each("cap-add", host.cap_add.iter().flat_map(|all| all.iter()));
    words.each("cap-drop", host.cap_drop.iter().flat_map(|all| all.iter()));
    // A profile is told by its text, which a file would have to hold.
    let security = host.security_opt.iter().flatten();
    words.each("security-opt", security.filter(|option| !option.starts_with("seccomp={")));
    let open = |paths: &Option<Vec<String>>| paths.as_ref().is_some_and(Vec::is_empty);
    if open(&host.masked_paths) && open(&host.readonly_paths) && !host.privileged {
        words.flag("security-opt", "systempaths=unconfined");
    }
    words.each("group-add", host.group_add.iter().flatten());
    words.on("read-only", host.readonly_rootfs);
    if let Some(init) = host.init {
        words.0.push(if init { "--init".to_owned() } else { "--init=false".to_owned() });
    }
    words.flag("ipc", unless(matches!(host.ipc_mode.as_str(), "" | "private"), &host.ipc_mode));
    words.flag("pid", host.pid_mode.as_str());
    words.flag("uts", host.uts_mode.as_str());
    words.flag("userns", host.userns_mode.as_str());
    words.flag("cgroupns", unless(host.cgroupns_mode == defaults.cgroupns, &host.cgroupns_mode));
    words.flag("cgroup-parent", host.cgroup_parent.as_str());
    words.flag("isolation", unless(host.isolation == "default", &host.isolation));
    words.flag("runtime", unless(host.runtime == "runc", &host.runtime));
    words.number("shm-size", if host.shm_size == SHM_SIZE { 0 } else { host.shm_size });
    let pairs = |all: &Option<std::collections::BTreeMap<String, String>>| {
        all.iter().flatten().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
    };
    words.each("sysctl", pairs(&host.sysctls));
    words.each("annotation", pairs(&host.annotations));
    words.each("storage-opt", pairs(&host.storage_opt));
    for device in host.devices.iter().flatten() {
        let mut text = device.path_on_host.clone();
        if device.path_in_container != device.path_on_host || device.cgroup_permissions != "rwm" {
            text.push_str(&format!(":{}:{}", device.path_in_container, device.cgroup_permissions));
        }
        words.flag("device", text);
    }
    words.each("device-cgroup-rule", host.device_cgroup_rules.iter().flatten());
    for request in host.device_requests.iter().flatten() {
        if request.driver == "cdi" {
            words.each("device", request.device_ids.iter().flatten());
        } else {
            words.flag("gpus", gpus(request));
        }
    }
    let log = &host.log_config;
    words.flag("log-driver", unless(log.driver == defaults.log_driver, &log.driver));
    words.each("log-opt", pairs(&log.config));
    words.number("oom-score-adj", host.oom_score_adj);
}

/// A field of a list with commas.
fn field(text: String) -> String {
    if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

fn gpus(request: &DeviceRequest) -> String {
    let mut fields = Vec::new();
    match request.device_ids.as_deref().unwrap_or_default() {
        [] if request.count == -1 => fields.push("all".to_owned()),
        [] => fields.push(request.count.to_string()),
        ids => fields.push(format!("device={}", ids.join(","))),
    }
    if !request.driver.is_empty() {
        fields.push(format!("driver={}", request.driver));
    }
    let more = request.capabilities.iter().flatten().flatten().filter(|name| *name != "gpu");
    let more: Vec<&str> = more.map(String::as_str).collect();
    if !more.is_empty() {
        fields.push(format!("capabilities={}", more.join(",")));
    }
    let options = request.options.iter().flatten().map(|(name, value)| format!("{name}={value}"));
    let options: Vec<String> = options.collect();
    if !options.is_empty() {
        fields.push(format!("options={}", options.join(",")));
    }
    fields.into_iter().map(field).collect::<Vec<_>>().join(",")
}

fn mount(mount: &Mount) -> String {
    let mut fields = vec![format!("type={}", mount.kind)];
    let mut put = |name: &str, value: &str| {
        if !value.is_empty() {
            fields.push(format!("{name}={value}"));
        }
    };
    let yes = |on: bool| if on { "true" } else { "" };
    put("source", &mount.source);
    put("target", &mount.target);
    put("readonly", yes(mount.read_only));
    put("consistency", &mount.consistency);
    if let Some(bind) = &mount.bind_options {
        put("bind-propagation", &bind.propagation);
        put("bind-create-src", yes(bind.create_mountpoint));
        let recursive = match bind {
            bind if bind.non_recursive => "disabled",
            bind if bind.read_only_non_recursive => "writable",
            bind if bind.read_only_force_recursive => "readonly",
            _ => "",
        };
        put("bind-recursive", recursive);
    }
    if let Some(volume) = &mount.volume_options {
        put("volume-nocopy", yes(volume.no_copy));
        put("volume-subpath", &volume.subpath);
        for (name, value) in volume.labels.iter().flatten() {
            put("volume-label", &format!("{name}={value}"));
        }
        if let Some(driver) = &volume.driver_config {
            put("volume-driver", &driver.name);
            for (name, value) in driver.options.iter().flatten() {
                put("volume-opt", &format!("{name}={value}"));
            }
        }
    }
    if let Some(image) = &mount.image_options {
        put("image-subpath", &image.subpath);
    }
    if let Some(tmpfs) = &mount.tmpfs_options {
        if tmpfs.size_bytes > 0 {
            put("tmpfs-size", &tmpfs.size_bytes.to_string());
        }
        if tmpfs.mode > 0 {
            put("tmpfs-mode", &format!("{:o}", tmpfs.mode));
        }
    }
    fields.into_iter().map(field).collect::<Vec<_>>().join(",")
}
