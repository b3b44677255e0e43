//! Users, groups and capabilities that a process has and should not.

use super::{capabilities, run, template};
use brig_oci_contract::{Runtime, Said};
use serde_json::json;
use std::os::unix::process::CommandExt;

const SETS: &str = "while read a b; do case $a in Cap*) echo $a$b;; esac; done < /proc/self/status";
const NONE: &str = "0000000000000000";

/// Inheritable capabilities come back to a process of another user by a file's inheritable ones.
#[test]
fn cve_2022_24769_nothing_is_inheritable_by_default() {
    let runtime = Runtime::new();
    let template = template(&runtime);
    let set = &template["process"]["capabilities"]["inheritable"];
    assert!(set.is_null() || set.as_array().is_some_and(Vec::is_empty), "{set}");
    let bundle = runtime.bundle(SETS, |config| config["process"]["capabilities"] = capabilities(&[]));
    assert!(run(&runtime, &bundle).ok().contains(&format!("CapInh:{NONE}")));
}

/// The same by `exec --cap`.
#[test]
fn cve_2022_29162_exec_adds_nothing_inheritable() {
    added_by_exec();
}

/// The same of crun.
#[test]
fn cve_2022_27650_exec_adds_nothing_inheritable() {
    added_by_exec();
}

/// The same of youki.
#[test]
fn cve_2025_27612_exec_adds_nothing_inheritable() {
    added_by_exec();
}

fn added_by_exec() {
    let runtime = Runtime::new();
    let bundle =
        runtime.bundle("exec sleep 1000", |config| config["process"]["capabilities"] = capabilities(&[]));
    runtime.start("c", &bundle);
    for args in [&["exec", "c"][..], &["exec", "--cap", "CAP_NET_ADMIN", "c"]] {
        let sets = runtime.call(args.iter().copied().chain(["sh", "-c", SETS])).ok();
        assert!(sets.contains(&format!("CapInh:{NONE}")), "{args:?}: {sets}");
        assert!(sets.contains(&format!("CapAmb:{NONE}")), "{args:?}: {sets}");
    }
    runtime.call(["delete", "--force", "c"]).ok();
}

/// A user that is not root has the bounding set and nothing of it.
#[test]
fn cve_2016_8867_no_capabilities_without_root() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle(SETS, |config| {
        config["process"]["user"] = json!({"uid": 1000, "gid": 1000});
        let mut sets = capabilities(&[]);
        sets["inheritable"] = json!([]);
        config["process"]["capabilities"] = sets;
    });
    let sets = run(&runtime, &bundle).ok();
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert!(sets.contains(&format!("{set}:{NONE}")), "{sets}");
    }
}

/// A user id that is a name of root's in the image is a number.
#[test]
fn cve_2016_3697_a_number_is_no_name() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle("exec sleep 1000", |_| ());
    std::fs::write(bundle.join("rootfs/etc/passwd"), "1000:x:0:0::/:/bin/sh\nroot:x:0:0::/:/bin/sh\n")
        .unwrap();
    runtime.start("c", &bundle);
    assert_eq!(runtime.call(["exec", "--user", "1000", "c", "id", "-u"]).ok(), "1000\n");
    runtime.call(["delete", "--force", "c"]).ok();
}

/// A user id that is too large does not come out as root.
#[test]
fn cve_2024_40635_ids_do_not_wrap() {
    for id in [json!(4_294_967_295_u64), json!(4_294_967_296_u64), json!(-1), json!(1_u64 << 40)] {
        for key in ["uid", "gid"] {
            let runtime = Runtime::new();
            if runtime
                .leaves_out("runc 1.1 cuts an exec's id that is too large to 32 bits, and 2^32 becomes root")
            {
                return;
            }
            let bundle = runtime.bundle("id -u; id -g", |config| {
                config["process"]["user"] = json!({"uid": 1000, "gid": 1000});
                config["process"]["user"][key] = id.clone();
            });
            let said = run(&runtime, &bundle);
            assert!(!said.out.lines().any(|line| line == "0"), "{key} {id}: {}", said.out);
        }
    }
    let runtime = Runtime::new();
    runtime.start("c", &runtime.bundle("exec sleep 1000", |_| ()));
    for user in ["4294967295", "4294967296", "-1", "1000:4294967296", "18446744073709551616"] {
        let said = runtime.call(["exec", "--user", user, "c", "id", "-u"]);
        assert!(said.code != Some(0) || said.out != "0\n", "{user}: {}", said.out);
    }
    runtime.call(["delete", "--force", "c"]).ok();
}

/// The groups of whoever calls the runtime are not the container's.
#[test]
fn cve_2023_25173_no_groups_but_those_given() {
    let runtime = Runtime::new();
    let call = |args: &[&std::ffi::OsStr]| {
        let mut command = runtime.command();
        command.args(args);
        // SAFETY: setgroups reads three numbers, and is async-signal-safe.
        unsafe {
            command.pre_exec(|| match libc::setgroups(3, [0, 4, 27].as_ptr()) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        Said::from(command.output().unwrap())
    };
    let bundle = runtime.bundle(
        "while read a b; do [ $a = Groups: ] && echo $b; done < /proc/self/status",
        |config| {
            config["process"]["user"] = json!({"uid": 5, "gid": 6});
        },
    );
    let said = call(&["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]);
    assert!(["", "6"].contains(&said.out.trim()), "{}", said.out);
}

/// A filter that is loaded before rights are given up must not let a program keep one of them.
#[test]
fn no_right_is_left_by_the_filter() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle(SETS, |config| {
        config["process"]["capabilities"] = json!({"bounding": [], "effective": [], "permitted": []});
        config["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls":
            [{"names": ["swapon"], "action": "SCMP_ACT_ERRNO"}]});
    });
    let sets = run(&runtime, &bundle).ok();
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(sets.contains(&format!("{set}:{NONE}")), "{sets}");
    }
}
