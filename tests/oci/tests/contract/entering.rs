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

#[test]
fn in_a_group_inside_the_containers() {
    let runtime = Runtime::new();
    runtime.start("c", &runtime.bundle("exec sleep 1000", |_| ()));
    let groups = runtime.groups();
    let pids = groups.iter().find(|group| group.starts_with("/sys/fs/cgroup/pids"));
    // Version 1 has a group a controller, version 2 one for all.
    let (group, named) = pids.map_or((&groups[0], "/sub"), |group| (group, "pids:/sub"));
    std::fs::create_dir(group.join("sub")).unwrap();
    let cgroups = |args: &[&str]| {
        let all = [&["exec"], args, &["c", "cat", "/proc/self/cgroup"]].concat();
        runtime.call(all)
    };
    let named_sub = |text: &str| text.lines().filter(|line| line.ends_with("/sub")).count();
    assert_eq!(named_sub(&cgroups(&[]).ok()), 0);
    assert_eq!(named_sub(&cgroups(&["--cgroup", named]).ok()), 1);
    for (path, expected) in [("/nope", "nope"), ("../..", ".."), ("what:/sub", "what")] {
        let said = cgroups(&["--cgroup", path]);
        assert_eq!(said.code, Some(255), "{path}");
        assert!(said.err.contains(expected), "{path}: {}", said.err);
    }
    runtime.call(["delete", "--force", "c"]).ok();
}

#[test]
fn into_a_paused_container_only_when_told() {
    let runtime = Runtime::new();
    runtime.start("c", &runtime.bundle("exec sleep 1000", |_| ()));
    runtime.call(["pause", "c"]).ok();
    let refused = runtime.call(["exec", "c", "true"]);
    assert_eq!(refused.code, Some(255));
    assert!(refused.err.contains("paused"), "{}", refused.err);
    if runtime.is_brig() {
        let waiting = runtime.spawn(["exec", "--ignore-paused", "c", "echo", "awake"]);
        runtime.call(["resume", "c"]).ok();
        let said = waiting.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stdout), "awake\n", "{said:?}");
    }
    runtime.call(["delete", "--force", "c"]).ok();
}

#[test]
fn with_more_groups_rights_and_descriptors() {
    let runtime = Runtime::new();
    if runtime.leaves_out("runc 1.1 crashes on --cap when config.json has no process.capabilities") {
        return;
    }
    runtime.start("c", &runtime.bundle("exec sleep 1000", |_| ()));
    let args =
        ["exec", "-u", "5:6", "-g", "70", "-g", "71", "--no-new-privs", "c", "cat", "/proc/self/status"];
    let status = runtime.call(args).ok();
    assert!(status.contains("Groups:\t70 71") && status.contains("NoNewPrivs:\t1"), "{status}");
    let status = runtime.call(["exec", "--cap", "CAP_NET_ADMIN", "c", "cat", "/proc/self/status"]).ok();
    let has = |set: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(set)).expect("a set");
        u64::from_str_radix(line.trim(), 16).expect("a number") & 1 << 12 != 0
    };
    // Programs of other users would gain what is inheritable.
    assert_eq!((has("CapEff:"), has("CapPrm:"), has("CapInh:")), (true, true, false), "{status}");
    let error = runtime.call(["exec", "--preserve-fds", "500", "c", "true"]).failed();
    assert!(error.contains("descriptor"), "{error}");
    for bad in [&["--user", "x"], &["--cap", "CAP_WHAT"], &["-g", "-1"], &["--process", "/nonexistent"]] {
        let said = runtime.call([&["exec"], &bad[..], &["c", "true"]].concat());
        assert_eq!(said.code, Some(255), "{bad:?}: {}", said.err);
    }
    runtime.call(["delete", "--force", "c"]).ok();
}

#[test]
fn a_process_file_that_is_none() {
    let runtime = Runtime::new();
    runtime.start("c", &runtime.bundle("exec sleep 1000", |_| ()));
    let file = runtime.path("process.json");
    for text in ["", "7", "{\"args\":", "{\"user\":{\"uid\":0,\"gid\":0},\"args\":[],\"cwd\":\"/\"}"] {
        std::fs::write(&file, text).unwrap();
        let said = runtime.call(["exec".as_ref(), "--process".as_ref(), file.as_os_str(), "c".as_ref()]);
        assert_eq!(said.code, Some(255), "{text}: {}", said.err);
        assert!(!said.err.is_empty(), "{text}");
    }
    runtime.call(["delete", "--force", "c"]).ok();
}
