//! Hooks.

use brig_oci_contract::Runtime;
use serde_json::{Value, json};

/// A hook that writes the state that it reads to a file named by its moment.
fn note(moment: &str, folder: &str) -> Value {
    let script = format!("cat > {folder}/{moment}");
    json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"]}])
}

#[test]
fn all_moments_with_their_states() {
    let runtime = Runtime::new();
    let folder = runtime.path("notes");
    std::fs::create_dir(&folder).unwrap();
    let bundle = runtime.bundle("cat /tmp/startContainer", |config| {
        let mut hooks = json!({});
        for moment in ["prestart", "createRuntime", "createContainer", "poststart", "poststop"] {
            hooks[moment] = note(moment, folder.to_str().unwrap());
        }
        hooks["startContainer"] = note("startContainer", "/tmp");
        config["hooks"] = hooks;
    });
    let out = runtime.call(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]).ok();
    let read = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
    let inside = read(&out);
    assert_eq!((inside["id"].as_str(), inside["status"].as_str()), (Some("c"), Some("created")));
    for (moment, status) in [
        ("prestart", "creating"),
        ("createRuntime", "creating"),
        ("createContainer", "creating"),
        ("poststart", "running"),
        ("poststop", "stopped"),
    ] {
        let state = read(&std::fs::read_to_string(folder.join(moment)).unwrap());
        assert_eq!(state["id"], "c", "{moment}");
        // runc 1.1 says "created" to poststart, although the program runs.
        if runtime.is_brig() || moment != "poststart" {
            assert_eq!(state["status"], status, "{moment}");
        }
        assert_eq!(state["bundle"], bundle.to_str().unwrap(), "{moment}");
    }
}

#[test]
fn a_failure_before_the_start_undoes_the_container() {
    for moment in ["prestart", "createRuntime", "createContainer"] {
        let runtime = Runtime::new();
        let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", "echo why >&2; exit 3"]}]);
        let bundle = runtime.bundle("true", |config| config["hooks"] = json!({moment: hook}));
        let said = runtime.call(["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]);
        let error = said.failed();
        assert!(error.contains("hook #0") && error.contains("why"), "{moment}: {error}");
        assert!(runtime.call(["state", "c"]).failed().contains("does not exist"));
    }
}

#[test]
fn one_that_hangs_is_ended() {
    let runtime = Runtime::new();
    let hook = json!([{"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}]);
    let bundle = runtime.bundle("true", |config| config["hooks"] = json!({"createRuntime": hook}));
    let said = runtime.call(["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]);
    assert!(said.failed().contains("timeout"));
}

/// The specification's since 1.3, and what runc has always done.
#[test]
fn a_failure_right_after_the_start_ends_the_container() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle("exec sleep 1000", |config| {
        config["hooks"] = json!({"poststart": [{"path": "/bin/false"}]});
    });
    let said = runtime.call(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]);
    assert!(said.failed().contains("poststart hook #0"));
    assert!(runtime.call(["state", "c"]).failed().contains("does not exist"), "run has removed it");
    runtime.call(["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]).ok();
    assert!(runtime.call(["start", "c"]).failed().contains("poststart hook #0"));
    runtime.await_status("c", "stopped");
    runtime.call(["delete", "c"]).ok();
}

/// A hook that runs in the container and says no environment has the program's.
#[test]
fn the_environment_of_a_hook_inside() {
    let runtime = Runtime::new();
    if runtime.leaves_out("runc 1.1 gives such a hook none") {
        return;
    }
    let check = |expected: &str, env: Option<Value>| {
        let mut hook =
            json!({"path": "/bin/sh", "args": ["sh", "-c", format!("test \"$WORD\" = '{expected}'")]});
        if let Some(env) = env {
            hook["env"] = env;
        }
        let bundle = runtime.bundle("true", |config| {
            config["process"]["env"] = json!(["PATH=/bin", "WORD=the program"]);
            config["hooks"] = json!({"startContainer": [hook]});
        });
        runtime.call(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]).ok();
    };
    check("own", Some(json!(["WORD=own"])));
    check("", Some(json!([])));
    check("the program", None);
}

#[test]
fn a_late_failure_changes_nothing() {
    let runtime = Runtime::new();
    let hook = json!([{"path": "/bin/false"}]);
    let bundle = runtime.bundle("echo x", |config| config["hooks"] = json!({"poststop": hook}));
    assert_eq!(
        runtime.call(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]).ok(),
        "x\n"
    );
}
