//! How long things take. Printed, and held to a bound that only a mistake in kind would break.

use crate::fixture::{Fixture, process, spec};
use brig_runtime::capabilities::CapabilitySet;
use brig_runtime::seccomp::{Abi, ProfileFacts, default_profile};
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
    let facts = ProfileFacts { abi: Abi::NATIVE.unwrap(), capabilities: CapabilitySet::DOCKER_DEFAULT, kernel: (6, 1) };
    serde_json::to_value(default_profile(&facts)).unwrap()
}

fn speed_of_create_and_exec(dir: &Path) {
    let f = Fixture::new(dir);
    for (name, change) in [
        ("without seccomp", json!({})),
        ("with Docker's seccomp profile", json!({"linux": {"seccomp": seccomp()}})),
    ] {
        let (mut create, mut start, mut all) = (vec![], vec![], vec![]);
        for _ in 0..200 {
            let spec = spec(&["true"], change.clone());
            let begin = Instant::now();
            let created = f.create(&spec).unwrap();
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
    let live = f.start(&spec(&["sleep", "1000"], json!({"linux": {"seccomp": seccomp()}})));
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
