//! Further processes in a running container.

use crate::fixture::{Fixture, process, spec, wait};
use brig_runtime::{Error, NetworkLater, Stdio};
use serde_json::{Value, json};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

crate::cases![
    runs_inside,
    own_user_and_rights,
    exec_failures,
    no_such_folder,
    container_that_is_gone,
    host_pid_namespace,
    seccomp_applies,
    children_stay_home,
    nothing_leaks_into_an_exec,
    joined_by_descriptor,
    joined_later,
    beside_a_reaper,
];

fn with(args: &[&str], change: Value) -> Value {
    let mut process = process(args);
    crate::fixture::merge(&mut process, change);
    process
}

fn sleeper(f: &Fixture) -> crate::fixture::Live {
    f.start(&spec(&["sleep", "1000"], json!({})))
}

fn runs_inside(dir: &Path) {
    let f = Fixture::new(dir);
    let live = sleeper(&f);
    let namespaces = |of: &str| {
        ["mnt", "pid", "net", "ipc", "uts", "cgroup", "user"]
            .map(|n| std::fs::read_link(format!("/proc/{of}/ns/{n}")).unwrap().to_str().unwrap().to_owned())
    };
    let script =
        "for n in mnt pid net ipc uts cgroup user; do readlink /proc/self/ns/$n; done; pwd; hostname";
    let ended = f.exec(&live, &process(&["sh", "-c", script])).unwrap();
    let expected = format!("{}\n/\nbox\n", namespaces(&live.running.pid.to_string()).join("\n"));
    assert_eq!((ended.code, ended.out), (0, expected));
    assert_eq!(f.exec(&live, &process(&["sh", "-c", "exit 5"])).unwrap().code, 5);
    assert_eq!(f.exec(&live, &process(&["sh", "-c", "kill -9 $$"])).unwrap().code, 137);
    let ended = f.exec(&live, &process(&["ps", "-o", "pid,comm"])).unwrap();
    assert!(ended.out.contains("1 sleep"), "{}", ended.out);
    assert_eq!(namespaces("self"), namespaces("thread-self"), "we are where we were");
}

fn own_user_and_rights(dir: &Path) {
    let f = Fixture::new(dir);
    let live = sleeper(&f);
    let change = json!({
        "user": {"uid": 1000, "gid": 1000, "additionalGids": [5], "umask": 0o027},
        "cwd": "/tmp", "env": ["PATH=/bin", "X=1", "X=2"], "noNewPrivileges": true,
        "capabilities": {"bounding": ["CAP_KILL"], "effective": [], "permitted": []},
        "rlimits": [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}], "oomScoreAdj": 321,
    });
    let script = "id -u; id -G; pwd; echo $HOME $X; umask; ulimit -Hc; cat /proc/self/oom_score_adj;
        grep -E 'CapBnd|NoNew' /proc/self/status";
    let ended = f.exec(&live, &with(&["sh", "-c", script], change)).unwrap();
    assert_eq!(
        ended.out,
        "1000\n1000 5\n/tmp\n/home/app 2\n0027\n0\n321\nCapBnd:\t0000000000000020\nNoNewPrivs:\t1\n"
    );
}

fn exec_failures(dir: &Path) {
    let f = Fixture::new(dir);
    let live = sleeper(&f);
    std::fs::write(f.dir.join("upper/junk"), "junk").unwrap();
    for (program, words, code) in [
        ("nosuch", "exec: \"nosuch\": executable file not found in $PATH", 127),
        ("/nosuch", "exec: \"/nosuch\": stat /nosuch: no such file or directory", 127),
        ("/etc/passwd", "exec: \"/etc/passwd\": permission denied", 126),
        ("/etc", "exec: \"/etc\": is a directory", 126),
    ] {
        let error = f.exec(&live, &process(&[program])).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.exit_code()), (words, code));
    }
    let script = "echo junk >/tmp/junk; chmod 755 /tmp/junk";
    f.exec(&live, &process(&["sh", "-c", script])).unwrap();
    let error = f.exec(&live, &process(&["/tmp/junk"])).unwrap_err();
    assert_eq!((error.to_string().as_str(), error.exit_code()), ("exec /tmp/junk: exec format error", 126));
    let own = std::fs::read_to_string(format!("/proc/self/task/{}/children", std::process::id())).unwrap();
    assert_eq!(own.split_whitespace().count(), 1, "only the container is left");
}

fn no_such_folder(dir: &Path) {
    let f = Fixture::new(dir);
    let live = sleeper(&f);
    let error = f.exec(&live, &with(&["true"], json!({"cwd": "/no/such"}))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "chdir to cwd (\"/no/such\") set in config.json failed: no such file or directory"
    );
}

fn container_that_is_gone(dir: &Path) {
    let f = Fixture::new(dir);
    let live = sleeper(&f);
    live.signal(rustix::process::Signal::KILL);
    // Not reaped: a zombie still has its number.
    rustix::event::poll(
        &mut [rustix::event::PollFd::new(&live.running.pidfd, rustix::event::PollFlags::IN)],
        None,
    )
    .unwrap();
    let error = f.exec(&live, &process(&["true"])).unwrap_err();
    assert!(matches!(error, Error::NotRunning(pid) if pid == live.running.pid), "{error}");
    live.wait();
    let error = f.exec(&live, &process(&["true"])).unwrap_err();
    assert!(matches!(error, Error::NotRunning(_)), "reaped: {error}");
}

fn host_pid_namespace(dir: &Path) {
    let f = Fixture::new(dir);
    let host = json!({"hostname": "", "linux": {"namespaces": [{"type": "mount"}]}});
    let live = f.start(&spec(&["sleep", "1000"], host));
    let ended = f.exec(&live, &process(&["readlink", "/proc/self/ns/pid"])).unwrap();
    let own = std::fs::read_link("/proc/self/ns/pid").unwrap();
    assert_eq!(ended.out.trim(), own.to_str().unwrap());
}

fn seccomp_applies(dir: &Path) {
    let f = Fixture::new(dir);
    let filter = json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 99}]});
    let script = "mkdir /tmp/x 2>&1; grep -E '^(Seccomp|CapPrm|CapEff)' /proc/self/status | tr '\\t\\n' '  '";
    for no_new_privs in [false, true] {
        let change = json!({"process": {"noNewPrivileges": no_new_privs}, "linux": {"seccomp": filter}});
        let ended = f.run(&spec(&["sh", "-c", script], change.clone())).unwrap();
        let expected = "CapPrm: 00000000a80425fb CapEff: 00000000a80425fb Seccomp: 2";
        assert!(ended.out.contains("Cannot assign requested address"), "{ended:?}");
        assert!(ended.out.contains(expected), "the right to load it is gone: {ended:?}");
        let live = f.start(&spec(&["sleep", "1000"], change));
        let ended =
            f.exec(&live, &with(&["sh", "-c", script], json!({"noNewPrivileges": no_new_privs}))).unwrap();
        assert!(ended.out.contains("Cannot assign requested address"), "{ended:?}");
        assert!(ended.out.contains(expected), "{ended:?}");
        // Not root: the right to load is there without being in force, and gone afterwards.
        let user = json!({"noNewPrivileges": no_new_privs, "user": {"uid": 1000, "gid": 1000}});
        let ended = f.exec(&live, &with(&["sh", "-c", script], user)).unwrap();
        assert!(
            ended.out.contains("CapPrm: 0000000000000000 CapEff: 0000000000000000 Seccomp: 2"),
            "{ended:?}"
        );
    }
    // A filter that forbids even to tell of it: execve is refused, and the error comes through all the same.
    let mute = json!({"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["execve", "sendmsg", "write", "sendto"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13}]}}});
    let error = f.create(&spec(&["true"], mute)).unwrap().start().unwrap_err();
    assert_eq!(error.to_string(), "exec /bin/true: permission denied");
}

fn children_stay_home(dir: &Path) {
    let f = Fixture::new(dir);
    let live = sleeper(&f);
    f.exec(&live, &process(&["true"])).unwrap();
    f.exec(&live, &process(&["nosuch"])).unwrap_err();
    let out = std::process::Command::new("readlink").arg("/proc/self/ns/pid").output().unwrap();
    let own = std::fs::read_link("/proc/self/ns/pid").unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), own.to_str().unwrap());
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    assert!(status.contains("NoNewPrivs:\t0"));
}

fn nothing_leaks_into_an_exec(dir: &Path) {
    let f = Fixture::new(dir);
    // Without close-on-exec, and far up.
    let secret = std::fs::File::open("/").unwrap();
    let stray = rustix::io::dup(&secret).unwrap();
    // SAFETY: takes integers.
    assert_eq!(unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&stray), 777) }, 777);
    let live = sleeper(&f);
    let ended = f.exec(&live, &process(&["ls", "-l", "/proc/self/fd"])).unwrap();
    let shown: Vec<&str> = ended.out.lines().filter(|l| l.contains("->")).collect();
    assert!(shown.len() <= 4, "0, 1, 2 and the folder that is listed: {shown:?}");
    assert!(shown.iter().all(|l| !l.ends_with("-> /") && !l.contains(" 777 ")), "{shown:?}");
    // The streams may be any numbers, even 0 to 2 crosswise.
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let stdio = Stdio::Pipes { stdin: read, stdout: write.try_clone().unwrap(), stderr: write };
    let execed = live.exec(&process(&["sh", "-c", "echo x; exit 4"]), stdio).unwrap();
    assert_eq!(wait(execed.pidfd.as_fd()), 4);
}

/// `--network container:x --pid container:x --ipc container:x`, and a network namespace made by the caller.
fn joined_by_descriptor(dir: &Path) {
    use oci_spec::runtime::LinuxNamespaceType as Kind;
    let first = Fixture::new(&dir.join("first"));
    let live = sleeper(&first);
    let second = Fixture::new(&dir.join("second"));
    let open = |name: &str| -> OwnedFd {
        std::fs::File::open(format!("/proc/{}/ns/{name}", live.running.pid)).unwrap().into()
    };
    let script = "readlink /proc/self/ns/pid; readlink /proc/self/ns/net; ps -o pid,comm; echo $$";
    let parsed = serde_json::from_value(spec(&["sh", "-c", script], json!({}))).unwrap();
    let join = vec![(Kind::Pid, open("pid")), (Kind::Network, open("net")), (Kind::Ipc, open("ipc"))];
    let created = create(&second, &parsed, join, None);
    let joined = crate::fixture::Live { running: created.unwrap().start().unwrap() };
    assert_eq!(joined.wait(), 0, "{}", second.said("stderr"));
    let said = second.said("stdout");
    for name in ["pid", "net"] {
        let link = std::fs::read_link(format!("/proc/{}/ns/{name}", live.running.pid)).unwrap();
        assert!(said.contains(link.to_str().unwrap()), "{said}");
    }
    assert!(
        said.contains("1 sleep") && !said.ends_with("\n1\n"),
        "the first one's process 1 is there: {said}"
    );
    // A namespace that is not what it is said to be.
    let wrong = create(&second, &parsed, vec![(Kind::Network, open("ipc"))], None);
    assert_eq!(wrong.unwrap_err().to_string(), "what was given as net namespace is none");
}

/// A network namespace that its maker hands over while the container is being made, or never.
fn joined_later(dir: &Path) {
    let f = Fixture::new(dir);
    let open = |name: &str| std::fs::File::open(format!("/proc/self/ns/{name}")).map(OwnedFd::from);
    let script = "readlink /proc/self/ns/net; cat /proc/sys/net/ipv4/ip_unprivileged_port_start";
    let sysctl = json!({"linux": {"sysctl": {"net.ipv4.ip_unprivileged_port_start": "1000"}}});
    let parsed = serde_json::from_value(spec(&["sh", "-c", script], sysctl)).unwrap();
    // One of its own, held by a thread's descriptor only.
    let own = std::thread::spawn(move || {
        // SAFETY: takes an integer; the thread has nothing that depends on its network namespace, and ends.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
        std::fs::File::open("/proc/thread-self/ns/net").map(OwnedFd::from)
    });
    let own = own.join().unwrap();
    let name =
        rustix::fs::readlink(format!("/proc/self/fd/{}", own.as_ref().unwrap().as_raw_fd()), Vec::new());
    let created = create(&f, &parsed, vec![], Some(NetworkLater(Box::new(|| own))));
    let joined = crate::fixture::Live { running: created.unwrap().start().unwrap() };
    assert_eq!(joined.wait(), 0, "{}", f.said("stderr"));
    assert_eq!(f.said("stdout"), format!("{}\n1000\n", name.unwrap().to_str().unwrap()));

    let gone = || Err(std::io::Error::from_raw_os_error(libc::ECONNRESET));
    let error = create(&f, &parsed, vec![], Some(NetworkLater(Box::new(gone)))).unwrap_err();
    assert_eq!(error.to_string(), "wait for the network namespace: connection reset by peer");
    let other = create(&f, &parsed, vec![], Some(NetworkLater(Box::new(|| open("ipc"))))).unwrap_err();
    assert_eq!(other.to_string(), "what was given as net namespace is none");
}

fn create(
    f: &Fixture,
    spec: &oci_spec::runtime::Spec,
    join: Vec<(oci_spec::runtime::LinuxNamespaceType, OwnedFd)>,
    network_later: Option<NetworkLater<'_>>,
) -> Result<brig_runtime::Created, brig_runtime::Error> {
    brig_runtime::create(brig_runtime::CreateOptions {
        spec,
        rootfs: &f.rootfs,
        stdio: f.streams(),
        join,
        network_later,
        seccomp: None,
        cgroup: brig_runtime::CgroupOptions::Inherit,
        init: brig_runtime::InitProcess::Program,
        console_size: None,
        departures: brig_runtime::Departures::default(),
        hooks: None,
    })
}

fn beside_a_reaper(dir: &Path) {
    let f = Fixture::new(dir);
    let created =
        f.create_as(&spec(&["sleep", "1000"], json!({})), brig_runtime::InitProcess::Reaper).unwrap();
    let live = crate::fixture::Live { running: created.start().unwrap() };
    let ended = f.exec(&live, &process(&["ps", "-o", "pid,comm"])).unwrap();
    assert!(ended.out.contains("1 brig-init") && ended.out.contains("sleep"), "{}", ended.out);
}
