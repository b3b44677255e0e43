//! Attacks on `/proc` and `/sys`: what hides the host, and what the runtime writes there.

use super::{bind, capabilities, link, mount, run, template};
use brig_oci_contract::Runtime;
use serde_json::{Value, json};
use std::path::Path;

/// Something of the host's whose text is known, and that nobody in a container may write.
const PRIZE: &str = "/proc/sys/kernel/core_pattern";

/// A bundle without a `/dev` of its own, so that the image's is used; `hidden` is masked.
fn images_dev(runtime: &Runtime, script: &str, change: impl FnOnce(&mut Value)) -> std::path::PathBuf {
    runtime.bundle(script, |config| {
        config["mounts"].as_array_mut().unwrap().retain(|m| m["destination"] == "/proc");
        config["linux"]["maskedPaths"] = json!(["/proc/keys", "/proc/kcore", "/proc/timer_list"]);
        config["linux"]["readonlyPaths"] = json!(["/proc/sys", "/proc/sysrq-trigger"]);
        config["process"]["capabilities"] = capabilities(&[]);
        change(config);
    })
}

/// Says what could be written, without writing anything.
const TRY_TO_WRITE: &str = "for f in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/keys /proc/kcore \
    /proc/timer_list /dev/console /dev/null.real; do { true >> $f; } 2>/dev/null && echo \"open $f $(cat $f 2>/dev/null)\"; done";

#[track_caller]
fn nothing_gained(runtime: &Runtime, bundle: &Path) {
    let said = run(runtime, bundle);
    let prize = std::fs::read_to_string(PRIZE).unwrap();
    for line in said.out.lines().filter(|line| line.starts_with("open ")) {
        let mut fields = line.splitn(3, ' ').skip(1);
        let (file, text) = (fields.next().unwrap(), fields.next().unwrap_or_default());
        assert!(file != PRIZE && file != "/proc/sysrq-trigger", "{line}");
        assert_ne!(text, prize.trim(), "{line}");
    }
}

/// A volume over `/proc`, or over a part of it, keeps LSM labels from being written.
#[test]
fn cve_2019_16884_nothing_covers_proc() {
    for destination in
        ["/proc", "/proc/self/attr", "/proc/sys", "/proc/1", "/proc/self", "/link/self/attr", "/link"]
    {
        let runtime = Runtime::new();
        let fake = runtime.path("fake");
        std::fs::create_dir_all(fake.join("self/attr")).unwrap();
        let bundle = runtime.bundle("ls -d /proc/1/status", |config| bind(config, &fake, destination));
        link(&bundle, "link", "/proc");
        let error = run(&runtime, &bundle).failed();
        assert!(error.contains("/proc") || error.contains("proc"), "{destination}: {error}");
    }
}

/// The same by a tmpfs, and of libcontainer in its first year.
#[test]
fn cve_2015_3631_no_volume_over_proc() {
    for destination in ["/proc", "/proc/sys/kernel", "/proc/asound/../sys"] {
        let runtime = Runtime::new();
        let bundle = runtime.bundle("true", |config| {
            mount(config, json!({"destination": destination, "type": "tmpfs", "source": "tmpfs"}));
        });
        run(&runtime, &bundle).failed();
    }
}

/// Paths that the default template hides or makes read-only are so.
#[test]
fn cve_2015_3630_the_defaults_hide_the_host() {
    let runtime = Runtime::new();
    let template = template(&runtime);
    let script = "for f in /proc/kcore /proc/keys /proc/timer_list /proc/sched_debug; do [ -e $f ] && cat $f; done; \
        for f in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/irq/default_smp_affinity; do \
        { true >> $f; } 2>/dev/null && echo open $f; done; ls /sys/firmware /proc/acpi /proc/scsi 2>/dev/null | \
        while read l; do case $l in *:|'') ;; *) echo seen $l;; esac; done; true";
    let bundle = runtime.bundle(script, |config| {
        for key in ["maskedPaths", "readonlyPaths"] {
            config["linux"][key] = template["linux"][key].clone();
            assert!(config["linux"][key].as_array().unwrap().len() > 4);
        }
        config["mounts"] = template["mounts"].clone();
        config["process"]["capabilities"] = capabilities(&["CAP_SYS_ADMIN"]);
    });
    assert_eq!(run(&runtime, &bundle).ok(), "");
}

/// `/proc` of the image is a link to a folder that another container shows something else in.
#[test]
fn cve_2019_19921_proc_is_no_link() {
    links_of_the_image(&["proc"]);
}

/// The same, come back.
#[test]
fn cve_2023_27561_proc_is_no_link() {
    links_of_the_image(&["proc", "sys"]);
}

/// The same for LSM labels.
#[test]
fn cve_2023_28642_proc_is_no_link() {
    links_of_the_image(&["proc"]);
}

/// The same of youki.
#[test]
fn cve_2025_54867_neither_proc_nor_sys_is_a_link() {
    links_of_the_image(&["proc", "sys"]);
}

fn links_of_the_image(names: &[&str]) {
    for name in names {
        for target in ["/evil", "/evil/level1", "../evil"] {
            let runtime = Runtime::new();
            let bundle = runtime.bundle("echo ran", |config| {
                mount(
                    config,
                    json!({"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]}),
                );
            });
            std::fs::create_dir_all(bundle.join("rootfs/evil/level1")).unwrap();
            link(&bundle, name, target);
            let said = run(&runtime, &bundle);
            // crun and runc may mount it where the link leads; then everything else must be there, too.
            let error = said.failed();
            assert!(error.contains(name), "{name} -> {target}: {error}");
        }
    }
}

/// A masked path is covered by whatever the image calls `/dev/null`.
#[test]
fn cve_2025_31133_masking_by_the_images_null() {
    for target in [PRIZE, "/proc/sysrq-trigger", "/proc/self/mem"] {
        let runtime = Runtime::new();
        if runtime.leaves_out("runc 1.1 is what this was published of, and here does not even end") {
            return;
        }
        let bundle = images_dev(&runtime, TRY_TO_WRITE, |_| ());
        link(&bundle, "dev/null", target);
        nothing_gained(&runtime, &bundle);
        // A file in its place, and none at all.
        let bundle = images_dev(&runtime, TRY_TO_WRITE, |_| ());
        std::fs::write(bundle.join("rootfs/dev/null"), "").unwrap();
        nothing_gained(&runtime, &bundle);
        let own = runtime.path("dev");
        let _ = std::fs::create_dir(&own);
        let bundle = images_dev(&runtime, TRY_TO_WRITE, |config| bind(config, &own, "/dev"));
        nothing_gained(&runtime, &bundle);
    }
}

/// The same of youki: the hidden file shows.
#[test]
fn cve_2025_62161_a_masked_path_stays_masked() {
    let runtime = Runtime::new();
    let bundle = images_dev(&runtime, "[ -s /proc/keys ] && echo seen; head -c 1 /proc/timer_list", |_| ());
    link(&bundle, "dev/null", "/proc/keys");
    let said = run(&runtime, &bundle);
    assert!(said.out.is_empty(), "{}", said.out);
}

/// The console is bound over what the image calls `/dev/console`, or is taken from what it calls a terminal.
#[test]
fn cve_2025_52565_the_console_of_the_image() {
    for (name, target) in
        [("dev/console", PRIZE), ("dev/pts/0", PRIZE), ("dev/ptmx", PRIZE), ("dev/pts/ptmx", PRIZE)]
    {
        for own_pts in [true, false] {
            let runtime = Runtime::new();
            let bundle = images_dev(&runtime, "cat /proc/self/mountinfo", |config| {
                config["process"]["terminal"] = true.into();
                if own_pts {
                    mount(
                        config,
                        json!({"destination": "/dev/pts", "type": "devpts", "source": "devpts",
                        "options": ["newinstance", "ptmxmode=0666", "mode=0620"]}),
                    );
                }
            });
            link(&bundle, name, target);
            let said = run(&runtime, &bundle);
            for line in said.out.lines() {
                let point = line.split(' ').nth(4).unwrap_or_default();
                let kind = line.split(" - ").nth(1).unwrap_or_default();
                assert!(!(point.starts_with("/proc/") && kind.starts_with("devpts")), "{name}: {line}");
            }
        }
    }
}

/// What is written to a sysctl or an LSM attribute goes to the file of that name, whatever the container shows there.
#[test]
fn cve_2025_52881_writes_go_where_they_should() {
    const SYSCTL: &str = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
    let destinations = [
        "/proc/sys/net/ipv4/ip_unprivileged_port_start",
        "/proc/sys/net/ipv4",
        "/evil/ip_unprivileged_port_start",
    ];
    for destination in destinations {
        let runtime = Runtime::new();
        let sink = runtime.path("sink");
        let folder = destination == "/proc/sys/net/ipv4";
        match folder {
            true => std::fs::create_dir(&sink).unwrap(),
            false => std::fs::write(&sink, "").unwrap(),
        }
        let bundle = runtime.bundle(&format!("cat {SYSCTL}"), |config| {
            config["linux"]["sysctl"] = json!({"net.ipv4.ip_unprivileged_port_start": "7"});
            bind(config, &sink, destination);
        });
        link(&bundle, "evil", "/proc/sys/net/ipv4");
        let said = run(&runtime, &bundle);
        assert!(said.code != Some(0) || said.out == "7\n", "{destination}: {}", said.out);
        if !folder {
            assert_eq!(std::fs::read_to_string(&sink).unwrap(), "", "written by the runtime");
        }
    }
    let runtime = Runtime::new();
    let bundle = runtime.bundle(&format!("cat {SYSCTL}"), |config| {
        config["linux"]["sysctl"] = json!({"net.ipv4.ip_unprivileged_port_start": "7"});
    });
    assert_eq!(run(&runtime, &bundle).ok(), "7\n");
}

/// The same of youki, for the AppArmor label: it must fail where it can't be written, never be passed over.
#[test]
fn cve_2025_62596_a_label_is_written_or_refused() {
    let runtime = Runtime::new();
    let fake = runtime.path("fake");
    std::fs::create_dir(&fake).unwrap();
    std::fs::write(fake.join("exec"), "").unwrap();
    let bundle = runtime.bundle("cat /proc/self/attr/current", |config| {
        config["process"]["apparmorProfile"] = "no-such-profile-anywhere".into();
        bind(config, &fake, "/proc/self/attr");
    });
    run(&runtime, &bundle).failed();
    assert_eq!(std::fs::read_to_string(fake.join("exec")).unwrap(), "");
    if runtime.is_brig() {
        let bundle = runtime.bundle("true", |config| {
            config["process"]["apparmorProfile"] = "no-such-profile-anywhere".into();
        });
        run(&runtime, &bundle).failed();
    }
}

/// A value that sets more than the sysctl it is for, and names that climb.
#[test]
fn cve_2022_0811_a_sysctl_sets_itself_alone() {
    let before = std::fs::read_to_string(PRIZE).unwrap();
    for (name, value) in [
        ("kernel.shm_rmid_forced", "1+kernel.core_pattern=|/evil %P"),
        ("kernel.shm_rmid_forced", "1\nkernel.core_pattern=|/evil"),
        ("net.ipv4/../../kernel/core_pattern", "|/evil"),
        ("net/../kernel/core_pattern", "|/evil"),
        ("net.../kernel.core_pattern", "|/evil"),
        ("kernel.core_pattern", "|/evil"),
    ] {
        let runtime = Runtime::new();
        let bundle = runtime.bundle("true", |config| config["linux"]["sysctl"] = json!({name: value}));
        run(&runtime, &bundle);
        assert_eq!(std::fs::read_to_string(PRIZE).unwrap(), before, "{name}={value}");
    }
}
