//! The runtime itself, as a process of the container finds it.

use super::{capabilities, script};
use brig_oci_contract::{Runtime, eventually};

/// Looks at everything that has a number, with nothing but what the shell has built in, so that it is quick.
const WATCH: &str = "cd /proc; echo > /tmp/ready; while [ ! -e /tmp/stop ]; do for p in [0-9]*; do \
    if [ -e $p/exe ] && ! [ $p/exe -ef /bin/busybox ]; then";

fn watching(runtime: &Runtime, then: &str, more: &[&str]) -> std::path::PathBuf {
    let bundle = runtime.bundle(&format!("{WATCH} {then}; fi; done; done; sleep 1000"), |config| {
        config["process"]["capabilities"] = capabilities(more);
    });
    script(&bundle, "evil", "#!/proc/self/exe\n");
    runtime.start("c", &bundle);
    eventually(|| bundle.join("rootfs/tmp/ready").exists());
    bundle
}

/// A process that joins a container can be traced and its descriptors taken before it has given up what it has.
#[test]
fn cve_2016_9962_a_joining_process_is_opaque() {
    let runtime = Runtime::new();
    let bundle = watching(&runtime, "ls -l $p/fd $p/exe >> /tmp/seen", &[]);
    for _ in 0..30 {
        runtime.call(["exec", "c", "true"]).ok();
    }
    let seen = std::fs::read_to_string(bundle.join("rootfs/tmp/seen")).unwrap_or_default();
    // One that ends just then has an empty folder of descriptors, and one that has executed its program its own.
    let of_the_runtime = ["socket:", "anon_inode:", "memfd:", "brig", "runc"];
    assert!(!of_the_runtime.iter().any(|word| seen.contains(word)), "seen from inside: {seen}");
    runtime.call(["delete", "--force", "c"]).ok();
}

/// The image makes the runtime execute itself, holds on to its file, and writes it once nobody executes it.
#[test]
fn cve_2019_5736_the_binary_cannot_be_written() {
    let runtime = Runtime::new();
    if runtime.leaves_out(
        "runc 1.1 runs from a sealed copy in memory, which can be opened for writing though not be written",
    ) {
        return;
    }
    // With the capabilities that the attack needed, and all that might make a mount writable.
    let attack = "( exec 9< $p/exe && echo > /tmp/held; while [ ! -e /tmp/go ]; do :; done; \
        true >> /proc/self/fd/9 && echo > /tmp/opened; \
        busybox mount -o remount,bind,rw /proc/self/fd/9; busybox mount --bind /proc/self/fd/9 /tmp/bound && \
        busybox mount -o remount,bind,rw /tmp/bound && true >> /tmp/bound && echo > /tmp/opened; \
        true >> /proc/self/fd/9 && echo > /tmp/opened; echo > /tmp/stop; echo > /tmp/done ) 2>/dev/null";
    let bundle = watching(&runtime, attack, &["CAP_SYS_ADMIN", "CAP_SYS_PTRACE"]);
    let inside = |name: &str| bundle.join("rootfs/tmp").join(name).exists();
    std::fs::write(bundle.join("rootfs/tmp/bound"), "").unwrap();
    for _ in 0..200 {
        runtime.call(["exec", "c", "/evil"]);
        if inside("held") {
            break;
        }
    }
    // A runtime that can't even be held on to is as good.
    if inside("held") {
        std::fs::write(bundle.join("rootfs/tmp/go"), "").unwrap();
        eventually(|| inside("done"));
    }
    assert!(!inside("opened"), "the runtime's file was opened for writing");
    assert!(inside("held") || !runtime.is_brig(), "the attack did not come about");
    runtime.call(["delete", "--force", "c"]).ok();
}

/// The same from the first process: the bundle's program is the runtime.
#[test]
fn cve_2019_5736_as_the_entry_point() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle("true", |config| {
        config["process"]["args"] = serde_json::json!(["/proc/self/exe", "oci", "--help"]);
    });
    let said = super::run(&runtime, &bundle);
    // What is executed is the runtime, from inside: all that matters is that it can't be written there.
    drop(said);
    let bundle = runtime
        .bundle("for p in /proc/[0-9]*; do { true >> $p/exe; } 2>/dev/null && echo open; done; true", |_| ());
    assert_eq!(super::run(&runtime, &bundle).ok(), "");
}
