//! Escapes and leaks that were published of runc, crun, youki, libcontainer and what calls them, each set up as an
//! attacker would and named by its number. A runtime may refuse the container or run it harmlessly.

mod binary;
mod descriptors;
mod mounts;
mod namespaces;
mod procfs;
mod rights;

use brig_oci_contract::{Runtime, Said};
use serde_json::{Value, json};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Runs a bundle to its end.
pub(crate) fn run(runtime: &Runtime, bundle: &Path) -> Said {
    runtime.call(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()])
}

/// A folder of the host's with one file that no container may reach.
pub(crate) fn canary(runtime: &Runtime) -> PathBuf {
    let folder = runtime.path("canary");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("secret"), "secret of the host\n").unwrap();
    folder
}

/// The folder is as [`canary`] made it.
#[track_caller]
pub(crate) fn unharmed(canary: &Path) {
    let names: Vec<_> = std::fs::read_dir(canary).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["secret"], "made or removed on the host");
    assert_eq!(std::fs::read_to_string(canary.join("secret")).unwrap(), "secret of the host\n");
}

/// What the runtime's own `spec` writes.
pub(crate) fn template(runtime: &Runtime) -> Value {
    let folder = runtime.path("template");
    std::fs::create_dir(&folder).unwrap();
    runtime.call(["spec".as_ref(), "--bundle".as_ref(), folder.as_os_str()]).ok();
    serde_json::from_str(&std::fs::read_to_string(folder.join("config.json")).unwrap()).unwrap()
}

/// Adds a mount.
pub(crate) fn mount(config: &mut Value, mount: Value) {
    config["mounts"].as_array_mut().unwrap().push(mount);
}

/// Adds a bind mount.
pub(crate) fn bind(config: &mut Value, source: &Path, destination: &str) {
    mount(
        config,
        json!({"destination": destination, "type": "bind", "source": source, "options": ["rbind", "rw"]}),
    );
}

/// Puts a link in the place of whatever a bundle's root has there.
pub(crate) fn link(bundle: &Path, name: &str, target: impl AsRef<Path>) {
    let path = bundle.join("rootfs").join(name);
    match std::fs::symlink_metadata(&path) {
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(&path).unwrap(),
        Ok(_) => std::fs::remove_file(&path).unwrap(),
        Err(_) => std::fs::create_dir_all(path.parent().unwrap()).unwrap(),
    }
    symlink(target, path).unwrap();
}

/// Puts a shell script into a bundle's root.
pub(crate) fn script(bundle: &Path, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = bundle.join("rootfs").join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Docker's default capabilities, with further ones.
pub(crate) fn capabilities(more: &[&str]) -> Value {
    let mut all = vec![
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_FSETID",
        "CAP_FOWNER",
        "CAP_MKNOD",
        "CAP_NET_RAW",
        "CAP_SETGID",
        "CAP_SETUID",
        "CAP_SETFCAP",
        "CAP_SETPCAP",
        "CAP_NET_BIND_SERVICE",
        "CAP_SYS_CHROOT",
        "CAP_KILL",
        "CAP_AUDIT_WRITE",
    ];
    all.extend_from_slice(more);
    json!({"bounding": all, "effective": all, "permitted": all})
}
