//! How long things take. Printed, and held to a bound that only a mistake in kind would break.

use crate::fixture::{Fixture, process, spec};
use brig_runtime::capabilities::CapabilitySet;
use brig_runtime::seccomp::{Abi, ProfileFacts, default_profile};
use brig_runtime::{CgroupOptions, InitProcess};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

pub const CASES: &[crate::runner::Case] =
    &[crate::runner::Case { name: "speed_of_create_and_exec", run: speed_of_create_and_exec, ignored: true }];

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
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
    let group = CgroupOptions::New(format!("/brig-runtime-speed-{}", std::process::id()).into());
    for (name, cgroup, change) in [
        ("plain", CgroupOptions::Inherit, json!({})),
        ("with Docker's seccomp profile", CgroupOptions::Inherit, json!({"linux": {"seccomp": seccomp()}})),
        ("with that and a cgroup", group.clone(), json!({"linux": {"seccomp": seccomp()}})),
    ] {
        let (mut create, mut start, mut all) = (vec![], vec![], vec![]);
        for _ in 0..200 {
            let spec = spec(&["true"], change.clone());
            let begin = Instant::now();
            let created = f.create_in(&spec, InitProcess::Program, cgroup.clone()).unwrap();
            create.push(begin.elapsed());
            let live = crate::fixture::Live { running: created.start().unwrap() };
            start.push(begin.elapsed());
            live.wait();
            all.push(begin.elapsed());
        }
        let (create, start, all) = (median(create), median(start), median(all));
        println!("figure: {name}: created {create:?}, started {start:?}, ended {all:?}");
        assert!(all < Duration::from_millis(50), "{all:?}");
    }
    let spec = spec(&["sleep", "1000"], json!({"linux": {"seccomp": seccomp()}}));
    let created = f.create_in(&spec, InitProcess::Program, group).unwrap();
    let live = crate::fixture::Live { running: created.start().unwrap() };
    let (mut ready, mut all) = (vec![], vec![]);
    for _ in 0..200 {
        let begin = Instant::now();
        let execed = live.exec(&process(&["true"]), f.streams()).unwrap();
        ready.push(begin.elapsed());
        crate::fixture::wait(std::os::fd::AsFd::as_fd(&execed.pidfd));
        all.push(begin.elapsed());
    }
    println!("figure: exec: executed {:?}, ended {:?}", median(ready), median(all));
}
