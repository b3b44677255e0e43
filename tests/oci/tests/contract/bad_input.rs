//! What is wrong is said, and leaves nothing.

use brig_oci_contract::Runtime;
use serde_json::{Value, json};
use std::path::Path;

#[track_caller]
fn refused(runtime: &Runtime, bundle: &Path, words: &[&str]) {
    let said = runtime.call(["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]);
    let error = said.failed();
    assert!(words.iter().any(|word| error.contains(word)), "none of {words:?} in {error}");
    assert!(runtime.call(["state", "c"]).failed().contains("does not exist"));
}

#[test]
fn configurations() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle("true", |_| ());
    let config = bundle.join("config.json");
    let good = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, &good[..good.len() / 2]).unwrap();
    refused(&runtime, &bundle, &["EOF"]);
    std::fs::remove_file(&config).unwrap();
    refused(&runtime, &bundle, &["config.json"]);
    if runtime.is_brig() {
        let mut newer: Value = serde_json::from_str(&good).unwrap();
        newer["ociVersion"] = "2.0.0".into();
        std::fs::write(&config, newer.to_string()).unwrap();
        refused(&runtime, &bundle, &["ociVersion"]);
        std::fs::File::create(&config).unwrap().set_len(1 << 30).unwrap();
        refused(&runtime, &bundle, &["larger than"]);
    }
}

#[test]
fn contradictions() {
    let runtime = Runtime::new();
    type Change = fn(&mut Value);
    let changes: [(Change, &[&str]); 6] = [
        (|c| c["root"]["path"] = "nowhere".into(), &["nowhere"]),
        (|c| c["process"]["args"] = json!([]), &["args"]),
        (|c| c["process"]["args"] = json!(["/bin/nope"]), &["no such file"]),
        (|c| c["process"]["cwd"] = "relative".into(), &["cwd", "Cwd"]),
        (
            |c| {
                c["mounts"][0] = json!({"destination": "/x", "type": "bind", "source": "/nonexistent", "options": ["bind"]})
            },
            &["/nonexistent"],
        ),
        (|c| c["linux"]["namespaces"][0]["path"] = "/nonexistent".into(), &["/nonexistent"]),
    ];
    for (change, words) in changes {
        refused(&runtime, &runtime.bundle("true", change), words);
    }
}

#[test]
fn ids() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle("true", |_| ());
    for id in ["", ".", "..", "a/b", "/a", "a b", "a\u{e4}"] {
        let said = runtime.call(["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), id.as_ref()]);
        let error = said.failed();
        assert!(error.contains("container ID") || error.contains("container id"), "{id:?}: {error}");
    }
}

#[test]
fn a_failure_is_one_line_of_json_in_the_log() {
    let runtime = Runtime::new();
    let log = runtime.path("log.json");
    let args = ["--log-format".as_ref(), "json".as_ref(), "--log".as_ref(), log.as_os_str()];
    runtime.call(args.into_iter().chain(["state".as_ref(), "nobody".as_ref()])).failed();
    let text = std::fs::read_to_string(&log).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["level"], "error");
    assert!(last["msg"].as_str().unwrap().contains("does not exist"), "{last}");
}

#[test]
fn commands_and_flags() {
    let runtime = Runtime::new();
    for args in
        [&["what"][..], &["run"], &["start", "a", "b"], &["create", "--what", "c"], &["kill", "c", "NOSUCH"]]
    {
        runtime.call(args).failed();
    }
}
