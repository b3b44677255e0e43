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
        let (mut thread, mut create, mut attach, mut whole) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut publish, mut release) = (Vec::new(), Vec::new());
        let mut kept = Vec::new();
        for _ in 0..200 {
            let mut endpoint = w.net.allocate(&w.bridge.id, &EndpointRequest::default()).unwrap();
            let start = Instant::now();
            let netns = time(&mut create, || w.net.create_netns().unwrap());
            time(&mut attach, || w.net.attach(netns.as_fd(), &endpoint).unwrap());
            whole.push(start.elapsed());
            time(&mut thread, || within(&netns, || ()));
            endpoint.ports = time(&mut publish, || w.net.publish(&endpoint, &[tcp(8080, 80)]).unwrap());
            time(&mut release, || w.net.release(&endpoint).unwrap());
            kept.push(netns);
            if kept.len() == 10 {
                kept.clear();
            }
        }
        median("a visit to a namespace", thread);
        median("create_netns", create);
        median("attach", attach);
        median("both", whole);
        median("publish a port", publish);
        median("release with a port", release);
        let mut ensure = Vec::new();
        for _ in 0..50 {
            time(&mut ensure, || w.net.ensure_network(&w.bridge).unwrap());
        }
        median("ensure_network again", ensure);
        let mut deleted = Vec::new();
        for _ in 0..20 {
            let c = w.container();
            time(&mut deleted, || w.net.detach(c.netns.as_fd(), &c.endpoint).unwrap());
        }
        median("detach", deleted);
    });
}

/// As `run --rm` one after another: each namespace dies while the next one is being made.
#[test]
#[ignore = "a measurement"]
fn one_after_another() {
    world(|w| {
        for pause in [0, 5, 10, 20, 40] {
            let (mut create, mut attach) = (Vec::new(), Vec::new());
            for _ in 0..60 {
                let endpoint = w.net.allocate(&w.bridge.id, &EndpointRequest::default()).unwrap();
                let netns = time(&mut create, || w.net.create_netns().unwrap());
                time(&mut attach, || w.net.attach(netns.as_fd(), &endpoint).unwrap());
                drop(netns);
                w.net.release(&endpoint).unwrap();
                thread::sleep(Duration::from_millis(pause));
            }
            median(&format!("create_netns, {pause} ms after a death"), create);
            median(&format!("attach, {pause} ms after a death"), attach);
        }
    });
}
