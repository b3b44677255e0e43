//! How long things take; printed, not judged.

use crate::fixture::{Fixture, process, spec};
use brig_runtime::capabilities::CapabilitySet;
use brig_runtime::seccomp::{Abi, ProfileFacts, default_profile};
use brig_runtime::{CgroupOptions, InitProcess};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

pub const CASES: &[crate::runner::Case] =
    &[crate::runner::Case { name: "speed_of_create_and_exec", run: speed_of_create_and_exec, ignored: true }];

/// How often each thing is done.
const ROUNDS: usize = 200;

/// Least and median of some times, in milliseconds.
fn summary(mut times: Vec<Duration>) -> String {
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    format!("{:.2} ({:.2})", ms(times[times.len() / 2]), ms(times[0]))
}

/// What the kernel takes for namespaces alone: clone, exit, wait.
fn floor() -> Vec<Duration> {
    let mut times = vec![];
    let flags =
        libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        // SAFETY: as fork(2), in a process with one thread; the child only exits.
        unsafe {
            let pid = libc::syscall(libc::SYS_clone, flags | libc::SIGCHLD, 0, 0, 0, 0) as i32;
            if pid == 0 {
                libc::_exit(0);
            }
            libc::waitpid(pid, std::ptr::null_mut(), 0);
        }
        times.push(begin.elapsed());
    }
    times
}

fn seccomp() -> Value {
    let facts = ProfileFacts {
        abi: Abi::NATIVE.unwrap(),
        capabilities: CapabilitySet::DOCKER_DEFAULT,
        kernel: (6, 1),
    };
    serde_json::to_value(default_profile(&facts)).unwrap()
}

fn speed_of_create_and_exec(dir: &Path) {
    let f = Fixture::new(dir);
    println!("figure: in ms, median (least): namespaces alone {}", summary(floor()));
    let group = CgroupOptions::New(format!("/brig-runtime-speed-{}", std::process::id()).into());
    for (name, cgroup, change) in [
        ("plain", CgroupOptions::Inherit, json!({})),
        ("with Docker's seccomp profile", CgroupOptions::Inherit, json!({"linux": {"seccomp": seccomp()}})),
        ("with that and a cgroup", group.clone(), json!({"linux": {"seccomp": seccomp()}})),
    ] {
        let (mut create, mut start, mut all) = (vec![], vec![], vec![]);
        for _ in 0..ROUNDS {
            let spec = spec(&["true"], change.clone());
            let begin = Instant::now();
            let created = f.create_in(&spec, InitProcess::Program, cgroup.clone()).unwrap();
            create.push(begin.elapsed());
            let live = crate::fixture::Live { running: created.start().unwrap() };
            start.push(begin.elapsed());
            live.wait();
            all.push(begin.elapsed());
        }
        let (create, start, all) = (summary(create), summary(start), summary(all));
        println!("figure: {name}: created {create}, started {start}, ended {all}");
    }
    let spec = spec(&["sleep", "1000"], json!({"linux": {"seccomp": seccomp()}}));
    let created = f.create_in(&spec, InitProcess::Program, group).unwrap();
    let live = crate::fixture::Live { running: created.start().unwrap() };
    let (mut ready, mut all) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let execed = live.exec(&process(&["true"]), f.streams()).unwrap();
        ready.push(begin.elapsed());
        crate::fixture::wait(std::os::fd::AsFd::as_fd(&execed.pidfd));
        all.push(begin.elapsed());
    }
    println!("figure: exec: executed {}, ended {}", summary(ready), summary(all));
}
