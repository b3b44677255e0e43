//! Load and save.

mod support;

use brig_core::{Digest, HasKind, Kind};
use brig_store::{Backend, Error, ImportOptions, Loaded, Progress, RemoveOptions, Store};
use std::io::Write;
use support::*;

fn save(store: &Store, names: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    store.save(names, &mut out).unwrap();
    out
}

fn load(store: &Store, archive: &[u8]) -> brig_store::Result<Vec<Loaded>> {
    store.load(&mut &*archive, &mut |_| ())
}

fn files(archive: &[u8]) -> std::collections::BTreeMap<String, Vec<u8>> {
    use std::io::Read;
    let mut archive = tar::Archive::new(archive);
    let mut out = std::collections::BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_string_lossy().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        out.insert(name, content);
    }
    out
}

fn blob_name(bytes: &[u8]) -> String {
    format!("blobs/sha256/{}", Digest::of(bytes).hex())
}

/// An image of given layers as an OCI layout's entries; answers the manifest's descriptor.
fn oci_image(
    entries: &mut Vec<Entry>,
    layers: &[(&str, Vec<u8>, Vec<u8>)],
    platform: &str,
) -> (serde_json::Value, Digest) {
    let diffs: Vec<_> = layers.iter().map(|(_, plain, _)| Digest::of(plain).to_string()).collect();
    let config = serde_json::json!({
        "architecture": platform, "os": "linux", "config": {"Cmd": ["x"]},
        "rootfs": {"type": "layers", "diff_ids": diffs}
    })
    .to_string();
    entries.push(file(blob_name(config.as_bytes()), &config));
    let descriptors: Vec<_> = layers
        .iter()
        .map(|(kind, _, stored)| {
            entries.push(file(blob_name(stored), stored));
            serde_json::json!({
                "mediaType": format!("application/vnd.oci.image.layer.v1.{kind}"),
                "digest": Digest::of(stored).to_string(), "size": stored.len()
            })
        })
        .collect();
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
                   "digest": Digest::of(config.as_bytes()).to_string(), "size": config.len()},
        "layers": descriptors
    })
    .to_string();
    entries.push(file(blob_name(manifest.as_bytes()), &manifest));
    let descriptor = serde_json::json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": Digest::of(manifest.as_bytes()).to_string(), "size": manifest.len()
    });
    (descriptor, Digest::of(config.as_bytes()))
}

fn layout(mut entries: Vec<Entry>, manifests: &[serde_json::Value]) -> Vec<Entry> {
    let index = serde_json::json!({"schemaVersion": 2, "manifests": manifests}).to_string();
    entries.push(file("index.json", index));
    entries.push(file("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#));
    entries
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn layers() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let base = rootfs();
    let second = tar(&[dir("etc/"), file("etc/.wh.passwd", ""), file("etc/hosts", "h")]);
    let third = tar(&[dir("bin/"), file("bin/.wh..wh..opq", ""), file("bin/new", "n")]);
    vec![
        ("tar", base.clone(), base),
        ("tar+gzip", second.clone(), gzip(&second)),
        ("tar+zstd", third.clone(), zstd::encode_all(third.as_slice(), 0).unwrap()),
    ]
}

#[test]
fn saved_and_loaded_layers_are_the_same_bytes() {
    for backend in [Backend::Overlay, Backend::Native] {
        let from = Fixture::with(backend);
        let archive = rootfs();
        let id = from.import("app:1", &archive).unwrap();
        from.store.image_tag("app:1", &"app:2".parse().unwrap()).unwrap();
        let saved = save(&from.store, &["app"]);
        assert_eq!(saved, save(&from.store, &["app"]), "reproducible");
        let names: Vec<_> = files(&saved).into_keys().collect();
        assert!(names.iter().any(|n| n == "index.json") && names.iter().any(|n| n == "repositories"));
        assert_eq!(files(&saved)[&blob_name(&archive)], archive);

        let to = Fixture::with(backend);
        for (n, form) in
            [saved.clone(), gzip(&saved), zstd::encode_all(saved.as_slice(), 0).unwrap()].iter().enumerate()
        {
            let loaded = load(&to.store, form).unwrap();
            let expected: Vec<_> = ["app:1", "app:2"]
                .map(|t| Loaded::Named { reference: t.parse().unwrap(), id, replaced: None })
                .into();
            assert_eq!(loaded, expected, "form {n}");
        }
        assert_eq!(save(&to.store, &["app"]), saved);
        assert_eq!(
            to.store.image_resolve("app:2").unwrap().config_json,
            from.store.image_resolve("app:1").unwrap().config_json
        );
        to.store.image_remove("app:1", RemoveOptions::default(), &[]).unwrap();
        to.store.image_remove("app:2", RemoveOptions::default(), &[]).unwrap();
        assert_eq!(to.snapshot_dirs().len(), 0);
    }
}

#[test]
fn an_oci_layout_with_every_compression() {
    for backend in [Backend::Overlay, Backend::Native] {
        let f = Fixture::with(backend);
        let before = f.listing();
        let mut entries = Vec::new();
        let (mut descriptor, id) = oci_image(&mut entries, &layers(), "amd64");
        descriptor["annotations"] = serde_json::json!({"io.containerd.image.name": "docker.io/library/o:1", "org.opencontainers.image.ref.name": "1"});
        let archive = tar(&layout(entries, std::slice::from_ref(&descriptor)));
        let mut told = Vec::new();
        let loaded = f.store.load(&mut archive.as_slice(), &mut |p| told.push(p)).unwrap();
        assert_eq!(loaded, [Loaded::Named { reference: "o:1".parse().unwrap(), id, replaced: None }]);
        assert_eq!(told.iter().filter(|p| matches!(p, Progress::LayerDone { .. })).count(), 3);
        let image = f.store.image_resolve("o:1").unwrap();
        assert_eq!(image.manifest.unwrap().to_string(), descriptor["digest"].as_str().unwrap());
        f.store.snapshot_prepare("c", Some(&id)).unwrap();
        with_mounted(&f.store.snapshot_mount("c").unwrap(), |root| {
            let names = |dir: &str| {
                let mut names: Vec<_> = std::fs::read_dir(root.join(dir))
                    .unwrap()
                    .map(|e| e.unwrap().file_name().into_string().unwrap())
                    .collect();
                names.sort();
                names
            };
            assert_eq!(names("bin"), ["new"]);
            assert_eq!(names("etc"), ["hostname", "hosts", "mtab", "resolv.conf"]);
            assert_eq!(std::fs::read(root.join("lib/so.1")).unwrap().len(), 70_000);
        });
        // Out again, layer by layer.
        let saved = files(&save(&f.store, &["o:1"]));
        for (_, plain, _) in layers() {
            assert_eq!(saved[&blob_name(&plain)], plain);
        }
        f.store.snapshot_remove("c").unwrap();
        f.store.image_remove("o:1", RemoveOptions::default(), &[]).unwrap();
        assert_eq!(f.listing(), before);
    }
}

#[test]
fn a_nested_index_is_read_by_platform() {
    let f = Fixture::new();
    let mut entries = Vec::new();
    let (mut amd, id) = oci_image(&mut entries, &layers()[..1], "amd64");
    amd["platform"] = serde_json::json!({"os": "linux", "architecture": "amd64"});
    let (mut arm, arm_id) = oci_image(&mut entries, &layers()[..2], "arm64");
    arm["platform"] = serde_json::json!({"os": "linux", "architecture": "arm64", "variant": "v8"});
    let mut attestation = amd.clone();
    attestation["platform"] = serde_json::json!({"os": "unknown", "architecture": "unknown"});
    let nested = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [arm, attestation, amd]
    })
    .to_string();
    entries.push(file(blob_name(nested.as_bytes()), &nested));
    let top = serde_json::json!({
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "digest": Digest::of(nested.as_bytes()).to_string(), "size": nested.len(),
        "annotations": {"org.opencontainers.image.ref.name": "multi:x"}
    });
    let archive = tar(&layout(entries, &[top]));
    let expected = if cfg!(target_arch = "x86_64") { id } else { arm_id };
    let loaded = load(&f.store, &archive).unwrap();
    assert_eq!(
        loaded,
        [Loaded::Named { reference: "multi:x".parse().unwrap(), id: expected, replaced: None }]
    );
    assert_eq!(f.store.image_resolve("multi:x").unwrap().index, Some(Digest::of(nested.as_bytes())));
}

/// A docker-archive in the old form, with a layer that is a symlink to another's.
fn old_docker_archive(tags: &str) -> (Vec<Entry>, Digest) {
    let layer = rootfs();
    let diff = Digest::of(&layer).to_string();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff, diff]}
    })
    .to_string();
    let hex = Digest::of(config.as_bytes()).hex();
    let manifest = format!(
        r#"[{{"Config":"{hex}.json","RepoTags":{tags},"Layers":["one/layer.tar","two/layer.tar"]}}]"#
    );
    let entries = vec![
        dir("one/"),
        file("one/VERSION", "1.0"),
        file("one/layer.tar", &layer),
        dir("two/"),
        symlink("two/layer.tar", "../one/layer.tar"),
        file(format!("{hex}.json"), &config),
        file("manifest.json", manifest),
    ];
    (entries, Digest::of(config.as_bytes()))
}

#[test]
fn an_old_docker_archive_with_linked_layers() {
    let f = Fixture::new();
    let (entries, id) = old_docker_archive("null");
    assert_eq!(load(&f.store, &tar(&entries)).unwrap(), [Loaded::Unnamed { id }]);
    let old = f.import("x:1", &tar(&[])).unwrap();
    let (entries, id) = old_docker_archive(r#"["x:1"]"#);
    let named = Loaded::Named { reference: "x:1".parse().unwrap(), id, replaced: Some(old) };
    assert_eq!(load(&f.store, &tar(&entries)).unwrap(), [named]);
}

#[test]
fn bad_image_archives_are_refused_and_leave_nothing() {
    let mut entries = Vec::new();
    let (descriptor, _) = oci_image(&mut entries, &layers(), "amd64");
    let good = layout(entries, std::slice::from_ref(&descriptor));
    let (docker, _) = old_docker_archive("null");
    let change = |entries: &[Entry], at: &dyn Fn(&Entry) -> bool, edit: &dyn Fn(&mut Entry)| {
        let mut entries = entries.to_vec();
        let entry = entries.iter_mut().find(|e| at(e)).unwrap();
        edit(entry);
        tar(&entries)
    };
    let gz = blob_name(&layers()[1].2);
    let is = |name: &str| {
        let name = name.as_bytes().to_vec();
        move |e: &Entry| e.name == name
    };
    let whole = tar(&good);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("no archive", b"hello, this is not a tar archive".repeat(40)),
        ("no manifest", tar(&[file("x", "y")])),
        ("layer blob changed", change(&good, &is(&gz), &|e| e.content[20] ^= 1)),
        ("layer blob shorter", change(&good, &is(&gz), &|e| e.content.truncate(30))),
        ("layer blob missing", change(&good, &is(&gz), &|e| e.name = b"elsewhere".to_vec())),
        (
            "config of another image",
            change(&docker, &is("manifest.json"), &|e| {
                e.content = br#"[{"Config":"one/VERSION","Layers":[]}]"#.to_vec();
            }),
        ),
        (
            "layer count",
            change(&docker, &is("manifest.json"), &|e| {
                let text = String::from_utf8(e.content.clone()).unwrap();
                e.content = text.replace(r#","two/layer.tar""#, "").into_bytes();
            }),
        ),
        (
            "layer content changed",
            change(&docker, &is("one/layer.tar"), &|e| {
                let at = e.content.windows(8).position(|w| w == b"#!binary").unwrap();
                e.content[at] ^= 1;
            }),
        ),
        ("bad tag", tar(&old_docker_archive(r#"["UPPER:1"]"#).0)),
        ("digest for a tag", tar(&old_docker_archive(&format!(r#"["x@{}"]"#, Digest::of(b""))).0)),
        ("null manifest", tar(&[file("manifest.json", "null")])),
        ("manifest no JSON", tar(&[file("manifest.json", "{")])),
        ("links in a circle", tar(&[symlink("manifest.json", "b"), symlink("b", "manifest.json")])),
        ("name outside", tar(&[file("../manifest.json", "[]")])),
        ("link outside", tar(&[symlink("manifest.json", "../../etc/passwd")])),
        ("device", tar(&[device(b'3', "manifest.json", 1, 5)])),
        ("cut off", whole[..whole.len() / 2].to_vec()),
        ("compressed and cut off", {
            let g = gzip(&whole);
            g[..g.len() - 9].to_vec()
        }),
        ("index without this platform", {
            let mut entries = Vec::new();
            let (mut arm, _) = oci_image(&mut entries, &layers()[..1], "riscv64");
            arm["platform"] = serde_json::json!({"os": "linux", "architecture": "riscv64"});
            let nested = serde_json::json!({"schemaVersion": 2, "manifests": [arm]}).to_string();
            entries.push(file(blob_name(nested.as_bytes()), &nested));
            let top = serde_json::json!({
                "mediaType": "application/vnd.oci.image.index.v1+json",
                "digest": Digest::of(nested.as_bytes()).to_string(), "size": nested.len()
            });
            tar(&layout(entries, &[top]))
        }),
    ];
    for backend in [Backend::Overlay, Backend::Native] {
        let f = Fixture::with(backend);
        f.import("kept", &tar(&[file("a", "b")])).unwrap();
        let before = f.listing();
        for (what, archive) in &cases {
            let e = load(&f.store, archive).expect_err(what);
            assert_eq!(e.kind(), Kind::InvalidParameter, "{what}: {e}");
            assert_eq!(f.listing(), before, "{what}");
            assert_eq!(f.store.image_list().unwrap().len(), 1, "{what}");
        }
        // What is there already need not be read again, but what is said of it must be true.
        load(&f.store, &tar(&good)).unwrap();
    }
}

#[test]
fn a_reader_that_breaks_leaves_nothing() {
    struct Breaks(usize);
    impl std::io::Read for Breaks {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let archive = rootfs();
            if self.0 >= 20_000 {
                return Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
            }
            let n = buffer.len().min(1000);
            buffer[..n].copy_from_slice(&archive[self.0..self.0 + n]);
            self.0 += n;
            Ok(n)
        }
    }
    let f = Fixture::new();
    let before = f.listing();
    let e = f.store.import(&mut Breaks(0), &ImportOptions::default()).unwrap_err();
    assert!(matches!(e, Error::Input(_)), "{e}");
    let e = f.store.load(&mut Breaks(0), &mut |_| ()).unwrap_err();
    assert!(matches!(e, Error::Input(_)), "{e}");
    assert_eq!(f.listing(), before);
}

#[test]
fn saving_what_is_not_there() {
    let f = Fixture::new();
    let e = f.store.save(&["nope"], &mut Vec::new()).unwrap_err();
    assert_eq!(e.to_string(), "No such image: nope:latest");
}

#[test]
fn saving_a_damaged_layer_says_so() {
    let f = Fixture::new();
    f.import("a", &rootfs()).unwrap();
    let fs = f.snapshot_dirs()[0].join("fs/etc/passwd");
    std::fs::write(&fs, "root:x:0:0::/root:/bin/XX\n").unwrap();
    let e = f.store.save(&["a"], &mut Vec::new()).unwrap_err();
    assert_eq!(e.kind(), Kind::DataLoss, "{e}");
    std::fs::remove_file(&fs).unwrap();
    assert_eq!(f.store.save(&["a"], &mut Vec::new()).unwrap_err().kind(), Kind::DataLoss);
}

#[test]
fn a_writer_that_breaks_is_told() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe))
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let f = Fixture::new();
    f.import("a", &rootfs()).unwrap();
    assert!(matches!(f.store.save(&["a"], &mut Full), Err(Error::Output(_))));
}
