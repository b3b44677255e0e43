//! Terminals, signals and descriptors.

use brig_oci_contract::Runtime;
use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;

#[test]
fn the_terminals_master_goes_to_the_console_socket() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle("tty", |config| config["process"]["terminal"] = true.into());
    let create = ["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str()];
    let said = runtime.call(create.iter().copied().chain(["c".as_ref()]));
    assert!(said.failed().contains("console socket"));
    let console = runtime.console("console");
    let args = ["--console-socket".as_ref(), console.path().as_os_str(), "c".as_ref()];
    runtime.call(create.into_iter().chain(args)).ok();
    let mut master = console.receive();
    runtime.call(["start", "c"]).ok();
    let mut text = Vec::new();
    // Ends with EIO when the program has gone.
    let _ = master.read_to_end(&mut text);
    assert_eq!(String::from_utf8_lossy(&text), "/dev/pts/0\r\n");
    runtime.await_status("c", "stopped");
    runtime.call(["delete", "c"]).ok();
}

/// The size is the terminal's from the first moment, for the first process and for later ones.
#[test]
fn the_terminal_has_the_size_that_was_asked_for() {
    let runtime = Runtime::new();
    let size = serde_json::json!({"height": 33, "width": 123});
    let bundle = runtime.bundle("busybox stty size; read word; exec sleep 1000", |config| {
        config["process"]["terminal"] = true.into();
        config["process"]["consoleSize"] = size.clone();
    });
    let console = runtime.console("console");
    let create = ["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "--console-socket".as_ref()];
    runtime.call(create.into_iter().chain([console.path().as_os_str(), "c".as_ref()])).ok();
    let mut master = console.receive();
    runtime.call(["start", "c"]).ok();
    let mut text = [0; 8];
    master.read_exact(&mut text).unwrap();
    assert_eq!(String::from_utf8_lossy(&text), "33 123\r\n");
    let file = runtime.path("process.json");
    let process = serde_json::json!({"user": {"uid": 0, "gid": 0}, "args": ["busybox", "stty", "size"], "cwd": "/",
        "env": ["PATH=/bin"], "terminal": true, "consoleSize": {"height": 7, "width": 8}});
    std::fs::write(&file, process.to_string()).unwrap();
    let exec = ["exec".as_ref(), "--process".as_ref(), file.as_os_str(), "--console-socket".as_ref()];
    runtime.call(exec.into_iter().chain([console.path().as_os_str(), "c".as_ref()])).ok();
    let mut text = Vec::new();
    let _ = console.receive().read_to_end(&mut text);
    assert_eq!(String::from_utf8_lossy(&text), "7 8\r\n");
    runtime.call(["delete", "--force", "c"]).ok();
}

#[test]
fn run_hands_signals_on() {
    let runtime = Runtime::new();
    let bundle =
        runtime.bundle("trap 'echo got; exit 4' USR1; echo ready; while :; do sleep 0.1; done", |_| ());
    let mut child = runtime.spawn(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]);
    let mut out = child.stdout.take().unwrap();
    let mut ready = [0; 6];
    out.read_exact(&mut ready).unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::USR1).unwrap();
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert_eq!((rest.as_str(), child.wait().unwrap().code()), ("got\n", Some(4)));
}

#[test]
fn no_descriptor_of_the_caller_but_those_to_preserve() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle("ls /proc/self/fd; cat <&3", |_| ());
    let kept = runtime.path("kept");
    std::fs::write(&kept, "kept\n").unwrap();
    let run = |preserve: &str| {
        let mut command = runtime.command();
        command.arg("run").args(["--preserve-fds", preserve, "--bundle"]).arg(&bundle).arg("c");
        // Out of the way of what they become.
        let open =
            |path: &std::path::Path| rustix::io::fcntl_dupfd_cloexec(File::open(path).unwrap(), 200).unwrap();
        let (file, secret) = (open(&kept), open("/etc/passwd".as_ref()));
        // SAFETY: dup2 is async-signal-safe; both files outlive the closure.
        unsafe {
            command.pre_exec(move || {
                use std::os::fd::AsRawFd;
                for (from, to) in [(&secret, 10), (&file, 3)] {
                    if libc::dup2(from.as_raw_fd(), to) < 0 {
                        return Err(std::io::Error::last_os_error());
                    }
                }
                Ok(())
            });
        }
        brig_oci_contract::Said::from(command.output().unwrap())
    };
    let said = run("1");
    // The fourth is of `ls` itself.
    assert_eq!(said.out, "0\n1\n2\n3\n4\nkept\n", "{}", said.err);
    let said = run("0");
    assert!(!said.out.contains("kept") && !said.out.contains("10"), "{}", said.out);
}

/// Who reads a terminal's output by a pipe finds lines as the program wrote them.
#[test]
fn a_relayed_terminal_adds_no_carriage_returns() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle("echo a; echo b", |config| config["process"]["terminal"] = true.into());
    let child = runtime.spawn(["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), "c".as_ref()]);
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "a\nb\n");
}
