//! Measurements, not run by default: `cargo test --release -p brig-store --test measure -- --ignored --nocapture`.

mod support;

use brig_core::{StatePaths, atomic::Durability};
use brig_store::{Backend, Batch, ImportOptions, Store, StoreOptions};
use std::time::{Duration, Instant};
use support::*;

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn durable(dir: &std::path::Path) -> Store {
    let options = StoreOptions { backend: Backend::Overlay, durability: Durability::Power };
    Store::open(&StatePaths::new(dir, dir.join("exec")), options).unwrap()
}

#[test]
#[ignore = "a measurement"]
fn hot_paths() {
    let dir = tempfile::tempdir().unwrap();
    let store = durable(dir.path());
    let archive = rootfs();
    let options = ImportOptions { reference: Some("a".parse().unwrap()), ..Default::default() };
    let id = store.import(&mut archive.as_slice(), &options).unwrap();
    let time = |rounds: usize, f: &mut dyn FnMut(usize)| {
        let once = |n| {
            let start = Instant::now();
            f(n);
            start.elapsed()
        };
        median((0..rounds).map(once).collect())
    };
    let document = "x".repeat(6000);
    let records = store.records();
    println!(
        "upsert of 6 KB, process: {:?}",
        time(2000, &mut |n| {
            records.put("container", &format!("{}", n % 100), &document, Durability::Process).unwrap();
        })
    );
    println!(
        "upsert of 6 KB, power: {:?}",
        time(100, &mut |n| {
            records.put("container", &format!("{}", n % 100), &document, Durability::Power).unwrap();
        })
    );
    println!(
        "batch of three, process: {:?}",
        time(1000, &mut |n| {
            let mut batch = Batch::new();
            let key = format!("{}", n % 100);
            batch
                .put("container", &key, &document)
                .unwrap()
                .put("name", &key, &1)
                .unwrap()
                .put("net", &key, &2)
                .unwrap();
            records.batch(batch, Durability::Process).unwrap();
        })
    );
    println!(
        "get: {:?}",
        time(2000, &mut |n| {
            records.get::<String>("container", &format!("{}", n % 100)).unwrap().unwrap();
        })
    );
    println!("resolve: {:?}", time(2000, &mut |_| drop(store.image_resolve("a").unwrap())));
    let (mut prepare, mut mount, mut remove) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..1000 {
        let key = format!("{n:064}");
        let start = Instant::now();
        store.snapshot_prepare(&key, Some(&id)).unwrap();
        prepare.push(start.elapsed());
        let start = Instant::now();
        store.snapshot_mount(&key).unwrap();
        mount.push(start.elapsed());
        let start = Instant::now();
        store.snapshot_remove(&key).unwrap();
        remove.push(start.elapsed());
    }
    println!(
        "snapshot: prepare {:?}, mount {:?}, remove {:?}",
        median(prepare),
        median(mount),
        median(remove)
    );
}

#[test]
#[ignore = "a measurement"]
fn throughput() {
    let noise = |seed: u64| {
        let mut x = seed | 1;
        let mut out = Vec::with_capacity(1 << 20);
        while out.len() < 1 << 20 {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            // Half of it noise, so that it compresses by half.
            out.extend_from_slice(&x.to_le_bytes());
            out.extend_from_slice(&[7; 8]);
        }
        out
    };
    let mut entries: Vec<_> = (0..400).map(|n| file(format!("big/{n}"), noise(n + 1))).collect();
    entries.extend((0..10_000).map(|n| file(format!("small/{}/{n}", n % 100), vec![b'x'; 10_000])));
    let plain = tar(&entries);
    drop(entries);
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gz, &plain).unwrap();
    let forms = [
        ("plain", plain.clone()),
        ("gzip", gz.finish().unwrap()),
        ("zstd", zstd::encode_all(plain.as_slice(), 1).unwrap()),
    ];
    for (name, bytes) in &forms {
        let dir = tempfile::tempdir().unwrap();
        for durability in [Durability::Process, Durability::Power] {
            let root = dir.path().join(format!("{durability:?}"));
            let options = StoreOptions { backend: Backend::Overlay, durability };
            let store = Store::open(&StatePaths::new(&root, root.join("exec")), options).unwrap();
            let start = Instant::now();
            let id = store.import(&mut bytes.as_slice(), &ImportOptions::default()).unwrap();
            let import = start.elapsed();
            let start = Instant::now();
            store.save(&[&id.to_string()], &mut std::io::sink()).unwrap();
            let save = start.elapsed();
            let rate = |d: Duration| plain.len() as f64 / 1e6 / d.as_secs_f64();
            println!(
                "{name}, {} MB, {durability:?}: import {import:?} ({:.0} MB/s), save {save:?} ({:.0} MB/s)",
                plain.len() / 1_000_000,
                rate(import),
                rate(save)
            );
        }
    }
}
