//! One contract for both backends: what a container sees, what it may do, what it leaves.

mod support;

use brig_core::{Digest, HasKind, Kind, RootFs};
use brig_store::{Backend, Error, Store};
use proptest::prelude::*;
use std::{collections::BTreeMap, path::Path};
use support::*;

const BACKENDS: [Backend; 2] = [Backend::Overlay, Backend::Native];

type View = BTreeMap<String, (u32, u32, u32, i64, Vec<u8>)>;

/// What a container of the image sees.
fn view(store: &Store, key: &str, image: &Digest) -> View {
    store.snapshot_prepare(key, Some(image)).unwrap();
    let view = with_mounted(&store.snapshot_mount(key).unwrap(), tree);
    store.snapshot_remove(key).unwrap();
    view
}

fn content<'a>(view: &'a View, path: &str) -> Option<&'a [u8]> {
    view.get(path).map(|(.., content)| content.as_slice())
}

#[test]
fn layers_hide_and_replace_what_is_below() {
    let layers = [
        tar(&[
            dir("./").mode(0o711),
            dir("a/").owner(7, 8),
            file("a/kept", "1"),
            file("a/gone", "1"),
            dir("b/"),
            file("b/all", "1"),
            dir("b/sub/"),
            file("b/sub/x", "1"),
            file("turns", "file"),
            dir("becomes/"),
            file("becomes/x", "1"),
            dir("fresh/"),
            file("fresh/old", "1"),
            symlink("link", "a"),
        ]),
        tar(&[
            file("a/.wh.gone", ""),
            file("a/new", "2"),
            dir("b/").mode(0o700),
            file("b/.wh..wh..opq", ""),
            file("b/only", "2"),
            dir("turns/"),
            file("turns/f", "2"),
            file("becomes", "2"),
            file(".wh.fresh", ""),
            dir("fresh/"),
            file("fresh/new", "2"),
            file(".wh.never", ""),
        ]),
        tar(&[file("a/gone", "3"), file("b/all", "3"), dir("link/"), file("link/f", "3")]),
    ];
    for backend in BACKENDS {
        let f = Fixture::with(backend);
        let before = f.listing();
        let id = load(&f.store, &layers).unwrap();
        let v = view(&f.store, "c", &id);
        assert_eq!(content(&v, "a/kept"), Some(&b"1"[..]));
        assert_eq!(content(&v, "a/gone"), Some(&b"3"[..]));
        assert_eq!(content(&v, "a/new"), Some(&b"2"[..]));
        assert_eq!(content(&v, "b/all"), Some(&b"3"[..]));
        assert_eq!(content(&v, "turns/f"), Some(&b"2"[..]));
        assert_eq!(content(&v, "becomes"), Some(&b"2"[..]));
        assert_eq!(content(&v, "fresh/new"), Some(&b"2"[..]));
        assert_eq!(content(&v, "link/f"), Some(&b"3"[..]));
        for gone in ["b/sub", "b/sub/x", "becomes/x", "fresh/old", "never", "a/.wh.gone"] {
            assert_eq!(content(&v, gone), None, "{gone}");
        }
        // Folders that a layer does not mention look as they do below, those that it does as it says.
        assert_eq!((v["a"].1, v["a"].2, v["b"].0 & 0o777), (7, 8, 0o700));
        // So does the root.
        f.store.snapshot_prepare("root", Some(&id)).unwrap();
        let mode = with_mounted(&f.store.snapshot_mount("root").unwrap(), |root| {
            std::os::unix::fs::MetadataExt::mode(&root.metadata().unwrap())
        });
        assert_eq!(mode & 0o777, 0o711);
        f.store.snapshot_remove("root").unwrap();
        f.store.image_remove(&id.to_string(), Default::default(), &[]).unwrap();
        assert_eq!(f.listing(), before);
    }
}

#[test]
fn a_container_writes_into_its_own_snapshot() {
    for backend in BACKENDS {
        let f = Fixture::with(backend);
        let id = f.import("a", &rootfs()).unwrap();
        for key in ["one", "two"] {
            f.store.snapshot_prepare(key, Some(&id)).unwrap();
        }
        with_mounted(&f.store.snapshot_mount("one").unwrap(), |root| {
            std::fs::write(root.join("etc/passwd"), "changed").unwrap();
            std::fs::write(root.join("new"), vec![1; 10_000]).unwrap();
            std::fs::remove_dir_all(root.join("usr")).unwrap();
        });
        let usage = f.store.snapshot_usage("one").unwrap();
        if backend == Backend::Overlay {
            assert_eq!(usage.bytes, 10_007);
            assert_eq!(f.store.snapshot_usage("two").unwrap(), Default::default());
        }
        let other = with_mounted(&f.store.snapshot_mount("two").unwrap(), |root| {
            (std::fs::read_to_string(root.join("etc/passwd")).unwrap(), root.join("usr/lib/so").exists())
        });
        assert_eq!(other, ("root:x:0:0::/root:/bin/sh\n".to_owned(), true));
        // It is still there after a restart.
        let f = f.reopen(Backend::Auto);
        with_mounted(&f.store.snapshot_mount("one").unwrap(), |root| {
            assert_eq!(std::fs::read_to_string(root.join("etc/passwd")).unwrap(), "changed");
            assert!(!root.join("usr").exists());
        });
    }
}

#[test]
fn what_the_contract_says_of_mistakes() {
    for backend in BACKENDS {
        let f = Fixture::with(backend);
        let id = f.import("a", &rootfs()).unwrap();
        f.store.snapshot_prepare("c", Some(&id)).unwrap();
        let listing = f.listing();
        let e = f.store.snapshot_prepare("c", Some(&id)).unwrap_err();
        assert_eq!((e.to_string().as_str(), e.kind()), ("snapshot c already exists", Kind::Conflict));
        let nowhere = Digest::of(b"nowhere");
        let e = f.store.snapshot_prepare("d", Some(&nowhere)).unwrap_err();
        assert_eq!((e.to_string(), e.kind()), (format!("No such image: {nowhere}"), Kind::NotFound));
        for e in [f.store.snapshot_mount("d").unwrap_err(), f.store.snapshot_usage("d").unwrap_err()] {
            assert_eq!((e.to_string().as_str(), e.kind()), ("no such snapshot: d", Kind::NotFound));
        }
        f.store.snapshot_remove("d").unwrap();
        assert_eq!(f.listing(), listing);
    }
}

#[test]
fn snapshots_of_nothing() {
    for backend in BACKENDS {
        let f = Fixture::with(backend);
        let before = f.listing();
        f.store.snapshot_prepare("scratch", None).unwrap();
        let RootFs::Directory { path } = f.store.snapshot_mount("scratch").unwrap() else {
            panic!("no folder")
        };
        std::fs::write(path.join("x"), "y").unwrap();
        assert_eq!(f.store.snapshot_usage("scratch").unwrap().bytes, 1);
        f.store.snapshot_remove("scratch").unwrap();
        // An image without layers.
        let id = load(&f.store, &[]).unwrap();
        f.store.snapshot_prepare("empty", Some(&id)).unwrap();
        assert!(matches!(f.store.snapshot_mount("empty").unwrap(), RootFs::Directory { .. }));
        f.store.snapshot_remove("empty").unwrap();
        f.store.image_remove(&id.hex(), Default::default(), &[]).unwrap();
        assert_eq!(f.listing(), before);
    }
}

#[test]
fn an_image_of_many_layers() {
    // 499 and the mount points are as many as overlayfs takes.
    for (backend, count) in [(Backend::Overlay, 128), (Backend::Overlay, 499), (Backend::Native, 40)] {
        let f = Fixture::with(backend);
        let before = f.listing();
        let layers: Vec<_> = (0..count)
            .map(|n| tar(&[file("last", n.to_string()), file(format!("f{n}"), n.to_string())]))
            .collect();
        let id = load(&f.store, &layers).unwrap();
        let v = view(&f.store, "c", &id);
        assert_eq!(v.keys().filter(|name| name.starts_with(['l', 'f'])).count(), count + 1);
        assert_eq!(content(&v, "last"), Some((count - 1).to_string().as_bytes()));
        f.store.image_remove(&id.hex(), Default::default(), &[]).unwrap();
        assert_eq!(f.listing(), before);
    }
    let f = Fixture::new();
    let layers: Vec<_> = (0..500).map(|n| tar(&[file("last", n.to_string())])).collect();
    let e = load(&f.store, &layers).unwrap_err();
    assert_eq!((e.to_string().as_str(), e.kind()), ("max depth exceeded", Kind::InvalidParameter));
    assert!(f.snapshot_dirs().is_empty());
}

#[test]
fn the_backend_stays() {
    for (backend, other) in [(Backend::Overlay, Backend::Native), (Backend::Native, Backend::Overlay)] {
        let f = Fixture::with(backend);
        let name = f.store.backend();
        let Fixture { dir, store } = f;
        drop(store);
        let e = Store::open(&paths(dir.path()), options(other)).unwrap_err();
        assert!(matches!(e, Error::OtherBackend { .. }), "{e}");
        assert_eq!(open(dir.path(), Backend::Auto).backend(), name);
    }
}

fn part() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("a"), Just("b"), Just("c")]
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(part(), 1..4).prop_map(|parts| parts.join("/"))
}

fn entry() -> impl Strategy<Value = Entry> {
    let content = prop::collection::vec(any::<u8>(), 0..1500);
    prop_oneof![
        4 => (path(), content, 0u32..0o7777).prop_map(|(p, c, m)| file(p, c).mode(m)),
        3 => (path(), 0u32..0o7777, 0u64..70_000).prop_map(|(p, m, o)| dir(p).mode(m).owner(o, o + 1)),
        1 => (path(), prop_oneof![path(), path().prop_map(|p| format!("../{p}")), path().prop_map(|p| format!("/{p}"))])
            .prop_map(|(p, t)| symlink(p, t)),
        1 => (path(), path()).prop_map(|(p, t)| hardlink(p, t)),
        2 => path().prop_map(|p| {
            let (folder, last) = p.rsplit_once('/').unwrap_or(("", &p));
            file(format!("{folder}/.wh.{last}"), "")
        }),
        1 => path().prop_map(|p| file(format!("{p}/.wh..wh..opq"), "")),
        1 => path().prop_map(|p| device(b'3', p, 1, 3)),
        1 => path().prop_map(|p| file("x", "longer").pax("path", format!("{p}-{}", "n".repeat(150)))),
    ]
}

/// A layer, and its archive with whatever end.
fn layer() -> impl Strategy<Value = Vec<u8>> {
    (prop::collection::vec(entry(), 0..12), 0usize..4000).prop_map(|(entries, tail)| {
        let mut archive = tar(&entries);
        archive.resize(archive.len() + tail, 0);
        archive
    })
}

/// Without the times of folders, for those that no layer mentions have the time of their making, and without what all
/// containers have.
fn comparable(view: View) -> View {
    let own = |path: &str| path.starts_with(['a', 'b', 'c', 'x']);
    view.into_iter()
        .filter(|(path, _)| own(path))
        .map(|(path, (mode, uid, gid, mtime, content))| {
            let folder = mode & 0o170_000 == 0o040_000;
            (path, (mode, uid, gid, if folder { 0 } else { mtime }, content))
        })
        .collect()
}

fn saved(store: &Store, id: &Digest) -> Vec<u8> {
    let mut out = Vec::new();
    store.save(&[&id.to_string()], &mut out).unwrap();
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever layers there are: both backends refuse them alike, or show the same tree and give the same bytes back.
    #[test]
    fn both_backends_agree_and_give_back_what_they_got(layers in prop::collection::vec(layer(), 1..4)) {
        let [overlay, native] = BACKENDS.map(Fixture::with);
        match (load(&overlay.store, &layers), load(&native.store, &layers)) {
            (Ok(id), Ok(other)) => {
                prop_assert_eq!(id, other);
                let out = saved(&overlay.store, &id);
                prop_assert_eq!(&out, &saved(&native.store, &id));
                for layer in &layers {
                    prop_assert!(out.windows(layer.len()).any(|w| w == layer.as_slice()));
                }
                let (a, b) = (view(&overlay.store, "c", &id), view(&native.store, "c", &id));
                prop_assert_eq!(comparable(a), comparable(b));
            }
            (Err(a), Err(b)) => {
                prop_assert_eq!(a.to_string(), b.to_string());
                prop_assert!(overlay.snapshot_dirs().is_empty() && native.snapshot_dirs().is_empty());
            }
            (a, b) => prop_assert!(false, "{a:?} and {b:?}"),
        }
    }

    /// Any bytes at all: an error or an image, never a panic, nothing left behind by an error.
    #[test]
    fn noise_is_refused(start in prop::collection::vec(entry(), 0..3), noise in prop::collection::vec(any::<u8>(), 0..2000), at in any::<prop::sample::Index>()) {
        let f = Fixture::new();
        let before = f.listing();
        let mut archive = tar(&start);
        let at = at.index(archive.len());
        let end = archive.len().min(at + noise.len());
        archive.splice(at..end, noise);
        if f.import("x", &archive).is_err() {
            prop_assert_eq!(f.listing(), before);
        }
    }
}

#[test]
fn the_folders_of_a_layer_are_named_shortly() {
    let f = Fixture::new();
    let id = f.import("a", &rootfs()).unwrap();
    f.store.snapshot_prepare(&"k".repeat(64), Some(&id)).unwrap();
    let RootFs::Overlay { lower, upper, work, .. } = f.store.snapshot_mount(&"k".repeat(64)).unwrap() else {
        panic!("no overlay")
    };
    let relative = |path: &Path| path.strip_prefix(f.dir.path()).unwrap().to_str().unwrap().to_owned();
    assert_eq!(lower.iter().map(|p| relative(p)).collect::<Vec<_>>(), ["snapshots/2/fs", "snapshots/1/fs"]);
    assert_eq!(
        (relative(&upper), relative(&work)),
        ("snapshots/3/fs".to_owned(), "snapshots/3/work".to_owned())
    );
}
