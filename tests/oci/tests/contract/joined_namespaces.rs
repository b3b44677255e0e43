//! Namespaces that somebody else made, joined by path.

use brig_oci_contract::Runtime;
use serde_json::{Value, json};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A process in namespaces of its own, ended with this value.
pub(super) struct Holder(Child);

impl Holder {
    /// Runs a script in new namespaces (`unshare`'s flags) and waits until it has printed a word.
    pub(super) fn new(flags: &[&str], script: &str) -> Self {
        let script = format!("{script}; echo ready; exec sleep 1000");
        let mut command = Command::new("unshare");
        command.args(flags).args(["sh", "-ec", &script]).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut word = [0; 6];
        child.stdout.take().unwrap().read_exact(&mut word).unwrap();
        Self(child)
    }

    pub(super) fn path(&self, name: &str) -> String {
        format!("/proc/{}/ns/{name}", self.0.id())
    }

    fn name(&self, name: &str) -> String {
        std::fs::read_link(self.path(name)).unwrap().to_str().unwrap().to_owned()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(runtime: &Runtime, bundle: &Path) -> brig_oci_contract::Said {
    runtime.call(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()])
}

#[test]
fn each_kind() {
    let runtime = Runtime::new();
    let holder = Holder::new(&["-n", "-i", "-u", "-C", "-T"], "hostname of-holder");
    let kinds = [("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("cgroup", "cgroup"), ("time", "time")];
    for (kind, name) in kinds {
        let script = format!("busybox readlink /proc/self/ns/{name}; cat /proc/sys/kernel/hostname");
        let bundle = runtime.bundle(&script, |c| {
            let namespaces = c["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.retain(|n| n["type"] != kind);
            namespaces.push(json!({"type": kind, "path": holder.path(name)}));
            if kind == "uts" {
                c["hostname"] = Value::Null;
            }
        });
        let said = run(&runtime, &bundle);
        if kind == "time" && !runtime.is_brig() && said.code != Some(0) {
            continue;
        }
        let host = if kind == "uts" { "of-holder" } else { "contract" };
        assert_eq!(said.ok(), format!("{}\n{host}\n", holder.name(name)), "{kind}");
    }
}

/// A mount namespace: its mounts are there, whatever the caller sees.
#[test]
fn the_mount_namespace() {
    let runtime = Runtime::new();
    if runtime.leaves_out("runc 1.1 opens the sources of bind mounts in the caller's mount namespace") {
        return;
    }
    let folder = runtime.path("mounted");
    std::fs::create_dir(&folder).unwrap();
    let folder = folder.to_str().unwrap();
    let holder =
        Holder::new(&["-m"], &format!("mount -t tmpfs tmpfs {folder}; echo in its own > {folder}/file"));
    let bundle = runtime.bundle("cat /tmp/file", |c| {
        let namespaces = c["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|n| n["type"] != "mount");
        namespaces.push(json!({"type": "mount", "path": holder.path("mnt")}));
        let mounts = c["mounts"].as_array_mut().unwrap();
        mounts.push(json!({"destination": "/tmp", "source": folder, "options": ["bind"]}));
    });
    assert_eq!(run(&runtime, &bundle).ok(), "in its own\n");
    assert!(std::fs::read_dir(folder).unwrap().next().is_none());
}

/// A namespace whose last process has gone, and one that never was.
#[test]
fn what_is_not_there_is_said() {
    let runtime = Runtime::new();
    let gone = Holder::new(&["-n"], "true").path("net");
    for path in [gone.as_str(), "/nonexistent/ns", "relative", "/proc/self/ns"] {
        let bundle = runtime.bundle("true", |c| {
            c["linux"]["namespaces"][4]["path"] = path.into();
        });
        let error = run(&runtime, &bundle).failed();
        assert!(error.contains(path) || error.contains("net namespace"), "{path}: {error}");
        assert!(runtime.call(["state", "c"]).failed().contains("does not exist"));
    }
}
