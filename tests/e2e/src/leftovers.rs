//! What a test must not leave behind, and taking it away by force so that one failure does not spoil the next test.

use crate::Host;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, netlink, recv, sockopt};
use std::{
    fs,
    os::fd::{AsRawFd, OwnedFd},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// How long the kernel may take to remove the links of a dead network namespace, in the background.
const LINKS_GONE_WITHIN: Duration = Duration::from_secs(20);

/// How long a shim that has told of its container's end may take to end itself: nobody waits for that.
const SHIM_GONE_WITHIN: Duration = Duration::from_secs(2);

/// What is left although all containers were removed: mounts, links. Folders and cgroups are removed behind the answer.
pub fn of_live_daemon(host: &Host) -> Vec<String> {
    let mut left = Vec::new();
    left.extend(mounts(host.dir()));
    left.extend(lasting_veths(host).into_iter().map(|l| format!("link {l}")));
    left
}

fn in_folders(host: &Host, folders: &[&str]) -> Vec<String> {
    let names = |folder: &&str| {
        names_in(&host.path(folder)).into_iter().map(|n| format!("{folder}/{n}")).collect::<Vec<_>>()
    };
    folders.iter().flat_map(names).collect()
}

/// What is left although the daemon has ended: processes in its network namespace, folders of containers and shims,
/// mounts, cgroups.
pub fn after_daemon(host: &Host) -> Vec<String> {
    let stays = |pid: &i32| !crate::host::ends_within(pid.cast_unsigned(), SHIM_GONE_WITHIN);
    let mut left: Vec<String> = processes(host)
        .into_iter()
        .map(|pid| (pid, command_line(pid)))
        .filter(|(pid, _)| stays(pid))
        .map(|(pid, line)| format!("process {pid}: {line}"))
        .collect();
    // What is removed in the background must be gone when the daemon has ended in order.
    left.extend(in_folders(host, &["data/containers", "data/ingest", "run/shims"]));
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
pub fn container_cgroups(host: &Host) -> Vec<PathBuf> {
    cgroups(host).into_iter().filter(|c| !c.to_string_lossy().ends_with(host.cgroup())).collect()
}

/// Links that are still there although the kernel had time to remove them: they go in the background, after the
/// network namespace that their other end was in. Waits for the kernel's own messages about links.
pub fn lasting_veths(host: &Host) -> Vec<String> {
    let socket: OwnedFd = host.inside(|| {
        let socket =
            rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)
                .expect("a netlink socket");
        let links = netlink::SocketAddrNetlink::new(0, libc::RTMGRP_LINK as u32);
        rustix::net::bind(&socket, &links).expect("subscribe to links");
        socket
    });
    let deadline = std::time::Instant::now() + LINKS_GONE_WITHIN;
    let mut message = [0u8; 8192];
    loop {
        let links = veths(host);
        let rest = deadline.saturating_duration_since(std::time::Instant::now());
        if links.is_empty() || rest.is_zero() {
            return links;
        }
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(rest)).expect("timeout");
        // A timeout or an overrun lead to the next look as a message does.
        let _ = recv(&socket, &mut message[..], RecvFlags::empty());
    }
}

/// The host's ends of containers' interfaces.
pub fn veths(host: &Host) -> Vec<String> {
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
