//! Terminals of containers and of further processes.

use crate::fixture::{Fixture, Live, process, spec, wait};
use brig_runtime::{ConsoleSize, CreateOptions, InitProcess, Stdio};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

crate::cases![terminal, terminal_of_an_exec, size, reaper_in_a_terminal, no_devpts];

fn in_terminal(args: &[&str], change: Value) -> Value {
    let mut spec = spec(args, json!({"process": {"terminal": true}}));
    crate::fixture::merge(&mut spec, change);
    spec
}

/// Everything that comes out of a master until the other end is closed.
fn read_all(master: OwnedFd) -> String {
    let mut file = std::fs::File::from(master);
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    // A master whose slave is gone answers EIO.
    while let Ok(n @ 1..) = file.read(&mut buffer) {
        text.extend_from_slice(&buffer[..n]);
    }
    String::from_utf8_lossy(&text).replace("\r\n", "\n")
}

const LOOK: &str =
    "tty; stat -c '%u %t' $(tty); ls -l /dev/console | head -c 1; stat -c ' %t,%T' /dev/console;
    stat -c %t,%T $(tty); echo to the terminal >/dev/tty; echo to the console >/dev/console;
    set -- $(cat /proc/self/stat); echo $6 $7 $8";

fn terminal(dir: &Path) {
    let f = Fixture::new(dir);
    let user = json!({"process": {"user": {"uid": 1000, "gid": 1000}}});
    let mut created = f.create(&in_terminal(&["sh", "-c", LOOK], user)).unwrap();
    let master = created.terminal().unwrap();
    assert!(created.terminal().is_none(), "once");
    let live = Live { running: created.start().unwrap() };
    let shown = read_all(master);
    assert_eq!(live.wait(), 0);
    let number = rustix::fs::makedev(136, 0);
    assert!(
        shown.starts_with("/dev/pts/0\n1000 88\nc 88,0\n88,0\nto the terminal\nto the console\n1 34816 "),
        "{shown} {number}"
    );
}

fn terminal_of_an_exec(dir: &Path) {
    let f = Fixture::new(dir);
    let live = f.start(&spec(&["sleep", "1000"], json!({})));
    let mut process = process(&["sh", "-c", "tty; read x; echo got $x; exit 3"]);
    process["terminal"] = json!(true);
    process["consoleSize"] = json!({"height": 33, "width": 99});
    let mut execed = live.exec(&process, Stdio::Terminal).unwrap();
    let master = execed.terminal.take().unwrap();
    std::fs::File::from(master.try_clone().unwrap()).write_all(b"hello\n").unwrap();
    assert_eq!(rustix::termios::tcgetwinsize(&master).unwrap().ws_col, 99);
    let shown = read_all(master);
    assert!(shown.contains("/dev/pts/0") && shown.contains("got hello"), "{shown}");
    assert_eq!(wait(execed.pidfd.as_fd()), 3);
    // Contradictions are refused.
    assert!(live.exec(&process, f.streams()).is_err());
}

fn size(dir: &Path) {
    let f = Fixture::new(dir);
    let spec = serde_json::from_value(in_terminal(&["stty", "size"], json!({}))).unwrap();
    let mut created = brig_runtime::create(CreateOptions {
        spec: &spec,
        rootfs: &f.rootfs,
        stdio: Stdio::Terminal,
        join: vec![],
        network_later: None,
        seccomp: None,
        cgroup: brig_runtime::CgroupOptions::Inherit,
        init: InitProcess::Program,
        console_size: Some(ConsoleSize { rows: 41, columns: 123 }),
        departures: brig_runtime::Departures::default(),
        hooks: None,
    })
    .unwrap();
    let master = created.terminal().unwrap();
    let live = Live { running: created.start().unwrap() };
    assert_eq!(read_all(master), "41 123\n");
    assert_eq!(live.wait(), 0);
}

fn reaper_in_a_terminal(dir: &Path) {
    let f = Fixture::new(dir);
    let script = "trap 'echo interrupted; exit 7' INT; echo ready; sleep 1000 & wait";
    let mut created =
        f.create_as(&in_terminal(&["sh", "-c", script], json!({})), InitProcess::Reaper).unwrap();
    let master = created.terminal().unwrap();
    let live = Live { running: created.start().unwrap() };
    let mut file = std::fs::File::from(master.try_clone().unwrap());
    let mut buffer = [0; 64];
    let n = file.read(&mut buffer).unwrap();
    assert!(buffer[..n].starts_with(b"ready"));
    // Control-C: the program is in the foreground.
    file.write_all(b"\x03").unwrap();
    let shown = read_all(master);
    assert!(shown.contains("interrupted"), "{shown}");
    assert_eq!(live.wait(), 7);
}

fn no_devpts(dir: &Path) {
    let f = Fixture::new(dir);
    let none = json!({"mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}]});
    let error = f.create(&in_terminal(&["true"], none)).unwrap_err();
    assert_eq!(error.to_string(), "open /dev/pts/ptmx: no such file or directory");
}
