//! How long things take. Ignored: run with `--ignored --nocapture`.

use super::*;
use std::time::Instant;

fn median(name: &str, mut samples: Vec<Duration>) {
    samples.sort();
    let at = |percent: usize| samples[(samples.len() - 1) * percent / 100];
    println!("{name:32} median {:>10.1?}   p95 {:>10.1?}   worst {:>10.1?}", at(50), at(95), at(100));
}

fn time<T>(samples: &mut Vec<Duration>, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    samples.push(start.elapsed());
    result
}

#[test]
#[ignore = "a measurement"]
fn measure() {
    world(|w| {
        let (mut create, mut attach, mut whole) = (Vec::new(), Vec::new(), Vec::new());
        let mut kept = Vec::new();
        for _ in 0..200 {
            let endpoint = w.net.allocate(&w.bridge.id, &EndpointRequest::default()).unwrap();
            let start = Instant::now();
            let netns = time(&mut create, || w.net.create_netns().unwrap());
            time(&mut attach, || w.net.attach(netns.as_fd(), &endpoint).unwrap());
            whole.push(start.elapsed());
            kept.push(netns);
            if kept.len() == 10 {
                kept.clear();
            }
        }
        median("create_netns", create);
        median("attach", attach);
        median("both", whole);
    });
}
