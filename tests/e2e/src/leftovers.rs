//! What a test must not leave behind, and taking it away by force so that one failure does not spoil the next test.

use crate::Host;
use std::{
    fs,
    os::fd::AsRawFd,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// What is left although all containers were removed: folders of containers and shims, links, cgroups.
pub fn of_live_daemon(host: &Host) -> Vec<String> {
    let mut left = Vec::new();
    for folder in ["data/containers", "run/shims", "data/ingest"] {
        left.extend(names_in(&host.path(folder)).into_iter().map(|n| format!("{folder}/{n}")));
    }
    left.extend(mounts(host.dir()));
    left.extend(container_cgroups(host).into_iter().map(|c| format!("cgroup {}", c.display())));
    left.extend(veths(host).into_iter().map(|l| format!("link {l}")));
    left
}

/// What is left although the daemon has ended: processes in its network namespace, mounts, cgroups.
pub fn after_daemon(host: &Host) -> Vec<String> {
    let mut left: Vec<String> =
        processes(host).into_iter().map(|pid| format!("process {pid}: {}", command_line(pid))).collect();
    left.extend(mounts(host.dir()));
    left.extend(container_cgroups(host).into_iter().map(|c| format!("cgroup {}", c.display())));
    left
}

/// Kills and removes whatever is left.
pub fn remove_by_force(host: &Host) {
    for cgroup in container_cgroups(host) {
        for pid in fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default().lines() {
            kill(pid.parse().unwrap_or_default());
        }
    }
    for pid in processes(host) {
        kill(pid);
    }
    for mount in mounts(host.dir()).iter().rev() {
        if let Some(path) = mount.strip_prefix("mount ") {
            let _ = rustix::mount::unmount(path, rustix::mount::UnmountFlags::DETACH);
        }
    }
    for cgroup in cgroups(host).into_iter().rev() {
        // Killed processes leave their cgroup a moment later; what can't be removed now is told by the caller.
        let _ = fs::remove_dir(cgroup);
    }
}

fn kill(pid: i32) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|e| e.ok())
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect()
}

fn mounts(under: &Path) -> Vec<String> {
    let under = under.to_string_lossy().into_owned();
    fs::read_to_string("/proc/self/mountinfo")
        .unwrap_or_default()
        .lines()
        .filter_map(|l| l.split(' ').nth(4))
        .filter(|p| p.starts_with(&under))
        .map(|p| format!("mount {p}"))
        .collect()
}

/// The host's cgroup parent in every hierarchy and all below it, parents first.
fn cgroups(host: &Host) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for mount in fs::read_to_string("/proc/self/mountinfo").unwrap_or_default().lines() {
        let is_cgroup = mount.split(" - ").nth(1).is_some_and(|t| t.starts_with("cgroup"));
        if let Some(point) = mount.split(' ').nth(4).filter(|_| is_cgroup) {
            walk(PathBuf::from(format!("{point}{}", host.cgroup())), &mut found);
        }
    }
    found
}

fn walk(dir: PathBuf, found: &mut Vec<PathBuf>) {
    if !dir.is_dir() {
        return;
    }
    found.push(dir.clone());
    for entry in fs::read_dir(&dir).into_iter().flatten().filter_map(|e| e.ok()) {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            walk(entry.path(), found);
        }
    }
}

/// Cgroups below the parent; the parent itself is the harness's to remove.
fn container_cgroups(host: &Host) -> Vec<PathBuf> {
    cgroups(host).into_iter().filter(|c| !c.to_string_lossy().ends_with(host.cgroup())).collect()
}

fn veths(host: &Host) -> Vec<String> {
    fs::read_to_string(format!("/proc/{}/net/dev", host.daemon_pid()))
        .unwrap_or_default()
        .lines()
        .filter_map(|l| l.split_once(':'))
        .map(|(name, _)| name.trim().to_owned())
        .filter(|name| name.starts_with("veth"))
        .collect()
}

fn processes(host: &Host) -> Vec<i32> {
    let ns =
        fs::metadata(format!("/proc/self/fd/{}", host.netns().as_raw_fd())).expect("own descriptor").ino();
    names_in(Path::new("/proc"))
        .iter()
        .filter_map(|n| n.parse::<i32>().ok())
        .filter(|pid| fs::metadata(format!("/proc/{pid}/ns/net")).is_ok_and(|m| m.ino() == ns))
        .filter(|pid| fs::metadata(format!("/proc/{pid}/exe")).is_ok())
        .collect()
}

fn command_line(pid: i32) -> String {
    let raw = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&raw).replace('\0', " ")
}
