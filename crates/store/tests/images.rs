//! Import, resolve, tag, remove, history.

mod support;

use brig_core::{Digest, HasKind, Id, Kind};
use brig_store::{Activity, Backend, Error, ImageUser, ImportOptions, RemoveOptions, Removed};
use support::*;

#[test]
fn an_imported_image_is_what_docker_makes() {
    let f = Fixture::new();
    let options = ImportOptions {
        reference: Some("app".parse().unwrap()),
        message: "Imported from -".to_owned(),
        changes: vec!["CMD [\"sh\"]".to_owned(), "ENV A=b".to_owned()],
        platform: None,
    };
    let archive = rootfs();
    let id = f.store.import(&mut archive.as_slice(), &options).unwrap();
    let image = f.store.image_resolve("app").unwrap();
    assert_eq!(image.id, id);
    assert_eq!(image.id, Digest::of(&image.config_json));
    assert_eq!(image.layers(), [Digest::of(&archive)]);
    assert_eq!(image.references[0].familiar(), "app:latest");
    assert_eq!(image.size, 8 + 26 + 70_000);
    let json: serde_json::Value = serde_json::from_slice(&image.config_json).unwrap();
    assert_eq!(json["os"], "linux");
    assert_eq!(json["comment"], "Imported from -");
    assert_eq!(json["config"]["Cmd"][0], "sh");
    assert_eq!(json["history"][0]["comment"], "Imported from -");
    assert_eq!(json["created"], json["history"][0]["created"]);
    assert_eq!(json["rootfs"]["type"], "layers");
    let history = f.store.image_history("app").unwrap();
    assert_eq!((history.len(), history[0].size, history[0].id), (1, image.size, Some(id)));
}

#[test]
fn every_way_to_name_an_image() {
    let f = Fixture::new();
    let id = f.import("localhost:5000/a/b:t", &rootfs()).unwrap();
    let hex = id.hex();
    for name in [
        "localhost:5000/a/b:t",
        &id.to_string(),
        &hex,
        &hex[..12],
        &hex[..1],
        &format!("sha256:{}", &hex[..7]),
    ] {
        assert_eq!(f.store.image_resolve(name).unwrap().id, id, "{name}");
    }
    for (name, shown) in [
        ("nope", "nope:latest"),
        ("nope:1", "nope:1"),
        ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
        (&"0".repeat(64), &format!("sha256:{}", "0".repeat(64))),
    ] {
        let e = f.store.image_resolve(name).unwrap_err();
        assert_eq!((e.to_string(), e.kind()), (format!("No such image: {shown}"), Kind::NotFound));
    }
    let e = f.store.image_resolve("Bad Name").unwrap_err();
    assert_eq!(e.kind(), Kind::InvalidParameter);
}

#[test]
fn a_prefix_of_several_ids_is_none() {
    let f = Fixture::new();
    let mut first = std::collections::HashMap::new();
    for n in 0..40 {
        let id = f.import(&format!("img{n}"), &tar(&[file("n", n.to_string())])).unwrap();
        *first.entry(id.hex()[..1].to_owned()).or_insert(0) += 1;
    }
    let (prefix, _) = first.iter().find(|(_, n)| **n > 1).unwrap();
    let e = f.store.image_resolve(prefix).unwrap_err();
    assert_eq!(e.to_string(), format!("No such image: {prefix}:latest"));
}

fn untagged(name: &str, image: Digest) -> Removed {
    Removed::Untagged { reference: name.parse().unwrap(), image }
}

#[test]
fn removal_untags_first_and_deletes_last() {
    let f = Fixture::new();
    let before = f.listing();
    let archive = rootfs();
    let id = f.import("a:latest", &archive).unwrap();
    f.store.image_tag("a", &"b:1".parse().unwrap()).unwrap();
    let remove =
        |name: &str, force| f.store.image_remove(name, RemoveOptions { force, no_prune: false }, &[]);
    let e = remove(&id.hex()[..12], false).unwrap_err();
    let text = format!(
        "conflict: unable to delete {} (must be forced) - image is referenced in multiple repositories",
        id.short()
    );
    assert_eq!((e.to_string(), e.kind()), (text, Kind::Conflict));
    assert_eq!(remove("a", false).unwrap(), [untagged("a:latest", id)]);
    let all = [untagged("b:1", id), Removed::Image(id), Removed::Layer { chain: Digest::of(&archive) }];
    assert_eq!(remove("b:1", false).unwrap(), all);
    assert_eq!(f.listing(), before);
    assert!(matches!(remove("b:1", false), Err(Error::NoSuchImage(_))));
}

#[test]
fn containers_hold_images_by_dockers_rules() {
    let f = Fixture::new();
    let id = f.import("a", &rootfs()).unwrap();
    let container = Id::random();
    let user = |activity| [ImageUser { container, image: id, activity }];
    let remove = |name: &str, force, activity| {
        f.store
            .image_remove(name, RemoveOptions { force, no_prune: false }, &user(activity))
            .map_err(|e| e.to_string())
    };
    let (c, i) = (container.short(), id.short());
    let uses = format!(
        "conflict: unable to remove repository reference \"a\" (must force) - container {c} is using its referenced image {i}"
    );
    assert_eq!(remove("a", false, Activity::Stopped).unwrap_err(), uses);
    assert_eq!(remove("a", false, Activity::Running).unwrap_err(), uses);
    let stopped = format!(
        "conflict: unable to delete {i} (must be forced) - image is being used by stopped container {c}"
    );
    assert_eq!(remove(&i, false, Activity::Stopped).unwrap_err(), stopped);
    let running = format!(
        "conflict: unable to delete {i} (cannot be forced) - image is being used by running container {c}"
    );
    assert_eq!(remove(&i, false, Activity::Running).unwrap_err(), running);
    assert_eq!(remove(&i, true, Activity::Running).unwrap_err(), running);
    // Forced by name while it runs: the name goes, the image stays.
    assert_eq!(remove("a", true, Activity::Running).unwrap(), [untagged("a:latest", id)]);
    assert!(f.store.image_get(&id).unwrap().is_dangling());
    // Stopped and forced: all goes.
    assert_eq!(remove(&i, true, Activity::Stopped).unwrap().len(), 2);
}

#[test]
fn a_snapshot_keeps_its_layers_when_the_image_goes() {
    for backend in [Backend::Overlay, Backend::Native] {
        let f = Fixture::with(backend);
        let before = f.listing();
        let id = f.import("a", &rootfs()).unwrap();
        f.store.snapshot_prepare("c1", Some(&id)).unwrap();
        let removed = f.store.image_remove("a", RemoveOptions { force: true, no_prune: false }, &[]).unwrap();
        assert_eq!(removed.len(), 2, "no layer is deleted");
        let content = with_mounted(&f.store.snapshot_mount("c1").unwrap(), |root| {
            std::fs::read_to_string(root.join("bin/sh")).unwrap()
        });
        assert_eq!(content, "#!binary");
        f.store.snapshot_remove("c1").unwrap();
        f.store.snapshot_remove("c1").unwrap();
        assert_eq!(f.listing(), before);
    }
}

#[test]
fn images_share_layers() {
    let f = Fixture::new();
    let one = f.import("a", &rootfs()).unwrap();
    // A new creation time: another image over the same layer.
    let two = f.import("b", &rootfs()).unwrap();
    assert_ne!(one, two);
    assert_eq!(f.snapshot_dirs().len(), 1);
    let removed = f.store.image_remove("a", RemoveOptions::default(), &[]).unwrap();
    assert_eq!(removed, [untagged("a:latest", one), Removed::Image(one)]);
    assert_eq!(f.snapshot_dirs().len(), 1);
    assert_eq!(f.store.image_remove("b", RemoveOptions::default(), &[]).unwrap().len(), 3);
    assert_eq!(f.snapshot_dirs().len(), 0);
}

#[test]
fn a_tag_moves_and_leaves_a_dangling_image() {
    let f = Fixture::new();
    let one = f.import("a", &rootfs()).unwrap();
    let two = f.import("a", &tar(&[file("x", "y")])).unwrap();
    assert_eq!(f.store.image_resolve("a").unwrap().id, two);
    assert!(f.store.image_get(&one).unwrap().is_dangling());
    assert_eq!(f.store.image_list().unwrap().iter().map(|i| i.id).collect::<Vec<_>>(), [two, one]);
    let digest = format!("a@{one}").parse().unwrap();
    assert_eq!(
        f.store.image_tag("a", &digest).unwrap_err().to_string(),
        "refusing to create a tag with a digest reference"
    );
    assert!(matches!(f.store.image_tag("nope", &"b".parse().unwrap()), Err(Error::NoSuchImage(_))));
}

#[test]
fn all_is_there_after_reopening() {
    for backend in [Backend::Overlay, Backend::Native] {
        let f = Fixture::with(backend);
        let id = f.import("a", &rootfs()).unwrap();
        f.store.snapshot_prepare("c", Some(&id)).unwrap();
        let image = f.store.image_resolve("a").unwrap();
        let listing = f.listing();
        let f = f.reopen(Backend::Auto);
        assert_eq!(f.store.repairs(), [] as [String; 0]);
        assert_eq!(f.store.image_resolve("a").unwrap(), image);
        assert_eq!(f.store.snapshot_list().unwrap(), ["c"]);
        assert_eq!(f.listing(), listing);
    }
}
