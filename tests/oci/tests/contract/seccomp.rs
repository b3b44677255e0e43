//! Seccomp: actions, flags, architectures and notification.

use brig_oci_contract::{Agent, Runtime};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

/// An error number that no file system gives by itself.
const ENOMEDIUM: i32 = 123;

fn with_rule(rule: Value) -> impl FnOnce(&mut Value) {
    move |config| {
        config["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64"],
            "syscalls": [rule],
        });
    }
}

fn mkdir(action: &str) -> Value {
    json!({"names": ["mkdir", "mkdirat"], "action": action})
}

fn run(runtime: &Runtime, bundle: &std::path::Path) -> brig_oci_contract::Said {
    runtime.call(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()])
}

#[test]
fn every_action() {
    let runtime = Runtime::new();
    let script = "busybox mkdir /tmp/x; echo $?";
    for (rule, expected) in [
        (mkdir("SCMP_ACT_ALLOW"), "0"),
        (mkdir("SCMP_ACT_LOG"), "0"),
        (mkdir("SCMP_ACT_ERRNO"), "1"),
        (mkdir("SCMP_ACT_KILL"), "159"),
        (mkdir("SCMP_ACT_KILL_THREAD"), "159"),
        (mkdir("SCMP_ACT_KILL_PROCESS"), "159"),
        (mkdir("SCMP_ACT_TRAP"), "159"),
        // Nobody traces: the call does not exist.
        (mkdir("SCMP_ACT_TRACE"), "1"),
    ] {
        let bundle = runtime.bundle(script, with_rule(rule.clone()));
        let said = run(&runtime, &bundle);
        let last = said.out.lines().last().unwrap_or_default();
        assert_eq!(last, expected, "{rule}: {}", said.err);
    }
    let mut rule = mkdir("SCMP_ACT_ERRNO");
    rule["errnoRet"] = ENOMEDIUM.into();
    let said = run(&runtime, &runtime.bundle(script, with_rule(rule)));
    assert!(said.err.contains("No medium found"), "{}", said.err);
}

#[test]
fn every_flag() {
    let runtime = Runtime::new();
    for flags in [
        json!([]),
        json!(["SECCOMP_FILTER_FLAG_LOG"]),
        json!(["SECCOMP_FILTER_FLAG_TSYNC"]),
        json!(["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]),
        json!(["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]),
    ] {
        let bundle = runtime.bundle("busybox mkdir /tmp/x; echo $?", |config| {
            with_rule(mkdir("SCMP_ACT_ERRNO"))(config);
            config["linux"]["seccomp"]["flags"] = flags.clone();
        });
        assert_eq!(run(&runtime, &bundle).ok(), "1\n", "{flags}");
    }
}

#[test]
fn an_agent_answers_for_the_first_process_and_for_later_ones() {
    let runtime = Runtime::new();
    let agent = Agent::new(runtime.path("agent"));
    let bundle = runtime.bundle("busybox mkdir /tmp/x 2>&1; exec sleep 1000", |config| {
        with_rule(mkdir("SCMP_ACT_NOTIFY"))(config);
        config["linux"]["seccomp"]["listenerPath"] = json!(agent.path());
        config["linux"]["seccomp"]["listenerMetadata"] = json!("meta data");
        config["annotations"] = json!({"a": "b"});
    });
    let output = runtime.start_with_output("c", &bundle);
    let first = agent.receive();
    assert_eq!(first.state["fds"], json!(["seccompFd"]));
    assert_eq!(first.state["metadata"], "meta data");
    assert_eq!(first.state["state"]["id"], "c");
    assert_eq!(first.state["state"]["annotations"], json!({"a": "b"}));
    assert_eq!(first.state["state"]["bundle"], json!(bundle));
    assert_eq!(first.state["pid"], runtime.state("c")["pid"]);
    first.refuse(ENOMEDIUM);
    brig_oci_contract::eventually(|| output().contains("No medium found"));

    let exec = runtime.spawn(["exec", "c", "busybox", "mkdir", "/tmp/y"]);
    let second = agent.receive();
    assert_ne!(second.state["pid"], first.state["pid"]);
    assert_eq!(second.state["state"]["status"], "running");
    second.refuse(ENOMEDIUM);
    let said = exec.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&said.stderr).contains("No medium found"), "{said:?}");
    runtime.call(["delete", "--force", "c"]).ok();
}

#[test]
fn an_agent_that_is_not_there_is_said_and_nothing_waits_for_it() {
    let runtime = Runtime::new();
    let nowhere = runtime.path("nowhere");
    let bundle = runtime.bundle("true", |config| {
        with_rule(mkdir("SCMP_ACT_NOTIFY"))(config);
        config["linux"]["seccomp"]["listenerPath"] = json!(nowhere);
    });
    let error = run(&runtime, &bundle).failed();
    assert!(error.contains("nowhere"), "{error}");
    assert!(!runtime.path("state").join("c").exists());
}

#[test]
fn what_makes_no_sense_is_refused() {
    let runtime = Runtime::new();
    if !runtime.is_brig() {
        return;
    }
    for (change, expected) in [
        (json!({"syscalls": [mkdir("SCMP_ACT_NOTIFY")]}), "needs listenerPath"),
        (json!({"listenerMetadata": "x"}), "listenerMetadata must not be set"),
        (
            json!({"defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "/x"}),
            "cannot be used as default action",
        ),
        (
            json!({"syscalls": [{"names": ["write"], "action": "SCMP_ACT_NOTIFY"}], "listenerPath": "/x"}),
            "cannot be used for the write syscall",
        ),
        (
            json!({"syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO",
                "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}]}),
            "a system call has arguments 0 to 5",
        ),
        (json!({"flags": ["SECCOMP_FILTER_FLAG_WHAT"]}), "SECCOMP_FILTER_FLAG_WHAT"),
        (json!({"defaultAction": "SCMP_ACT_WHAT"}), "SCMP_ACT_WHAT"),
    ] {
        let bundle = runtime.bundle("true", |config| {
            let seccomp = &mut config["linux"]["seccomp"];
            *seccomp = json!({"defaultAction": "SCMP_ACT_ALLOW"});
            for (key, value) in change.as_object().unwrap() {
                seccomp[key] = value.clone();
            }
        });
        let error = run(&runtime, &bundle).failed();
        assert!(error.contains(expected), "{change}: {error}");
        assert!(!runtime.path("state").join("c").exists(), "{change}");
    }
}

/// A static program of 32-bit x86 that calls mkdir and ends with the error number as its exit code.
fn program_of_i386() -> Vec<u8> {
    const BASE: u32 = 0x0804_8000;
    let mut code = vec![0xb8, 39, 0, 0, 0]; // mov eax, mkdir
    code.push(0xbb); // mov ebx, the path
    code.extend((BASE + 84 + 32).to_le_bytes());
    code.extend([0xb9, 0xed, 1, 0, 0]); // mov ecx, 0755
    code.extend([0xcd, 0x80]); // int 0x80
    code.extend([0xf7, 0xd8]); // neg eax
    code.extend([0x89, 0xc3]); // mov ebx, eax
    code.extend([0xb8, 1, 0, 0, 0]); // mov eax, exit
    code.extend([0xcd, 0x80]);
    code.resize(32, 0x90);
    code.extend(b"/tmp/x\0");
    let total = (84 + code.len()) as u32;
    let mut elf = vec![0x7f, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for half in [2u16, 3] {
        elf.extend(half.to_le_bytes()); // an executable of i386
    }
    for word in [1, BASE + 84, 52, 0, 0] {
        elf.extend(word.to_le_bytes());
    }
    for half in [52u16, 32, 1, 0, 0, 0] {
        elf.extend(half.to_le_bytes());
    }
    for word in [1, 0, BASE, BASE, total, total, 5, 0x1000] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(code);
    elf
}

#[test]
#[cfg(target_arch = "x86_64")]
fn programs_of_32_bits_have_the_same_rules() {
    let runtime = Runtime::new();
    for (architectures, expected) in [
        (json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]), Some(ENOMEDIUM)),
        // An ABI that the profile does not speak of: its calls end the program.
        (json!(["SCMP_ARCH_X86_64"]), Some(159)),
    ] {
        let bundle = runtime.bundle("", |config| {
            config["process"]["args"] = json!(["/i386"]);
            let mut rule = mkdir("SCMP_ACT_ERRNO");
            rule["errnoRet"] = ENOMEDIUM.into();
            with_rule(rule)(config);
            config["linux"]["seccomp"]["architectures"] = architectures.clone();
        });
        let program = bundle.join("rootfs/i386");
        std::fs::write(&program, program_of_i386()).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let said = run(&runtime, &bundle);
        if said.err.contains("exec format error") {
            // A kernel without 32-bit programs.
            return;
        }
        assert_eq!(said.code, expected, "{architectures}: {}", said.err);
    }
}
