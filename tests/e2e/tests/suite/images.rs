//! Images: import, tag, list, inspect, history, save, load, remove; and archives that mean harm.

use brig_e2e::{Host, image, with_both};
use tar::EntryType;

#[test]
fn an_imported_image_is_listed_tagged_inspected_and_removed() {
    with_both(|host, client| {
        let id = client.run(host, &["images", "-q", "--no-trunc"]).ok();
        assert!(id.starts_with("sha256:") && id.len() == 71, "{id}");
        client.run(host, &["tag", "busybox", "other:v1"]).ok();
        let rows = client.run(host, &["images", "--format", "{{.Repository}}:{{.Tag}}"]).ok();
        let mut rows: Vec<&str> = rows.lines().collect();
        rows.sort_unstable();
        assert_eq!(rows, ["busybox:latest", "other:v1"]);
        assert_eq!(
            client
                .run(host, &["image", "inspect", "-f", "{{.Id}} {{.Os}} {{len .RootFS.Layers}}", "other:v1"])
                .ok(),
            format!("{id} linux 1")
        );
        assert_eq!(client.run(host, &["history", "-q", "--no-trunc", "busybox"]).ok(), id);
        assert_eq!(client.run(host, &["rmi", "other:v1"]).ok(), "Untagged: other:v1");
        let removed = client.run(host, &["rmi", "busybox"]).ok();
        assert!(
            removed.contains("Untagged: busybox:latest") && removed.contains(&format!("Deleted: {id}")),
            "{removed}"
        );
        assert_eq!(client.run(host, &["images", "-q"]).ok(), "");
        client.run(host, &["rmi", "busybox"]).fails(1, "No such image: busybox:latest");
    });
}

#[test]
fn an_image_in_use_is_not_removed() {
    with_both(|host, client| {
        let id = client.run(host, &["create", "busybox", "true"]).ok();
        let image = client.run(host, &["images", "-q"]).ok();
        client.run(host, &["rmi", "busybox"]).fails(
            1,
            &format!(
                "conflict: unable to remove repository reference \"busybox\" (must force) - container {} is using its referenced image {image}",
                &id[..12]
            ),
        );
        assert_eq!(client.run(host, &["images", "-q"]).ok(), image);
    });
}

#[test]
fn save_and_load_give_the_same_image_back() {
    with_both(|host, client| {
        let id = client.run(host, &["images", "-q", "--no-trunc"]).ok();
        let (one, two) = (host.path("one.tar"), host.path("two.tar"));
        let (one, two) = (one.to_str().unwrap(), two.to_str().unwrap());
        let place = "{{.GraphDriver.Name}} {{.GraphDriver.Data.UpperDir}}";
        let place = client.run(host, &["image", "inspect", "-f", place, "busybox"]).ok();
        let upper = place.strip_prefix("overlay2 ").unwrap_or_else(|| panic!("{place}"));
        assert!(std::path::Path::new(upper).join("bin/busybox").exists(), "{place}");
        client.run(host, &["save", "-o", one, "busybox"]).ok();
        client.run(host, &["rmi", "busybox"]).ok();
        assert_eq!(client.run(host, &["load", "-i", one]).ok(), "Loaded image: busybox:latest");
        assert_eq!(client.run(host, &["images", "-q", "--no-trunc"]).ok(), id);
        client.run(host, &["save", "-o", two, "busybox"]).ok();
        assert!(
            std::fs::read(one).unwrap() == std::fs::read(two).unwrap(),
            "the archive differs after a round trip"
        );
        assert_eq!(client.run(host, &["run", "--rm", "busybox", "echo", "ok"]).ok(), "ok");
    });
}

#[test]
fn import_takes_changes_and_a_message() {
    with_both(|host, client| {
        let changes =
            ["import", "-c", "CMD [\"echo\", \"from cmd\"]", "-c", "ENV A=b", "-m", "said", "-", "made:1"];
        client.run_with(host, &changes, image::busybox_tar()).ok();
        assert_eq!(client.run(host, &["run", "--rm", "made:1"]).ok(), "from cmd");
        assert_eq!(
            client.run(host, &["image", "inspect", "-f", "{{json .Config.Env}} {{.Comment}}", "made:1"]).ok(),
            "[\"A=b\"] said"
        );
    });
}

#[test]
fn compressed_archives_are_imported() {
    let host = Host::start();
    for (tool, name) in [("gzip", "gz"), ("zstd", "zst")] {
        let Ok(packed) = pack(tool) else { continue };
        host_import(&host, &packed, name);
        assert_eq!(host.brig(&["run", "--rm", name, "echo", "ok"]).ok(), "ok");
    }
}

fn pack(tool: &str) -> std::io::Result<Vec<u8>> {
    use std::{io::Write, process::Stdio};
    let mut child =
        std::process::Command::new(tool).arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().expect("piped");
    let writer = std::thread::spawn(move || stdin.write_all(image::busybox_tar()));
    let out = child.wait_with_output()?;
    writer.join().expect("no panic")?;
    Ok(out.stdout)
}

fn host_import(host: &Host, tar: &[u8], name: &str) {
    brig_e2e::Client::Brig.run_with(host, &["import", "-", name], tar).ok();
}

/// What an archive that must be refused, or contained, left outside of its layer.
fn refused(tar: Vec<u8>) {
    let host = Host::start();
    let before = snapshot_of(&host);
    let out = brig_e2e::Client::Brig.run_with(&host, &["import", "-", "evil"], &tar);
    assert_ne!(out.code, 0, "{out:?}");
    assert!(out.stderr.contains("rror"), "{out:?}");
    assert_eq!(host.brig(&["images", "-q"]).ok(), "");
    assert_eq!(snapshot_of(&host), before, "something is left of the refused archive");
}

fn snapshot_of(host: &Host) -> Vec<String> {
    let mut names = Vec::new();
    for folder in ["data/blobs/sha256", "data/ingest", "data/snapshots"] {
        for entry in std::fs::read_dir(host.path(folder)).into_iter().flatten().filter_map(|e| e.ok()) {
            names.push(format!("{folder}/{}", entry.file_name().to_string_lossy()));
        }
    }
    names.sort();
    names
}

fn archive(entries: impl Fn(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    entries(&mut tar);
    tar.into_inner().unwrap()
}

/// A header whose name is written as it is, past the checks of the library.
fn raw_entry(tar: &mut tar::Builder<Vec<u8>>, name: &str, kind: EntryType, link: &str, data: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(data.len() as u64);
    header.set_cksum();
    tar.append(&header, data).unwrap();
}

#[test]
fn a_truncated_archive_is_refused() {
    let whole = image::busybox_tar();
    refused(whole[..whole.len() / 2].to_vec());
}

#[test]
fn what_is_no_archive_is_refused() {
    refused(b"this is not a tar file".repeat(100));
}

#[test]
fn names_and_links_that_climb_out_change_nothing_outside() {
    let host = Host::start();
    let outside = host.path("outside");
    std::fs::write(&outside, "untouched").unwrap();
    let target = outside.to_str().unwrap();
    let hostile: Vec<Vec<u8>> = vec![
        archive(|t| {
            raw_entry(t, &format!("../../../../../../../../..{target}"), EntryType::Regular, "", b"evil")
        }),
        archive(|t| raw_entry(t, target, EntryType::Regular, "", b"evil")),
        archive(|t| {
            raw_entry(t, "l", EntryType::Symlink, target, b"");
            raw_entry(t, "l", EntryType::Regular, "", b"evil");
        }),
        archive(|t| {
            raw_entry(t, "d", EntryType::Symlink, host.dir().to_str().unwrap(), b"");
            raw_entry(t, "d/outside", EntryType::Regular, "", b"evil");
        }),
        archive(|t| {
            raw_entry(t, "h", EntryType::Link, target, b"");
            raw_entry(t, "h", EntryType::Regular, "", b"evil");
        }),
        archive(|t| {
            raw_entry(t, "d", EntryType::Symlink, host.dir().to_str().unwrap(), b"");
            raw_entry(t, "d/.wh.outside", EntryType::Regular, "", b"");
        }),
        archive(|t| {
            raw_entry(
                t,
                &format!("../../../../../../../../..{}/.wh.outside", host.dir().display()),
                EntryType::Regular,
                "",
                b"",
            )
        }),
    ];
    for (i, tar) in hostile.iter().enumerate() {
        let out = brig_e2e::Client::Brig.run_with(&host, &["import", "-", "evil"], tar);
        assert_eq!(
            std::fs::read_to_string(&outside).ok().as_deref(),
            Some("untouched"),
            "archive {i}: {out:?}"
        );
    }
}

#[test]
fn a_loaded_archive_whose_layer_is_not_the_promised_one_is_refused() {
    let host = Host::start();
    host.import_busybox();
    let path = host.path("one.tar");
    host.brig(&["save", "-o", path.to_str().unwrap(), "busybox"]).ok();
    host.brig(&["rmi", "busybox"]).ok();
    let before = snapshot_of(&host);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(15).position(|w| w == b"hello from brig").expect("the layer is stored as it is");
    bytes[at] = b'J';
    std::fs::write(&path, &bytes).unwrap();
    let out = host.brig(&["load", "-i", path.to_str().unwrap()]);
    assert_ne!(out.code, 0, "{out:?}");
    assert_eq!(host.brig(&["images", "-q"]).ok(), "");
    assert_eq!(snapshot_of(&host), before);
}

#[test]
fn an_image_of_128_layers_runs() {
    let host = Host::start();
    let layers: Vec<Vec<u8>> = (0..127)
        .map(|i| {
            archive(|t| {
                image::entry(t, &format!("layer-{i}"), EntryType::Regular, 0o644, format!("{i}\n").as_bytes())
            })
        })
        .collect();
    let mut all: Vec<&[u8]> = vec![image::busybox_tar()];
    all.extend(layers.iter().map(Vec::as_slice));
    let names: Vec<String> = (0..all.len()).map(|i| format!("l{i}/layer.tar")).collect();
    let diff_ids: Vec<String> = all.iter().map(|l| brig_core_digest(l)).collect();
    let config = serde_json::json!({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh", "-c", "ls / | grep -c layer-"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": []})
    .to_string();
    let manifest =
        serde_json::json!([{"Config": "config.json", "RepoTags": ["deep:1"], "Layers": names}]).to_string();
    let tar = archive(|t| {
        image::entry(t, "config.json", EntryType::Regular, 0o644, config.as_bytes());
        for (name, layer) in names.iter().zip(&all) {
            image::entry(t, name, EntryType::Regular, 0o644, layer);
        }
        image::entry(t, "manifest.json", EntryType::Regular, 0o644, manifest.as_bytes());
    });
    assert_eq!(brig_e2e::Client::Brig.run_with(&host, &["load"], &tar).ok(), "Loaded image: deep:1");
    assert_eq!(host.brig(&["run", "--rm", "deep:1"]).ok(), "127");
}

fn brig_core_digest(bytes: &[u8]) -> String {
    brig_core::Digest::of(bytes).to_string()
}
