//! What every container has: its program, user, files, namespaces, limits, exit code.

use crate::fixture::{Fixture, spec};
use brig_runtime::{Error, ExecFailure, InitProcess};
use serde_json::json;
use std::path::Path;

crate::cases![
    echo,
    exit_codes,
    not_found,
    not_executable,
    user_and_groups,
    capabilities,
    namespaces,
    hostname,
    devices,
    working_folder,
    home,
    umask,
    limits,
    oom_score,
    sysctls,
    read_only_root,
    many_layers,
    directory_root,
    undone_on_error,
    created_and_dropped,
    ends_with_its_maker,
    broken_off_at_any_step,
    reaper,
    reaper_signals,
    signals_are_reset,
    privileged_leftovers,
];

fn echo(dir: &Path) {
    let f = Fixture::new(dir);
    let ended = f.run(&spec(&["echo", "hello", "world"], json!({}))).unwrap();
    assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (0, "hello world\n", ""));
    assert_eq!(ended.warnings, Vec::<String>::new());
}

fn exit_codes(dir: &Path) {
    let f = Fixture::new(dir);
    assert_eq!(f.run(&spec(&["sh", "-c", "exit 7"], json!({}))).unwrap().code, 7);
    assert_eq!(f.run(&spec(&["false"], json!({}))).unwrap().code, 1);
    // Process 1 can't kill itself but by what it has a handler for; its child can.
    assert_eq!(f.run(&spec(&["sh", "-c", "sh -c 'kill -9 $$'; exit $?"], json!({}))).unwrap().code, 137);
}

fn not_found(dir: &Path) {
    let f = Fixture::new(dir);
    for (program, words) in [
        ("nosuch", "exec: \"nosuch\": executable file not found in $PATH"),
        ("/nosuch", "exec: \"/nosuch\": stat /nosuch: no such file or directory"),
        ("./nosuch", "exec: \"./nosuch\": stat ./nosuch: no such file or directory"),
    ] {
        let error = f.create(&spec(&[program], json!({}))).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.exit_code()), (words, 127));
    }
    // The interpreter of a script is missed by execve itself.
    std::fs::write(f.image().join("script"), "#!/no/interpreter\n").unwrap();
    chmod(&f.image().join("script"), 0o755);
    let error = f.create(&spec(&["/script"], json!({}))).unwrap().start().unwrap_err();
    assert_eq!(error.to_string(), "exec /script: no such file or directory");
    assert_eq!(error.exit_code(), 127);
}

fn not_executable(dir: &Path) {
    let f = Fixture::new(dir);
    std::fs::write(f.image().join("plain"), "x").unwrap();
    std::fs::write(f.image().join("junk"), "not a program").unwrap();
    chmod(&f.image().join("junk"), 0o755);
    let error = f.create(&spec(&["/plain"], json!({}))).unwrap_err();
    assert_eq!((error.to_string().as_str(), error.exit_code()), ("exec: \"/plain\": permission denied", 126));
    let error = f.create(&spec(&["/etc"], json!({}))).unwrap_err();
    assert_eq!((error.to_string().as_str(), error.exit_code()), ("exec: \"/etc\": is a directory", 126));
    let error = f.create(&spec(&["/junk"], json!({}))).unwrap().start().unwrap_err();
    assert_eq!((error.to_string().as_str(), error.exit_code()), ("exec /junk: exec format error", 126));
    // Not for this user. With CAP_DAC_OVERRIDE in force it would be, as the kernel has it.
    chmod(&f.image().join("junk"), 0o700);
    let user = json!({"process": {"user": {"uid": 1000, "gid": 1000}, "capabilities": {"effective": []}}});
    let error = f.create(&spec(&["/junk"], user)).unwrap_err();
    assert!(matches!(error, Error::Exec(ExecFailure::Permission(_))), "{error}");
}

fn chmod(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn user_and_groups(dir: &Path) {
    let f = Fixture::new(dir);
    let user = json!({"process": {"user": {"uid": 1000, "gid": 1000, "additionalGids": [1000, 7, 8]}}});
    assert_eq!(f.sh("id -u; id -g; id -G", user), "1000\n1000\n1000 7 8\n");
    assert_eq!(f.sh("id -G", json!({})), "0 10\n");
    // The standard streams are the user's, to be opened again.
    let user = json!({"process": {"user": {"uid": 1000, "gid": 1000}}});
    assert_eq!(f.sh("echo again >/dev/stdout; echo fine >&2", user), "again\n");
}

fn capabilities(dir: &Path) {
    let f = Fixture::new(dir);
    let show = "grep ^Cap /proc/self/status | tr -d '\\t'";
    assert_eq!(
        f.sh(show, json!({})),
        "CapInh:0000000000000000\nCapPrm:00000000a80425fb\nCapEff:00000000a80425fb\nCapBnd:00000000a80425fb\n\
         CapAmb:0000000000000000\n"
    );
    let user = json!({"process": {"user": {"uid": 1000, "gid": 1000}}});
    let shown = f.sh(show, user);
    assert!(
        shown.contains("CapPrm:0000000000000000\nCapEff:0000000000000000\nCapBnd:00000000a80425fb"),
        "{shown}"
    );
    let net = ["CAP_NET_BIND_SERVICE"];
    let ambient = json!({"process": {
        "user": {"uid": 1000, "gid": 1000},
        "capabilities": {"inheritable": net, "ambient": net},
    }});
    let shown = f.sh(show, ambient);
    assert!(
        shown.contains("CapEff:0000000000000400") && shown.contains("CapAmb:0000000000000400"),
        "{shown}"
    );
    let none = json!({"process": {"capabilities": null, "noNewPrivileges": true}});
    let shown = f.sh(&format!("{show}; grep NoNewPrivs /proc/self/status"), none);
    assert!(shown.contains("CapBnd:0000000000000000") && shown.contains("NoNewPrivs:\t1"), "{shown}");
}

fn namespaces(dir: &Path) {
    let f = Fixture::new(dir);
    let inside = f.sh(
        "for n in mnt pid net ipc uts cgroup user; do readlink /proc/self/ns/$n; done; echo $$",
        json!({}),
    );
    let inside: Vec<&str> = inside.lines().collect();
    for (i, name) in ["mnt", "pid", "net", "ipc", "uts", "cgroup"].into_iter().enumerate() {
        let own = std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        assert_ne!(own.to_str().unwrap(), inside[i]);
    }
    let own = std::fs::read_link("/proc/self/ns/user").unwrap();
    assert_eq!(own.to_str().unwrap(), inside[6]);
    assert_eq!(inside[7], "1");
    assert_eq!(
        f.sh("cat /sys/class/net/lo/operstate; ls /sys/class/net", json!({})),
        "unknown\nlo\n",
        "lo is up"
    );
    // Joined by path, and the host's when not named.
    let join = json!({"hostname": "", "linux": {"namespaces": [
        {"type": "mount"}, {"type": "pid", "path": "/proc/self/ns/pid"}, {"type": "ipc", "path": "/proc/self/ns/ipc"}]}});
    let shown =
        f.sh("readlink /proc/self/ns/pid; readlink /proc/self/ns/ipc; readlink /proc/self/ns/net", join);
    let own =
        |n: &str| std::fs::read_link(format!("/proc/self/ns/{n}")).unwrap().to_str().unwrap().to_owned();
    assert_eq!(shown, format!("{}\n{}\n{}\n", own("pid"), own("ipc"), own("net")));
}

fn hostname(dir: &Path) {
    let f = Fixture::new(dir);
    let before = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let names = json!({"domainname": "example"});
    assert_eq!(f.sh("hostname; cat /proc/sys/kernel/domainname", names), "box\nexample\n");
    assert_eq!(std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap(), before);
}

fn devices(dir: &Path) {
    let f = Fixture::new(dir);
    let extra = json!({"linux": {"devices": [
        {"path": "/dev/deep/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o640, "uid": 7, "gid": 8},
        {"path": "/dev/pipe", "type": "p", "fileMode": 0o622}]}});
    let shown = f.sh(
        "cd /dev; stat -c '%n %a %u %g %t,%T %F' null zero full random urandom tty deep/fuse pipe;
         for l in fd stdin stdout stderr ptmx core; do echo $l $(readlink $l); done; ls | sort | tr '\\n' ' '",
        extra,
    );
    for line in [
        "null 666 0 0 1,3 character special file",
        "zero 666 0 0 1,5 character special file",
        "full 666 0 0 1,7 character special file",
        "random 666 0 0 1,8 character special file",
        "urandom 666 0 0 1,9 character special file",
        "tty 666 0 0 5,0 character special file",
        "deep/fuse 640 7 8 a,e5 character special file",
        "pipe 622 0 0 0,0 fifo",
        "fd /proc/self/fd",
        "stdin /proc/self/fd/0",
        "stdout /proc/self/fd/1",
        "stderr /proc/self/fd/2",
        "ptmx pts/ptmx",
        if Path::new("/proc/kcore").exists() { "core /proc/kcore" } else { "core\n" },
    ] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
}

fn working_folder(dir: &Path) {
    let f = Fixture::new(dir);
    assert_eq!(f.sh("pwd", json!({"process": {"cwd": "/made/for/it"}})), "/made/for/it\n");
    assert_eq!(f.sh("pwd", json!({"process": {"cwd": "/../../tmp"}})), "/tmp\n");
    let error = f.create(&spec(&["true"], json!({"process": {"cwd": "/etc/passwd"}}))).unwrap_err();
    assert!(error.to_string().contains("not a directory"), "{error}");
    // Closed to root without rights, open to the user.
    std::fs::create_dir(f.image().join("private")).unwrap();
    std::os::unix::fs::chown(f.image().join("private"), Some(1000), Some(1000)).unwrap();
    chmod(&f.image().join("private"), 0o700);
    let user = json!({"process": {"cwd": "/private", "user": {"uid": 1000, "gid": 1000}}});
    assert_eq!(f.sh("pwd", user), "/private\n");
}

fn home(dir: &Path) {
    let f = Fixture::new(dir);
    let home = |uid: u32, env: &[&str]| {
        let user = json!({"process": {"user": {"uid": uid, "gid": 0}, "env": env}});
        f.run(&spec(&["/bin/sh", "-c", "echo $HOME"], user)).unwrap().out
    };
    assert_eq!(home(0, &[]), "/root\n");
    assert_eq!(home(1000, &[]), "/home/app\n");
    assert_eq!(home(4711, &[]), "/\n");
    assert_eq!(home(0, &["HOME=/x"]), "/x\n");
    assert_eq!(home(0, &["HOME="]), "/root\n");
    // A passwd that is a pipe or leads elsewhere does not hang and does not lead out.
    let passwd = f.image().join("etc/passwd");
    std::fs::remove_file(&passwd).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &passwd, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .unwrap();
    assert_eq!(home(0, &[]), "/\n");
}

fn umask(dir: &Path) {
    let f = Fixture::new(dir);
    let show = "grep Umask /proc/self/status";
    assert_eq!(f.sh(show, json!({})), "Umask:\t0022\n");
    let user = json!({"process": {"user": {"uid": 0, "gid": 0, "umask": 0o077}}});
    assert_eq!(f.sh(show, user), "Umask:\t0077\n");
}

fn limits(dir: &Path) {
    let f = Fixture::new(dir);
    let limits = |soft: u64, hard: u64| json!({"process": {"rlimits": [{"type": "RLIMIT_NOFILE", "soft": soft, "hard": hard}]}});
    let shell = ["sh", "-c", "ulimit -Sn; ulimit -Hn"];
    let ended = f.run(&spec(&shell, limits(100, 200))).unwrap();
    assert_eq!((ended.out.as_str(), ended.warnings.len()), ("100\n200\n", 0));
    // More than any kernel allows: what there is, and one warning.
    let ended = f.run(&spec(&shell, limits(1 << 40, 1 << 40))).unwrap();
    assert_eq!(ended.code, 0);
    assert_eq!(ended.warnings.len(), 1, "{:?}", ended.warnings);
    assert!(ended.warnings[0].starts_with("RLIMIT_NOFILE: 1099511627776:1099511627776 can't be set"));
}

fn oom_score(dir: &Path) {
    let f = Fixture::new(dir);
    assert_eq!(f.sh("cat /proc/self/oom_score_adj", json!({"process": {"oomScoreAdj": 500}})), "500\n");
    let ended = f.run(&spec(&["true"], json!({"process": {"oomScoreAdj": -999}}))).unwrap();
    let may = std::fs::read_to_string("/proc/self/status").unwrap();
    let effective = may.lines().find_map(|l| l.strip_prefix("CapEff:\t")).unwrap();
    let may_lower = u64::from_str_radix(effective, 16).unwrap() & 1 << 24 != 0;
    assert_eq!(ended.warnings.is_empty(), may_lower, "{:?}", ended.warnings);
}

fn sysctls(dir: &Path) {
    let f = Fixture::new(dir);
    let set = json!({"linux": {"sysctl": {"net.ipv4.ip_forward": "1", "kernel.shmmax": "12345"}}});
    assert_eq!(f.sh("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmax", set), "1\n12345\n");
    let bad = json!({"linux": {"sysctl": {"net.ipv4.no_such_thing": "1"}}});
    let error = f.create(&spec(&["true"], bad)).unwrap_err();
    assert_eq!(error.to_string(), "open /proc/sys/net/ipv4/no_such_thing: no such file or directory");
}

fn read_only_root(dir: &Path) {
    let f = Fixture::new(dir);
    let read_only = json!({"root": {"path": "", "readonly": true}, "process": {"cwd": "/made"}});
    assert_eq!(f.sh("touch /x 2>/dev/null && echo written; touch /dev/shm/x && pwd", read_only), "/made\n");
}

fn many_layers(dir: &Path) {
    let mut f = Fixture::new(dir);
    let mut lower = Vec::new();
    for i in 0..127 {
        // Long names, so that all layers together exceed a page.
        let layer = dir.join(format!("layer-{i:03}-{}", "x".repeat(60)));
        std::fs::create_dir_all(layer.join("layers")).unwrap();
        std::fs::write(layer.join(format!("layers/{i}")), "").unwrap();
        std::fs::write(layer.join("top"), i.to_string()).unwrap();
        lower.push(layer);
    }
    lower.push(f.image());
    f.rootfs = brig_core::RootFs::Overlay {
        lower,
        upper: dir.join("upper"),
        work: dir.join("work"),
        volatile: false,
    };
    assert_eq!(f.sh("ls /layers | wc -l; cat /top", json!({})), "127\n0");
}

fn directory_root(dir: &Path) {
    let mut f = Fixture::new(dir);
    f.rootfs = brig_core::RootFs::Directory { path: f.image() };
    assert_eq!(
        f.sh("echo made >/file; ls /", json!({})),
        "bin\ndev\netc\nfile\nhome\nproc\nroot\nsys\ntmp\n"
    );
    assert_eq!(std::fs::read_to_string(f.image().join("file")).unwrap(), "made\n");
}

fn undone_on_error(dir: &Path) {
    let f = Fixture::new(dir);
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let open = open_descriptors();
    for change in [
        json!({"+mounts": [{"destination": "/x", "type": "bind", "source": "/no/such", "options": ["rbind"]}]}),
        json!({"+mounts": [{"destination": "/x", "type": "nosuchfs", "source": "x"}]}),
        json!({"process": {"args": ["nosuch"]}}),
        json!({"linux": {"sysctl": {"net.none": "1"}}}),
        json!({"process": {"user": {"uid": u32::MAX, "gid": 0}}}),
    ] {
        f.create(&spec(&["true"], change)).unwrap_err();
    }
    assert_eq!(std::fs::read_to_string("/proc/self/mountinfo").unwrap(), mounts);
    assert_eq!(open_descriptors(), open);
    assert_eq!(children(), "", "no child is left");
}

fn created_and_dropped(dir: &Path) {
    let f = Fixture::new(dir);
    let open = open_descriptors();
    let created = f.create(&spec(&["sleep", "100"], json!({}))).unwrap();
    let pid = created.pid();
    assert!(Path::new(&format!("/proc/{pid}")).exists());
    drop(created);
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "killed and reaped");
    assert_eq!(open_descriptors(), open);
}

/// A maker that is killed before the start leaves no process behind.
fn ends_with_its_maker(dir: &Path) {
    let f = Fixture::new(dir);
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    // SAFETY: the process has one thread.
    let maker = unsafe { libc::fork() };
    if maker == 0 {
        let created = f.create(&spec(&["sleep", "1000"], json!({}))).unwrap();
        rustix::io::write(&write, &created.pid().to_ne_bytes()).unwrap();
        loop {
            // SAFETY: takes nothing, touches nothing.
            unsafe { libc::pause() };
        }
    }
    let mut pid = [0; 4];
    assert_eq!(rustix::io::read(&read, &mut pid), Ok(4));
    let pid = rustix::process::Pid::from_raw(i32::from_ne_bytes(pid)).unwrap();
    let container = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
    // SAFETY: takes integers; the maker is our child and not reaped yet.
    unsafe { libc::kill(maker, libc::SIGKILL) };
    let mut ended = [rustix::event::PollFd::new(&container, rustix::event::PollFlags::IN)];
    assert_eq!(rustix::event::poll(&mut ended, None), Ok(1));
}

/// An error between any two steps leaves nothing.
fn broken_off_at_any_step(dir: &Path) {
    let name = format!("brig-runtime-test-{}-broken", std::process::id());
    let f = Fixture::new(dir);
    // Which failpoints are set is read once a process, hence the forks.
    for point in ["runtime.cgroup", "runtime.cloned", "runtime.start"] {
        // SAFETY: the process has one thread.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            // SAFETY: as above.
            unsafe { std::env::set_var("BRIG_FAILPOINTS", format!("{point}=error")) };
            let cgroup = brig_runtime::CgroupOptions::New(format!("/{name}").into());
            let made = f.create_in(&spec(&["true"], json!({})), InitProcess::Program, cgroup);
            let error = made.and_then(|created| created.start().map(drop)).unwrap_err();
            assert!(error.to_string().contains(point), "{error}");
            assert_eq!(children(), "");
            std::process::exit(0);
        }
        let mut status = 0;
        // SAFETY: status outlives the call.
        unsafe { libc::waitpid(pid, &raw mut status, 0) };
        assert_eq!(status, 0, "{point}");
        for group in std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
            assert!(!group.path().join(&name).exists(), "{point}: {group:?}");
        }
    }
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn children() -> String {
    std::fs::read_to_string(format!("/proc/self/task/{}/children", std::process::id())).unwrap()
}

fn reaper(dir: &Path) {
    let f = Fixture::new(dir);
    let run = |script: &str| f.run_as(&spec(&["sh", "-c", script], json!({})), InitProcess::Reaper).unwrap();
    assert_eq!(run("exit 9").code, 9);
    assert_eq!(run("kill -KILL $$").code, 137, "the program is not process 1");
    // Orphans are reaped while the program runs: or this would never end.
    let script = "(sh -c 'echo $$ >/tmp/pid' &); until [ -s /tmp/pid ]; do :; done;
        while [ -e /proc/$(cat /tmp/pid) ]; do :; done; cat /proc/1/comm";
    assert_eq!(run(script).out, "brig-init\n");
    // What can't be executed is told by start.
    let error = f.create_as(&spec(&["/etc/passwd"], json!({})), InitProcess::Reaper).unwrap_err();
    assert_eq!(error.exit_code(), 126);
    std::fs::write(f.image().join("junk"), "junk").unwrap();
    chmod(&f.image().join("junk"), 0o755);
    let created = f.create_as(&spec(&["/junk"], json!({})), InitProcess::Reaper).unwrap();
    assert_eq!(created.start().unwrap_err().to_string(), "exec /junk: exec format error");
    assert_eq!(children(), "");
}

fn reaper_signals(dir: &Path) {
    let f = Fixture::new(dir);
    // Standard output is a pipe, to be read as it comes. Open for both, so that neither side waits for the other.
    let cwd = rustix::fs::CWD;
    rustix::fs::mknodat(cwd, dir.join("stdout"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
        .unwrap();
    let mut out = std::fs::OpenOptions::new().read(true).write(true).open(dir.join("stdout")).unwrap();
    let mut read = || {
        let mut buffer = [0; 64];
        let n = std::io::Read::read(&mut out, &mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    };
    let script = "trap 'echo got; exit 3' TERM; echo ready; sleep 1000 & wait";
    let created = f.create_as(&spec(&["sh", "-c", script], json!({})), InitProcess::Reaper).unwrap();
    let live = crate::fixture::Live { running: created.start().unwrap() };
    assert_eq!(read(), "ready\n");
    live.signal(rustix::process::Signal::TERM);
    assert_eq!((live.wait(), read()), (3, "got\n".to_owned()));
    // One that the program does not handle ends it, and process 1 with 128+n.
    let created = f.create_as(&spec(&["sleep", "100"], json!({})), InitProcess::Reaper).unwrap();
    let live = crate::fixture::Live { running: created.start().unwrap() };
    live.signal(rustix::process::Signal::HUP);
    assert_eq!(live.wait(), 129);
}

fn signals_are_reset(dir: &Path) {
    let f = Fixture::new(dir);
    // Rust ignores SIGPIPE, and a shim may block what it likes.
    let shown = f.sh("grep -E '^Sig(Blk|Ign)' /proc/self/status | tr -d '\\t'", json!({}));
    assert_eq!(shown, "SigBlk:0000000000000000\nSigIgn:0000000000000000\n");
}

fn privileged_leftovers(dir: &Path) {
    // What the program can see of us: session, keyring, parent.
    let f = Fixture::new(dir);
    let shown = f.sh(
        "cut() { :; }; set -- $(cat /proc/self/stat); echo $4 $6; cat /proc/1/environ | tr '\\0' '\\n'",
        json!({}),
    );
    assert!(shown.starts_with("1 1\n"), "{shown}");
    assert!(!shown.contains("BRIG_RUNTIME_CASE"), "the maker's environment does not show: {shown}");
}
