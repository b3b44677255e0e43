//! A store that is killed, or fails, at each boundary between an intent and its effect: after it, everything that is
//! said to be there is, and nothing else.

mod support;

use brig_core::Digest;
use brig_store::{Backend, RemoveOptions, Store};
use std::{
    path::{Path, PathBuf},
    process::Command,
};
use support::*;

const PLACES: [&str; 11] = [
    "store.layer.publish",
    "store.layer.record",
    "store.layer.recorded",
    "store.image.publish",
    "store.image.record",
    "store.image.discard",
    "store.init.publish",
    "store.init.record",
    "store.snapshot.record",
    "store.snapshot.discard",
    "store.discard",
];

const FOLDER: &str = "BRIG_STORE_CRASH_TEST";

/// What the killed process does. Not a test of its own: it is one when the others run it with a folder.
#[test]
fn scenario() {
    let Some(dir) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let store = open(&dir, Backend::Auto);
    let before = listing(&dir);
    let mut failed = 0;
    let mut check = |result: Result<(), brig_store::Error>, before: Option<&[PathBuf]>| {
        if let Err(e) = result {
            assert!(e.to_string().contains("failpoint"), "{e}");
            failed += 1;
            if let Some(before) = before {
                assert_eq!(listing(&dir), before, "after {e}");
            }
        }
    };
    check(import(&store, "a", &rootfs()).map(drop), Some(&before));
    let one = listing(&dir);
    check(import(&store, "b", &tar(&[file("b", "b")])).map(drop), Some(&one));
    if let Ok(image) = store.image_resolve("a") {
        // The init layer is the image's, and stays when a later step fails.
        let before = listing(&dir);
        let init_fails = std::env::var("BRIG_FAILPOINTS").unwrap().contains("store.init");
        check(store.snapshot_prepare("a", Some(&image.id)), init_fails.then_some(&before));
        check(store.snapshot_remove("a"), None);
        store.settle();
        let before = listing(&dir);
        check(store.snapshot_prepare("c", Some(&image.id)), Some(&before));
        check(store.snapshot_remove("c"), None);
    }
    for name in ["b", "a"] {
        if store.image_resolve(name).is_ok() {
            check(store.image_remove(name, RemoveOptions::default(), &[]).map(drop), None);
        }
    }
    assert!(failed > 0, "the failpoint was not met");
}

fn import(store: &Store, name: &str, archive: &[u8]) -> brig_store::Result<Digest> {
    let options = brig_store::ImportOptions { reference: Some(name.parse().unwrap()), ..Default::default() };
    store.import(&mut &*archive, &options)
}

fn run(dir: &Path, place: &str, action: &str) -> std::process::ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "scenario", "--test-threads=1", "-q"])
        .env(FOLDER, dir)
        .env("BRIG_FAILPOINTS", format!("{place}={action}"))
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap()
}

/// Everything that is said to be there works; when it has been removed, nothing is left.
fn sound(store: &Store, dir: &Path, empty: &[PathBuf], what: &str) {
    for image in store.image_list().unwrap() {
        store.save(&[&image.id.to_string()], &mut std::io::sink()).unwrap_or_else(|e| panic!("{what}: {e}"));
        store.snapshot_prepare("probe", Some(&image.id)).unwrap();
        store.snapshot_remove("probe").unwrap();
    }
    for key in store.snapshot_list().unwrap() {
        store.snapshot_mount(&key).unwrap();
        store.snapshot_remove(&key).unwrap();
    }
    for image in store.image_list().unwrap() {
        store
            .image_remove(&image.id.to_string(), RemoveOptions { force: true, no_prune: false }, &[])
            .unwrap();
    }
    store.settle();
    assert_eq!(listing(dir), empty, "{what}");
}

#[test]
fn killed_or_failing_at_every_boundary() {
    for backend in [Backend::Overlay, Backend::Native] {
        let met = |place: &&str| backend == Backend::Overlay || !place.starts_with("store.init.");
        for place in PLACES.into_iter().filter(met) {
            for action in ["kill", "error"] {
                let what = format!("{place} {action} {backend:?}");
                let dir = tempfile::tempdir().unwrap();
                drop(open(dir.path(), backend));
                let empty = listing(dir.path());
                let status = run(dir.path(), place, action);
                assert_eq!(status.success(), action == "error", "{what}: {status}");
                let store = open(dir.path(), backend);
                sound(&store, dir.path(), &empty, &what);
            }
        }
    }
}

#[test]
fn a_second_process_is_refused_while_the_first_lives() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), Backend::Overlay);
    let e = Store::open(&paths(dir.path()), options(Backend::Overlay)).unwrap_err();
    assert_eq!(e.to_string(), format!("the store in {} is in use by another process", dir.path().display()));
    drop(store);
}
