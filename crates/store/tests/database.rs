//! Records, and what a damaged data root says.

mod support;

use brig_core::{HasKind, Kind, atomic::Durability};
use brig_store::{Backend, Batch, Error, Store};
use serde::{Deserialize, Serialize};
use support::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Doc {
    n: u32,
}

#[test]
fn records_by_kind_and_key() {
    let f = Fixture::new();
    let r = f.store.records();
    for (key, n) in [("b", 2), ("a", 1), ("c", 3)] {
        r.put("container", key, &Doc { n }, Durability::Process).unwrap();
    }
    r.put("network", "a", &Doc { n: 9 }, Durability::Power).unwrap();
    r.put("container", "a", &Doc { n: 11 }, Durability::Power).unwrap();
    assert_eq!(r.get::<Doc>("container", "a").unwrap(), Some(Doc { n: 11 }));
    assert_eq!(r.get::<Doc>("container", "x").unwrap(), None);
    let all: Vec<_> =
        r.list::<Doc>("container").unwrap().into_iter().map(|(k, d)| (k, d.unwrap().n)).collect();
    assert_eq!(all, [("a".to_owned(), 11), ("b".to_owned(), 2), ("c".to_owned(), 3)]);
    assert!(r.delete("container", "b", Durability::Power).unwrap());
    assert!(!r.delete("container", "b", Durability::Process).unwrap());
    assert_eq!(r.list::<Doc>("container").unwrap().len(), 2);
    drop(r);
    let f = f.reopen(Backend::Auto);
    assert_eq!(f.store.records().list::<Doc>("container").unwrap().len(), 2);
}

#[test]
fn a_batch_happens_whole_or_not() {
    let f = Fixture::new();
    let r = f.store.records();
    let mut batch = Batch::new();
    batch.insert("name", "web", &"id1").unwrap().put("container", "id1", &Doc { n: 1 }).unwrap();
    r.batch(batch, Durability::Process).unwrap();
    let mut batch = Batch::new();
    batch.put("container", "id2", &Doc { n: 2 }).unwrap().delete("container", "id1");
    batch.insert("name", "web", &"id2").unwrap();
    let e = r.batch(batch, Durability::Process).unwrap_err();
    assert_eq!((e.kind(), e.to_string().as_str()), (Kind::Conflict, "name web already exists"));
    assert_eq!(r.get::<Doc>("container", "id1").unwrap(), Some(Doc { n: 1 }));
    assert_eq!(r.get::<Doc>("container", "id2").unwrap(), None);
}

#[test]
fn a_record_of_another_shape_is_an_error_of_its_own() {
    let f = Fixture::new();
    let r = f.store.records();
    r.put("container", "good", &Doc { n: 1 }, Durability::Process).unwrap();
    r.put("container", "bad", &"text", Durability::Process).unwrap();
    let e = r.get::<Doc>("container", "bad").unwrap_err();
    assert_eq!(e.kind(), Kind::DataLoss);
    assert!(e.to_string().starts_with("record container/bad: "), "{e}");
    let list = r.list::<Doc>("container").unwrap();
    assert_eq!(
        list.iter().map(|(k, d)| (k.as_str(), d.is_ok())).collect::<Vec<_>>(),
        [("bad", false), ("good", true)]
    );
}

fn damaged(damage: impl FnOnce(&std::path::Path)) -> Error {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), Backend::Overlay);
    for n in 0..500 {
        store.records().put("k", &n.to_string(), &"x".repeat(100), Durability::Process).unwrap();
    }
    drop(store);
    damage(&dir.path().join("brig.db"));
    Store::open(&paths(dir.path()), options(Backend::Overlay)).unwrap_err()
}

#[test]
fn a_damaged_database_is_called_so() {
    let e =
        damaged(|db| std::fs::write(db, b"this is no database at all, not a bit of it".repeat(100)).unwrap());
    assert_eq!(e.kind(), Kind::DataLoss);
    assert!(e.to_string().contains("brig.db is damaged: "), "{e}");
    let e = damaged(|db| {
        let mut bytes = std::fs::read(db).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 8192].fill(0xa5);
        std::fs::write(db, bytes).unwrap();
    });
    assert_eq!(e.kind(), Kind::DataLoss, "{e}");
    let e = damaged(|db| {
        let bytes = std::fs::read(db).unwrap();
        std::fs::write(db, &bytes[..bytes.len() / 2]).unwrap();
    });
    assert_eq!(e.kind(), Kind::DataLoss, "{e}");
}

#[test]
fn a_database_of_a_newer_brig_is_left_alone() {
    let e = damaged(|db| {
        // The user version lies at byte 60 of the file.
        let mut bytes = std::fs::read(db).unwrap();
        bytes[60..64].copy_from_slice(&7000u32.to_be_bytes());
        std::fs::write(db, bytes).unwrap();
    });
    assert!(matches!(e, Error::DatabaseTooNew { found: 7000, .. }), "{e}");
    assert!(e.to_string().contains("schema version 7000"), "{e}");
}

#[test]
fn lost_folders_and_blobs_are_reported_and_orphans_removed() {
    let f = Fixture::new();
    let id = f.import("a", &rootfs()).unwrap();
    f.store.snapshot_prepare("c", Some(&id)).unwrap();
    let Fixture { dir, store } = f;
    drop(store);
    let at = |name: &str| dir.path().join(name);
    std::fs::remove_dir_all(at("snapshots/3")).unwrap();
    std::fs::create_dir_all(at("snapshots/77/fs/deep")).unwrap();
    std::fs::create_dir_all(at("snapshots/keep-out")).unwrap();
    std::fs::write(at("blobs/sha256/0000"), "orphan").unwrap();
    std::fs::write(at("ingest/half"), "made").unwrap();
    let store = open(dir.path(), Backend::Auto);
    let said = store.repairs().join("\n");
    for part in [
        "the folder of snapshot c is gone",
        "removed the orphaned folder",
        "removed the orphaned blob",
        "keep-out is none",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(!at("snapshots/77").exists() && !at("blobs/sha256/0000").exists() && !at("ingest/half").exists());
    // The snapshot can still be removed, and the image still be used.
    store.snapshot_remove("c").unwrap();
    store.snapshot_prepare("c", Some(&id)).unwrap();
    std::fs::remove_file(at(&format!("blobs/sha256/{}", id.hex()))).unwrap();
    drop(store);
    let store = open(dir.path(), Backend::Auto);
    assert!(store.repairs().join("\n").contains(&format!("the blob {id} is gone")));
}

#[test]
fn a_changed_configuration_is_noticed() {
    let f = Fixture::new();
    let id = f.import("a", &rootfs()).unwrap();
    let path = f.dir.path().join("blobs/sha256").join(id.hex());
    std::fs::write(&path, "{}").unwrap();
    let e = f.store.image_resolve("a").unwrap_err();
    assert_eq!(e.kind(), Kind::DataLoss, "{e}");
    // The others can still be listed, and this one be removed.
    f.import("b", &rootfs()).unwrap();
    assert_eq!(f.store.image_list().unwrap().len(), 1);
    f.store.image_remove("a", Default::default(), &[]).unwrap();
}

#[test]
fn nothing_is_removed_where_the_database_is_lost() {
    for folder in ["volumes/precious/_data", "containers/x", "snapshots/1"] {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path(), Backend::Overlay));
        let folder = dir.path().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let database = dir.path().join("brig.db");
        std::fs::write(&database, b"").unwrap();
        for _ in 0..2 {
            let e = Store::open(&paths(dir.path()), options(Backend::Overlay)).unwrap_err();
            assert_eq!(e.kind(), Kind::DataLoss);
            assert!(e.to_string().contains("brig.db is missing or empty, but there is data in "), "{e}");
            assert!(folder.exists());
            // The second time.
            let _ = std::fs::remove_file(&database);
        }
        std::fs::remove_dir_all(folder.parent().unwrap()).unwrap();
        let _ = std::fs::remove_dir_all(dir.path().join("volumes"));
        open(dir.path(), Backend::Overlay);
    }
}
