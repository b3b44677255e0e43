//! Many operations at once, and a disk that is full.

mod support;

use brig_core::{HasKind, Kind, RootFs};
use brig_store::{Backend, CommitOptions, Error, RemoveOptions, Store};
use std::{path::PathBuf, process::Command};
use support::*;

#[test]
fn imports_loads_removals_and_containers_at_once() {
    for backend in [Backend::Overlay, Backend::Native] {
        let f = Fixture::with(backend);
        let before = f.listing();
        let saved = {
            f.import("seed", &rootfs()).unwrap();
            let mut out = Vec::new();
            f.store.save(&["seed"], &mut out).unwrap();
            f.store.image_remove("seed", RemoveOptions::default(), &[]).unwrap();
            out
        };
        let gone = |e: &Error| matches!(e, Error::NoSuchImage(_));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (f, saved) = (&f, &saved);
                scope.spawn(move || {
                    for round in 0..15 {
                        // All threads share the layer; some share the image.
                        match (thread + round) % 3 {
                            0 => drop(f.import(&format!("t{thread}"), &rootfs()).unwrap()),
                            1 => drop(f.store.load(&mut saved.as_slice(), &mut |_| ()).unwrap()),
                            _ => match f.store.image_remove(
                                "seed",
                                RemoveOptions { force: true, no_prune: false },
                                &[],
                            ) {
                                Err(e) if !gone(&e) => panic!("{e}"),
                                _ => {}
                            },
                        }
                        let key = format!("{thread}-{round}");
                        let prepared = f
                            .store
                            .image_resolve("seed")
                            .and_then(|image| f.store.snapshot_prepare(&key, Some(&image.id)));
                        match prepared {
                            Ok(()) => {
                                let text = with_mounted(&f.store.snapshot_mount(&key).unwrap(), |root| {
                                    std::fs::read_to_string(root.join("bin/sh")).unwrap()
                                });
                                assert_eq!(text, "#!binary");
                                f.store.snapshot_remove(&key).unwrap();
                            }
                            Err(e) => assert!(gone(&e), "{e}"),
                        }
                    }
                });
            }
        });
        for image in f.store.image_list().unwrap() {
            f.store.save(&[&image.id.to_string()], &mut std::io::sink()).unwrap();
            f.store
                .image_remove(&image.id.hex(), RemoveOptions { force: true, no_prune: false }, &[])
                .unwrap();
        }
        assert_eq!(f.listing(), before);
    }
}

const FOLDER: &str = "BRIG_STORE_FULL_TEST";

/// What runs in a mount namespace of its own, on a small disk.
#[test]
fn on_a_small_disk() {
    let Some(dir) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    rustix::mount::mount("tmpfs", &dir, "tmpfs", rustix::mount::MountFlags::empty(), c"size=6m").unwrap();
    for backend in [Backend::Overlay, Backend::Native] {
        let root = dir.join(format!("{backend:?}"));
        let store = open(&root, backend);
        let options =
            brig_store::ImportOptions { reference: Some("a".parse().unwrap()), ..Default::default() };
        store.import(&mut rootfs().as_slice(), &options).unwrap();
        let before = listing(&root);
        let big = tar(&[file("small", "x"), file("big", vec![1; 8 << 20])]);
        let e = store.import(&mut big.as_slice(), &options).unwrap_err();
        assert_eq!(e.kind(), Kind::System);
        assert_eq!(e.to_string(), "failed to unpack \"big\": write: No space left on device (os error 28)");
        assert_eq!(listing(&root), before);
        let archive = tar(&[file("manifest.json", vec![b' '; 8 << 20])]);
        let e = store.load(&mut archive.as_slice(), &mut |_| ()).unwrap_err();
        assert!(e.to_string().contains("No space left on device"), "{e}");
        assert_eq!(listing(&root), before);
        // Incompressible, in the record only.
        let mut noise = vec![0; 8 << 20];
        std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom").unwrap(), &mut noise).unwrap();
        let e = store.import(&mut tar(&[file(".wh..wh.x", noise)]).as_slice(), &options).unwrap_err();
        assert!(e.to_string().contains("No space left on device"), "{e}");
        assert_eq!(listing(&root), before);
        let big = sparse(5 << 20);
        assert!(store.import(&mut big.as_slice(), &options).is_ok());
        let e = store.import(&mut sparse(50 << 20).as_slice(), &options).unwrap_err();
        assert!(e.to_string().contains("are free"), "{e}");
        drop(store);
        assert_eq!(Store::open(&paths(&root), support::options(Backend::Auto)).unwrap().repairs().len(), 0);
        std::fs::remove_dir_all(&root).unwrap();
    }
}

fn sparse(size: u64) -> Vec<u8> {
    tar(&[file("hole", "")
        .pax("GNU.sparse.size", size.to_string())
        .pax("GNU.sparse.map", format!("{size},0"))])
}

#[test]
fn a_full_disk_is_named_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let status = Command::new("unshare")
        .args(["--mount", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "on_a_small_disk", "--test-threads=1", "-q"])
        .env(FOLDER, dir.path())
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn what_is_removed_while_it_is_committed_is_no_image() {
    let f = Fixture::new();
    f.store.snapshot_prepare("c", None).unwrap();
    let (RootFs::Overlay { upper: top, .. } | RootFs::Directory { path: top }) =
        f.store.snapshot_mount("c").unwrap();
    // Reading it takes far longer than the removal, and what comes after it is gone by then.
    std::fs::File::create(top.join("a")).unwrap().set_len(512 << 20).unwrap();
    std::fs::write(top.join("b"), "lost").unwrap();
    let options = CommitOptions {
        image: None,
        config: Default::default(),
        reference: None,
        author: String::new(),
        comment: String::new(),
        created_by: String::new(),
    };
    let committed = std::thread::scope(|scope| {
        let commit = scope.spawn(|| f.store.commit("c", options));
        let ingest = f.dir.path().join("ingest");
        while std::fs::read_dir(&ingest).unwrap().next().is_none() && !commit.is_finished() {
            std::thread::yield_now();
        }
        f.store.snapshot_remove("c").unwrap();
        f.store.settle();
        commit.join().unwrap()
    });
    assert!(matches!(committed, Err(Error::NoSuchSnapshot(_))), "{committed:?}");
    assert_eq!(f.store.image_list().unwrap().len(), 0);
}
