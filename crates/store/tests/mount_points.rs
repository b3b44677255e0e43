//! What containers find in their root file system before anything is mounted there, and that no container shows it as
//! its own.

mod support;

use brig_core::{Digest, RootFs};
use brig_store::{Backend, RemoveOptions};
use std::{
    collections::BTreeMap,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};
use support::*;

const BACKENDS: [Backend; 2] = [Backend::Overlay, Backend::Native];
const ALL: [&str; 12] = [
    ".dockerenv",
    "dev",
    "dev/console",
    "dev/pts",
    "dev/shm",
    "etc",
    "etc/hostname",
    "etc/hosts",
    "etc/mtab",
    "etc/resolv.conf",
    "proc",
    "sys",
];

type View = BTreeMap<String, (u32, u32, u32, i64, Vec<u8>)>;

/// What a container of an image sees, and the root of it: mode, owner, time.
fn view(f: &Fixture, image: &Digest, key: &str) -> (View, (u32, u32, i64)) {
    f.store.snapshot_prepare(key, Some(image)).unwrap();
    with_mounted(&f.store.snapshot_mount(key).unwrap(), |root| {
        let meta = root.metadata().unwrap();
        (tree(root), (meta.mode(), meta.uid(), meta.mtime()))
    })
}

fn layers(f: &Fixture, key: &str) -> (Vec<PathBuf>, PathBuf) {
    match f.store.snapshot_mount(key).unwrap() {
        RootFs::Overlay { lower, upper, .. } => (lower, upper),
        RootFs::Directory { path } => panic!("{} is no overlay", path.display()),
    }
}

#[test]
fn an_image_without_any_gets_all() {
    for backend in BACKENDS {
        let f = Fixture::with(backend);
        let id = f.import("a", &tar(&[dir("./").mode(0o711).owner(3, 4), file("x", "")])).unwrap();
        let (v, root) = view(&f, &id, "c");
        let names: Vec<&str> = v.keys().map(String::as_str).filter(|n| *n != "x").collect();
        assert_eq!(names, ALL);
        assert_eq!(root, (0o40_711, 3, 1_000_000_000), "the root looks as in the image");
        for (name, (mode, uid, gid, _, content)) in v.iter().filter(|(name, _)| *name != "x") {
            let kind = match name.as_str() {
                "etc/mtab" => {
                    assert_eq!(content, b"/proc/mounts");
                    0o120_777
                }
                "dev" | "dev/pts" | "dev/shm" | "etc" | "proc" | "sys" => 0o40_755,
                _ => {
                    assert_eq!(content, b"", "{name}");
                    0o100_755
                }
            };
            assert_eq!((*mode, *uid, *gid), (kind, 0, 0), "{name}");
        }
        assert_eq!(f.store.snapshot_usage("c").unwrap().bytes, 0);
    }
}

#[test]
fn what_the_image_has_stays() {
    let layers = [
        tar(&[
            dir("etc/").mode(0o700).owner(70_000, 7),
            file("etc/hosts", "own").mode(0o600).owner(1, 1),
            symlink("etc/resolv.conf", "../../../../run/resolv.conf"),
            dir("etc/hostname/"),
            symlink("dev", "/elsewhere/dev"),
            file("proc", "no folder"),
            file("gone", ""),
        ]),
        tar(&[file(".wh.gone", "")]),
    ];
    for backend in BACKENDS {
        let f = Fixture::with(backend);
        let outside = f.dir.path().join("elsewhere");
        std::fs::create_dir_all(&outside).unwrap();
        let id = load(&f.store, &layers).unwrap();
        let (v, _) = view(&f, &id, "c");
        let names: Vec<&str> = v.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                ".dockerenv",
                "dev",
                "etc",
                "etc/hostname",
                "etc/hosts",
                "etc/mtab",
                "etc/resolv.conf",
                "proc",
                "sys"
            ]
        );
        let (mode, uid, gid, mtime, _) = &v["etc"];
        assert_eq!((*mode, *uid, *gid, *mtime), (0o40_700, 70_000, 7, 1_000_000_000));
        assert_eq!(v["etc/hosts"], (0o100_600, 1, 1, 1_000_000_000, b"own".to_vec()));
        assert_eq!(v["etc/resolv.conf"].4, b"../../../../run/resolv.conf");
        assert_eq!(v["dev"].4, b"/elsewhere/dev");
        assert_eq!(v["proc"].4, b"no folder");
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    }
}

#[test]
fn a_folder_that_is_a_link_is_left_alone() {
    for backend in BACKENDS {
        let f = Fixture::with(backend);
        let id = f.import("a", &tar(&[dir("usr/"), dir("usr/etc/"), symlink("etc", "usr/etc")])).unwrap();
        let (v, _) = view(&f, &id, "c");
        assert_eq!(v["etc"].4, b"usr/etc");
        assert!(!v.keys().any(|name| name.starts_with("usr/etc/")), "{v:?}");
        assert!(v.contains_key(".dockerenv"));
    }
}

#[test]
fn an_upper_layer_decides_what_the_image_has() {
    let layers = [
        tar(&[dir("etc/").mode(0o711), file("etc/hosts", "low"), file("etc/kept", "")]),
        tar(&[file(".wh.etc", "")]),
    ];
    for backend in BACKENDS {
        let f = Fixture::with(backend);
        let id = load(&f.store, &layers).unwrap();
        let (v, _) = view(&f, &id, "c");
        assert_eq!(v["etc"].0, 0o40_755, "the image has no such folder");
        assert_eq!(v["etc/hosts"].4, b"");
        assert!(!v.contains_key("etc/kept"));
    }
}

#[test]
fn attributes_of_folders_are_kept() {
    for backend in BACKENDS {
        let f = Fixture::with(backend);
        let folder = dir("etc/").pax("SCHILY.xattr.user.k", "v");
        let id = f.import("a", &tar(&[folder])).unwrap();
        f.store.snapshot_prepare("c", Some(&id)).unwrap();
        with_mounted(&f.store.snapshot_mount("c").unwrap(), |root| {
            let mut value = [0; 8];
            let n = rustix::fs::getxattr(root.join("etc"), "user.k", &mut value).unwrap();
            assert_eq!(&value[..n], b"v");
        });
    }
}

#[test]
fn containers_of_an_image_share_it_and_write_none_of_it() {
    let f = Fixture::new();
    let before = f.listing();
    let id = f.import("a", &rootfs()).unwrap();
    let keys: Vec<String> = (0..8).map(|n| format!("c{n}")).collect();
    std::thread::scope(|scope| {
        for key in &keys {
            let f = &f;
            scope.spawn(move || f.store.snapshot_prepare(key, Some(&id)).unwrap());
        }
    });
    // One layer of the image, one for all, one for each.
    assert_eq!(f.snapshot_dirs().len(), 2 + keys.len());
    let (lower, _) = layers(&f, "c0");
    assert_eq!(lower.len(), 2);
    assert_eq!(f.store.image_folders(&id).unwrap(), lower[1..], "it is none of the image's");
    for key in &keys {
        let (own, upper) = layers(&f, key);
        assert_eq!(own, lower);
        with_mounted(&f.store.snapshot_mount(key).unwrap(), |root| assert!(root.join(".dockerenv").exists()));
        assert_eq!(std::fs::read_dir(upper).unwrap().count(), 0);
        assert_eq!(f.store.snapshot_usage(key).unwrap(), Default::default());
    }
    // It outlives the containers, and the store.
    for key in &keys {
        f.store.snapshot_remove(key).unwrap();
    }
    assert_eq!(f.snapshot_dirs().len(), 2);
    let f = f.reopen(Backend::Auto);
    assert_eq!(f.store.repairs(), [""; 0]);
    f.store.snapshot_prepare("again", Some(&id)).unwrap();
    assert_eq!(layers(&f, "again").0, lower);
    // What is saved is the image alone.
    let mut saved = Vec::new();
    f.store.save(&["a"], &mut saved).unwrap();
    assert!(!saved.windows(10).any(|w| w == b".dockerenv"));
    // It goes with the last of container and image.
    let force = RemoveOptions { force: true, no_prune: false };
    f.store.image_remove("a", force, &[]).unwrap();
    assert!(lower.iter().all(|layer| layer.exists()));
    f.store.snapshot_remove("again").unwrap();
    assert_eq!(f.listing(), before);
}

#[test]
fn it_goes_with_an_image_that_has_no_container() {
    let f = Fixture::new();
    let before = f.listing();
    let id = f.import("a", &rootfs()).unwrap();
    f.store.snapshot_prepare("c", Some(&id)).unwrap();
    f.store.snapshot_remove("c").unwrap();
    f.store.image_remove("a", RemoveOptions::default(), &[]).unwrap();
    assert_eq!(f.listing(), before);
}

#[test]
fn one_whose_folder_is_gone_is_made_again() {
    let f = Fixture::new();
    let id = f.import("a", &rootfs()).unwrap();
    f.store.snapshot_prepare("c", Some(&id)).unwrap();
    let lost = layers(&f, "c").0[0].parent().unwrap().to_owned();
    std::fs::remove_dir_all(&lost).unwrap();
    let f = f.reopen(Backend::Auto);
    assert!(
        f.store.repairs()[0].starts_with("the folder of init layer of sha256:"),
        "{:?}",
        f.store.repairs()
    );
    let (lower, _) = layers(&f, "c");
    assert_eq!(lower.len(), 1, "the container goes without");
    f.store.snapshot_prepare("d", Some(&id)).unwrap();
    with_mounted(&f.store.snapshot_mount("d").unwrap(), |root: &Path| assert!(root.join("proc").is_dir()));
    assert_eq!(layers(&f, "c").0, layers(&f, "d").0);
}
