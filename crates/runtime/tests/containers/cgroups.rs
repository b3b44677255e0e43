//! Containers and their cgroups.

use crate::fixture::{Fixture, Live, process, spec};
use brig_runtime::{CgroupOptions, InitProcess};
use serde_json::json;
use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

crate::cases![
    lives_in_its_own,
    limits_hold,
    exec_joins,
    paused,
    removed_when_undone,
    seen_from_inside,
    no_such_limit
];

fn name(what: &str) -> PathBuf {
    PathBuf::from(format!("/brig-runtime-test-{}-{what}", std::process::id()))
}

fn folders(name: &Path) -> Vec<PathBuf> {
    let below = name.strip_prefix("/").unwrap();
    let mut all = vec![Path::new("/sys/fs/cgroup").join(below)];
    for entry in fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
        all.push(entry.path().join(below));
    }
    all.into_iter().filter(|path| path.exists()).collect()
}

fn start(f: &Fixture, args: &[&str], name: &Path, change: serde_json::Value) -> Live {
    let cgroup = CgroupOptions::New(name.to_owned());
    let created = f.create_in(&spec(args, change), InitProcess::Program, cgroup).unwrap();
    Live { running: created.start().unwrap() }
}

fn lives_in_its_own(dir: &Path) {
    let f = Fixture::new(dir);
    let name = name("own");
    let live = start(&f, &["sleep", "1000"], &name, json!({}));
    let text = fs::read_to_string(format!("/proc/{}/cgroup", live.running.pid)).unwrap();
    for line in text.lines() {
        assert!(line.ends_with(name.to_str().unwrap()), "{text}");
    }
    assert_eq!(live.running.cgroup.as_ref().unwrap().pids().unwrap(), [live.running.pid]);
    drop(live);
    assert_eq!(folders(&name), Vec::<PathBuf>::new());
}

fn limits_hold(dir: &Path) {
    let f = Fixture::new(dir);
    let limits = json!({"linux": {"resources": {"pids": {"limit": 5}}}});
    let script = "for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; wait";
    let live = start(&f, &["sh", "-c", script], &name("pids"), limits);
    assert_ne!(live.wait(), 0);
    assert!(f.said("stderr").contains("can't fork"), "{}", f.said("stderr"));
}

fn exec_joins(dir: &Path) {
    let f = Fixture::new(dir);
    let name = name("exec");
    let live = start(&f, &["sleep", "1000"], &name, json!({}));
    let cgroup = live.running.cgroup.as_ref().unwrap();
    // A cgroup namespace shows the own group as the root.
    let ended = f.exec(&live, &process(&["cat", "/proc/self/cgroup"])).unwrap();
    assert!(ended.out.lines().all(|l| l.ends_with(":/")), "{}", ended.out);
    let execed = live.exec(&process(&["sleep", "1000"]), f.streams()).unwrap();
    let mut pids = cgroup.pids().unwrap();
    pids.sort_unstable();
    let mut expected = [live.running.pid, execed.pid];
    expected.sort_unstable();
    assert_eq!(pids, expected);
    // The end of process 1 is the end of all in its pid namespace, but not complete before we have reaped ours.
    live.signal(rustix::process::Signal::KILL);
    assert_eq!(crate::fixture::wait(execed.pidfd.as_fd()), 137);
}

/// A process that joins a frozen group would freeze, and we would wait for it.
fn paused(dir: &Path) {
    let f = Fixture::new(dir);
    let live = start(&f, &["sleep", "1000"], &name("paused"), json!({}));
    let cgroup = live.running.cgroup.as_ref().unwrap();
    cgroup.freeze().unwrap();
    let error = f.exec(&live, &process(&["true"])).unwrap_err();
    assert_eq!(error, brig_runtime::Error::Paused(live.running.pid));
    cgroup.thaw().unwrap();
    assert_eq!(f.exec(&live, &process(&["true"])).unwrap().code, 0);
}

fn removed_when_undone(dir: &Path) {
    let f = Fixture::new(dir);
    let name = name("undone");
    let create = |change| {
        f.create_in(&spec(&["true"], change), InitProcess::Program, CgroupOptions::New(name.clone()))
    };
    create(json!({"process": {"args": ["nosuch"]}})).unwrap_err();
    assert_eq!(folders(&name), Vec::<PathBuf>::new());
    let created = create(json!({})).unwrap();
    assert!(created.cgroup().is_some() && !folders(&name).is_empty());
    drop(created);
    assert_eq!(folders(&name), Vec::<PathBuf>::new());
    // Refused at the very end.
    let filter = json!({"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["execve"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13}]}}});
    create(filter).unwrap().start().unwrap_err();
    assert_eq!(folders(&name), Vec::<PathBuf>::new());
}

fn seen_from_inside(dir: &Path) {
    let f = Fixture::new(dir);
    for private in [true, false] {
        let name = name(if private { "private" } else { "hosts" });
        let mut change = json!({});
        if !private {
            change = json!({"linux": {"namespaces": [
                {"type": "mount"}, {"type": "network"}, {"type": "uts"}, {"type": "pid"}, {"type": "ipc"}]}});
        }
        // In each hierarchy that is mounted, what is seen at its root is the own group: process 1 is in it.
        let script = "for g in /sys/fs/cgroup /sys/fs/cgroup/*; do
            if [ -e $g/cgroup.procs ]; then echo $g $(cat $g/cgroup.procs | head -n 1); fi; done";
        let live = start(&f, &["sh", "-c", script], &name, change);
        assert_eq!(live.wait(), 0, "{}", f.said("stderr"));
        let said = f.said("stdout");
        assert!(said.lines().count() >= 1 && said.lines().all(|l| l.ends_with(" 1")), "{said}");
    }
}

fn no_such_limit(dir: &Path) {
    let f = Fixture::new(dir);
    let name = name("bad");
    let change = json!({"linux": {"resources": {"cpu": {"cpus": "0-4000"}}}});
    let created =
        f.create_in(&spec(&["true"], change), InitProcess::Program, CgroupOptions::New(name.clone()));
    let text = created.unwrap_err().to_string();
    assert!(text.starts_with("cgroup: "), "{text}");
    assert_eq!(folders(&name), Vec::<PathBuf>::new());
}
