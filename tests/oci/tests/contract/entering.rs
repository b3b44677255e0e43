//! `exec`.

use brig_oci_contract::Runtime;

#[test]
fn a_process_with_its_own_environment_user_and_folder() {
    let runtime = Runtime::new();
    runtime.start("c", &runtime.bundle("exec sleep 1000", |_| ()));
    let said = runtime.call(["exec", "c", "sh", "-c", "echo out; echo err >&2; exit 9"]);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (Some(9), "out\n", "err\n"));
    let args = [
        "exec",
        "--env",
        "A=1",
        "--user",
        "5:6",
        "--cwd",
        "/tmp",
        "c",
        "sh",
        "-c",
        "echo $A; id -u; id -g; pwd",
    ];
    assert_eq!(runtime.call(args).ok(), "1\n5\n6\n/tmp\n");
    let file = runtime.path("process.json");
    let process = serde_json::json!({"user": {"uid": 7, "gid": 7}, "args": ["id", "-u"], "env": ["PATH=/bin"], "cwd": "/"});
    std::fs::write(&file, process.to_string()).unwrap();
    assert_eq!(
        runtime.call(["exec".as_ref(), "--process".as_ref(), file.as_os_str(), "c".as_ref()]).ok(),
        "7\n"
    );
    runtime.call(["delete", "--force", "c"]).ok();
}

#[test]
fn what_cannot_be_executed_is_255_and_said() {
    let runtime = Runtime::new();
    runtime.start("c", &runtime.bundle("exec sleep 1000", |_| ()));
    let said = runtime.call(["exec", "c", "nope"]);
    assert_eq!(said.code, Some(255));
    assert!(said.err.contains("executable file not found in $PATH"), "{}", said.err);
    runtime.call(["kill", "c", "KILL"]).ok();
    runtime.await_status("c", "stopped");
    let said = runtime.call(["exec", "c", "true"]);
    assert_eq!(said.code, Some(255));
    assert!(said.err.contains("stopped container"), "{}", said.err);
    runtime.call(["delete", "c"]).ok();
}

#[test]
fn detached_it_leaves_its_number() {
    let runtime = Runtime::new();
    runtime.start("c", &runtime.bundle("exec sleep 1000", |_| ()));
    let file = runtime.path("pid");
    runtime
        .call([
            "exec".as_ref(),
            "--detach".as_ref(),
            "--pid-file".as_ref(),
            file.as_os_str(),
            "c".as_ref(),
            "sleep".as_ref(),
            "1000".as_ref(),
        ])
        .ok();
    let pid: i32 = std::fs::read_to_string(&file).unwrap().parse().unwrap();
    let pids: Vec<i32> = serde_json::from_str(&runtime.call(["ps", "--format", "json", "c"]).ok()).unwrap();
    assert!(pids.contains(&pid), "{pid} in {pids:?}");
    // Taken along by the end of the first process.
    runtime.call(["delete", "--force", "c"]).ok();
    brig_oci_contract::eventually(|| !std::path::Path::new(&format!("/proc/{pid}/ns/mnt")).exists());
}
