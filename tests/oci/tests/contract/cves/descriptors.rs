//! Descriptors that lead out of the container.

use super::canary;
use brig_oci_contract::{Runtime, Said};
use serde_json::json;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;

/// Numbers at which the caller has a folder of the host's open, not close-on-exec.
const NUMBERS: std::ops::Range<i32> = 3..12;

/// Calls the runtime as a careless caller does.
fn call_with_leaks(runtime: &Runtime, folder: &Path, args: &[&std::ffi::OsStr]) -> Said {
    let folder = rustix::io::fcntl_dupfd_cloexec(File::open(folder).unwrap(), 100).unwrap();
    let mut command = runtime.command();
    command.args(args);
    // SAFETY: dup2 is async-signal-safe, and the folder outlives the closure.
    unsafe {
        command.pre_exec(move || {
            for number in NUMBERS {
                if libc::dup2(folder.as_raw_fd(), number) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
    Said::from(command.output().unwrap())
}

/// A working folder that is a descriptor which the runtime, or its caller, left open.
#[test]
fn cve_2024_21626_the_working_folder() {
    let runtime = Runtime::new();
    let canary = canary(&runtime);
    for number in NUMBERS {
        for path in [
            format!("/proc/self/fd/{number}"),
            format!("/proc/thread-self/fd/{number}/../canary"),
            "/link".into(),
        ] {
            let bundle = runtime.bundle("cat secret; cat ../canary/secret; ls ..", |config| {
                config["process"]["cwd"] = json!(path)
            });
            super::link(&bundle, "link", format!("/proc/self/fd/{number}"));
            let args = ["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()];
            let said = call_with_leaks(&runtime, &canary, &args);
            assert!(!said.out.contains("secret") && !said.out.contains("canary"), "{path}: {}", said.out);
        }
    }
}

/// The same for a process that joins: the container made the link.
#[test]
fn cve_2024_21626_the_working_folder_of_exec() {
    let runtime = Runtime::new();
    let canary = canary(&runtime);
    let bundle = runtime.bundle("exec sleep 1000", |_| ());
    for number in NUMBERS {
        super::link(&bundle, &format!("link{number}"), format!("/proc/self/fd/{number}"));
    }
    runtime.start("c", &bundle);
    for number in NUMBERS {
        for cwd in [format!("/proc/self/fd/{number}"), format!("/link{number}")] {
            let args = ["exec", "--cwd", &cwd, "c", "sh", "-c", "cat secret; ls .."].map(AsRef::as_ref);
            let said = call_with_leaks(&runtime, &canary, &args);
            assert!(!said.out.contains("secret") && !said.out.contains("canary"), "{cwd}: {}", said.out);
        }
    }
    runtime.call(["delete", "--force", "c"]).ok();
}

/// The program itself through such a descriptor.
#[test]
fn cve_2024_21626_the_program() {
    let runtime = Runtime::new();
    let canary = canary(&runtime);
    std::fs::copy("/bin/busybox", runtime.path("busybox")).unwrap();
    for number in NUMBERS {
        let program = format!("/proc/self/fd/{number}/../busybox");
        let bundle =
            runtime.bundle("", |config| config["process"]["args"] = json!([program, "echo", "escaped"]));
        let args = ["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()];
        let said = call_with_leaks(&runtime, &canary, &args);
        assert!(!said.out.contains("escaped"), "{program}");
        assert_ne!(said.code, Some(0));
    }
}

/// A descriptor that was opened before the root was changed is the program's to use.
#[test]
fn cve_2015_3627_none_is_left_open() {
    let runtime = Runtime::new();
    let canary = canary(&runtime);
    let bundle =
        runtime.bundle("ls /proc/self/fd; for f in /proc/1/fd/*; do cat $f/secret 2>/dev/null; done", |_| ());
    let args = ["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()];
    let said = call_with_leaks(&runtime, &canary, &args);
    // The fourth is of `ls` itself.
    assert_eq!(said.out, "0\n1\n2\n3\n", "{}", said.err);
}

/// A supervisor that listens on an abstract socket can be reached from a container in the host's network namespace.
#[test]
fn cve_2020_15257_nothing_listens_on_an_abstract_socket() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle("exec sleep 1000", |config| {
        config["linux"]["namespaces"].as_array_mut().unwrap().retain(|n| n["type"] != "network");
    });
    runtime.call(["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]).ok();
    let pid = runtime.state("c")["pid"].to_string();
    let mut own = Vec::new();
    for fd in std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
        let target = std::fs::read_link(fd.unwrap().path()).unwrap_or_default();
        let target = target.to_string_lossy().into_owned();
        own.extend(target.strip_prefix("socket:[").and_then(|t| t.strip_suffix(']')).map(str::to_owned));
    }
    let all = std::fs::read_to_string("/proc/net/unix").unwrap();
    for line in all.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_own = fields.get(6).is_some_and(|inode| own.iter().any(|o| o == inode));
        assert!(!is_own || !fields.get(7).is_some_and(|path| path.starts_with('@')), "{line}");
    }
    runtime.call(["start", "c"]).ok();
    runtime.call(["delete", "--force", "c"]).ok();
}

/// What the runtime keeps of a container is nobody else's to read or to replace.
#[test]
fn cve_2021_41103_state_folders_are_closed() {
    use std::os::unix::fs::PermissionsExt;
    let runtime = Runtime::new();
    runtime.start("c", &runtime.bundle("exec sleep 1000", |_| ()));
    let folder = runtime.path("state").join("c");
    let mode = std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode & 0o066, 0, "{mode:o}");
    for file in std::fs::read_dir(&folder).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        // runc's files are 0644 in a folder of 0711.
        assert!(
            mode & 0o022 == 0 && (mode & 0o044 == 0 || !runtime.is_brig()),
            "{:?} {mode:o}",
            file.file_name()
        );
    }
    runtime.call(["delete", "--force", "c"]).ok();
}
