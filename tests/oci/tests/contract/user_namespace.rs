//! User namespaces made and joined by root.

use brig_oci_contract::Runtime;
use serde_json::{Value, json};

/// A user namespace whose ids are from 100000 on outside.
fn in_user_namespace(config: &mut Value) {
    config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    for map in ["uidMappings", "gidMappings"] {
        config["linux"][map] = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    }
}

/// What a mount of the machine forbids stays forbidden inside, whatever is bound from it.
#[test]
fn what_is_locked_on_a_source_stays() {
    let runtime = Runtime::new();
    let source = runtime.path("source");
    std::fs::create_dir(&source).unwrap();
    let run = |options: Value| {
        let bundle = runtime.bundle("cat /proc/self/mountinfo", |c| {
            in_user_namespace(c);
            let mounts = c["mounts"].as_array_mut().unwrap();
            mounts
                .push(json!({"destination": "/bound", "type": "bind", "source": source, "options": options}));
        });
        // The root belongs to nobody inside, who could not make the mount point.
        std::fs::create_dir(bundle.join("rootfs/bound")).unwrap();
        let inner = runtime.command();
        let mut command = std::process::Command::new("unshare");
        let script = format!("mount -t tmpfs -o ro,noexec tmpfs {} && exec \"$@\"", source.to_str().unwrap());
        command.args(["-m", "sh", "-c", &script, "sh", inner.get_program().to_str().unwrap()]);
        command.args(inner.get_args());
        command.args(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]);
        brig_oci_contract::Said::from(command.output().unwrap())
    };
    for options in [json!(["rbind"]), json!(["rbind", "nosuid"])] {
        let info = run(options).ok();
        let line = info.lines().find(|line| line.split(' ').nth(4) == Some("/bound")).unwrap();
        let bits = line.split(' ').nth(5).unwrap();
        assert!(bits.contains("ro,") && bits.contains("noexec"), "{line}");
    }
    if runtime.is_brig() {
        for options in [json!(["rbind", "exec"]), json!(["rbind", "rw"])] {
            let error = run(options).failed();
            assert!(error.contains("is locked in a user namespace") && error.contains("/bound"), "{error}");
        }
    }
}

fn pid(runtime: &Runtime, id: &str) -> i64 {
    runtime.state(id)["pid"].as_i64().unwrap()
}

#[test]
fn roots_ids_are_others_outside() {
    let runtime = Runtime::new();
    let script = "cat /proc/self/uid_map /proc/self/gid_map; id -u; id -g; cat /proc/self/setgroups; \
                  echo x > /tmp/file; exec sleep 1000";
    let bundle = runtime.bundle(script, |c| {
        in_user_namespace(c);
        c["process"]["user"] = json!({"uid": 0, "gid": 0, "additionalGids": [7]});
        c["mounts"].as_array_mut().unwrap().push(json!({"destination": "/tmp", "type": "tmpfs"}));
    });
    let out = runtime.start_with_output("c", &bundle);
    brig_oci_contract::eventually(|| out().lines().count() == 5);
    let map = ["0", "100000", "65536"];
    let out = out();
    let lines: Vec<Vec<&str>> = out.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(lines, [&map[..], &map, &["0"], &["0"], &["allow"]]);
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid(&runtime, "c"))).unwrap();
    assert!(status.contains("Uid:\t100000\t100000\t100000\t100000"), "{status}");
    assert!(status.contains("Gid:\t100000\t100000\t100000\t100000"), "{status}");
    assert!(status.contains("Groups:\t100007"), "the caller's groups are gone: {status}");
    runtime.call(["delete", "--force", "c"]).ok();
}

#[test]
fn it_is_a_whole_container() {
    let runtime = Runtime::new();
    // Closed to all but root, as Docker's folder is.
    let shared = runtime.path("shared");
    std::fs::create_dir(&shared).unwrap();
    std::fs::write(shared.join("file"), "bound\n").unwrap();
    std::fs::write(shared.join("single"), "single\n").unwrap();
    let script = "echo x > /dev/null && cat /bound/file /single && cat /proc/sys/net/ipv4/ip_unprivileged_port_start \
                  && (echo 1 > /proc/sys/net/ipv4/ip_forward) 2>/dev/null || echo ro; busybox wc -c < /proc/cmdline; \
                  [ -c /dev/tty ] && ls /sys/class/net && cat /proc/sys/kernel/hostname; ulimit -n; \
                  [ -d /sys/fs/cgroup ] && echo cgroup; [ -e /dev/mqueue ] && echo $$";
    let bundle = runtime.bundle(script, |c| {
        in_user_namespace(c);
        c["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "cgroup"}));
        let mounts = c["mounts"].as_array_mut().unwrap();
        let bind = |from: std::path::PathBuf, to: &str| json!({"destination": to, "source": from, "options": ["rbind", "ro"]});
        mounts.push(bind(shared.clone(), "/bound"));
        mounts.push(bind(shared.join("single"), "/single"));
        mounts.push(json!({"destination": "/sys", "type": "sysfs", "options": ["ro"]}));
        mounts.push(json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]}));
        mounts.push(json!({"destination": "/dev/mqueue", "type": "mqueue"}));
        c["linux"]["sysctl"] = json!({"net.ipv4.ip_unprivileged_port_start": "7"});
        c["linux"]["maskedPaths"] = json!(["/proc/cmdline", "/proc/scsi", "/sys/firmware"]);
        c["linux"]["readonlyPaths"] = json!(["/proc/sys"]);
        c["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["swapon"], "action": "SCMP_ACT_ERRNO"}]});
        c["process"]["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 512, "hard": 512}]);
        c["process"]["oomScoreAdj"] = json!(77);
    });
    own_root(&bundle, 100_000);
    let said = runtime.call(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]);
    assert_eq!(said.err, "");
    assert_eq!(said.out, "bound\nsingle\n7\nro\n0\nlo\ncontract\n512\ncgroup\n1\n");
}

/// Gives the root file system to who is root in the container, as engines do.
fn own_root(bundle: &std::path::Path, uid: u32) {
    for path in [bundle.join("rootfs"), bundle.join("rootfs/dev"), bundle.join("rootfs/sys")] {
        std::os::unix::fs::chown(path, Some(uid), Some(uid)).unwrap();
    }
}

/// A tmpfs that starts as a copy, with files of users that are mapped and of one that is not.
#[test]
fn a_copied_folder() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle("busybox stat -c %u:%g /etc/of3 /etc/of0", |c| {
        in_user_namespace(c);
        let copied = json!({"destination": "/etc", "type": "tmpfs", "options": ["tmpcopyup"]});
        c["mounts"].as_array_mut().unwrap().push(copied);
    });
    for (name, uid) in [("of3", 100_003), ("of0", 0)] {
        let path = bundle.join("rootfs/etc").join(name);
        std::fs::write(&path, "").unwrap();
        std::os::unix::fs::chown(path, Some(uid), Some(uid)).unwrap();
    }
    let said = runtime.call(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]);
    let out = said.ok();
    assert!(out.starts_with("3:3\n"), "{out}");
}

#[test]
fn hooks_run_on_both_sides() {
    let runtime = Runtime::new();
    let notes = runtime.path("notes");
    std::fs::create_dir(&notes).unwrap();
    std::os::unix::fs::chown(&notes, Some(100_000), Some(100_000)).unwrap();
    let hook = |moment: &str| {
        let script = format!("readlink /proc/self/ns/user > {}/{moment}", notes.display());
        json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"]}])
    };
    let bundle = runtime.bundle("exec sleep 1000", |c| {
        in_user_namespace(c);
        c["hooks"] = json!({"createRuntime": hook("runtime"), "createContainer": hook("container")});
    });
    // The container's side has to come to the folder of notes, which is the test's.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(notes.parent().unwrap(), open).unwrap();
    runtime.start("c", &bundle);
    let read = |moment: &str| std::fs::read_to_string(notes.join(moment)).unwrap().trim().to_owned();
    let of = |pid: &str| {
        let link = std::fs::read_link(format!("/proc/{pid}/ns/user")).unwrap();
        link.to_str().unwrap().to_owned()
    };
    assert_eq!(read("runtime"), of("self"));
    assert_eq!(read("container"), of(&pid(&runtime, "c").to_string()));
    runtime.call(["delete", "--force", "c"]).ok();
}

#[test]
fn the_program_is_who_the_spec_says() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle("id -u; id -g; touch /dev/shm/file && ls -ln /dev/shm", |c| {
        in_user_namespace(c);
        c["process"]["user"] = json!({"uid": 5, "gid": 6});
        let shm = json!({"destination": "/dev/shm", "type": "tmpfs", "options": ["mode=1777"]});
        c["mounts"].as_array_mut().unwrap().push(shm);
    });
    let out = runtime.call(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]).ok();
    assert!(out.starts_with("5\n6\n"), "{out}");
    let file = out.lines().last().unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!(file[2..4], ["5", "6"], "{out}");
}

#[test]
fn a_terminal_and_pipes_are_the_users() {
    let runtime = Runtime::new();
    let script = "exec sleep 1000";
    let bundle = runtime.bundle(script, |c| {
        in_user_namespace(c);
        c["process"]["user"] = json!({"uid": 5, "gid": 5});
        c["process"]["terminal"] = true.into();
    });
    let console = runtime.console("console.sock");
    let args = ["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "--console-socket".as_ref()];
    runtime.call(args.into_iter().chain([console.path().as_os_str(), "c".as_ref()])).ok();
    let master = console.receive();
    runtime.call(["start", "c"]).ok();
    let said =
        runtime.call(["exec", "c", "sh", "-c", "tty < /dev/console; ls -ln /dev/console /dev/pts/0"]).ok();
    assert!(said.starts_with("/dev/pts/0\n") || said.starts_with("/dev/console\n"), "{said}");
    for line in said.lines().filter(|line| line.starts_with('c')) {
        assert_eq!(line.split_whitespace().nth(2), Some("5"), "{said}");
    }
    drop(master);
    runtime.call(["delete", "--force", "c"]).ok();

    // Pipes that belong to the machine's root: a program that opens /dev/stdout again must be able to.
    let bundle = runtime.bundle("echo again > /proc/self/fd/1", |c| {
        in_user_namespace(c);
        c["process"]["user"] = json!({"uid": 5, "gid": 5});
    });
    let child = runtime.spawn(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "p".as_ref()]);
    let output = child.wait_with_output().unwrap();
    if runtime.is_brig() {
        assert_eq!(String::from_utf8_lossy(&output.stdout), "again\n", "{output:?}");
    }
}

#[test]
fn further_processes_join_it() {
    let runtime = Runtime::new();
    runtime.start("c", &runtime.bundle("exec sleep 1000", in_user_namespace));
    let both = runtime.call([
        "exec",
        "c",
        "sh",
        "-c",
        "for p in self 1; do busybox readlink /proc/$p/ns/user; done",
    ]);
    let both = both.ok();
    assert!(both.lines().count() == 2 && both.lines().next() == both.lines().last(), "{both}");
    let said =
        runtime.call(["exec", "--user", "3:4", "c", "sh", "-c", "id -u; cat /proc/self/uid_map; exit 9"]);
    assert_eq!(said.code, Some(9), "{}", said.err);
    assert!(said.out.starts_with("3\n") && said.out.contains("100000"), "{}", said.out);
    let error = runtime.call(["exec", "--user", "70000", "c", "true"]).failed();
    assert!(error.contains("70000") || error.contains("unmapped") || error.contains("setgid"), "{error}");
    let error = runtime.call(["exec", "c", "nope"]).failed();
    assert!(error.contains("executable file not found"), "{error}");
    runtime.call(["kill", "c", "KILL"]).ok();
    runtime.await_status("c", "stopped");
    runtime.call(["exec", "c", "true"]).failed();
    runtime.call(["delete", "c"]).ok();
}

/// A pod: others join the namespaces of a first container, its user namespace among them.
#[test]
fn it_is_joined_by_path_with_all_that_it_owns() {
    let runtime = Runtime::new();
    runtime.start("first", &runtime.bundle("exec sleep 1000", in_user_namespace));
    let first = pid(&runtime, "first");
    let path = |name: &str| format!("/proc/{first}/ns/{name}");
    let join = |c: &mut Value| {
        c["hostname"] = Value::Null;
        c["linux"]["cgroupsPath"] = format!("{}-second", c["linux"]["cgroupsPath"].as_str().unwrap()).into();
        c["linux"]["namespaces"] = json!([{"type": "mount"}, {"type": "user", "path": path("user")},
            {"type": "pid", "path": path("pid")}, {"type": "ipc", "path": path("ipc")},
            {"type": "network", "path": path("net")}, {"type": "uts", "path": path("uts")}]);
    };
    let script = "for n in user pid ipc net uts; do for p in self 1; do busybox readlink /proc/$p/ns/$n; done; done; id -u";
    let bundle = runtime.bundle(script, join);
    let out = runtime.call(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "second".as_ref()]).ok();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 11, "{out}");
    assert!((0..5).all(|i| lines[2 * i] == lines[2 * i + 1]), "{out}");
    assert_eq!(lines[10], "0");

    if runtime.is_brig() {
        // What is said of the ids of a joined one has to be true.
        let with_maps = |size: u32| {
            runtime.bundle("cat /proc/self/uid_map", |c| {
                join(c);
                for map in ["uidMappings", "gidMappings"] {
                    c["linux"][map] = json!([{"containerID": 0, "hostID": 100_000, "size": size}]);
                }
            })
        };
        let run = |bundle: &std::path::Path| {
            runtime.call(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "third".as_ref()])
        };
        assert!(run(&with_maps(65536)).ok().contains("100000"));
        let error = run(&with_maps(10)).failed();
        assert!(error.contains("both a user namespace to join and other uid mappings"), "{error}");
        // An id that it does not have.
        let bundle = runtime.bundle("true", |c| {
            join(c);
            c["process"]["user"] = json!({"uid": 70000, "gid": 0});
        });
        let error = run(&bundle).failed();
        assert!(error.contains("uid 70000") && error.contains("mapped"), "{error}");
    }
    runtime.call(["delete", "--force", "first"]).ok();
}

/// Namespaces that belong to the machine, in a container with a user namespace of its own: joined before the rights
/// over them are gone.
#[test]
fn a_new_one_beside_joined_ones_of_the_machine() {
    let runtime = Runtime::new();
    runtime.start("first", &runtime.bundle("exec sleep 1000", |_| ()));
    let first = pid(&runtime, "first");
    let bundle = runtime.bundle(
        "for n in net ipc; do busybox readlink /proc/self/ns/$n; done; cat /proc/1/comm; id -u",
        |c| {
            in_user_namespace(c);
            c["linux"]["cgroupsPath"] =
                format!("{}-second", c["linux"]["cgroupsPath"].as_str().unwrap()).into();
            for (index, name) in [(0, "pid"), (1, "ipc"), (4, "net")] {
                c["linux"]["namespaces"][index]["path"] = format!("/proc/{first}/ns/{name}").into();
            }
            // A procfs of a pid namespace that another user namespace owns is refused by the kernel; that of the machine's
            // is bound, where runc gives up.
            c["linux"]["namespaces"].as_array_mut().unwrap().remove(0);
        },
    );
    let said = runtime.call(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "second".as_ref()]);
    let expect = |name: &str| std::fs::read_link(format!("/proc/{first}/ns/{name}")).unwrap();
    let out = said.ok();
    assert!(out.starts_with(&format!("{}\n{}\n", expect("net").display(), expect("ipc").display())), "{out}");
    assert!(out.ends_with("\n0\n"), "{out}");
    runtime.call(["delete", "--force", "first"]).ok();
}

#[test]
fn what_makes_no_sense_is_said_before_anything_is_made() {
    let runtime = Runtime::new();
    type Change = fn(&mut Value);
    let map = |list: &[(u32, u32, u32)]| -> Value {
        list.iter().map(|(c, h, s)| json!({"containerID": c, "hostID": h, "size": s})).collect()
    };
    let cases: [(Change, &str); 9] = [
        (|c| drop(c["linux"]["namespaces"].as_array_mut().unwrap().pop()), "isn't enabled in the config"),
        (|c| c["linux"]["uidMappings"] = json!([]), "no uid mappings"),
        (|c| c["linux"]["gidMappings"] = Value::Null, "no gid mappings"),
        (|c| c["linux"]["uidMappings"][0]["size"] = 0.into(), "must not be 0"),
        (|c| c["linux"]["uidMappings"][0]["hostID"] = 4_294_967_000_u32.into(), "ends beyond"),
        (|c| c["process"]["user"]["uid"] = 65536.into(), "process.user.uid 65536 is not mapped"),
        (|c| c["process"]["user"]["additionalGids"] = json!([65536]), "additionalGids 65536 is not mapped"),
        (
            |c| c["mounts"][2]["options"] = json!(["gid=65537"]),
            "mount /dev/pts: option gid= 65537 is not mapped",
        ),
        (
            |c| {
                let user = c["linux"]["namespaces"].as_array().unwrap().last().unwrap().clone();
                c["linux"]["namespaces"].as_array_mut().unwrap().push(user);
            },
            "duplicated ns user",
        ),
    ];
    for (change, words) in cases {
        let bundle = runtime.bundle("true", |c| {
            in_user_namespace(c);
            change(c);
        });
        refused(&runtime, &bundle, words);
    }
    for (list, words) in [
        (map(&[(0, 100_000, 10), (5, 200_000, 10)]), "overlaps containerID 0"),
        (map(&[(0, 100_000, 10), (10, 100_009, 10)]), "overlaps"),
        (
            (0..341).map(|i| json!({"containerID": i, "hostID": 100_000 + i, "size": 1})).collect(),
            "more than the 340",
        ),
    ] {
        let bundle = runtime.bundle("true", |c| {
            in_user_namespace(c);
            c["linux"]["uidMappings"] = list.clone();
        });
        refused(&runtime, &bundle, words);
    }
    // A path that is something else: not a namespace, one of another type, a pipe that nobody writes to (by which runc
    // waits for ever).
    let pipe = runtime.path("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    for path in ["/dev/null", "/proc/self/ns/net", "/etc", pipe.to_str().unwrap()] {
        let bundle = runtime.bundle("true", |c| {
            c["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user", "path": path}));
        });
        refused(&runtime, &bundle, "what was given as user namespace is none");
    }
}

#[track_caller]
fn refused(runtime: &Runtime, bundle: &std::path::Path, words: &str) {
    let said = runtime.call(["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]);
    let error = said.failed();
    assert!(!runtime.is_brig() || error.contains(words), "{words:?} is not in {error}");
    assert!(runtime.call(["state", "c"]).failed().contains("does not exist"));
}
