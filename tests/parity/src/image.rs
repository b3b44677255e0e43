//! The images that every topic begins with, the same on both sides.

use brig_e2e::image::{busybox_tar, entry};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::OnceLock;

/// An archive for `docker load` with `busybox:latest`, and `rich:1` with something in every field of its config.
pub fn archive() -> &'static [u8] {
    static ARCHIVE: OnceLock<Vec<u8>> = OnceLock::new();
    ARCHIVE.get_or_init(make)
}

const CREATED: &str = "2024-01-02T03:04:05.678Z";
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn make() -> Vec<u8> {
    let base = busybox_tar();
    let mut more = tar::Builder::new(Vec::new());
    entry(&mut more, "srv/data.txt", tar::EntryType::Regular, 0o644, b"data\n");
    let more = more.into_inner().expect("in memory");
    let step = |by: &str, empty: bool| {
        let mut step = json!({"created": CREATED, "created_by": by});
        if empty {
            step["empty_layer"] = json!(true);
        }
        step
    };
    let plain = config(
        json!({"Env": [PATH], "Cmd": ["sh"]}),
        &[base],
        json!([step("ADD rootfs.tar / # buildkit", false), step("CMD [\"sh\"]", true)]),
    );
    let rich = config(
        json!({
            "User": "alice", "Env": [PATH, "LANG=C.UTF-8", "EMPTY="], "Entrypoint": ["/bin/sh", "-c"], "Cmd": ["id"],
            "WorkingDir": "/srv", "ExposedPorts": {"80/tcp": {}, "53/udp": {}}, "Volumes": {"/data": {}},
            "Labels": {"org.example.title": "rich", "empty": ""}, "StopSignal": "SIGINT",
        }),
        &[base, &more],
        json!([
            step("ADD rootfs.tar / # buildkit", false),
            step("COPY data.txt /srv/ # buildkit", false),
            step("ENTRYPOINT [\"/bin/sh\" \"-c\"]", true)
        ]),
    );
    let manifest = json!([
        {"Config": "plain.json", "RepoTags": ["busybox:latest"], "Layers": ["base.tar"]},
        {"Config": "rich.json", "RepoTags": ["rich:1"], "Layers": ["base.tar", "more.tar"]},
    ]);
    let mut archive = tar::Builder::new(Vec::new());
    for (name, data) in [
        ("base.tar", base),
        ("more.tar", &more),
        ("plain.json", plain.to_string().as_bytes()),
        ("rich.json", rich.to_string().as_bytes()),
        ("manifest.json", manifest.to_string().as_bytes()),
    ] {
        entry(&mut archive, name, tar::EntryType::Regular, 0o644, data);
    }
    archive.into_inner().expect("in memory")
}

fn config(config: Value, layers: &[&[u8]], history: Value) -> Value {
    let digests: Vec<String> = layers.iter().map(|layer| format!("sha256:{}", hex(layer))).collect();
    json!({
        "architecture": "amd64", "os": "linux", "created": CREATED, "config": config, "history": history,
        "rootfs": {"type": "layers", "diff_ids": digests},
    })
}

fn hex(data: &[u8]) -> String {
    Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect()
}
