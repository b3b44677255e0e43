//! Containers of a user without rights over the machine.

use brig_oci_contract::Runtime;
use serde_json::{Value, json};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// Nobody that the machine knows.
const USER: u32 = 54_321;

/// A user namespace in which the caller is root, alone.
fn alone(config: &mut Value) {
    config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    for map in ["uidMappings", "gidMappings"] {
        config["linux"][map] = json!([{"containerID": 0, "hostID": USER, "size": 1}]);
    }
    config["linux"].as_object_mut().unwrap().remove("cgroupsPath");
}

fn run(runtime: &Runtime, bundle: &Path) -> brig_oci_contract::Said {
    runtime.call(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()])
}

#[test]
fn a_whole_life() {
    let runtime = Runtime::of_user(USER);
    let script = "echo made > /tmp/made; echo x > /dev/null; id -u; cat /proc/self/uid_map /proc/self/setgroups; \
                  ls /sys/class/net; exec sleep 1000";
    let bundle = runtime.bundle(script, |c| {
        alone(c);
        let mounts = c["mounts"].as_array_mut().unwrap();
        mounts.push(json!({"destination": "/sys", "type": "sysfs", "options": ["ro"]}));
        mounts.push(json!({"destination": "/dev/mqueue", "type": "mqueue"}));
        c["linux"]["maskedPaths"] = json!(["/proc/keys", "/proc/scsi"]);
        c["linux"]["readonlyPaths"] = json!(["/proc/sys"]);
        c["process"]["oomScoreAdj"] = json!(100);
    });
    let output = runtime.start_with_output("c", &bundle);
    brig_oci_contract::eventually(|| output().lines().count() == 4);
    let user = USER.to_string();
    let lines: Vec<Vec<String>> =
        output().lines().map(|l| l.split_whitespace().map(str::to_owned).collect()).collect();
    assert_eq!(lines, [&["0"][..], &["0", &user, "1"], &["deny"], &["lo"]]);
    let made = std::fs::metadata(bundle.join("rootfs/tmp/made")).unwrap();
    assert_eq!((made.uid(), made.gid()), (USER, USER));
    let pid = runtime.state("c")["pid"].as_i64().unwrap();
    let score = std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
    assert_eq!(score, "100\n");
    let said =
        runtime.call(["exec", "c", "sh", "-c", "id -u; echo $$ > /dev/null; cat /proc/1/comm; exit 7"]);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (Some(7), "0\nsleep\n", ""));
    let said = runtime.call(["list", "--quiet"]).ok();
    assert_eq!(said, "c\n");
    runtime.call(["kill", "c", "KILL"]).ok();
    runtime.await_status("c", "stopped");
    runtime.call(["delete", "c"]).ok();
    assert_eq!(run(&runtime, &runtime.bundle("exit 3", alone)).code, Some(3));
}

#[test]
fn a_terminal() {
    let runtime = Runtime::of_user(USER);
    let bundle = runtime.bundle("exec sleep 1000", |c| {
        alone(c);
        c["process"]["terminal"] = true.into();
    });
    let console = runtime.console("console.sock");
    runtime.give(console.path());
    let args = ["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "--console-socket".as_ref()];
    runtime.call(args.into_iter().chain([console.path().as_os_str(), "c".as_ref()])).ok();
    let _master = console.receive();
    runtime.call(["start", "c"]).ok();
    let said = runtime.call(["exec", "c", "sh", "-c", "ls -ln /dev/console; tty < /dev/console"]).ok();
    assert_eq!(said.split_whitespace().nth(2), Some("0"), "{said}");
    runtime.call(["delete", "--force", "c"]).ok();
}

/// Namespaces of the machine that the user namespace has no rights over.
#[test]
fn with_the_machines_network() {
    let runtime = Runtime::of_user(USER);
    let bundle = runtime.bundle("exec sleep 1000", |c| {
        alone(c);
        c["hostname"] = Value::Null;
        c["linux"]["namespaces"] = json!([{"type": "pid"}, {"type": "mount"}, {"type": "user"}]);
        let mounts = c["mounts"].as_array_mut().unwrap();
        mounts.push(
            json!({"destination": "/sys", "type": "bind", "source": "/sys", "options": ["rbind", "ro"]}),
        );
    });
    runtime.start("c", &bundle);
    let own = std::fs::read_link("/proc/self/ns/net").unwrap();
    let said = runtime.call(["exec", "c", "busybox", "readlink", "/proc/self/ns/net"]).ok();
    assert_eq!(said.trim(), own.to_str().unwrap());
    runtime.call(["delete", "--force", "c"]).ok();
    if runtime.is_brig() {
        // The file systems that show those namespaces can't be mounted: the machine's own show through.
        let bundle = runtime.bundle("ls -d /sys/class /dev/mqueue", |c| {
            alone(c);
            c["hostname"] = Value::Null;
            c["linux"]["namespaces"] = json!([{"type": "pid"}, {"type": "mount"}, {"type": "user"}]);
            let mounts = c["mounts"].as_array_mut().unwrap();
            mounts.push(json!({"destination": "/sys", "type": "sysfs", "options": ["ro"]}));
        });
        assert!(run(&runtime, &bundle).out.contains("/sys/class\n"));
    }
}

#[test]
fn the_template_runs_where_no_root_is_given() {
    let runtime = Runtime::of_user(USER);
    let bundle = runtime.bundle("true", |_| ());
    std::fs::remove_file(bundle.join("config.json")).unwrap();
    runtime.call(["spec".as_ref(), "--rootless".as_ref(), "--bundle".as_ref(), bundle.as_os_str()]).ok();
    let path = bundle.join("config.json");
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    config["process"]["terminal"] = false.into();
    config["process"]["args"] = json!(["/bin/busybox", "id", "-u"]);
    std::fs::write(&path, config.to_string()).unwrap();
    for folder in ["rootfs/dev", "rootfs/proc", "rootfs/sys"] {
        assert!(bundle.join(folder).is_dir());
    }
    // By itself it keeps its state in the user's own folder.
    let mut command = runtime.command_without_root();
    let said = command.args(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]).output();
    assert_eq!(brig_oci_contract::Said::from(said.unwrap()).ok(), "0\n");
    if runtime.is_brig() {
        let root = std::fs::metadata(runtime.path("brig-oci")).unwrap();
        assert_eq!((root.uid(), root.permissions().mode() & 0o7777), (USER, 0o1700));
        let mut command = runtime.command_without_root();
        command.env_remove("XDG_RUNTIME_DIR");
        let said =
            command.args(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]).output();
        let error = brig_oci_contract::Said::from(said.unwrap()).failed();
        assert!(error.contains("set XDG_RUNTIME_DIR or --root"), "{error}");
    }
}

/// Where root keeps its own containers nobody else may look, whether there is one of the id or not.
#[test]
fn the_containers_of_root_are_out_of_reach() {
    let runtime = Runtime::of_user(USER);
    if !runtime.is_brig() {
        return;
    }
    let bundle = runtime.bundle("true", alone);
    let root = runtime.path("of root");
    std::fs::create_dir_all(root.join("c")).unwrap();
    std::fs::set_permissions(root.join("c"), std::fs::Permissions::from_mode(0o700)).unwrap();
    for id in ["c", "d"] {
        let mut command = runtime.command_without_root();
        command.arg("--root").arg(&root);
        command.args(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), id.as_ref()]);
        let error = brig_oci_contract::Said::from(command.output().unwrap()).failed();
        assert!(error.contains("set XDG_RUNTIME_DIR or --root"), "{error}");
    }
}

/// The caller's groups stay, and can't be changed.
#[test]
fn groups_are_denied() {
    let runtime = Runtime::of_user(USER);
    let bundle = runtime.bundle("true", |c| {
        alone(c);
        c["process"]["user"]["additionalGids"] = json!([0]);
    });
    let error = run(&runtime, &bundle).failed();
    assert!(!runtime.is_brig() || error.contains("leave additionalGids out"), "{error}");
}

#[test]
fn cgroups_are_made_only_when_asked_for() {
    let runtime = Runtime::of_user(USER);
    let said = run(&runtime, &runtime.bundle("true", alone));
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let bundle = runtime.bundle("true", |c| {
        alone(c);
        c["linux"]["resources"] = json!({"memory": {"limit": 100_000_000}});
    });
    let error = run(&runtime, &bundle).failed();
    assert!(!runtime.is_brig() || error.contains("linux.resources has limits"), "{error}");
    let bundle = runtime.bundle("true", |c| {
        alone(c);
        c["linux"]["cgroupsPath"] = "/of-somebody-else/c".into();
    });
    let error = run(&runtime, &bundle).failed();
    assert!(error.contains("cgroup"), "{error}");
    assert!(std::fs::read_dir(runtime.path("state")).unwrap().next().is_none());
}

#[test]
fn what_a_user_may_not_is_said_with_what_helps() {
    let runtime = Runtime::of_user(USER);
    type Change = fn(&mut Value);
    let cases: [(Change, &[&str]); 5] = [
        // The caller's own ids, but several.
        (|c| c["linux"]["uidMappings"][0]["size"] = 2.into(), &["newuidmap was not found", "newuidmap: "]),
        (|c| c["linux"]["gidMappings"][0]["hostID"] = 0.into(), &["newgidmap was not found", "newgidmap: "]),
        (|c| c["process"]["user"]["uid"] = 1.into(), &["process.user.uid 1 is not mapped"]),
        (|c| c["mounts"][2]["options"] = json!(["gid=5"]), &["option gid= 5 is not mapped"]),
        (
            |c| {
                let namespaces = c["linux"]["namespaces"].as_array_mut().unwrap();
                namespaces.retain(|n| n["type"] != "user");
                for map in ["uidMappings", "gidMappings"] {
                    c["linux"].as_object_mut().unwrap().remove(map);
                }
            },
            &["add a user namespace"],
        ),
    ];
    for (change, words) in cases {
        let bundle = runtime.bundle("true", |c| {
            alone(c);
            change(c);
        });
        let error = run(&runtime, &bundle).failed();
        let said = words.iter().any(|word| error.contains(word));
        assert!(!runtime.is_brig() || said, "none of {words:?} in {error}");
        assert!(runtime.call(["state", "c"]).failed().contains("does not exist"));
    }
    if runtime.is_brig() {
        let bundle = runtime.bundle("true", alone);
        let args = ["--rootless", "perhaps", "run", "--bundle", bundle.to_str().unwrap(), "c"];
        let error = runtime.call(args).failed();
        assert!(error.contains("true, false or auto"), "{error}");
    }
}

/// Root that is told to do without rights makes no cgroup, unless it is asked for.
#[test]
fn root_may_be_told_to_do_without() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle("cat /proc/self/cgroup", |c| {
        c["linux"].as_object_mut().unwrap().remove("cgroupsPath");
    });
    // Its cgroup is named by its id.
    let folder = runtime.path("state");
    let id = folder.parent().and_then(Path::file_name).unwrap().to_str().unwrap();
    let said = runtime.call(["--rootless=true", "run", "--bundle", bundle.to_str().unwrap(), id]);
    said.ok();
}

/// A user's own program can be written by the root of their containers, who is the same user: so it is a copy that
/// comes near them (CVE-2019-5736).
#[test]
fn the_users_own_binary_stays_out_of_reach() {
    let runtime = Runtime::of_user(USER);
    if !runtime.is_brig() {
        return;
    }
    let own = runtime.path("own");
    std::fs::copy(runtime.command().get_program(), &own).unwrap();
    runtime.give(&own);
    let bundle = runtime.bundle("true", alone);
    let call = |args: &[&str]| {
        use std::os::unix::process::CommandExt;
        let mut command = std::process::Command::new(&own);
        command
            .uid(USER)
            .gid(USER)
            .args(["oci", "--root", runtime.path("state").to_str().unwrap()])
            .args(args);
        // Files, which the container may keep.
        let file = std::fs::File::create(runtime.path("out")).unwrap();
        assert!(command.stdout(file.try_clone().unwrap()).stderr(file).status().unwrap().success());
    };
    call(&["create", "--bundle", bundle.to_str().unwrap(), "c"]);
    let pid = runtime.state("c")["pid"].as_i64().unwrap();
    let exe = std::fs::metadata(format!("/proc/{pid}/exe")).unwrap();
    assert_ne!((exe.dev(), exe.ino()), {
        let own = std::fs::metadata(&own).unwrap();
        (own.dev(), own.ino())
    });
    let error = std::fs::OpenOptions::new().append(true).open(format!("/proc/{pid}/exe"));
    let written = error.and_then(|mut file| std::io::Write::write(&mut file, b"x"));
    assert!(written.is_err(), "it was written");
    call(&["delete", "--force", "c"]);
}

/// A group of version 2 that belongs to the user, as systemd delegates one.
#[test]
fn a_delegated_cgroup_is_used() {
    let runtime = Runtime::of_user(USER);
    let Some(unified) = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .map(Path::new)
        .into_iter()
        .find(|path| path.join("cgroup.procs").exists())
    else {
        return;
    };
    let name = runtime.path("state");
    let delegated = unified.join(name.parent().and_then(Path::file_name).unwrap());
    let own = delegated.join("own");
    std::fs::create_dir_all(&own).unwrap();
    for folder in [&delegated, &own] {
        for path in [folder.clone(), folder.join("cgroup.procs"), folder.join("cgroup.subtree_control")] {
            runtime.give(&path);
        }
    }
    let bundle = runtime.bundle("exec sleep 1000", |c| {
        alone(c);
        let path = Path::new("/").join(delegated.file_name().unwrap()).join("c");
        c["linux"]["cgroupsPath"] = path.to_str().unwrap().into();
    });
    // The caller is in a group beside the container's, as a user's shell is.
    let inner = runtime.command();
    let mut command = std::process::Command::new("sh");
    let script = format!(
        "echo $$ > {}/cgroup.procs && exec setpriv --reuid={USER} --regid={USER} --clear-groups \"$@\"",
        own.display()
    );
    let program = [inner.get_program()].into_iter().chain(inner.get_args());
    command.args(["-c", &script, "sh"]).args(program);
    command.args(["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]);
    let out = std::fs::File::create(runtime.path("out")).unwrap();
    let created = command.stdout(out.try_clone().unwrap()).stderr(out).status().unwrap();
    let said = std::fs::read_to_string(runtime.path("out")).unwrap();
    assert!(created.success(), "{said}");
    runtime.call(["start", "c"]).ok();
    let pid = runtime.state("c")["pid"].as_i64().unwrap();
    let procs = std::fs::read_to_string(delegated.join("c/cgroup.procs")).unwrap();
    assert_eq!(procs.trim(), pid.to_string());
    runtime.call(["delete", "--force", "c"]).ok();
    assert!(!delegated.join("c").exists());
    std::fs::remove_dir(own).unwrap();
    std::fs::remove_dir(delegated).unwrap();
}

/// Several ids, which the machine's administrator lets a user have. Only where `newuidmap` is installed.
#[test]
fn more_ids_by_the_helpers() {
    const GAMES: (u32, u32) = (5, 60);
    let path = std::env::var("PATH").unwrap_or_default();
    let installed = path.split(':').any(|folder| Path::new(folder).join("newuidmap").exists());
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    if !installed || !passwd.contains("\ngames:x:5:60:") || !Path::new("/etc/subuid").exists() {
        return;
    }
    let runtime = Runtime::of_user(GAMES.0);
    let subids = runtime.path("subids");
    std::fs::write(&subids, "games:200000:1000\n").unwrap();
    let run = |outside: u32| {
        let script = "id -u; id -g; cat /proc/self/setgroups; echo x > /tmp/made";
        let bundle = runtime.bundle(script, |c| {
            alone(c);
            for (map, own) in [("uidMappings", GAMES.0), ("gidMappings", GAMES.1)] {
                c["linux"][map] = json!([{"containerID": 0, "hostID": own, "size": 1},
                    {"containerID": 1, "hostID": outside, "size": 100}]);
            }
            c["process"]["user"] = json!({"uid": 7, "gid": 8, "additionalGids": [9]});
        });
        std::fs::set_permissions(bundle.join("rootfs/tmp"), std::fs::Permissions::from_mode(0o1777)).unwrap();
        let inner = runtime.command();
        let script = format!(
            "mount --bind {0} /etc/subuid && mount --bind {0} /etc/subgid && \
             exec setpriv --reuid={1} --regid={2} --clear-groups \"$@\"",
            subids.display(),
            GAMES.0,
            GAMES.1
        );
        let mut command = std::process::Command::new("unshare");
        command.args(["-m", "sh", "-c", &script, "sh", inner.get_program().to_str().unwrap()]);
        command.args(inner.get_args());
        command.args(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]);
        (brig_oci_contract::Said::from(command.output().unwrap()), bundle)
    };
    let (said, bundle) = run(200_000);
    assert_eq!(said.ok(), "7\n8\nallow\n");
    let made = std::fs::metadata(bundle.join("rootfs/tmp/made")).unwrap();
    assert_eq!((made.uid(), made.gid()), (200_006, 200_007));
    let error = run(300_000).0.failed();
    assert!(!runtime.is_brig() || error.contains("see whether /etc/sub"), "{error}");
}

/// The listener of notifications comes from a process that is closed to its user while it is being made.
#[test]
fn seccomp_notifications() {
    let runtime = Runtime::of_user(USER);
    let socket = runtime.console("notify.sock");
    runtime.give(socket.path());
    let bundle = runtime.bundle("busybox mkdir /tmp/made || echo refused", |c| {
        alone(c);
        c["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "listenerPath": socket.path(),
            "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}],
        });
    });
    let child = runtime.spawn(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]);
    // What nobody can answer any more fails.
    drop(socket.receive());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "refused\n", "{output:?}");
}
